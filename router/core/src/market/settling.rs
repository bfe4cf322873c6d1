//! `Settling`, `Refunding` and the end.

use d402_objects::{Amount, Cid, Outcome, SignedReceipt};
use d402_wire::NodeAddress;

use super::task::WATCH_MS;
use super::{Ending, Phase, Refused, Task};
use crate::Effect;
use crate::ports::Settled;

impl Task {
    /// What a signed receipt leads to: the transaction, watching it, and the output it releases.
    pub(super) fn settle_effects(&self, receipt: &SignedReceipt) -> Vec<Effect> {
        let mut effects = vec![Effect::PlanSettle { receipt: Box::new(receipt.clone()) }, Effect::WatchVault];
        effects.extend(self.fetch_output(receipt));
        effects
    }

    /// The output of a paid claim, from its worker or any validator (threat #15).
    fn fetch_output(&self, receipt: &SignedReceipt) -> Option<Effect> {
        if self.output.is_some() {
            return None;
        }
        let claim = self.paid_claim(receipt)?;
        let output = &claim.payload().output;
        let lease = claim.payload().lease_cid;
        let worker = self.sets.iter().flat_map(|s| &s.slots).find(|s| s.cid == lease).map(|s| s.to.clone());
        let validators = self.validators().filter_map(|i| self.validator_address(i));
        Some(Effect::FetchOutput {
            cid: output.cid,
            bytes: output.bytes,
            holders: worker.into_iter().chain(validators).collect(),
            receipt: Box::new(receipt.clone()),
        })
    }

    fn paid_claim(&self, receipt: &SignedReceipt) -> Option<d402_objects::Signed<d402_objects::ResultClaim>> {
        if receipt.receipt().outcome != Outcome::Paid {
            return None;
        }
        receipt.receipt().claim_cids.iter().find_map(|cid| self.evidence.claim(cid).cloned())
    }

    /// Where a validator is reached.
    #[must_use]
    pub fn validator_address(&self, set_index: u8) -> Option<NodeAddress> {
        let offer = self.dossier.offer_by_set_index(set_index)?.payload();
        Some(NodeAddress {
            node_id: offer.node_id.to_string(),
            addresses: offer.addresses.iter().map(ToString::to_string).collect(),
        })
    }

    /// The chain executed a receipt: ours, or one a payee submitted before us (threat #12, #37).
    pub(super) fn settled_seen(&mut self, settled: Settled, now_ms: u64) -> Result<Vec<Effect>, Refused> {
        if self.settled.is_some() {
            return Err(Refused::Duplicate);
        }
        self.settled = Some(settled);
        if let Phase::Settling { .. } = self.phase {
            return Ok(self.settling_on(now_ms));
        }
        // Somebody else was faster. The receipt is still wanted for the bundle and the output: the sign-once
        // rule makes the validators give the same one.
        Ok(Vec::new())
    }

    /// The output's bytes are stored.
    pub(super) fn output_stored(&mut self, cid: Cid, now_ms: u64) -> Result<Vec<Effect>, Refused> {
        let Phase::Settling { receipt } = &self.phase else { return Err(self.wrong_phase()) };
        let expected = self.paid_claim(receipt).map(|c| c.payload().output.cid);
        if expected != Some(cid) {
            return Err(Refused::OtherTask);
        }
        if self.output.is_some() {
            return Err(Refused::Duplicate);
        }
        self.output = Some(cid);
        Ok(self.settling_on(now_ms))
    }

    /// Final once the chain settled and the output is here; without the output at `refundAfter`, when its
    /// holders may drop it.
    pub(super) fn settling_on(&mut self, now_ms: u64) -> Vec<Effect> {
        let Phase::Settling { receipt } = &self.phase else { return Vec::new() };
        let receipt = receipt.clone();
        let Some(settled) = self.settled.clone() else {
            return if now_ms >= self.times().refund_after_ms { self.start_refund(now_ms) } else { self.settle_effects(&receipt) };
        };
        let paid = receipt.receipt().outcome == Outcome::Paid;
        let waiting = paid && self.output.is_none() && now_ms < self.times().refund_after_ms;
        if waiting {
            return self.fetch_output(&receipt).into_iter().collect();
        }
        let mut effects = self.final_reports(&receipt, now_ms);
        let ours = settled.receipt_cid == receipt.receipt_cid();
        self.phase = Phase::Final(match (ours, paid) {
            (false, _) => Ending::SettledElsewhere { settled },
            (true, true) => Ending::Paid { receipt, settled, output_stored: self.output.is_some() },
            (true, false) => Ending::Rejected { receipt, settled },
        });
        effects.push(Effect::Finish);
        effects
    }

    /// `refundAfter` passed and the chain shows no settlement.
    pub(super) fn start_refund(&mut self, now_ms: u64) -> Vec<Effect> {
        self.watched_ms = now_ms;
        self.phase = Phase::Refunding;
        vec![Effect::PlanSweep, Effect::WatchVault]
    }

    /// The vault is empty again.
    pub(super) fn swept_seen(&mut self, transaction: String, refunded: Amount) -> Result<Vec<Effect>, Refused> {
        if !matches!(self.phase, Phase::Refunding) {
            return Err(self.wrong_phase());
        }
        self.phase = Phase::Final(Ending::Refunded { transaction, refunded });
        Ok(vec![Effect::Finish])
    }

    /// Next look at the chain.
    pub(super) fn watch_wake_ms(&self) -> u64 {
        self.watched_ms.saturating_add(WATCH_MS)
    }
}
