//! Output against signatures (threat #15), and notices of the gateway.

use d402_objects::{Cid, NoMoreLeases, Signed, SignedReceipt};
use d402_settlement::market::{EvidenceObject, verify_output_release};
use d402_wire::{Blob, Refusal, Response};

use super::Case;

impl Case {
    /// Output or evidence of a claim that a fully signed receipt pays.
    ///
    /// # Errors
    /// `NoAccess` without such a receipt.
    pub async fn release(
        &self,
        cid: Cid,
        receipt: &SignedReceipt,
        now_ms: u64,
    ) -> Result<Response, Refusal> {
        let now = self.chain_now(now_ms).await?;
        let pays = |claim: &&Signed<d402_objects::ResultClaim>| {
            self.evidence
                .lease(&claim.payload().lease_cid)
                .is_some_and(|lease| {
                    verify_output_release(&self.dossier, receipt, claim, lease, now).is_ok()
                })
        };
        let claim = self
            .evidence
            .claims()
            .filter(|c| {
                c.payload().output.cid == cid || c.payload().evidence.iter().any(|e| e.cid == cid)
            })
            .find(pays)
            .ok_or(Refusal::NoAccess)?;
        match self.tools.store.blob(claim.payload().task_id, cid).await {
            Ok(Some(bytes)) => Ok(Response::Content {
                blob: Blob::of(&bytes),
            }),
            Ok(None) => Err(Refusal::NoAccess),
            Err(_) => Err(Refusal::Busy),
        }
    }

    /// The gateway says that no lease will follow.
    ///
    /// # Errors
    /// The refusal the gateway is told.
    pub async fn no_more_leases(&mut self, notice: Signed<NoMoreLeases>) -> Result<(), Refusal> {
        if self.evidence.no_more_leases().is_some() {
            return Ok(());
        }
        self.admit(EvidenceObject::NoMoreLeases(notice)).await
    }
}
