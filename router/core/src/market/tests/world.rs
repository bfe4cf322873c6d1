//! A small world around one task: workers, validators and a chain that answer its effects.
//!
//! Time is a number that jumps to the next event or wake-up, so whole tasks run in milliseconds and always
//! the same way. Actors are those of the settlement testkit; validators decide with the real rules.

use std::collections::BTreeMap;

use d402_objects::{
    Bid, Cid, Hex32, Inventory, Lease, LeaseAccept, Ready, ReputationEvent, ResultClaim, Signed,
    SignedReceipt, UnixMs, Verdict,
};
use d402_settlement::derive::final_quorum;
use d402_settlement::market::testkit::{Scene, TaskSpec};
use d402_settlement::market::{
    AssembleError, DepositFact, Evidence, EvidenceObject, Facts, RevealNotYet, check_proposal,
    may_reveal,
};
use d402_wire::{RawDossier, RawEnvelope};

use super::ledger::Chain;
use crate::market::{Ending, PaymentFacts, PhaseName, Refused};
use crate::{Command, Effect, Record, Task, replay};

/// Every message takes this long, ms.
pub(super) const LATENCY_MS: u64 = 5;
/// A task that takes more steps than this is stuck.
const MAX_STEPS: usize = 1_500;

/// How a worker behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worker {
    Absent,
    /// Right answer after this time.
    Honest(u64),
    Wrong,
    /// Takes the lease and is never heard of again.
    Gone,
    /// Never answers the offer.
    Mute,
    Declines,
    Returns,
}

/// How a validator behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judge {
    Honest,
    Silent,
    /// Inverts every verdict.
    Liar,
    /// Never agrees to a proposal.
    Refuses,
    /// Agrees and never signs.
    NeverSigns,
}

/// What happens to the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Money {
    /// Budget there so long after issue, ms.
    At(u64),
    /// Less than the budget.
    Short,
    /// Never, and the chain says so.
    Impossible,
    /// Nothing ever known.
    Unknown,
}

/// What may go wrong in a world.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub(super) spec: TaskSpec,
    pub(super) workers: Vec<Worker>,
    pub(super) judges: Vec<Judge>,
    pub(super) money: Money,
    /// The chain's answers are lost until so long after issue, ms.
    pub(super) deaf_until: u64,
    /// Signatures never reach the gateway, but a payee settles with them.
    pub(super) payee_settles: bool,
    /// The chain takes no settlement.
    pub(super) chain_refuses: bool,
    /// Nobody gives the output.
    pub(super) output_lost: bool,
}

impl Plot {
    pub(super) fn new(spec: TaskSpec, workers: &[Worker]) -> Self {
        let judges = vec![Judge::Honest; usize::from(spec.n)];
        Self {
            spec,
            workers: workers.to_vec(),
            judges,
            money: Money::At(200),
            deaf_until: 0,
            payee_settles: false,
            chain_refuses: false,
            output_lost: false,
        }
    }

    pub(super) fn judged_by(mut self, judges: &[Judge]) -> Self {
        self.judges = judges.to_vec();
        self
    }

    pub(super) fn run(self) -> World {
        let mut world = World::new(self);
        world.run();
        world
    }
}

#[derive(Clone, Debug)]
struct Validator {
    judge: Judge,
    evidence: Evidence,
    ready: Option<Hex32>,
    signed: Option<Hex32>,
}

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)]
enum Event {
    /// An answer to something the gateway asked; lost when it crashes.
    Answer(Command),
    /// Somebody tells the gateway, and would repeat it.
    Notice(Command),
    Deliver {
        lease: Signed<Lease>,
        set: Vec<Signed<Lease>>,
        right: bool,
    },
    TryReveals,
    Look,
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) scene: Scene,
    pub(super) plot: Plot,
    pub(super) task: Task,
    pub(super) chain: Chain,
    pub(super) now: u64,
    pub(super) journal: Vec<Vec<u8>>,
    pub(super) phases: Vec<PhaseName>,
    pub(super) reports: Vec<ReputationEvent>,
    pub(super) leases: Vec<Lease>,
    pub(super) finished: usize,
    validators: Vec<Validator>,
    sealed: BTreeMap<Cid, Signed<ResultClaim>>,
    revealed: Vec<Cid>,
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    steps: usize,
}

