//! `Working`: leases are out; validators ack, judge and tell the gateway.
//!
//! What validators tell here only decides *when* to collect and when to try the next bidder. Who is paid
//! follows from the inventories alone.

use std::collections::BTreeMap;

use d402_objects::{Cid, Mode, NoMoreLeases, ResultClaim, Signed, ValidationReceipt, Verdict};
use d402_settlement::market::DepositFact;

use super::bidding::MIN_LEASE_MS;
use super::deadlines::unix_ms;
use super::leasing::{Slot, SlotState};
use super::{Phase, Refused, Task};
use crate::Effect;

/// After the m-th equal verdict the remaining receipts are waited for this long, ms (spec §5.7).
pub(super) const STRAGGLERS_MS: u64 = 2_000;
/// Claims tracked per lease: two contradict each other, more prove nothing.
const MAX_CLAIMS_PER_LEASE: usize = 2;

/// What the validators said about one claim.
#[derive(Clone, Debug)]
pub(super) struct ClaimTally {
    pub(super) lease_cid: Cid,
    verdicts: BTreeMap<u8, Verdict>,
    /// The verdict m of them gave, and when the m-th came. 2m > n, so there is at most one.
    decided: Option<(Verdict, u64)>,
}

impl ClaimTally {
    fn of(lease_cid: Cid) -> Self {
        Self {
            lease_cid,
            verdicts: BTreeMap::new(),
            decided: None,
        }
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.verdicts.values().filter(|v| **v == verdict).count()
    }

    fn is(&self, verdict: Verdict) -> bool {
        self.decided.is_some_and(|(decided, _)| decided == verdict)
    }

    /// The verdicts still out cannot make m equal ones.
    fn is_split(&self, m: usize, n: usize) -> bool {
        let out = n.saturating_sub(self.verdicts.len());
        self.count(Verdict::Accept).saturating_add(out) < m
            && self.count(Verdict::Reject).saturating_add(out) < m
    }

    /// When `verdict` is there and complete: every receipt came, or the stragglers' time is over.
    fn complete_ms(&self, verdict: Verdict, n: usize) -> Option<u64> {
        let (decided, at_ms) = self.decided?;
        if decided != verdict {
            return None;
        }
        Some(if self.verdicts.len() >= n {
            at_ms
        } else {
            at_ms.saturating_add(STRAGGLERS_MS)
        })
    }
}

impl Task {
    /// A validator judged a claim of one of our leases.
    pub(super) fn receipt_seen(
        &mut self,
        receipt: &Signed<ValidationReceipt>,
        claim: &Signed<ResultClaim>,
        now_ms: u64,
    ) -> Result<Vec<Effect>, Refused> {
        if matches!(self.phase, Phase::AwaitingDeposit | Phase::Refunding) {
            return Err(self.wrong_phase());
        }
        let (set_index, lease_cid) = self.check_receipt(receipt, claim)?;
        let m = usize::from(self.dossier.set().m());
        let verdict = receipt.payload().verdict;
        let tally = self
            .tally
            .entry(claim.cid())
            .or_insert_with(|| ClaimTally::of(lease_cid));
        tally.verdicts.insert(set_index, verdict);
        if tally.decided.is_none() && tally.count(verdict) >= m {
            tally.decided = Some((verdict, now_ms));
        }
        Ok(if matches!(self.phase, Phase::Working) {
            self.work_on(now_ms)
        } else {
            Vec::new()
        })
    }

