//! The task: its facts, what it knows, and the dispatch of commands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use d402_objects::{Bid, Cid, Hex32, IndexedSignature, NoMoreLeases, Signed, SignedReceipt};
use d402_settlement::market::{Decided, DepositFact, Dossier, Evidence};

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
    /// The bytes that pay, as text, of a direct task: it submits them at its end. Empty otherwise.
    pub body: Arc<str>,
}

/// A bid with the worker's local standing when it came.
#[derive(Clone, Debug)]
pub(super) struct RankedBid {
    pub(super) bid: Signed<Bid>,
    pub(super) penalty: u32,
    pub(super) distinct_subnet: bool,
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
    /// Bids taken so far, replaced ones included.
    pub(super) bids_taken: usize,
    /// Bid windows opened so far; the next is longer.
    pub(super) windows: u32,
    /// End of the newest announcement made while working, ms.
    pub(super) announced_until_ms: u64,
    pub(super) sets: Vec<LeaseSet>,
    pub(super) tally: BTreeMap<Cid, ClaimTally>,
    pub(super) evidence: Evidence,
    pub(super) no_more: Option<NoMoreLeases>,
    /// Nothing is collected before this moment, ms: set when a collection was not conclusive.
    pub(super) collect_not_before_ms: u64,
    /// Everything that was due in `Working` up to this moment was done, ms.
    pub(super) worked_ms: u64,
    /// When the chain was last looked at in a phase that waits for it, ms.
    pub(super) watched_ms: u64,
    /// Looks since the phase began; the pause before the next grows with them.
    pub(super) looks: u32,
    /// Collections that ended without a signed receipt; the pause before the next grows with it.
    pub(super) fruitless: u32,
    /// Round of the newest proposal.
    pub(super) round: u32,
    /// What the settlement signatures are for; the bundle is built from it.
    pub(super) decided: Option<Box<Decided>>,
    /// Verified settlement signatures of proposals that were given up, by digest: validators sign once, so
    /// a later proposal of the same digest needs them.
    pub(super) kept: BTreeMap<[u8; 32], BTreeMap<u8, IndexedSignature>>,
    /// The receipt, once enough validators signed it.
    pub(super) signed: Option<Box<SignedReceipt>>,
    /// What the chain executed, whoever sent it.
    pub(super) settled: Option<Settled>,
    pub(super) output: Option<Cid>,
    pub(super) reported: BTreeSet<Cid>,
}

/// First pause between two wake-ups that look at the chain, ms: the engine polls faster on its own, this is
/// the safety net after a crash. It doubles, so that a dead chain does not fill the journal.
const WATCH_MS: u64 = 5_000;
/// Longest pause while money is expected, ms.
const MAX_WATCH_MS: u64 = 60_000;
/// Longest pause while only the sweep is left, which has no deadline, ms.
const MAX_SWEEP_WATCH_MS: u64 = 600_000;

impl Task {
    /// A task whose payment was verified and is about to be submitted; or, paid straight, to be kept.
    #[must_use]
    pub fn create(dossier: Dossier, payment: PaymentFacts, now_ms: u64) -> (Self, Vec<Effect>) {
        let evidence = Evidence::new(&dossier);
        let mut task = Self {
            dossier,
            payment,
            created_ms: now_ms,
            phase: Phase::AwaitingDeposit,
            deposit: DepositFact::None,
            bids: Vec::new(),
            bids_taken: 0,
            windows: 0,
            announced_until_ms: 0,
            sets: Vec::new(),
            tally: BTreeMap::new(),
            evidence,
            no_more: None,
            collect_not_before_ms: 0,
            worked_ms: now_ms,
            watched_ms: now_ms,
            looks: 0,
            fruitless: 0,
            round: 0,
            decided: None,
            kept: BTreeMap::new(),
            signed: None,
            settled: None,
            output: None,
            reported: BTreeSet::new(),
        };
        let effects = if task.is_direct() {
            // Nothing is deposited: the chosen worker trusts that the authorization stays good.
            task.deposit = DepositFact::OnTime;
            task.start_bidding(now_ms)
        } else {
            task.payment.body = Arc::from("");
            vec![Effect::WatchDeposit]
        };
        (task, effects)
    }