pub(super) fn facts() -> PaymentFacts {
    PaymentFacts {
        payment_id: Hex32::from_bytes([7; 32]),
        payer: "payer".to_owned(),
        body: "payment".into(),
    }
}

impl World {
    pub(super) fn new(plot: Plot) -> Self {
        let scene = Scene::new(plot.spec.clone());
        let now = scene.spec.issued_at_ms + 100;
        let created = Record::Created {
            dossier: RawDossier::of(&scene.dossier),
            payment_id: facts().payment_id,
            payer: facts().payer,
            payment_body: String::new(),
            at_ms: now,
        };
        let (task, effects) = Task::create(scene.dossier.clone(), facts(), now);
        let validators = plot
            .judges
            .iter()
            .map(|judge| Validator {
                judge: *judge,
                evidence: Evidence::new(&scene.dossier),
                ready: None,
                signed: None,
            })
            .collect();
        let mut world = Self {
            chain: Chain::new(&scene.dossier),
            plot,
            task,
            now,
            journal: vec![d402_wire::encode(&created).unwrap()],
            phases: vec![PhaseName::AwaitingDeposit],
            reports: Vec::new(),
            leases: Vec::new(),
            finished: 0,
            validators,
            sealed: BTreeMap::new(),
            revealed: Vec::new(),
            events: BTreeMap::new(),
            next_event: 0,
            steps: 0,
            scene,
        };
        match world.plot.money {
            Money::At(after) => world.chain.pay(
                &world.scene.dossier,
                world.scene.spec.budget,
                world.at(after),
            ),
            Money::Short => world
                .chain
                .pay(&world.scene.dossier, world.scene.spec.budget - 1, now),
            Money::Impossible | Money::Unknown => {}
        }
        world.execute_all(effects);
        world
    }

    pub(super) fn at(&self, after_issue: u64) -> u64 {
        self.scene.spec.issued_at_ms + after_issue
    }

    /// Runs until the end.
    pub(super) fn run(&mut self) {
        while self.task.ending().is_none() {
            self.step();
        }
    }

    /// Runs until the task is in this phase.
    pub(super) fn run_to(&mut self, phase: PhaseName) {
        while self.task.phase().name() != phase {
            assert!(
                self.task.ending().is_none(),
                "never {phase:?}: {:?}",
                self.phases
            );
            self.step();
        }
    }

    /// The next event or wake-up.
    pub(super) fn step(&mut self) {
        self.steps += 1;
        assert!(
            self.steps < MAX_STEPS,
            "stuck in {:?} after {:?}",
            self.task.phase().name(),
            self.phases
        );
        let wake = self.task.wake_at_ms().unwrap_or(u64::MAX);
        let first = self.events.first_key_value().map(|((at, _), _)| *at);
        if let Some(at) = first.filter(|at| *at <= wake) {
            self.now = self.now.max(at);
            let (_, event) = self.events.pop_first().unwrap();
            self.handle(event);
        } else {
            assert_ne!(
                wake,
                u64::MAX,
                "nothing will ever happen in {:?}",
                self.task.phase()
            );
            self.now = self.now.max(wake);
            self.apply(Command::Tick).expect("a due tick is taken");
        }
    }

    pub(super) fn apply(&mut self, command: Command) -> Result<Vec<Effect>, Refused> {
        let record = Record::Applied {
            at_ms: self.now,
            command: command.clone(),
        };
        let before = self.task.clone();
        match self.task.apply(command, self.now) {
            Ok(effects) => {
                self.journal.push(d402_wire::encode(&record).unwrap());
                if *self.phases.last().unwrap() != self.task.phase().name() {
                    self.phases.push(self.task.phase().name());
                }
                self.execute_all(effects.clone());
                Ok(effects)
            }
            Err(refused) => {
                assert_eq!(
                    format!("{before:?}"),
                    format!("{:?}", self.task),
                    "a refused command changes nothing: {refused:?}"
                );
                Err(refused)
            }
        }
    }

    /// The gateway dies and comes back from its journal.
    pub(super) fn crash(&mut self) {
        self.task = self.replayed();
        self.events
            .retain(|_, event| !matches!(event, Event::Answer(_) | Event::Look));
        let effects = self.task.resume(self.now);
        self.execute_all(effects);
    }

