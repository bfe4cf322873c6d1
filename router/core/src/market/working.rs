//! `Working`: leases are out; validators ack, judge and tell the gateway.
//!
//! What validators tell here only decides *when* to collect and when to try the next bidder. Who is paid
//! follows from the inventories alone.

use std::collections::BTreeMap;

use d402_objects::{Cid, Mode, NoMoreLeases, ResultClaim, Signed, ValidationReceipt, Verdict};

use super::deadlines::unix_ms;
use super::leasing::{ACCEPT_MS, SlotState};
use super::{Phase, Refused, Task};
use crate::Effect;

/// After the m-th equal verdict the remaining receipts are waited for this long, ms (spec §5.7).
pub(super) const STRAGGLERS_MS: u64 = 2_000;
/// Most claims tracked per task: leases of all attempts.
const MAX_CLAIMS: usize = 64;

/// What the validators said about one claim.
#[derive(Clone, Debug)]
pub(super) struct ClaimTally {
    pub(super) lease_cid: Cid,
    verdicts: BTreeMap<u8, Verdict>,
    /// When m equal verdicts were first there.
    decided_ms: Option<u64>,
}

impl ClaimTally {
    fn count(&self, verdict: Verdict) -> usize {
        self.verdicts.values().filter(|v| **v == verdict).count()
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
        let judged = receipt.payload();
        if judged.task_id != self.task_id() || claim.payload().task_id != judged.task_id || judged.claim_cid != claim.cid() {
            return Err(Refused::OtherTask);
        }
        let set_index = self.dossier.set_index_of(&judged.validator).ok_or(Refused::Stranger)?;
        let lease_cid = claim.payload().lease_cid;
        let worker = self
            .sets
            .iter()
            .flat_map(|s| &s.slots)
            .find(|s| s.cid == lease_cid)
            .map(|s| s.lease.worker)
            .ok_or(Refused::NoSuchLease)?;
        if worker != claim.payload().worker {
            return Err(Refused::Stranger);
        }
        let m = usize::from(self.dossier.set().m());
        if !self.tally.contains_key(&claim.cid()) && self.tally.len() >= MAX_CLAIMS {
            return Err(Refused::Duplicate);
        }
        let tally = self.tally.entry(claim.cid()).or_insert_with(|| ClaimTally {
            lease_cid,
            verdicts: BTreeMap::new(),
            decided_ms: None,
        });
        if tally.verdicts.contains_key(&set_index) {
            return Err(Refused::Duplicate);
        }
        tally.verdicts.insert(set_index, judged.verdict);
        if tally.decided_ms.is_none() && tally.count(judged.verdict) >= m {
            tally.decided_ms = Some(now_ms);
        }
        Ok(if matches!(self.phase, Phase::Working) { self.work_on(now_ms) } else { Vec::new() })
    }

    /// Everything that may be due while working.
    pub(super) fn work_on(&mut self, now_ms: u64) -> Vec<Effect> {
        self.pass_over_silent_workers(now_ms);
        let mut effects = self.report_failures(now_ms);
        if self.collect_is_due(now_ms) {
            effects.extend(self.start_collecting(now_ms));
            return effects;
        }
        if self.no_more.is_none() && self.attempt_failed(now_ms) {
            match self.next_lease_set(now_ms) {
                Some(set) => effects.extend(self.lease(set)),
                None if self.another_attempt_may_come(now_ms) => {}
                None => effects.extend(self.no_more_leases(now_ms)),
            }
        }
        effects
    }

    /// A later bid may still be leased.
    fn another_attempt_may_come(&self, now_ms: u64) -> bool {
        let intent = self.dossier.intent();
        intent.mode == Mode::Single
            && self.sets.len() < usize::from(intent.max_attempts)
            && self.lease_still_makes_sense(now_ms)
    }