    /// Who judged, and the lease of the claim. Nothing is counted twice, nothing grows without bound.
    fn check_receipt(
        &self,
        receipt: &Signed<ValidationReceipt>,
        claim: &Signed<ResultClaim>,
    ) -> Result<(u8, Cid), Refused> {
        let (judged, claimed) = (receipt.payload(), claim.payload());
        let task_id = self.task_id();
        if judged.task_id != task_id
            || claimed.task_id != task_id
            || judged.claim_cid != claim.cid()
        {
            return Err(Refused::OtherTask);
        }
        if judged.terms_hash != self.dossier.terms_hash() {
            return Err(Refused::OtherTask);
        }
        let set_index = self
            .dossier
            .set_index_of(&judged.validator)
            .ok_or(Refused::Stranger)?;
        let lease_cid = claimed.lease_cid;
        let slot = self
            .slots()
            .find(|s| s.cid == lease_cid)
            .ok_or(Refused::NoSuchLease)?;
        if slot.lease.worker != claimed.worker {
            return Err(Refused::Stranger);
        }
        let known = match self.tally.get(&claim.cid()) {
            Some(tally) => tally.verdicts.contains_key(&set_index),
            None => self.tallies(&lease_cid).count() >= MAX_CLAIMS_PER_LEASE,
        };
        if known {
            Err(Refused::Duplicate)
        } else {
            Ok((set_index, lease_cid))
        }
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.sets.iter().flat_map(|s| &s.slots)
    }

    fn tallies(&self, lease_cid: &Cid) -> impl Iterator<Item = &ClaimTally> {
        self.tally
            .values()
            .filter(move |t| t.lease_cid == *lease_cid)
    }

    /// Everything that is due while working, whatever brought us here.
    pub(super) fn work_on(&mut self, now_ms: u64) -> Vec<Effect> {
        self.worked_ms = now_ms;
        self.pass_over_silent_workers(now_ms);
        let mut effects = self.report_failures(now_ms);
        if now_ms >= self.collect_due_ms() {
            effects.extend(self.start_collecting(now_ms));
            return effects;
        }
        if self.no_more.is_some() {
            return effects;
        }
        let failed = self.attempt_failed(now_ms);
        if failed && let Some(set) = self.next_lease_set(now_ms) {
            effects.extend(self.lease(set, now_ms));
        } else if !self.lease_still_makes_sense(now_ms)
            || (failed && !self.lease_may_follow(now_ms))
        {
            effects.extend(self.no_more_leases(now_ms));
        } else if failed && now_ms >= self.announced_until_ms {
            effects.push(self.announce_again(now_ms));
        }
        effects
    }

    fn pass_over_silent_workers(&mut self, now_ms: u64) {
        for set in &mut self.sets {
            let overdue = now_ms >= set.answer_by_ms();
            for slot in set
                .slots
                .iter_mut()
                .filter(|s| overdue && s.state == SlotState::Offered)
            {
                slot.state = SlotState::Declined;
            }
        }
    }

    /// The newest attempt can no longer succeed in time: no lease of it can.
    fn attempt_failed(&self, now_ms: u64) -> bool {
        self.sets
            .last()
            .is_none_or(|set| set.slots.iter().all(|slot| self.lease_failed(slot, now_ms)))
    }

    /// Nobody took the lease, it expired without a claim before the validators, m of them rejected what came,
    /// or they are split over it for good.
    fn lease_failed(&self, slot: &Slot, now_ms: u64) -> bool {
        let (m, n) = (usize::from(self.dossier.set().m()), self.validators().len());
        if self.tallies(&slot.cid).any(|t| t.is(Verdict::Accept)) {
            return false;
        }
        if self
            .tallies(&slot.cid)
            .any(|t| t.is(Verdict::Reject) || t.is_split(m, n))
        {
            return true;
        }
        match slot.state {
            SlotState::Declined => true,
            SlotState::Offered => false,
            SlotState::Accepted => {
                !self.has_claim(&slot.cid) && now_ms >= slot.lease.expires_at_ms.get()
            }
        }
    }

    /// First moment at which collecting may lead to a receipt, and no collection is pausing.
    fn collect_due_ms(&self) -> u64 {
        let mut ready_ms = self.times().reject_from_ms;
        if self.deposit == DepositFact::Late || self.settled.is_some() {
            ready_ms = 0;
        }
        for at_ms in [self.accepted_ms(), self.exhausted_ms()]
            .into_iter()
            .flatten()
        {
            ready_ms = ready_ms.min(at_ms);
        }
        ready_ms.max(self.collect_not_before_ms)
    }

