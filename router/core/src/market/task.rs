//! The task: its facts, what it knows, and the dispatch of commands.

use std::collections::{BTreeMap, BTreeSet};

use d402_objects::{Bid, Cid, Hex32, NoMoreLeases, Signed};
use d402_settlement::market::{DepositFact, Dossier, Evidence};

use super::deadlines::Deadlines;
use super::leasing::{LeaseSet, SlotState};
use super::working::ClaimTally;
use super::{Ending, Phase, PhaseName, Refused};
use crate::ports::Settled;
use crate::{Command, Effect};

/// How the task was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentFacts {
    /// Payment id on its chain.
    pub payment_id: Hex32,
    /// Payer's account.
    pub payer: String,
}

/// A bid with the worker's local standing when it came.
#[derive(Clone, Debug)]
pub(super) struct RankedBid {
    pub(super) bid: Signed<Bid>,
    pub(super) penalty: u32,
}

/// One task. Built by [`Task::create`], changed only by [`Task::apply`].
#[derive(Clone, Debug)]
pub struct Task {
    pub(super) dossier: Dossier,
    pub(super) payment: PaymentFacts,
    pub(super) created_ms: u64,
    pub(super) phase: Phase,
    pub(super) deposit: DepositFact,
    pub(super) bids: Vec<RankedBid>,
    pub(super) sets: Vec<LeaseSet>,
    pub(super) tally: BTreeMap<Cid, ClaimTally>,
    pub(super) evidence: Evidence,
    pub(super) no_more: Option<NoMoreLeases>,
    /// Nothing is collected before this moment, ms: set when a collection was not conclusive.
    pub(super) collect_not_before_ms: u64,
    /// Last look at the chain in `Settling` and `Refunding`, ms.
    pub(super) watched_ms: u64,
    /// Collections that ended without a signed receipt; the pause before the next grows with it.
    pub(super) fruitless: u32,
    /// Round of the newest proposal.
    pub(super) round: u32,
    pub(super) settled: Option<Settled>,
    pub(super) output: Option<Cid>,
    pub(super) reported: BTreeSet<Cid>,
}

/// Pause of a watcher of the chain between two wake-ups, ms: the engine polls faster on its own, this is
/// the safety net after a crash.
pub(super) const WATCH_MS: u64 = 5_000;

impl Task {
    /// A task whose payment was verified and is about to be submitted.
    #[must_use]
    pub fn create(dossier: Dossier, payment: PaymentFacts, now_ms: u64) -> (Self, Vec<Effect>) {
        let evidence = Evidence::new(&dossier);
        let task = Self {
            dossier,
            payment,
            created_ms: now_ms,
            phase: Phase::AwaitingDeposit,
            deposit: DepositFact::None,
            bids: Vec::new(),
            sets: Vec::new(),
            tally: BTreeMap::new(),
            evidence,
            no_more: None,
            collect_not_before_ms: 0,
            watched_ms: now_ms,
            fruitless: 0,
            round: 0,
            settled: None,
            output: None,
            reported: BTreeSet::new(),
        };
        (task, vec![Effect::WatchDeposit])
    }

    /// Applies one command at `now_ms`.
    ///
    /// # Errors
    /// [`Refused`], and then nothing changed.
    pub fn apply(&mut self, command: Command, now_ms: u64) -> Result<Vec<Effect>, Refused> {
        if let Phase::Final(_) = self.phase {
            return Err(Refused::Phase { phase: PhaseName::Final });
        }
        match command {
            Command::DepositFunded { at_ms } => self.deposit_funded(at_ms, now_ms),
            Command::DepositShort => self.deposit_short(now_ms),
            Command::DepositImpossible => self.deposit_impossible(),
            Command::BidPlaced { bid, penalty } => self.bid_placed(bid, penalty, now_ms),
            Command::LeaseAccepted { accept } => self.lease_answered(&accept.payload().lease_cid, Some(&accept), now_ms),
            Command::LeaseDeclined { lease_cid } => self.lease_answered(&lease_cid, None, now_ms),
            Command::LeaseReturned { lease_cid } => self.lease_returned(&lease_cid, now_ms),
            Command::ReceiptSeen { receipt, claim } => self.receipt_seen(&receipt, &claim, now_ms),
            Command::InventorySeen { inventory, objects } => self.inventory_seen(&inventory, objects, now_ms),
            Command::ReadySeen { ready } => self.ready_seen(ready, now_ms),
            Command::MissingSeen { set_index, round, cids } => self.missing_seen(set_index, round, &cids),
            Command::ProposalRefused { set_index, round } => self.proposal_refused(set_index, round, now_ms),
            Command::SignatureSeen { signature } => self.signature_seen(signature, now_ms),
            Command::SettledSeen { settled } => self.settled_seen(settled, now_ms),
            Command::SweptSeen { transaction, refunded } => self.swept_seen(transaction, refunded),
            Command::OutputStored { cid } => self.output_stored(cid, now_ms),
            Command::Tick => self.tick(now_ms),
        }
    }