    /// Applies one command at `now_ms`.
    ///
    /// # Errors
    /// [`Refused`], and then nothing changed.
    pub fn apply(&mut self, command: Command, now_ms: u64) -> Result<Vec<Effect>, Refused> {
        if let Phase::Final(_) = self.phase {
            return Err(Refused::Phase {
                phase: PhaseName::Final,
            });
        }
        match command {
            Command::DepositFunded { at_ms } => self.deposit_funded(at_ms, now_ms),
            Command::DepositShort => self.deposit_short(now_ms),
            Command::DepositImpossible => self.deposit_impossible(),
            Command::BidPlaced {
                bid,
                penalty,
                distinct_subnet,
            } => {
                let ranked = RankedBid {
                    bid,
                    penalty,
                    distinct_subnet,
                };
                self.bid_placed(ranked, now_ms)
            }
            Command::LeaseAccepted { accept } => {
                self.lease_answered(&accept.payload().lease_cid, Some(&accept), now_ms)
            }
            Command::LeaseDeclined { lease_cid } => self.lease_answered(&lease_cid, None, now_ms),
            Command::LeaseReturned { lease_cid } => self.lease_returned(&lease_cid, now_ms),
            Command::ReceiptSeen { receipt, claim } => self.receipt_seen(&receipt, &claim, now_ms),
            Command::InventorySeen { inventory, objects } => {
                self.inventory_seen(&inventory, objects, now_ms)
            }
            Command::ReadySeen { ready } => self.ready_seen(ready, now_ms),
            Command::MissingSeen {
                set_index,
                round,
                cids,
            } => self.missing_seen(set_index, round, &cids),
            Command::ProposalRefused { set_index, round } => {
                self.proposal_refused(set_index, round, now_ms)
            }
            Command::SignatureSeen { signature } => self.signature_seen(signature, now_ms),
            Command::SettledSeen { settled } => self.settled_seen(settled, now_ms),
            Command::PaymentImpossible { why } => self.payment_impossible(why, now_ms),
            Command::SweptSeen {
                transaction,
                refunded,
            } => self.swept_seen(transaction, refunded),
            Command::OutputStored { cid } => self.output_stored(cid, now_ms),
            Command::Tick => self.tick(now_ms),
        }
    }

    fn tick(&mut self, now_ms: u64) -> Result<Vec<Effect>, Refused> {
        if now_ms < self.wake_at_ms().unwrap_or(u64::MAX) {
            return Err(Refused::NothingDue);
        }
        if now_ms >= self.give_up_ms() {
            return Ok(if self.settled.is_some() {
                self.end_settled(now_ms)
            } else if self.is_direct() {
                self.end_direct_silence(now_ms)
            } else {
                self.start_refund(now_ms)
            });
        }
        match self.phase {
            Phase::AwaitingDeposit => Ok(self.look_again(now_ms, vec![Effect::WatchDeposit])),
            Phase::Bidding { .. } => Ok(self.bid_window_over(now_ms)),
            Phase::Working => Ok(self.work_on(now_ms)),
            Phase::Collecting { .. } => Ok(self.collect_on(now_ms)),
            Phase::Proposing { .. } => Ok(self.proposal_overdue(now_ms)),
            Phase::Signing { .. } => Ok(self.signing_overdue(now_ms)),
            Phase::Settling { .. } => Ok(self.settling_on(now_ms)),
            Phase::Refunding => {
                Ok(self.look_again(now_ms, vec![Effect::PlanSweep, Effect::WatchVault]))
            }
            Phase::Final(_) => Err(Refused::Phase {
                phase: PhaseName::Final,
            }),
        }
    }

    /// When [`Command::Tick`] is due; `None` only when final.
    #[must_use]
    pub fn wake_at_ms(&self) -> Option<u64> {
        let own = match &self.phase {
            Phase::AwaitingDeposit | Phase::Settling { .. } | Phase::Refunding => {
                self.watch_wake_ms()
            }
            Phase::Bidding { until_ms } => *until_ms,
            Phase::Working => self.work_wake_ms(),
            Phase::Collecting { since_ms, .. } => self.collect_wake_ms(*since_ms),
            Phase::Proposing { since_ms, .. } => {
                since_ms.saturating_add(super::signing::PROPOSE_MS)
            }
            Phase::Signing { since_ms, .. } => since_ms.saturating_add(super::signing::SIGN_MS),
            Phase::Final(_) => return None,
        };
        Some(own.min(self.give_up_ms()))
    }