    /// When enough leases have a complete accepted claim: one, in quorum every lease of the set.
    fn accepted_ms(&self) -> Option<u64> {
        match self.dossier.intent().mode {
            Mode::Single | Mode::Race => self
                .slots()
                .filter_map(|slot| self.complete_ms(slot, Verdict::Accept))
                .min(),
            Mode::Quorum => {
                let slots = &self.sets.last()?.slots;
                slots
                    .iter()
                    .map(|slot| self.complete_ms(slot, Verdict::Accept))
                    .max()
                    .flatten()
                    .filter(|_| {
                        slots
                            .iter()
                            .all(|slot| self.complete_ms(slot, Verdict::Accept).is_some())
                    })
            }
        }
    }

    /// When every lease of every attempt the intent allows is completely rejected: validators need not wait
    /// for the deadline then (spec §4.4a).
    fn exhausted_ms(&self) -> Option<u64> {
        if self.sets.len() < usize::from(self.dossier.last_attempt()) {
            return None;
        }
        self.slots().try_fold(0, |latest: u64, slot| {
            Some(latest.max(self.complete_ms(slot, Verdict::Reject)?))
        })
    }

    fn complete_ms(&self, slot: &Slot, verdict: Verdict) -> Option<u64> {
        let n = self.validators().len();
        self.tallies(&slot.cid)
            .filter_map(|t| t.complete_ms(verdict, n))
            .min()
    }

    /// The next moment at which something is due. What was due before `worked_ms` is done, so it wakes
    /// nobody again.
    pub(super) fn work_wake_ms(&self) -> u64 {
        let answers = self
            .sets
            .iter()
            .filter(|set| set.slots.iter().any(|s| s.state == SlotState::Offered));
        let answers = answers.map(super::LeaseSet::answer_by_ms);
        let expiries = self
            .slots()
            .filter(|s| s.state == SlotState::Accepted)
            .map(|s| s.lease.expires_at_ms.get());
        let leases_end = self
            .no_more
            .is_none()
            .then(|| self.times().commit_by_ms.saturating_sub(MIN_LEASE_MS));
        let news = answers
            .chain(expiries)
            .chain(leases_end)
            .chain([self.announced_until_ms])
            .filter(|at_ms| *at_ms > self.worked_ms)
            .min();
        news.unwrap_or(u64::MAX).min(self.collect_due_ms())
    }

    /// No lease will follow (spec §4.4): signed, so that validators may reject at the deadline.
    pub(super) fn no_more_leases(&mut self, now_ms: u64) -> Vec<Effect> {
        if self.no_more.is_some() {
            return Vec::new();
        }
        let notice = NoMoreLeases {
            object_version: 1,
            gateway: self.dossier.intent().gateway,
            network: self.dossier.payment().network.clone(),
            task_id: self.task_id(),
            at_ms: unix_ms(now_ms),
        };
        self.no_more = Some(notice);
        self.notice().into_iter().collect()
    }

    /// The notice that was given; repeating it is harmless.
    pub(super) fn notice(&self) -> Option<Effect> {
        self.no_more
            .clone()
            .map(|notice| Effect::NotifyNoMoreLeases { notice })
    }

    pub(super) fn has_claim(&self, lease_cid: &Cid) -> bool {
        self.tallies(lease_cid).next().is_some()
    }

    /// Claims m validators rejected, with their leases.
    pub(super) fn rejected_claims(&self) -> impl Iterator<Item = (Cid, Cid)> + '_ {
        self.tally
            .iter()
            .filter(|(_, t)| t.is(Verdict::Reject))
            .map(|(claim, t)| (*claim, t.lease_cid))
    }

    pub(super) fn is_rejected(&self, claim: &Cid) -> bool {
        self.tally.get(claim).is_some_and(|t| t.is(Verdict::Reject))
    }

    /// Validators that gave `verdict` on a claim, by set index.
    pub(super) fn gave(&self, claim: &Cid, verdict: Verdict) -> impl Iterator<Item = u8> + '_ {
        let verdicts = self
            .tally
            .get(claim)
            .map(|t| &t.verdicts)
            .into_iter()
            .flatten();
        verdicts
            .filter(move |(_, v)| **v == verdict)
            .map(|(set_index, _)| *set_index)
    }
}
