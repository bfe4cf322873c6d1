//! One lease as a pure state machine: sealed claim, acks, reveal (spec §5.2–5.5).
//!
//! Computing → Committed → Revealed. Nothing is revealed early: a reveal needs q rank-1 acks (race), strong
//! certificates of all leases (quorum), or `commitBy + 2 s` and m acks; in single mode m acks suffice,
//! because there is nobody to copy from.

use std::collections::BTreeSet;

use d402_objects::{ClaimCommit, CommitAck, Lease, LeaseAccept, ResultClaim, Signed, UnixMs};
use d402_settlement::market::{Dossier, Evidence, LeaseFault, NotAdmitted, may_reveal};

use crate::product::Product;

/// Unanswered commits and reveals are sent again after this time, ms.
pub const RESEND_MS: u64 = 700;

/// A lease this worker accepted.
#[derive(Debug)]
pub struct Job {
    evidence: Evidence,
    lease: Signed<Lease>,
    accept: Signed<LeaseAccept>,
    sealed: Option<Sealed>,
    /// Validators that acked the commit.
    acked: BTreeSet<u8>,
    /// Validators that took the reveal.
    delivered: BTreeSet<u8>,
    next_send_ms: u64,
}

/// The result, sealed under a commit.
#[derive(Debug)]
struct Sealed {
    product: Product,
    claim: Signed<ResultClaim>,
    commit: Signed<ClaimCommit>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEffect {
    /// Send the commit to a validator.
    SendCommit {
        /// Index in the ascending set.
        set_index: u8,
    },
    /// Send claim, certificate and content to a validator.
    SendReveal {
        /// Index in the ascending set.
        set_index: u8,
    },
}

impl Job {
    /// A lease of a set that keeps every rule of the task; checked here.
    ///
    /// # Errors
    /// [`NotAdmitted`] when the leases are no set of this task, or this lease is not in it.
    pub fn new(
        dossier: &Dossier,
        lease: Signed<Lease>,
        set: Vec<Signed<Lease>>,
        accept: Signed<LeaseAccept>,
    ) -> Result<Self, NotAdmitted> {
        let mut evidence = Evidence::new(dossier);
        evidence.insert_leases(set)?;
        if evidence.lease(&lease.cid()).is_none() {
            return Err(NotAdmitted::LeaseSet(LeaseFault::Mixed));
        }
        evidence.insert(accept.clone())?;
        Ok(Self {
            evidence,
            lease,
            accept,
            sealed: None,
            acked: BTreeSet::new(),
            delivered: BTreeSet::new(),
            next_send_ms: 0,
        })
    }

    /// The result is there and sealed: commit to all validators. A second result changes nothing (one commit
    /// per lease).
    pub fn seal(
        &mut self,
        product: Product,
        claim: Signed<ResultClaim>,
        commit: Signed<ClaimCommit>,
        now_ms: u64,
    ) -> Vec<JobEffect> {
        if self.sealed.is_some() || self.evidence.insert(commit.clone()).is_err() {
            return Vec::new();
        }
        self.sealed = Some(Sealed {
            product,
            claim,
            commit,
        });
        self.next_send_ms = now_ms;
        self.tick(now_ms)
    }

    /// An ack of any lease of the set, with the commit it is of. Those that do not belong are ignored.
    pub fn ack_seen(
        &mut self,
        commit: Signed<ClaimCommit>,
        ack: Signed<CommitAck>,
        now_ms: u64,
    ) -> Vec<JobEffect> {
        let own = ack.payload().lease_cid == self.lease.cid();
        let validator = self.dossier().set_index_of(&ack.payload().validator);
        // A commit that is known already is refused as taken; its acks still count.
        let _known = self.evidence.insert(commit);
        if self.evidence.insert(ack).is_err() {
            return Vec::new();
        }
        if own && let Some(index) = validator {
            self.acked.insert(index);
        }
        if self.may_reveal(now_ms) && self.delivered.is_empty() {
            self.next_send_ms = now_ms;
        }
        self.tick(now_ms)
    }

    /// A validator took the reveal.
    pub fn reveal_taken(&mut self, set_index: u8) {
        self.delivered.insert(set_index);
    }