    pub(super) fn replayed(&self) -> Task {
        replay(self.journal.iter().map(Vec::as_slice)).expect("the journal gives the task")
    }

    fn later(&mut self, delay: u64, event: Event) {
        self.next_event += 1;
        self.events
            .insert((self.now + delay, self.next_event), event);
    }

    fn answer(&mut self, command: Command) {
        self.later(LATENCY_MS, Event::Answer(command));
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Answer(command) | Event::Notice(command) => {
                let _refused_or_not = self.apply(command);
            }
            Event::Deliver { lease, set, right } => self.deliver(&lease, set, right),
            Event::TryReveals => self.try_reveals(),
            Event::Look => self.look(),
        }
    }

    fn execute_all(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.execute(effect);
        }
    }

    fn execute(&mut self, effect: Effect) {
        match effect {
            Effect::WatchDeposit => self.watch_deposit(),
            Effect::OpenTask { .. } | Effect::NotifyNoMoreLeases { .. } => {}
            Effect::Announce { .. } => {
                for worker in 0..self.plot.workers.len() {
                    if self.plot.workers[worker] != Worker::Absent {
                        self.answer(Command::BidPlaced {
                            bid: self.bid(worker),
                            penalty: 0,
                            distinct_subnet: false,
                        });
                    }
                }
            }
            Effect::OfferLease { lease, set, .. } => self.offer(*lease, set),
            Effect::AskInventory { set_index } => self.inventory(set_index),
            Effect::Propose {
                set_index,
                round,
                receipt,
                inputs,
                objects,
            } => {
                let supplied = objects
                    .into_iter()
                    .map(|o| EvidenceObject::from_value(o.0).unwrap())
                    .collect();
                self.propose((set_index, round), &receipt, &inputs, supplied);
            }
            Effect::AskSignature { set_index, ready } => self.sign(set_index, &ready),
            Effect::PlanSettle { receipt } => {
                if !self.plot.chain_refuses {
                    self.chain.settle(&self.scene.dossier, &receipt, self.now);
                }
            }
            Effect::PlanSweep => self.chain.sweep(&self.scene.dossier, self.now),
            Effect::WatchVault => self.later(LATENCY_MS, Event::Look),
            Effect::FetchOutput { cid, .. } => {
                if !self.plot.output_lost {
                    self.answer(Command::OutputStored { cid });
                }
            }
            Effect::Report { event } => self.reports.push(event),
            Effect::Finish => self.finished += 1,
        }
    }

    /// Bids of worker i are i units apart, so that their order is known.
    pub(super) fn bid(&self, worker: usize) -> Signed<Bid> {
        let mut bid = self.scene.bid(worker).payload().clone();
        bid.price = (self.scene.spec.price + worker as u64).into();
        Signed::sign(bid, &self.scene.actors.workers[worker].key).unwrap()
    }

    fn watch_deposit(&mut self) {
        let times = self.scene.dossier.times();
        let (fund_by, deaf_until) = (times.fund_by_ms.get(), self.at(self.plot.deaf_until));
        let (at, command) = match self.plot.money {
            Money::At(after) => {
                let at_ms = self.at(after);
                (at_ms, Command::DepositFunded { at_ms })
            }
            Money::Short => (fund_by, Command::DepositShort),
            Money::Impossible => (self.now, Command::DepositImpossible),
            Money::Unknown => return,
        };
        let delay = at.max(deaf_until).saturating_sub(self.now) + LATENCY_MS;
        self.later(delay, Event::Answer(command));
    }

    fn deposit_fact(&self) -> DepositFact {
        let fund_by = self.scene.dossier.times().fund_by_ms.get();
        match self.plot.money {
            Money::At(after) if self.at(after) < fund_by => DepositFact::OnTime,
            Money::At(_) | Money::Short => DepositFact::Late,
            Money::Impossible | Money::Unknown => DepositFact::None,
        }
    }

    fn worker_of(&self, lease: &Lease) -> usize {
        self.scene
            .actors
            .workers
            .iter()
            .position(|w| w.id() == lease.worker)
            .unwrap()
    }

    pub(super) fn accept(&self, lease: &Lease) -> Signed<LeaseAccept> {
        let signed = Signed::sign(lease.clone(), &self.scene.actors.gateway).unwrap();
        self.scene.accept(&signed)
    }

    fn offer(&mut self, lease: Lease, set: Vec<Lease>) {
        let sign = |lease: Lease| Signed::sign(lease, &self.scene.actors.gateway).unwrap();
        let worker = self.worker_of(&lease);
        let set: Vec<_> = set.into_iter().map(sign).collect();
        let signed = sign(lease.clone());
        let lease_cid = signed.cid();
        self.leases.push(lease.clone());
        let accept = Command::LeaseAccepted {
            accept: self.accept(&lease),
        };
        let deliver = |right| Event::Deliver {
            lease: signed.clone(),
            set: set.clone(),
            right,
        };
        match self.plot.workers[worker] {
            Worker::Absent | Worker::Mute => {}
            Worker::Declines => self.answer(Command::LeaseDeclined { lease_cid }),
            Worker::Gone => self.answer(accept),
            Worker::Returns => {
                self.answer(accept);
                self.later(100, Event::Notice(Command::LeaseReturned { lease_cid }));
            }
            Worker::Honest(work_ms) => {
                let event = deliver(true);
                self.answer(accept);
                self.later(work_ms, event);
            }
            Worker::Wrong => {
                let event = deliver(false);
                self.answer(accept);
                self.later(50, event);
            }
        }
    }

    fn alive(&self) -> Vec<usize> {
        (0..self.validators.len())
            .filter(|v| self.validators[*v].judge != Judge::Silent)
            .collect()
    }

    fn tell_validators(&mut self, objects: &[EvidenceObject]) {
        for v in self.alive() {
            let _known = self.validators[v].evidence.insert_all(objects.to_vec());
        }
    }

    /// A worker commits; every validator that hears it in time acks, in the order of arrival.
    fn deliver(&mut self, lease: &Signed<Lease>, set: Vec<Signed<Lease>>, right: bool) {
        let closes = self
            .scene
            .dossier
            .times()
            .commit_closes(lease.payload().expires_at_ms);
        if self.now >= closes.get() || self.sealed.contains_key(&lease.cid()) {
            return;
        }
        let output = if right {
            self.scene.spec.input.clone()
        } else {
            b"wrong".to_vec()
        };
        let claim = self.scene.claim(lease, &output);
        let commit = self.scene.commit(lease, &claim);
        let mut objects: Vec<EvidenceObject> = set.into_iter().map(Into::into).collect();
        objects.push(self.scene.accept(lease).into());
        objects.push(commit.clone().into());
        self.tell_validators(&objects);
        let mut acks: Vec<EvidenceObject> = Vec::new();
        for v in self.alive() {
            let id = self.scene.actors.validators[v].id();
            let rank = self.validators[v]
                .evidence
                .acked_leases(&id, lease.payload().attempt)
                .len() as u8
                + 1;
            acks.push(self.scene.ack(v, lease, &commit, rank).into());
        }
        self.tell_validators(&acks);
        self.sealed.insert(lease.cid(), claim);
        self.try_reveals();
    }

    fn try_reveals(&mut self) {
        let Some(first) = self.alive().first().copied() else {
            return;
        };
        for (lease, claim) in self.sealed.clone() {
            if self.revealed.contains(&lease) {
                continue;
            }
            let now = UnixMs::new(self.now).unwrap();
            match may_reveal(&self.validators[first].evidence, &claim, now) {
                Ok(()) => {
                    self.revealed.push(lease);
                    self.judge(&claim);
                }
                Err(RevealNotYet::TooEarly { from }) => {
                    let delay = from.get().saturating_sub(self.now);
                    self.later(delay, Event::TryReveals);
                }
                Err(_) => {}
            }
        }
    }

    fn judge(&mut self, claim: &Signed<ResultClaim>) {
        let right = claim.payload().output.cid == Cid::of(&self.scene.spec.input);
        let mut objects: Vec<EvidenceObject> = vec![claim.clone().into()];
        for v in self.alive() {
            let says_right = right != (self.validators[v].judge == Judge::Liar);
            let verdict = if says_right {
                Verdict::Accept
            } else {
                Verdict::Reject
            };
            let receipt = self.scene.verdict(v, claim, verdict);
            objects.push(receipt.clone().into());
            self.later(
                LATENCY_MS,
                Event::Notice(Command::ReceiptSeen {
                    receipt,
                    claim: claim.clone(),
                }),
            );
        }
        self.tell_validators(&objects);
    }

    fn by_set_index(&self, set_index: u8) -> usize {
        (0..self.validators.len())
            .find(|v| self.scene.set_index(*v) == set_index)
            .unwrap()
    }

    pub(super) fn inventory_of(&self, v: usize) -> Command {
        let evidence = &self.validators[v].evidence;
        let lists = evidence.inventory();
        let actor = &self.scene.actors.validators[v];
        let inventory = Inventory {
            object_version: 1,
            validator: actor.id(),
            network: self.scene.dossier.network().clone(),
            task_id: self.scene.dossier.task_id(),
            terms_hash: self.scene.dossier.terms_hash(),
            acks: lists.acks,
            commits: lists.commits,
            claims: lists.claims,
            receipts: lists.receipts,
            leases: lists.leases,
            deposit_late: self.deposit_fact() == DepositFact::Late,
            at_ms: UnixMs::new(self.now).unwrap(),
            seq: 1,
        };
        let objects = evidence
            .objects()
            .iter()
            .map(|o| RawEnvelope(o.to_value()))
            .collect();
        Command::InventorySeen {
            inventory: Signed::sign(inventory, &actor.key).unwrap(),
            objects,
        }
    }

    fn inventory(&mut self, set_index: u8) {
        let v = self.by_set_index(set_index);
        if self.validators[v].judge != Judge::Silent {
            let command = self.inventory_of(v);
            self.answer(command);
        }
    }

    fn propose(
        &mut self,
        (set_index, round): (u8, u32),
        receipt: &SignedReceipt,
        inputs: &[Cid],
        supplied: Vec<EvidenceObject>,
    ) {
        let v = self.by_set_index(set_index);
        let id = self.scene.actors.validators[v].id();
        let facts = Facts {
            now_ms: UnixMs::new(self.now).unwrap(),
            deposit: self.deposit_fact(),
            paid_elsewhere: false,
        };
        let refused = Command::ProposalRefused { set_index, round };
        let own = &self.validators[v].evidence;
        let command = match (self.validators[v].judge, own.assemble(inputs, supplied)) {
            (Judge::Silent, _) => return,
            (Judge::Refuses, _) => refused,
            (_, Err(AssembleError::Missing(cids))) => Command::MissingSeen {
                set_index,
                round,
                cids,
            },
            (_, Err(_)) => refused,
            (_, Ok(proposal)) => match check_proposal(own, &proposal, &id, &facts) {
                Ok(decided) if decided.receipt_cid == receipt.receipt_cid() => {
                    self.validators[v].ready = Some(Hex32::from_bytes(decided.digest));
                    Command::ReadySeen {
                        ready: self.scene.ready(v, &decided, round),
                    }
                }
                Ok(_) | Err(_) => refused,
            },
        };
        self.answer(command);
    }

    fn sign(&mut self, set_index: u8, ready: &[Signed<Ready>]) {
        let v = self.by_set_index(set_index);
        let q = usize::from(final_quorum(self.scene.spec.m, self.scene.spec.n));
        assert!(
            ready.len() >= q,
            "signatures are asked for with q ready answers"
        );
        let digest = ready[0].payload().digest;
        let open =
            self.now < super::super::deadlines::Deadlines::of(&self.scene.dossier).sign_until_ms;
        let validator = &mut self.validators[v];
        let may = validator.ready == Some(digest)
            && validator.signed.is_none_or(|signed| signed == digest);
        if !may || !open || matches!(validator.judge, Judge::Silent | Judge::NeverSigns) {
            return;
        }
        validator.signed = Some(digest);
        let signature = self.scene.settlement_signature(v, &digest.as_bytes());
        if self.plot.payee_settles {
            self.payee_settles();
        } else {
            self.answer(Command::SignatureSeen { signature });
        }
    }

    /// Signatures reach the payees, not the gateway: one of them settles once it holds m.
    fn payee_settles(&mut self) {
        let crate::market::Phase::Signing { decided, .. } = self.task.phase() else {
            return;
        };
        let signers: Vec<usize> = (0..self.validators.len())
            .filter(|v| self.validators[*v].signed.is_some())
            .collect();
        if signers.len() >= usize::from(self.scene.spec.m) {
            let signatures = self.scene.settlement_signatures(&signers, &decided.digest);
            let receipt = decided.signed(signatures).unwrap();
            self.chain.settle(&self.scene.dossier, &receipt, self.now);
        }
    }

    fn look(&mut self) {
        if self.now < self.at(self.plot.deaf_until) {
            return;
        }
        if let Some(settled) = self.chain.settled.clone() {
            let _known = self.apply(Command::SettledSeen { settled });
        } else if self.task.phase().name() == PhaseName::Refunding && self.chain.is_empty() {
            let refunded = self.chain.swept.unwrap_or(0).into();
            let command = Command::SweptSeen {
                transaction: "sweep".to_owned(),
                refunded,
            };
            let _refused = self.apply(command);
        }
    }

    /// The end, and that the money adds up: checked at every end of every test.
    pub(super) fn ending(&self) -> &Ending {
        let ending = self.task.ending().expect("the task ended");
        let budget = u128::from(self.scene.spec.budget);
        let received = match self.plot.money {
            Money::At(_) => budget,
            Money::Short => budget - 1,
            Money::Impossible | Money::Unknown => 0,
        };
        match ending {
            Ending::Paid { settled, .. }
            | Ending::Rejected { settled, .. }
            | Ending::SettledElsewhere { settled } => {
                let paid: u128 = settled.paid.iter().map(|row| row.amount.get()).sum();
                assert_eq!(
                    paid + settled.refunded.get(),
                    received,
                    "payouts and refund are the budget"
                );
                assert!(self.chain.is_settled());
            }
            Ending::Refunded { refunded, .. } => assert_eq!(refunded.get(), received),
            Ending::Unfunded | Ending::NotCharged { .. } | Ending::Uncollected { .. } => {
                assert_eq!(received, 0);
            }
        }
        self.check_payees(ending);
        ending
    }

    /// Every claim named in a Paid receipt is paid, nobody else's work is, and no rejected claim is named.
    fn check_payees(&self, ending: &Ending) {
        let (receipt, settled) = match ending {
            Ending::Paid {
                receipt, settled, ..
            }
            | Ending::Rejected { receipt, settled } => (receipt, settled),
            Ending::SettledElsewhere { .. }
            | Ending::Refunded { .. }
            | Ending::NotCharged { .. }
            | Ending::Uncollected { .. }
            | Ending::Unfunded => return,
        };
        let paid_workers: Vec<Hex32> = settled
            .paid
            .iter()
            .filter(|row| row.kind == d402_wire::simchain::PaidKind::Worker)
            .map(|row| row.payee)
            .collect();
        if !matches!(ending, Ending::Paid { .. }) {
            assert!(
                paid_workers.is_empty(),
                "nobody is paid for a rejected claim"
            );
            return;
        }
        let named = &receipt.receipt().claim_cids;
        assert_eq!(named.len(), paid_workers.len());
        let m = usize::from(self.scene.spec.m);
        for cid in named {
            let claim = self
                .task
                .evidence()
                .claim(cid)
                .expect("a paid claim is evidence");
            assert!(self.task.evidence().verdict_count(cid, Verdict::Accept) >= m);
            let lease = self
                .task
                .evidence()
                .lease(&claim.payload().lease_cid)
                .unwrap();
            let wallet: Hex32 = lease.payload().payout.address.as_str().parse().unwrap();
            assert!(
                paid_workers.contains(&wallet),
                "a claim named in the receipt is paid"
            );
        }
    }

    /// Actor indexes of the workers that were paid, ascending.
    pub(super) fn paid_workers(&self) -> Vec<usize> {
        let Some(settled) = &self.chain.settled else {
            return Vec::new();
        };
        (0..self.scene.actors.workers.len())
            .filter(|w| {
                let wallet: Hex32 = self.scene.actors.workers[*w]
                    .payout
                    .as_str()
                    .parse()
                    .unwrap();
                settled.paid.iter().any(|row| row.payee == wallet)
            })
            .collect()
    }
}