    /// Effects still outstanding, for an engine that lost its memory.
    #[must_use]
    pub fn resume(&self, now_ms: u64) -> Vec<Effect> {
        match &self.phase {
            Phase::AwaitingDeposit => vec![Effect::WatchDeposit],
            Phase::Bidding { until_ms } => self.open_and_announce(*until_ms),
            Phase::Working => self.resume_work(now_ms),
            Phase::Collecting { heard, .. } => self.resume_collecting(heard),
            Phase::Proposing {
                decided,
                ready,
                refused,
                ..
            } => self.propose_to(decided, |index| {
                !ready.contains_key(&index) && !refused.contains(&index)
            }),
            Phase::Signing {
                ready, signatures, ..
            } => self.ask_signatures(ready, signatures),
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

    /// Whether the buyer's money moved, as far as this gateway knows: into the vault before the work, or straight
    /// to the worker after it.
    #[must_use]
    pub fn has_payment(&self) -> bool {
        if self.is_direct() {
            self.settled.is_some()
        } else {
            self.phase.name() != PhaseName::AwaitingDeposit
        }
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

    /// What was decided, once it is fully signed.
    #[must_use]
    pub fn decided(&self) -> Option<&Decided> {
        self.decided.as_deref()
    }

    /// Round of the newest proposal, 0 before the first.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }

    /// Whether no inventory is needed any more.
    #[must_use]
    pub fn is_collected(&self) -> bool {
        match self.phase {
            Phase::Settling { .. } | Phase::Refunding | Phase::Final(_) => true,
            Phase::AwaitingDeposit
            | Phase::Bidding { .. }
            | Phase::Working
            | Phase::Collecting { .. }
            | Phase::Proposing { .. }
            | Phase::Signing { .. } => false,
        }
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
        Deadlines::of(&self.dossier)
    }

    /// q = max(m, 2f + 1) (spec §5).
    pub(super) fn final_quorum(&self) -> usize {
        usize::from(d402_settlement::derive::final_quorum(
            self.dossier.set().m(),
            self.dossier.set().n(),
        ))
    }

    pub(super) fn wrong_phase(&self) -> Refused {
        Refused::Phase {
            phase: self.phase.name(),
        }
    }

    /// When the market's own ways end: a task that is not settled is swept from `refundAfter` on; one that
    /// somebody else settled, or that holds no money, needs nothing of ours once no validator signs any more. `Settling` and
    /// `Refunding` have their own exits.
    fn give_up_ms(&self) -> u64 {
        match self.phase {
            Phase::Settling { .. } | Phase::Refunding | Phase::Final(_) => u64::MAX,
            Phase::AwaitingDeposit
            | Phase::Bidding { .. }
            | Phase::Working
            | Phase::Collecting { .. }
            | Phase::Proposing { .. }
            | Phase::Signing { .. } => {
                let times = self.times();
                if self.settled.is_some() || self.is_direct() {
                    times.sign_until_ms
                } else {
                    times.refund_after_ms
                }
            }
        }
    }

    /// Looks at the chain again, the next time after a longer pause.
    pub(super) fn look_again(&mut self, now_ms: u64, effects: Vec<Effect>) -> Vec<Effect> {
        self.watched_ms = now_ms;
        self.looks = self.looks.saturating_add(1);
        effects
    }

    /// A phase that waits for the chain begins.
    pub(super) fn begin_watching(&mut self, now_ms: u64) {
        self.watched_ms = now_ms;
        self.looks = 0;
    }

    fn watch_wake_ms(&self) -> u64 {
        let longest = if matches!(self.phase, Phase::Refunding) {
            MAX_SWEEP_WATCH_MS
        } else {
            MAX_WATCH_MS
        };
        let pause = WATCH_MS
            .checked_shl(self.looks.min(16))
            .unwrap_or(longest)
            .min(longest);
        self.watched_ms.saturating_add(pause)
    }

    pub(super) fn validators(&self) -> std::ops::Range<u8> {
        0..self.dossier.set().n()
    }

    /// The task at the validators, the notice if it was given, and the leases nobody has answered yet.
    fn resume_work(&self, now_ms: u64) -> Vec<Effect> {
        let mut effects = self.open_everywhere();
        effects.extend(self.notice());
        if let Some(set) = self.sets.last().filter(|set| now_ms < set.answer_by_ms()) {
            effects.extend(set.offers(|slot| slot.state == SlotState::Offered));
        }
        effects
    }

    fn resume_collecting(&self, heard: &BTreeSet<u8>) -> Vec<Effect> {
        let mut effects = self.open_everywhere();
        effects.extend(self.notice());
        effects.extend(self.ask_inventories().into_iter().filter(
            |effect| !matches!(effect, Effect::AskInventory { set_index } if heard.contains(set_index)),
        ));
        effects
    }
}