    fn tick(&mut self, now_ms: u64) -> Result<Vec<Effect>, Refused> {
        if now_ms < self.wake_at_ms().unwrap_or(u64::MAX) {
            return Err(Refused::NothingDue);
        }
        if now_ms >= self.times().refund_after_ms && !self.settlement_is_known() {
            return Ok(self.start_refund(now_ms));
        }
        self.watched_ms = now_ms;
        match self.phase {
            Phase::AwaitingDeposit => Ok(self.deposit_overdue(now_ms)),
            Phase::Bidding { .. } => Ok(self.bid_window_over(now_ms)),
            Phase::Working => Ok(self.work_on(now_ms)),
            Phase::Collecting { .. } => Ok(self.collect_on(now_ms)),
            Phase::Proposing { .. } => Ok(self.proposal_overdue(now_ms)),
            Phase::Signing { .. } => Ok(self.signing_overdue(now_ms)),
            Phase::Settling { .. } => Ok(self.settling_on(now_ms)),
            Phase::Refunding => Ok(vec![Effect::PlanSweep, Effect::WatchVault]),
            Phase::Final(_) => Err(Refused::Phase { phase: PhaseName::Final }),
        }
    }

    /// When [`Command::Tick`] is due; `None` only when final.
    #[must_use]
    pub fn wake_at_ms(&self) -> Option<u64> {
        let refund_at = self.times().refund_after_ms;
        let own = match &self.phase {
            Phase::AwaitingDeposit => self.deposit_wake_ms(),
            Phase::Bidding { until_ms } => *until_ms,
            Phase::Working => self.work_wake_ms(),
            Phase::Collecting { since_ms, .. } => self.collect_wake_ms(*since_ms),
            Phase::Proposing { since_ms, .. } => since_ms.saturating_add(super::signing::PROPOSE_MS),
            Phase::Signing { since_ms, .. } => since_ms.saturating_add(super::signing::SIGN_MS),
            Phase::Settling { .. } | Phase::Refunding => return Some(self.watch_wake_ms()),
            Phase::Final(_) => return None,
        };
        Some(own.min(refund_at))
    }

    /// Effects still outstanding, for an engine that lost its memory.
    #[must_use]
    pub fn resume(&self, now_ms: u64) -> Vec<Effect> {
        match &self.phase {
            Phase::AwaitingDeposit => vec![Effect::WatchDeposit],
            Phase::Bidding { until_ms } => self.open_and_announce(*until_ms),
            Phase::Working => self.unanswered_offers(now_ms),
            Phase::Collecting { .. } => self.ask_inventories(),
            Phase::Proposing { decided, ready, .. } => {
                self.propose_to(decided, |index| !ready.contains_key(&index))
            }
            Phase::Signing { ready, signatures, .. } => self.ask_signatures(ready, signatures),
            Phase::Settling { receipt } => self.settle_effects(receipt),
            Phase::Refunding => vec![Effect::PlanSweep, Effect::WatchVault],
            Phase::Final(_) => vec![Effect::Finish],
        }
    }

    /// The task's CID.
    #[must_use]
    pub fn task_id(&self) -> Cid {
        self.dossier.task_id()
    }

    /// What was agreed before payment.
    #[must_use]
    pub fn dossier(&self) -> &Dossier {
        &self.dossier
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// How it was paid.
    #[must_use]
    pub fn payment(&self) -> &PaymentFacts {
        &self.payment
    }

    /// When it was created, ms.
    #[must_use]
    pub fn created_ms(&self) -> u64 {
        self.created_ms
    }

    /// Verified evidence from the validators' inventories.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// All bids, in the order they came.
    pub fn bids(&self) -> impl Iterator<Item = &Signed<Bid>> {
        self.bids.iter().map(|b| &b.bid)
    }

    /// Lease sets by attempt.
    #[must_use]
    pub fn lease_sets(&self) -> &[LeaseSet] {
        &self.sets
    }

    /// CID of the output once its bytes are stored.
    #[must_use]
    pub fn output(&self) -> Option<Cid> {
        self.output
    }

    /// How it ended, once it did.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        match &self.phase {
            Phase::Final(ending) => Some(ending),
            Phase::AwaitingDeposit
            | Phase::Bidding { .. }
            | Phase::Working
            | Phase::Collecting { .. }
            | Phase::Proposing { .. }
            | Phase::Signing { .. }
            | Phase::Settling { .. }
            | Phase::Refunding => None,
        }
    }

    pub(super) fn times(&self) -> Deadlines {
        Deadlines::of(self.dossier.times())
    }

    /// q = max(m, 2f + 1) (spec §5).
    pub(super) fn final_quorum(&self) -> usize {
        usize::from(d402_settlement::derive::final_quorum(self.dossier.set().m(), self.dossier.set().n()))
    }

    pub(super) fn wrong_phase(&self) -> Refused {
        Refused::Phase { phase: self.phase.name() }
    }

    fn settlement_is_known(&self) -> bool {
        self.settled.is_some() || matches!(self.phase, Phase::Settling { .. } | Phase::Refunding)
    }

    pub(super) fn validators(&self) -> std::ops::Range<u8> {
        0..self.dossier.set().n()
    }

    /// Leases nobody has answered yet.
    fn unanswered_offers(&self, _now_ms: u64) -> Vec<Effect> {
        self.sets
            .last()
            .map(|set| set.offers(|slot| slot.state == SlotState::Offered))
            .unwrap_or_default()
    }
}
