//! `Settling`, `Refunding` and the end.

use d402_objects::{Amount, Cid, Outcome, SignedReceipt};
use d402_wire::NodeAddress;

use super::{Ending, Phase, Refused, Task};
use crate::Effect;
use crate::ports::Settled;

impl Task {
    /// What a signed receipt leads to: the transaction, watching it, and the output it releases.
    pub(super) fn settle_effects(&self, receipt: &SignedReceipt) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.is_direct() && self.settled.is_none() {
            // The result is had for money that moved, not for the promise of it.
            return vec![
                Effect::PlanSettle {
                    receipt: Box::new(receipt.clone()),
                },
                Effect::WatchVault,
            ];
        }
        if self.settled.is_none() {
            effects.extend([
                Effect::PlanSettle {
                    receipt: Box::new(receipt.clone()),
                },
                Effect::WatchVault,
            ]);
        }
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
        let worker = self
            .sets
            .iter()
            .flat_map(|s| &s.slots)
            .find(|s| s.cid == lease)
            .map(|s| s.to.clone());
        let validators = self.validators().filter_map(|i| self.validator_address(i));
        Some(Effect::FetchOutput {
            cid: output.cid,
            bytes: output.bytes,
            holders: worker.into_iter().chain(validators).collect(),
            receipt: Box::new(receipt.clone()),
        })
    }

    fn paid_claim(
        &self,
        receipt: &SignedReceipt,
    ) -> Option<d402_objects::Signed<d402_objects::ResultClaim>> {
        if receipt.receipt().outcome != Outcome::Paid {
            return None;
        }
        receipt
            .receipt()
            .claim_cids
            .iter()
            .find_map(|cid| self.evidence.claim(cid).cloned())
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
    pub(super) fn settled_seen(
        &mut self,
        settled: Settled,
        now_ms: u64,
    ) -> Result<Vec<Effect>, Refused> {
        if self.settled.is_some() {
            return Err(Refused::Duplicate);
        }
        if self.is_direct() && !matches!(self.phase, Phase::Settling { .. }) {
            return Err(self.wrong_phase());
        }
        self.settled = Some(settled);
        Ok(match &self.phase {
            Phase::Settling { .. } => self.settling_on(now_ms),
            Phase::Refunding => self.end_settled(now_ms),
            // Nobody can earn anything any more. The receipt is still wanted for the bundle and the output:
            // the sign-once rule makes the validators give the same one.
            Phase::Bidding { .. } | Phase::Working => self.collect_at_once(now_ms),
            Phase::AwaitingDeposit
            | Phase::Collecting { .. }
            | Phase::Proposing { .. }
            | Phase::Signing { .. }
            | Phase::Final(_) => Vec::new(),
        })
    }

    /// The output's bytes are stored.
    pub(super) fn output_stored(&mut self, cid: Cid, now_ms: u64) -> Result<Vec<Effect>, Refused> {
        let Phase::Settling { receipt } = &self.phase else {
            return Err(self.wrong_phase());
        };
        let expected = self.paid_claim(receipt).map(|c| c.payload().output.cid);
        if expected != Some(cid) {
            return Err(Refused::OtherTask);
        }
        if self.output.is_some() {
            return Err(Refused::Duplicate);
        }
        self.output = Some(cid);
        Ok(if self.settled.is_some() {
            self.settling_on(now_ms)
        } else {
            Vec::new()
        })
    }

    /// Final once the chain settled and the output is here; without the output at `refundAfter`, when its
    /// holders may drop it.
    pub(super) fn settling_on(&mut self, now_ms: u64) -> Vec<Effect> {
        let Phase::Settling { receipt } = &self.phase else {
            return Vec::new();
        };
        let receipt = receipt.clone();
        let over = now_ms >= self.times().refund_after_ms;
        let waiting = match &self.settled {
            None if over && !self.is_direct() => return self.start_refund(now_ms),
            None => true,
            Some(settled) => {
                let ours = settled.receipt_cid == receipt.receipt_cid();
                let paid = receipt.receipt().outcome == Outcome::Paid;
                ours && paid && self.output.is_none() && !over
            }
        };
        if waiting {
            let effects = self.settle_effects(&receipt);
            return self.look_again(now_ms, effects);
        }
        self.end_settled(now_ms)
    }

    /// The chain settled: by the receipt this gateway holds, or by one it never saw whole.
    pub(super) fn end_settled(&mut self, now_ms: u64) -> Vec<Effect> {
        let Some(settled) = self.settled.clone() else {
            return Vec::new();
        };
        let mut effects = self.report_failures(now_ms);
        let ours = self
            .signed
            .clone()
            .filter(|receipt| receipt.receipt_cid() == settled.receipt_cid);
        let ending = match ours {
            None => Ending::SettledElsewhere { settled },
            Some(receipt) => {
                effects.extend(self.final_reports(&receipt, now_ms));
                match receipt.receipt().outcome {
                    Outcome::Paid => Ending::Paid {
                        receipt,
                        settled,
                        output_stored: self.output.is_some(),
                    },
                    Outcome::Rejected => Ending::Rejected { receipt, settled },
                }
            }
        };
        self.phase = Phase::Final(ending);
        effects.push(Effect::Finish);
        effects
    }

    /// `refundAfter` passed and the chain shows no settlement.
    pub(super) fn start_refund(&mut self, now_ms: u64) -> Vec<Effect> {
        let mut effects = self.report_failures(now_ms);
        self.begin_watching(now_ms);
        self.phase = Phase::Refunding;
        effects.extend([Effect::PlanSweep, Effect::WatchVault]);
        effects
    }

    /// The vault is empty again.
    pub(super) fn swept_seen(
        &mut self,
        transaction: String,
        refunded: Amount,
    ) -> Result<Vec<Effect>, Refused> {
        if !matches!(self.phase, Phase::Refunding) {
            return Err(self.wrong_phase());
        }
        self.phase = Phase::Final(Ending::Refunded {
            transaction,
            refunded,
        });
        Ok(vec![Effect::Finish])
    }
}
