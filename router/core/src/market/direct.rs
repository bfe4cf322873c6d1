//! Tasks that are paid straight (design §5, x402 flow `authorization`): nothing is deposited, the buyer's
//! authorization is kept, and it goes to the chain only once m validators signed that the work is accepted.
//!
//! Invariant: the money effect of a direct task is planned by one step alone, the one that completes a `Paid`
//! receipt. No acceptance, no broadcast: then what the buyer authorized lapses by itself.

use d402_objects::{Outcome, SignedReceipt};

use super::{Ending, Phase, Refused, Task};
use crate::Effect;
use crate::ports::Uncollectable;

impl Task {
    /// Whether the buyer pays the worker straight.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.dossier.direct().is_some()
    }

    /// A receipt is fully signed. `None` when it is to be executed; a rejection needs no chain.
    pub(super) fn end_direct_rejection(
        &mut self,
        receipt: &SignedReceipt,
        now_ms: u64,
    ) -> Option<Vec<Effect>> {
        if !self.is_direct() || receipt.receipt().outcome == Outcome::Paid {
            return None;
        }
        let mut effects = self.report_failures(now_ms);
        effects.extend(self.final_reports(receipt, now_ms));
        self.phase = Phase::Final(Ending::NotCharged {
            receipt: Some(Box::new(receipt.clone())),
        });
        effects.push(Effect::Finish);
        Some(effects)
    }

    /// No validator signs any more, and no receipt is there: the authorization was never shown to anybody.
    pub(super) fn end_direct_silence(&mut self, now_ms: u64) -> Vec<Effect> {
        let mut effects = self.report_failures(now_ms);
        self.phase = Phase::Final(Ending::NotCharged { receipt: None });
        effects.push(Effect::Finish);
        effects
    }

    /// The work was accepted, and the chain says that the payment can never take effect (threat #71). The worker
    /// bears it: whoever takes direct tasks was told so.
    pub(super) fn payment_impossible(
        &mut self,
        why: Uncollectable,
        now_ms: u64,
    ) -> Result<Vec<Effect>, Refused> {
        let Phase::Settling { receipt } = &self.phase else {
            return Err(self.wrong_phase());
        };
        if !self.is_direct() {
            return Err(self.wrong_phase());
        }
        if self.settled.is_some() {
            return Err(Refused::Duplicate);
        }
        let receipt = receipt.clone();
        let mut effects = self.report_failures(now_ms);
        self.phase = Phase::Final(Ending::Uncollected { receipt, why });
        effects.push(Effect::Finish);
        Ok(effects)
    }
}
