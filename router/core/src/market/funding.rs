//! `AwaitingDeposit`: the payment is submitted, the chain has the last word.

use d402_settlement::market::DepositFact;

use super::{Ending, Phase, Refused, Task};
use crate::Effect;

impl Task {
    /// The chain holds the budget. In time → bidding; later → the validators are asked for `Rejected`
    /// (spec §4.4b): no lease is ever given for a late deposit.
    pub(super) fn deposit_funded(
        &mut self,
        at_ms: u64,
        now_ms: u64,
    ) -> Result<Vec<Effect>, Refused> {
        if !matches!(self.phase, Phase::AwaitingDeposit) {
            return Err(self.wrong_phase());
        }
        if at_ms >= self.times().fund_by_ms {
            return Ok(self.reject_for_late_money(now_ms));
        }
        self.deposit = DepositFact::OnTime;
        Ok(if self.settled.is_some() {
            self.collect_at_once(now_ms)
        } else {
            self.start_bidding(now_ms)
        })
    }

    /// Something is there, less than the budget, and `fundBy` passed: same exit as a late deposit.
    pub(super) fn deposit_short(&mut self, now_ms: u64) -> Result<Vec<Effect>, Refused> {
        if !matches!(self.phase, Phase::AwaitingDeposit) {
            return Err(self.wrong_phase());
        }
        if now_ms < self.times().fund_by_ms {
            return Err(Refused::NothingDue);
        }
        Ok(self.reject_for_late_money(now_ms))
    }

    fn reject_for_late_money(&mut self, now_ms: u64) -> Vec<Effect> {
        self.deposit = DepositFact::Late;
        let mut effects = self.open_everywhere();
        effects.extend(self.collect_at_once(now_ms));
        effects
    }

    /// Neither money nor payment will ever come.
    pub(super) fn deposit_impossible(&mut self) -> Result<Vec<Effect>, Refused> {
        if !matches!(self.phase, Phase::AwaitingDeposit) {
            return Err(self.wrong_phase());
        }
        self.phase = Phase::Final(Ending::Unfunded);
        Ok(vec![Effect::Finish])
    }

    pub(super) fn open_everywhere(&self) -> Vec<Effect> {
        self.validators()
            .map(|set_index| Effect::OpenTask { set_index })
            .collect()
    }
}