    fn pass_over_silent_workers(&mut self, now_ms: u64) {
        for set in &mut self.sets {
            let overdue = set.since_ms.saturating_add(ACCEPT_MS) <= now_ms;
            for slot in set.slots.iter_mut().filter(|s| overdue && s.state == SlotState::Offered) {
                slot.state = SlotState::Declined;
            }
        }
    }

    /// The newest attempt can no longer succeed in time: nobody took it, its lease expired without a claim
    /// before the validators, or m validators rejected what came.
    fn attempt_failed(&self, now_ms: u64) -> bool {
        let Some(set) = self.sets.last() else { return true };
        set.slots.iter().all(|slot| {
            if slot.state == SlotState::Declined {
                return true;
            }
            let tally = self.tally.values().find(|t| t.lease_cid == slot.cid);
            match tally {
                Some(t) => t.count(Verdict::Reject) >= usize::from(self.dossier.set().m()),
                None => now_ms >= slot.lease.expires_at_ms.get(),
            }
        })
    }

    fn collect_is_due(&self, now_ms: u64) -> bool {
        if now_ms < self.collect_not_before_ms {
            return false;
        }
        now_ms >= self.reject_from_ms() || self.accepted_at_ms().is_some_and(|at| now_ms >= at)
    }

    /// From here on a receipt without workers may be signed (spec §4.4a): the deadline, and a second for the
    /// validators' clocks.
    fn reject_from_ms(&self) -> u64 {
        self.dossier.intent().deadline_ms.get().saturating_add(1_000)
    }

    /// When enough accepted claims are complete, or waited for: every receipt is there, or the stragglers'
    /// time is over.
    fn accepted_at_ms(&self) -> Option<u64> {
        let intent = self.dossier.intent();
        let n = self.validators().len();
        let m = usize::from(self.dossier.set().m());
        let mut moments: Vec<u64> = self
            .tally
            .values()
            .filter(|t| t.count(Verdict::Accept) >= m)
            .filter_map(|t| {
                let decided = t.decided_ms?;
                Some(if t.verdicts.len() >= n { decided } else { decided.saturating_add(STRAGGLERS_MS) })
            })
            .collect();
        moments.sort_unstable();
        match intent.mode {
            Mode::Single | Mode::Race => moments.first().copied(),
            Mode::Quorum => {
                let leases = self.sets.last().map_or(0, |s| s.slots.len());
                if leases == 0 || moments.len() < leases { None } else { moments.last().copied() }
            }
        }
    }

    pub(super) fn work_wake_ms(&self) -> u64 {
        let mut due = self.reject_from_ms();
        if let Some(at) = self.accepted_at_ms() {
            due = due.min(at);
        }
        due = due.max(self.collect_not_before_ms);
        if self.no_more.is_none() {
            for slot in self.sets.iter().flat_map(|s| &s.slots).filter(|s| s.state != SlotState::Declined) {
                let expiry = slot.lease.expires_at_ms.get();
                due = due.min(if slot.state == SlotState::Offered {
                    slot.lease.start_ms.get().saturating_add(ACCEPT_MS)
                } else {
                    expiry
                });
            }
            due = due.min(self.times().commit_by_ms);
        }
        due
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
        self.no_more = Some(notice.clone());
        vec![Effect::NotifyNoMoreLeases { notice }]
    }

    /// Claims m validators rejected and their workers, for reports and the next choice.
    pub(super) fn rejected_claims(&self) -> impl Iterator<Item = (Cid, Cid)> + '_ {
        let m = usize::from(self.dossier.set().m());
        self.tally.iter().filter(move |(_, t)| t.count(Verdict::Reject) >= m).map(|(claim, t)| (*claim, t.lease_cid))
    }

    /// Verdicts on one claim, by set index.
    pub(super) fn verdicts_on(&self, claim: &Cid) -> Option<&BTreeMap<u8, Verdict>> {
        self.tally.get(claim).map(|t| &t.verdicts)
    }
}
