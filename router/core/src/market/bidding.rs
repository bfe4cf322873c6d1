//! `Bidding`: workers bid in a window; the acceptable ones are ranked when it closes.

use d402_objects::{Amount, Bid, Mode, Multiaddr, NodeId, TaskAnnouncement};

use super::deadlines::unix_ms;
use super::refused::BidFault;
use super::task::RankedBid;
use super::{Phase, Refused, Task};
use crate::Effect;

/// Length of a bid window, ms (design §7: 250–500).
pub const BID_WINDOW_MS: u64 = 400;
/// Longest bid window, ms: while nobody bids the next window is twice as long as the last.
pub const MAX_BID_WINDOW_MS: u64 = 60_000;
/// Most bids kept per task.
pub const MAX_BIDS: usize = 64;
/// Most bids taken per task, replaced ones included: the bound of what bids add to a journal.
pub const MAX_BIDS_TAKEN: usize = 256;
/// Least time a lease must leave before `commitBy`, ms.
pub(super) const MIN_LEASE_MS: u64 = 500;

impl Task {
    pub(super) fn start_bidding(&mut self, now_ms: u64) -> Vec<Effect> {
        let until_ms = self.open_window(now_ms);
        self.open_and_announce(until_ms)
    }

    /// A window is open; while nobody bids the next one is longer.
    fn open_window(&mut self, now_ms: u64) -> u64 {
        let until_ms = self.next_window(now_ms);
        self.phase = Phase::Bidding { until_ms };
        until_ms
    }

    /// The newest attempt failed and no bid is left for the next one: ask for bids again. The first that
    /// comes is leased at once, so no window is waited for; the pause before the next announcement grows.
    pub(super) fn announce_again(&mut self, now_ms: u64) -> Effect {
        let bid_until_ms = self.next_window(now_ms);
        self.announced_until_ms = bid_until_ms;
        Effect::Announce { bid_until_ms }
    }

    /// Until when a window that opens now would last.
    fn next_window(&mut self, now_ms: u64) -> u64 {
        let length = BID_WINDOW_MS
            .checked_shl(self.windows.min(16))
            .unwrap_or(MAX_BID_WINDOW_MS)
            .min(MAX_BID_WINDOW_MS);
        self.windows = self.windows.saturating_add(1);
        // The last look at the bids is at the last moment at which a lease makes sense.
        let last_ms = self
            .times()
            .commit_by_ms
            .saturating_sub(MIN_LEASE_MS.saturating_add(1));
        now_ms
            .saturating_add(length)
            .min(last_ms.max(now_ms.saturating_add(BID_WINDOW_MS)))
    }

    pub(super) fn open_and_announce(&self, until_ms: u64) -> Vec<Effect> {
        let mut effects = self.open_everywhere();
        effects.push(Effect::Announce {
            bid_until_ms: until_ms,
        });
        effects
    }

    /// The announcement of this task, for the gateway to sign.
    #[must_use]
    pub fn announcement(
        &self,
        node_id: NodeId,
        addresses: Vec<Multiaddr>,
        bid_until_ms: u64,
    ) -> TaskAnnouncement {
        let intent = self.dossier.intent();
        TaskAnnouncement {
            object_version: 1,
            task_id: self.task_id(),
            terms_hash: self.dossier.terms_hash(),
            gateway: intent.gateway,
            node_id,
            addresses,
            manifest_cid: intent.manifest_cid,
            capability_id: self.dossier.manifest().capability_id.clone(),
            mode: intent.mode,
            fanout: intent.fanout,
            network: self.dossier.network().clone(),
            asset: self.dossier.asset().clone(),
            max_price: self.max_price(),
            worker: self.dossier.direct().map(|direct| direct.worker),
            bid_until_ms: unix_ms(bid_until_ms).min(intent.deadline_ms),
            deadline_ms: intent.deadline_ms,
            expires_at_ms: intent.deadline_ms,
        }
    }

    /// Most one worker may ask, units: what the budget leaves after the validator fee cap and the gateway's
    /// fee, shared evenly where all leases may be paid (quorum).
    #[must_use]
    pub fn max_price(&self) -> Amount {
        let intent = self.dossier.intent();
        let payment = self.dossier.payment();
        let shares = match intent.mode {
            Mode::Single | Mode::Race => 1,
            Mode::Quorum => u128::from(intent.fanout.max(1)),
        };
        let left = payment
            .budget
            .get()
            .saturating_sub(payment.validator_fee_cap.get());
        let with_fee = u128::from(payment.gateway_fee_bps.get()).saturating_add(10_000);
        // budget < 2^96, so the product stays far below 2^128.
        let work = left
            .saturating_mul(10_000)
            .checked_div(with_fee)
            .unwrap_or(0);
        Amount::new(work.checked_div(shares).unwrap_or(0)).unwrap_or_default()
    }

