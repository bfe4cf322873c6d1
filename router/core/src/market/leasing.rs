//! Choosing workers and offering leases (spec §5.1).

use std::collections::BTreeSet;

use d402_objects::{Amount, Cid, Lease, LeaseAccept, Mode, Signed, cid_of, lease_set_root};
use d402_wire::NodeAddress;

use super::bidding::MIN_LEASE_MS;
use super::deadlines::unix_ms;
use super::task::RankedBid;
use super::{Phase, Refused, Task};
use crate::Effect;

/// A worker that does not answer a lease offer in this time is passed over, ms.
pub(super) const ACCEPT_MS: u64 = 1_500;

/// One lease and what became of it.
#[derive(Clone, Debug)]
pub struct Slot {
    /// CID of the lease.
    pub cid: Cid,
    /// The lease, unsigned.
    pub lease: Lease,
    /// The worker's node.
    pub to: NodeAddress,
    /// What became of the offer.
    pub state: SlotState,
}

/// What became of a lease offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Sent, not answered.
    Offered,
    /// The worker signed its acceptance.
    Accepted,
    /// Refused, or not answered in time.
    Declined,
}

/// The leases of one attempt.
#[derive(Clone, Debug)]
pub struct LeaseSet {
    /// 1, 2, …
    pub attempt: u8,
    /// When it was made, ms.
    pub since_ms: u64,
    /// By `leaseIndex`.
    pub slots: Vec<Slot>,
}

impl RankedBid {
    /// Order of preference: local penalty, price, then bid CID (nobody can choose it without changing its
    /// bid).
    pub(super) fn rank(&self) -> (u32, Amount, Cid) {
        (self.penalty, self.bid.payload().price, self.bid.cid())
    }
}

impl LeaseSet {
    /// First moment at which an unanswered offer counts as refused.
    pub(super) fn answer_by_ms(&self) -> u64 {
        self.since_ms.saturating_add(ACCEPT_MS)
    }

    pub(super) fn offers(&self, which: impl Fn(&Slot) -> bool) -> Vec<Effect> {
        let set: Vec<Lease> = self.slots.iter().map(|s| s.lease.clone()).collect();
        self.slots
            .iter()
            .filter(|slot| which(slot))
            .map(|slot| Effect::OfferLease {
                to: slot.to.clone(),
                lease: Box::new(slot.lease.clone()),
                set: set.clone(),
            })
            .collect()
    }
}

impl Task {
    /// The next set of leases, if the bids at hand allow one that fits time, attempts and budget.
    pub(super) fn next_lease_set(&self, now_ms: u64) -> Option<LeaseSet> {
        let intent = self.dossier.intent();
        let attempt = u8::try_from(self.sets.len()).ok()?.checked_add(1)?;
        if self.no_more.is_some() || !self.lease_may_follow(now_ms) {
            return None;
        }
        let chosen = self.choose(now_ms);
        let least = match intent.mode {
            Mode::Single | Mode::Race => 1,
            Mode::Quorum => usize::from(intent.quorum),
        };
        if chosen.len() < least {
            return None;
        }
        self.lease_set_of(&chosen, attempt, now_ms)
    }

    /// Attempts and time allow another lease set, should bids come.
    pub(super) fn lease_may_follow(&self, now_ms: u64) -> bool {
        self.sets.len() < usize::from(self.dossier.last_attempt())
            && self.lease_still_makes_sense(now_ms)
    }

    /// Best bids first. One per worker and wallet (threat #31), none that had a lease of this task before.
    fn choose(&self, now_ms: u64) -> Vec<&RankedBid> {
        let intent = self.dossier.intent();
        let had: BTreeSet<_> = self
            .sets
            .iter()
            .flat_map(|s| &s.slots)
            .map(|s| s.lease.worker)
            .collect();
        let mut ranked: Vec<&RankedBid> = self
            .bids
            .iter()
            .filter(|b| {
                b.bid.payload().valid_until_ms.get() > now_ms
                    && !had.contains(&b.bid.payload().worker)
            })
            .collect();
        ranked.sort_by_key(|b| b.rank());
        let codec = self.dossier.codec();
        let mut wallets = BTreeSet::new();
        ranked.retain(|b| {
            codec
                .account(&b.bid.payload().payout.address)
                .is_some_and(|wallet| wallets.insert(wallet))
        });
        ranked.truncate(usize::from(intent.fanout));
        ranked
    }

