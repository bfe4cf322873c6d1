//! After the verdict: releasing the output, and settling when the gateway does not.

use std::sync::Arc;
use std::time::Duration;

use d402_core::ports::{RailError, VaultState};
use d402_objects::{Cid, SignedReceipt};
use d402_settlement::UnixSeconds;
use d402_settlement::market::{Dossier, verify_output_release};
use d402_wire::{Blob, Refusal, Response};

use super::{Worker, lock, refused};
use crate::payday::GATEWAY_FIRST_MS;

impl Worker {
    fn now_s(&self) -> UnixSeconds {
        UnixSeconds(
            i64::try_from(self.now_ms().checked_div(1_000).unwrap_or(0)).unwrap_or(i64::MAX),
        )
    }

    /// Output bytes against a receipt that pays this worker's claim (threat #15).
    pub(super) async fn output_asked(
        &self,
        task_id: Cid,
        cid: Cid,
        receipt: &SignedReceipt,
    ) -> Result<Response, Refusal> {
        let case = self.case(&task_id).ok_or(Refusal::UnknownTask)?;
        {
            let job = lock(&case.job);
            let (claim, _, _) = job.sealed().ok_or(Refusal::NoAccess)?;
            verify_output_release(job.dossier(), receipt, claim, job.lease(), self.now_s())
                .map_err(|_| Refusal::NoAccess)?;
            let payload = claim.payload();
            if payload.output.cid != cid && !payload.evidence.iter().any(|e| e.cid == cid) {
                return Err(Refusal::NoAccess);
            }
        }
        match self.shared.ports.blobs.get(cid).await {
            Ok(Some(bytes)) => Ok(Response::Content {
                blob: Blob::of(&bytes),
            }),
            Ok(None) => Err(Refusal::NoAccess),
            Err(_) => Err(Refusal::Busy),
        }
    }

    /// A validator's settlement signature. With enough of them the worker can settle by itself.
    pub(super) fn signature_noticed(&self, task_id: Cid, carrier: &SignedReceipt) -> Response {
        let Some(case) = self.case(&task_id) else {
            return refused(Refusal::UnknownTask);
        };
        let dossier = lock(&case.job).dossier().clone();
        if dossier.direct().is_some() {
            // Nothing is held that could be settled: the gateway submits what the buyer authorized.
            return Response::Accepted;
        }
        let complete = lock(&case.payday).signature_seen(&dossier, carrier, self.now_s());
        if let Some(receipt) = complete {
            let worker = self.clone();
            let case = Arc::clone(&case);
            // The first complete receipt starts the wait; later signatures change nothing.
            if !lock(&case.payday).start_waiting() {
                return Response::Accepted;
            }
            tokio::spawn(async move { worker.settle_if_nobody_does(&dossier, &receipt).await });
        }
        Response::Accepted
    }

    async fn settle_if_nobody_does(&self, dossier: &Dossier, receipt: &SignedReceipt) {
        let network = dossier.network().as_str();
        let mut rails = self.shared.ports.rails.iter();
        let Some(rail) = rails.find(|rail| rail.network() == network) else {
            tracing::info!(
                network,
                "no chain of its own to settle on, leaving it to others"
            );
            return;
        };
        let terms = dossier.terms_bytes();
        rail.learn_set(dossier.set());
        while self.now_s() < dossier.times().refund_after_s {
            tokio::time::sleep(Duration::from_millis(GATEWAY_FIRST_MS)).await;
            match rail.vault(terms).await {
                Ok(VaultState::Settled(_)) => return,
                Ok(VaultState::Open { .. }) => {}
                Err(error) => {
                    tracing::warn!(task = %dossier.task_id(), %error, "chain not known, waiting");
                    continue;
                }
            }
            let submitted = match rail.settle_body(terms, receipt) {
                Ok(body) => rail.submit(&body).await,
                Err(error) => Err(error),
            };
            match submitted {
                Ok(()) => tracing::info!(task = %dossier.task_id(), "settled by the worker itself"),
                Err(RailError::Refused { rule }) => {
                    tracing::error!(task = %dossier.task_id(), rule, "chain refuses the receipt");
                    return;
                }
                Err(error) => tracing::warn!(task = %dossier.task_id(), %error, "not settled yet"),
            }
        }
    }
}