    /// Whatever is due: commits not acked, reveals not taken.
    pub fn tick(&mut self, now_ms: u64) -> Vec<JobEffect> {
        if self.sealed.is_none() || now_ms < self.next_send_ms || self.is_over(now_ms) {
            return Vec::new();
        }
        self.next_send_ms = now_ms.saturating_add(RESEND_MS);
        let validators = 0..self.dossier().set().n();
        let mut effects = Vec::new();
        if now_ms < self.closes_ms() {
            let silent = validators.clone().filter(|i| !self.acked.contains(i));
            effects.extend(silent.map(|set_index| JobEffect::SendCommit { set_index }));
        }
        if self.may_reveal(now_ms) {
            let waiting = validators.filter(|i| !self.delivered.contains(i));
            effects.extend(waiting.map(|set_index| JobEffect::SendReveal { set_index }));
        }
        effects
    }

    /// When [`Job::tick`] is due.
    #[must_use]
    pub fn wake_at_ms(&self) -> u64 {
        self.next_send_ms
    }

    /// Nothing this worker sends can count any more.
    #[must_use]
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.delivered.len() >= usize::from(self.dossier().set().n())
            || now_ms >= self.dossier().times().decide_at_ms.get()
    }

    /// First moment at which no validator acks this lease.
    fn closes_ms(&self) -> u64 {
        self.dossier()
            .times()
            .commit_closes(self.lease.payload().expires_at_ms)
            .get()
    }

    fn may_reveal(&self, now_ms: u64) -> bool {
        let now = UnixMs::default().saturating_add_ms(now_ms);
        self.sealed
            .as_ref()
            .is_some_and(|sealed| may_reveal(&self.evidence, &sealed.claim, now).is_ok())
    }

    /// Acks that go with a reveal: all that are held, so that quorum validators see every certificate.
    pub fn certificate(&self) -> impl Iterator<Item = &Signed<CommitAck>> {
        self.evidence.acks()
    }

    /// Commits those acks are of.
    pub fn commits(&self) -> impl Iterator<Item = &Signed<ClaimCommit>> {
        self.evidence.commits()
    }

    /// The whole lease set, by index.
    pub fn set(&self) -> impl Iterator<Item = &Signed<Lease>> {
        self.evidence.lease_sets().flat_map(|set| set.leases())
    }

    /// The task.
    #[must_use]
    pub fn dossier(&self) -> &Dossier {
        self.evidence.dossier()
    }

    /// The lease.
    #[must_use]
    pub fn lease(&self) -> &Signed<Lease> {
        &self.lease
    }

    /// The acceptance.
    #[must_use]
    pub fn accept(&self) -> &Signed<LeaseAccept> {
        &self.accept
    }

