//! One request, one method of the case, one response.

use d402_objects::{
    Cid, CommitAck, Hex32, NoMoreLeases, SignatureBytes, Signed, ValidationReceipt,
};
use d402_wire::bridge::FromBridge;
use d402_wire::{RawDossier, Refusal, Request, Response};
use tokio::sync::mpsc;

use super::{Bridge, now_ms, send_all};
use crate::case::{Case, CommitPapers, Proposal, RevealPapers};

type Outbound = mpsc::Sender<FromBridge>;

impl Bridge {
    /// Answers one request of a peer.
    pub(super) async fn answer(
        &self,
        from: &str,
        request: Request,
        outbound: &Outbound,
    ) -> Response {
        self.dispatch(from, request, outbound)
            .await
            .unwrap_or_else(|reason| Response::Refused { reason })
    }

    async fn dispatch(
        &self,
        from: &str,
        request: Request,
        outbound: &Outbound,
    ) -> Result<Response, Refusal> {
        match request {
            Request::OpenTask { dossier, gateway } => self.open_task(from, *dossier, gateway).await,
            Request::Commit {
                task_id,
                lease,
                lease_accept,
                lease_set,
                commit,
            } => {
                let papers = CommitPapers::parse(lease, lease_accept, lease_set, commit)?;
                self.commit(task_id, papers, from, outbound).await
            }
            Request::Reveal {
                claim,
                certificate,
                commits,
                blobs,
            } => {
                let papers = RevealPapers::parse(claim, certificate, commits, &blobs)?;
                self.reveal(papers, outbound).await
            }
            notice @ (Request::AckNotice { .. }
            | Request::ReceiptNotice { .. }
            | Request::SignatureNotice { .. }
            | Request::NoMoreLeases { .. }) => self.notice(notice, outbound).await,
            Request::GetInventory { task_id } => {
                let case = self.case(task_id, outbound).await?;
                case.lock().await.inventory(now_ms()).await
            }
            Request::Propose {
                task_id,
                round,
                receipt,
                inputs,
                objects,
            } => {
                let proposal = Proposal {
                    round,
                    receipt,
                    inputs,
                    objects,
                };
                let case = self.case(task_id, outbound).await?;
                case.lock().await.propose(proposal, now_ms()).await
            }
            Request::Sign { task_id, ready } => {
                let ready = ready
                    .into_iter()
                    .map(parse)
                    .collect::<Result<Vec<_>, _>>()?;
                self.sign(task_id, ready, outbound).await
            }
            Request::GetOutput {
                task_id,
                cid,
                receipt,
            } => {
                let case = self.case(task_id, outbound).await?;
                case.lock().await.release(cid, &receipt, now_ms()).await
            }
            Request::GetSignatures { terms_hash } => Ok(self.signatures(terms_hash).await),
            Request::SyncDirectory { .. }
            | Request::PutDirectory { .. }
            | Request::PlaceBid { .. }
            | Request::OfferLease { .. }
            | Request::ReturnLease { .. } => Err(Refusal::NotMyRole),
        }
    }

    /// What others tell: it is kept when it belongs to a task of ours.
    async fn notice(&self, notice: Request, outbound: &Outbound) -> Result<Response, Refusal> {
        match notice {
            Request::AckNotice {
                ack,
                commit,
                lease_set,
            } => {
                let ack: Signed<CommitAck> = parse(ack)?;
                let set = lease_set
                    .into_iter()
                    .map(parse)
                    .collect::<Result<Vec<_>, _>>()?;
                let case = self.case(ack.payload().task_id, outbound).await?;
                case.lock()
                    .await
                    .ack_noticed(ack, parse(commit)?, set)
                    .await?;
            }
            Request::ReceiptNotice { receipt, claim } => {
                let receipt: Signed<ValidationReceipt> = parse(receipt)?;
                let case = self.case(receipt.payload().task_id, outbound).await?;
                case.lock()
                    .await
                    .receipt_noticed(receipt, parse(claim)?)
                    .await?;
            }
            Request::SignatureNotice { task_id, receipt } => {
                let case = self.case(task_id, outbound).await?;
                case.lock().await.signature_noticed(&receipt);
            }
            Request::NoMoreLeases { notice } => {
                let notice: Signed<NoMoreLeases> = parse(notice)?;
                let case = self.case(notice.payload().task_id, outbound).await?;
                case.lock().await.no_more_leases(notice).await?;
            }
            Request::SyncDirectory { .. }
            | Request::PutDirectory { .. }
            | Request::PlaceBid { .. }
            | Request::OfferLease { .. }
            | Request::ReturnLease { .. }
            | Request::OpenTask { .. }
            | Request::Commit { .. }
            | Request::Reveal { .. }
            | Request::GetInventory { .. }
            | Request::Propose { .. }
            | Request::Sign { .. }
            | Request::GetOutput { .. }
            | Request::GetSignatures { .. } => return Err(Refusal::NotMyRole),
        }
        Ok(Response::Accepted)
    }

    async fn open_task(
        &self,
        from: &str,
        dossier: RawDossier,
        gateway: Option<SignatureBytes>,
    ) -> Result<Response, Refusal> {
        let case = Case::open(self.shared.tools.clone(), dossier).await?;
        let task_id = case.dossier().task_id();
        let case = self.remember(task_id, case).await?;
        case.lock().await.watch(from, gateway.as_ref());
        Ok(Response::Accepted)
    }

    async fn commit(
        &self,
        task_id: Cid,
        papers: CommitPapers,
        from: &str,
        outbound: &Outbound,
    ) -> Result<Response, Refusal> {
        let case = self.case(task_id, outbound).await?;
        let (ack, outgoing) = case.lock().await.commit(papers, from, now_ms()).await?;
        send_all(outbound, outgoing).await;
        Ok(Response::Object {
            object: d402_wire::RawEnvelope::of(&ack),
        })
    }

    async fn reveal(&self, papers: RevealPapers, outbound: &Outbound) -> Result<Response, Refusal> {
        let case = self.case(papers.claim.payload().task_id, outbound).await?;
        let revealed = case.lock().await.reveal(papers, now_ms()).await?;
        if let Some(revealed) = revealed {
            self.start_judging(&case, revealed, outbound);
        }
        Ok(Response::Accepted)
    }

    async fn sign(
        &self,
        task_id: Cid,
        ready: Vec<Signed<d402_objects::Ready>>,
        outbound: &Outbound,
    ) -> Result<Response, Refusal> {
        let case = self.case(task_id, outbound).await?;
        let (signature, outgoing) = case.lock().await.sign(ready, now_ms()).await?;
        send_all(outbound, outgoing).await;
        Ok(Response::Signature { signature })
    }

    async fn signatures(&self, terms_hash: Hex32) -> Response {
        let cases: Vec<_> = self.shared.cases.lock().await.values().cloned().collect();
        for case in cases {
            let case = case.lock().await;
            if case.dossier().terms_hash() == terms_hash {
                return Response::Signatures {
                    receipts: case.signed_receipts().cloned().collect(),
                };
            }
        }
        Response::Signatures {
            receipts: Vec::new(),
        }
    }
}

fn parse<T: d402_objects::Payload>(raw: d402_wire::RawEnvelope) -> Result<Signed<T>, Refusal> {
    raw.open().map_err(|_| Refusal::Malformed)
}