    /// Takes a bid while bids may still lead to a lease: in the window, and later for the next attempt.
    pub(super) fn bid_placed(
        &mut self,
        ranked: RankedBid,
        now_ms: u64,
    ) -> Result<Vec<Effect>, Refused> {
        if !matches!(self.phase, Phase::Bidding { .. } | Phase::Working) || self.no_more.is_some() {
            return Err(self.wrong_phase());
        }
        self.check_bid(ranked.bid.payload(), now_ms)?;
        if self.bids_taken >= MAX_BIDS_TAKEN {
            return Err(Refused::TooManyBids);
        }
        self.keep_bid(ranked)?;
        self.bids_taken = self.bids_taken.saturating_add(1);
        if matches!(self.phase, Phase::Working) {
            return Ok(self.work_on(now_ms));
        }
        if self.is_direct() {
            // No other bid can come.
            return Ok(self.bid_window_over(now_ms));
        }
        self.shorten_window(now_ms);
        Ok(Vec::new())
    }

    /// One bid per worker, the newest; when all places are taken the worst one makes room for a better one.
    fn keep_bid(&mut self, new: RankedBid) -> Result<(), Refused> {
        let worker = new.bid.payload().worker;
        if let Some(known) = self
            .bids
            .iter_mut()
            .find(|b| b.bid.payload().worker == worker)
        {
            if new.bid.payload().seq <= known.bid.payload().seq {
                return Err(Refused::Duplicate);
            }
            *known = new;
            return Ok(());
        }
        if self.bids.len() >= MAX_BIDS {
            let worst = self.bids.iter_mut().max_by_key(|b| b.rank());
            let Some(worst) = worst.filter(|worst| new.rank() < worst.rank()) else {
                return Err(Refused::TooManyBids);
            };
            *worst = new;
            return Ok(());
        }
        self.bids.push(new);
        Ok(())
    }

    /// Once the bids at hand make a lease set, a long window shrinks to the usual one.
    fn shorten_window(&mut self, now_ms: u64) {
        let soon = now_ms.saturating_add(BID_WINDOW_MS);
        let enough = self.next_lease_set(now_ms).is_some();
        if let Phase::Bidding { until_ms } = &mut self.phase
            && enough
            && soon < *until_ms
        {
            *until_ms = soon;
        }
    }

    fn check_bid(&self, bid: &Bid, now_ms: u64) -> Result<(), Refused> {
        if bid.task_id != self.task_id() || bid.terms_hash != self.dossier.terms_hash() {
            return Err(Refused::OtherTask);
        }
        let payment = self.dossier.payment();
        if bid.network != payment.network || bid.payout.network != payment.network {
            return Err(Refused::Bid(BidFault::Network));
        }
        if bid.price.is_zero() || bid.price > self.max_price() {
            return Err(Refused::Bid(BidFault::Price));
        }
        if let Some(direct) = self.dossier.direct() {
            if bid.worker != direct.worker {
                return Err(Refused::Stranger);
            }
            if bid.price != payment.budget {
                return Err(Refused::Bid(BidFault::Price));
            }
            if bid.payout.address != direct.pay_to {
                return Err(Refused::Bid(BidFault::Payout));
            }
        }
        if bid.valid_until_ms.get() <= now_ms {
            return Err(Refused::Bid(BidFault::Expired));
        }
        let payee = self
            .dossier
            .codec()
            .account(&bid.payout.address)
            .ok_or(Refused::Bid(BidFault::Payout))?;
        if self.dossier.is_forbidden_worker_payee(&payee)
            || self.dossier.is_validator_key(&bid.worker)
        {
            return Err(Refused::Bid(BidFault::Payout));
        }
        if bid.addresses.is_empty() {
            return Err(Refused::Bid(BidFault::Address));
        }
        Ok(())
    }

    /// The window closed: lease if enough acceptable bids are there, else announce again while a lease
    /// could still be worked, else tell the validators that none will follow.
    pub(super) fn bid_window_over(&mut self, now_ms: u64) -> Vec<Effect> {
        if let Some(set) = self.next_lease_set(now_ms) {
            return self.lease(set, now_ms);
        }
        if self.lease_still_makes_sense(now_ms) {
            let bid_until_ms = self.open_window(now_ms);
            return vec![Effect::Announce { bid_until_ms }];
        }
        self.phase = Phase::Working;
        self.work_on(now_ms)
    }

    pub(super) fn lease_still_makes_sense(&self, now_ms: u64) -> bool {
        now_ms.saturating_add(MIN_LEASE_MS) < self.times().commit_by_ms
    }
}