    /// Claim and commit, once sealed.
    #[must_use]
    pub fn sealed(&self) -> Option<(&Signed<ResultClaim>, &Signed<ClaimCommit>, &Product)> {
        self.sealed
            .as_ref()
            .map(|s| (&s.claim, &s.commit, &s.product))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use d402_objects::Mode;
    use d402_settlement::market::testkit::{TaskSpec, TaskStory};

    use super::*;
    use crate::product::Product;

    struct World {
        story: TaskStory,
        job: Job,
    }

    impl World {
        fn new(spec: TaskSpec) -> Self {
            let story = TaskStory::honest(spec);
            let accept = story.scene.accept(&story.leases[0]);
            let job = Job::new(
                &story.scene.dossier,
                story.leases[0].clone(),
                story.leases.clone(),
                accept,
            );
            Self {
                job: job.unwrap(),
                story,
            }
        }

        fn at(&self, after_issue_ms: u64) -> u64 {
            self.story.scene.at(after_issue_ms).get()
        }

        fn seal(&mut self, now_ms: u64) -> Vec<JobEffect> {
            let product = Product {
                output: self.story.output.clone(),
                evidence: Vec::new(),
                canonical_digest: d402_objects::Cid::of(&self.story.output),
                units: d402_objects::Amount::from(1),
                runtime_digest: d402_objects::Cid::of(b"runtime"),
            };
            let (claim, commit) = (self.story.claims[0].clone(), self.story.commits[0].clone());
            self.job.seal(product, claim, commit, now_ms)
        }

        fn ack(&mut self, validator: usize, lease: usize, rank: u8, now_ms: u64) -> Vec<JobEffect> {
            let commit = self.story.commits[lease].clone();
            let ack = self
                .story
                .scene
                .ack(validator, &self.story.leases[lease], &commit, rank);
            self.job.ack_seen(commit, ack, now_ms)
        }
    }

    fn reveals(effects: &[JobEffect]) -> usize {
        effects
            .iter()
            .filter(|e| matches!(e, JobEffect::SendReveal { .. }))
            .count()
    }

    fn commits(effects: &[JobEffect]) -> usize {
        effects
            .iter()
            .filter(|e| matches!(e, JobEffect::SendCommit { .. }))
            .count()
    }

    #[test]
    fn a_sealed_result_is_committed_to_all_validators_and_only_once() {
        let mut world = World::new(TaskSpec::single(3, 4));
        let now = world.at(3_000);
        assert_eq!(commits(&world.seal(now)), 4);
        assert!(world.seal(now).is_empty(), "one commit per lease");
    }

    #[test]
    fn single_reveals_with_m_acks_and_not_before() {
        let mut world = World::new(TaskSpec::single(3, 4));
        let now = world.at(3_000);
        world.seal(now);
        assert_eq!(reveals(&world.ack(0, 0, 1, now)), 0);
        assert_eq!(reveals(&world.ack(1, 0, 1, now)), 0);
        assert_eq!(reveals(&world.ack(2, 0, 1, now)), 4);
    }

    #[test]
    fn race_reveals_early_only_with_q_rank_one_acks() {
        let mut world = World::new(TaskSpec::race(3, 4));
        let now = world.at(3_000);
        world.seal(now);
        world.ack(0, 0, 1, now);
        world.ack(1, 0, 1, now);
        assert_eq!(
            reveals(&world.ack(2, 0, 2, now)),
            0,
            "the third saw another first"
        );
        let from = world.story.scene.dossier.times().reveal_from_ms.get();
        assert_eq!(reveals(&world.job.tick(from - 1)), 0);
        assert_eq!(reveals(&world.job.tick(from + RESEND_MS)), 4);
    }

    #[test]
    fn quorum_reveals_early_only_when_every_lease_has_a_strong_certificate() {
        let mut world = World::new(TaskSpec::quorum(3, 4));
        assert_eq!(world.story.scene.spec.mode, Mode::Quorum);
        let leases = world.story.leases.len();
        let now = world.at(3_000);
        world.seal(now);
        let mut last = Vec::new();
        for lease in 0..leases {
            let rank = u8::try_from(lease + 1).unwrap();
            for validator in 0..3 {
                let complete = lease + 1 == leases && validator == 2;
                last = world.ack(validator, lease, rank, now);
                assert_eq!(
                    reveals(&last) > 0,
                    complete,
                    "lease {lease}, validator {validator}"
                );
            }
        }
        assert_eq!(reveals(&last), 4);
    }

    #[test]
    fn validators_that_took_the_reveal_are_not_asked_again() {
        let mut world = World::new(TaskSpec::single(3, 4));
        let now = world.at(3_000);
        world.seal(now);
        for validator in 0..3 {
            world.ack(validator, 0, 1, now);
        }
        world.job.reveal_taken(0);
        world.job.reveal_taken(1);
        let later = world.job.tick(now + RESEND_MS);
        assert_eq!(reveals(&later), 2);
        assert_eq!(commits(&later), 1, "the one that never acked");
        world.job.reveal_taken(2);
        world.job.reveal_taken(3);
        assert!(world.job.is_over(now + RESEND_MS));
    }

    #[test]
    fn nothing_is_sent_from_decide_at_on() {
        let mut world = World::new(TaskSpec::single(3, 4));
        let now = world.at(3_000);
        world.seal(now);
        let decide_at = world.story.scene.dossier.times().decide_at_ms.get();
        assert!(world.job.tick(decide_at).is_empty());
    }
}
