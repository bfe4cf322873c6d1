//! Requests of peers to a gateway.

use d402_core::Command;
use d402_objects::{Bid, BidAck, Cid, ResultClaim, Signed, UnixMs};
use d402_wire::{RawEnvelope, Refusal, Request, Response};

use super::{Engine, EngineError, lock};

impl Engine {
    /// Answers a request of a peer; `None` when it is not for a gateway.
    pub async fn handle(&self, from: &str, request: Request) -> Option<Response> {
        match request {
            Request::PlaceBid { bid } => Some(self.bid(bid).await.unwrap_or_else(refused)),
            Request::ReturnLease { task_id, lease_cid } => Some(
                self.lease_returned(from, task_id, lease_cid)
                    .await
                    .unwrap_or_else(refused),
            ),
            Request::ReceiptNotice { receipt, claim } => {
                Some(self.receipt_noticed(receipt, claim).unwrap_or_else(refused))
            }
            Request::SyncDirectory { .. }
            | Request::PutDirectory { .. }
            | Request::OfferLease { .. }
            | Request::OpenTask { .. }
            | Request::Commit { .. }
            | Request::AckNotice { .. }
            | Request::Reveal { .. }
            | Request::GetInventory { .. }
            | Request::Propose { .. }
            | Request::Sign { .. }
            | Request::SignatureNotice { .. }
            | Request::NoMoreLeases { .. }
            | Request::GetOutput { .. }
            | Request::GetSignatures { .. } => None,
        }
    }

    /// A bid is acknowledged only once it is stored (threat #67).
    async fn bid(&self, raw: RawEnvelope) -> Result<Response, Refusal> {
        let bid: Signed<Bid> = raw.open().map_err(|_| Refusal::Malformed)?;
        let task_id = bid.payload().task_id;
        let penalty = lock(&self.shared.standings).penalty(&bid.payload().worker, self.now_ms());
        let ack = BidAck {
            object_version: 1,
            gateway: self.gateway(),
            task_id,
            bid_cid: bid.cid(),
            at_ms: UnixMs::default().saturating_add_ms(self.now_ms()),
        };
        self.submit(
            task_id,
            Command::BidPlaced {
                bid,
                penalty,
                distinct_subnet: self.shared.config.distinct_subnets,
            },
        )
        .await
        .map_err(|error| refusal_of(&error))?;
        let ack = self.sign(ack).map_err(|_| Refusal::Malformed)?;
        Ok(Response::Object {
            object: RawEnvelope::of(&ack),
        })
    }

    /// Only the node a lease was offered to may give it back.
    async fn lease_returned(
        &self,
        from: &str,
        task_id: Cid,
        lease_cid: Cid,
    ) -> Result<Response, Refusal> {
        let task = self
            .task(task_id)
            .await
            .map_err(|_| Refusal::Busy)?
            .ok_or(Refusal::UnknownTask)?;
        let held_by = task
            .lease_sets()
            .iter()
            .flat_map(|s| &s.slots)
            .find(|s| s.cid == lease_cid);
        if held_by.is_none_or(|slot| slot.to.node_id != from) {
            return Err(Refusal::NoAccess);
        }
        self.submit(task_id, Command::LeaseReturned { lease_cid })
            .await
            .map_err(|error| refusal_of(&error))?;
        Ok(Response::Accepted)
    }

    fn receipt_noticed(
        &self,
        receipt: RawEnvelope,
        claim: RawEnvelope,
    ) -> Result<Response, Refusal> {
        let receipt: Signed<d402_objects::ValidationReceipt> =
            receipt.open().map_err(|_| Refusal::Malformed)?;
        let claim: Signed<ResultClaim> = claim.open().map_err(|_| Refusal::Malformed)?;
        self.hand_in(
            receipt.payload().task_id,
            Command::ReceiptSeen { receipt, claim },
        );
        Ok(Response::Accepted)
    }
}

fn refusal_of(error: &EngineError) -> Refusal {
    match error {
        EngineError::Refused(d402_core::Refused::Phase { .. }) => Refusal::Closed,
        EngineError::Refused(_) => Refusal::Policy,
        EngineError::UnknownTask => Refusal::UnknownTask,
        EngineError::Store(_)
        | EngineError::Damaged(_)
        | EngineError::Object(_)
        | EngineError::Busy
        | EngineError::Stopping => Refusal::Busy,
    }
}

fn refused(reason: Refusal) -> Response {
    Response::Refused { reason }
}
