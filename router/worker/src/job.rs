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