    fn lease_set_of(&self, chosen: &[&RankedBid], attempt: u8, now_ms: u64) -> Option<LeaseSet> {
        let intent = self.dossier.intent();
        let prices: Vec<_> = chosen
            .iter()
            .map(|b| (b.bid.payload().worker, b.bid.payload().price))
            .collect();
        let root = lease_set_root(&prices);
        let expires_at_ms = self.lease_expiry_ms(attempt, now_ms);
        let count = u8::try_from(chosen.len()).ok()?;
        let mut slots = Vec::with_capacity(chosen.len());
        for (index, ranked) in (0..count).zip(chosen) {
            let bid = ranked.bid.payload();
            let lease = Lease {
                object_version: 1,
                gateway: intent.gateway,
                network: bid.network.clone(),
                task_id: self.task_id(),
                terms_hash: bid.terms_hash,
                worker: bid.worker,
                bid_cid: ranked.bid.cid(),
                price: bid.price,
                payout: bid.payout.clone(),
                attempt,
                lease_index: index,
                lease_count: count,
                lease_set_root: root,
                start_ms: unix_ms(now_ms),
                expires_at_ms: unix_ms(expires_at_ms),
                voucher_cid: None,
            };
            let to = NodeAddress {
                node_id: bid.node_id.to_string(),
                addresses: bid.addresses.iter().map(ToString::to_string).collect(),
            };
            slots.push(Slot {
                cid: cid_of(&lease).ok()?,
                lease,
                to,
                state: SlotState::Offered,
            });
        }
        Some(LeaseSet {
            attempt,
            since_ms: now_ms,
            slots,
        })
    }

    /// Single: an equal share of the time left for every attempt left (threat #53). Race and quorum have one
    /// attempt and run until the deadline.
    fn lease_expiry_ms(&self, attempt: u8, now_ms: u64) -> u64 {
        let intent = self.dossier.intent();
        match intent.mode {
            Mode::Race | Mode::Quorum => intent.deadline_ms.get(),
            Mode::Single => {
                let attempts_left =
                    u64::from(intent.max_attempts.saturating_sub(attempt)).saturating_add(1);
                let time_left = self.times().commit_by_ms.saturating_sub(now_ms);
                let share = time_left
                    .checked_div(attempts_left)
                    .unwrap_or(time_left)
                    .max(MIN_LEASE_MS);
                now_ms.saturating_add(share).min(intent.deadline_ms.get())
            }
        }
    }

    pub(super) fn lease(&mut self, set: LeaseSet, now_ms: u64) -> Vec<Effect> {
        self.worked_ms = now_ms;
        let effects = set.offers(|_| true);
        self.sets.push(set);
        self.phase = Phase::Working;
        effects
    }

    /// A worker answered its offer; without an acceptance it is a refusal.
    pub(super) fn lease_answered(
        &mut self,
        lease_cid: &Cid,
        accept: Option<&Signed<LeaseAccept>>,
        now_ms: u64,
    ) -> Result<Vec<Effect>, Refused> {
        if !matches!(self.phase, Phase::Working) {
            return Err(self.wrong_phase());
        }
        let task_id = self.task_id();
        let slot = self
            .sets
            .iter_mut()
            .flat_map(|s| &mut s.slots)
            .find(|s| s.cid == *lease_cid && s.state == SlotState::Offered)
            .ok_or(Refused::NoSuchLease)?;
        match accept {
            Some(accept) if accept.payload().task_id != task_id => return Err(Refused::OtherTask),
            Some(accept) if accept.payload().worker != slot.lease.worker => {
                return Err(Refused::Stranger);
            }
            Some(_) => slot.state = SlotState::Accepted,
            None => slot.state = SlotState::Declined,
        }
        Ok(if accept.is_none() {
            self.work_on(now_ms)
        } else {
            Vec::new()
        })
    }

    /// A worker gave its lease back. A claim it made before that still counts.
    pub(super) fn lease_returned(
        &mut self,
        lease_cid: &Cid,
        now_ms: u64,
    ) -> Result<Vec<Effect>, Refused> {
        if !matches!(self.phase, Phase::Working) {
            return Err(self.wrong_phase());
        }
        let slot = self
            .sets
            .iter_mut()
            .flat_map(|s| &mut s.slots)
            .find(|s| s.cid == *lease_cid && s.state != SlotState::Declined)
            .ok_or(Refused::NoSuchLease)?;
        slot.state = SlotState::Declined;
        Ok(self.work_on(now_ms))
    }
}
