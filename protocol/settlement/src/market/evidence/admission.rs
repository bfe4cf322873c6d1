//! Which objects become evidence of a task. One check per kind.

use d402_objects::{
    Caip2, Cid, ClaimCommit, CommitAck, Ed25519Id, Hex32, Lease, LeaseAccept, Mode, NoMoreLeases,
    ResultClaim, Signed, UnixMs, ValidationReceipt,
};

use super::{Evidence, EvidenceObject, LeaseFault, LeaseSet, MAX_LEASES};

/// Most bytes of one piece of evidence (threat #56).
pub const MAX_EVIDENCE_BYTES: u64 = 16 * 1024 * 1024;
/// Most bytes of a claim's evidence together (threat #56).
pub const MAX_CLAIM_BYTES: u64 = 64 * 1024 * 1024;

/// Values one lease may commit to, and claims it may open, before more prove nothing: two void it.
const CONTRADICTION: usize = 2;

/// What became of an admitted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It is evidence now.
    New,
    /// It was already.
    Known,
}

/// A place that holds a bounded number of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// One set per attempt and root, [`MAX_LEASES`] leases in all.
    LeaseSet,
    /// One per lease.
    LeaseAccept,
    /// One per lease and value, two values per lease.
    Commit,
    /// One per validator, lease, commit and rank; two per validator and lease.
    Ack,
    /// Two per lease.
    Claim,
    /// One per validator, claim and verdict.
    Receipt,
    /// One.
    NoMoreLeases,
}

/// Why an object is no evidence of this task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAdmitted {
    /// Of another task.
    #[error("object is of another task: {got}")]
    OtherTask {
        /// The task it names.
        got: Cid,
    },
    /// For another network.
    #[error("object is for another network")]
    OtherNetwork,
    /// Under other terms.
    #[error("object is under other terms: {got}")]
    OtherTerms {
        /// The terms it names.
        got: Hex32,
    },
    /// A lease alone, or a set that breaks a rule.
    #[error("no lease set of this task")]
    LeaseSet(#[source] LeaseFault),
    /// It names a lease that is not evidence.
    #[error("lease {0} is not known")]
    UnknownLease(Cid),
    /// It names a commit that is not evidence.
    #[error("lease {lease} has no commit {commit}")]
    UnknownCommit {
        /// The lease.
        lease: Cid,
        /// The commit's value.
        commit: Hex32,
    },
    /// It names a claim that is not evidence.
    #[error("claim {0} is not known")]
    UnknownClaim(Cid),
    /// Signed by another worker than the lease's.
    #[error("{got} does not hold this lease")]
    WrongWorker {
        /// Who signed.
        got: Ed25519Id,
    },
    /// Signed by another gateway than the intent's (threat #34).
    #[error("{got} is not the gateway of this task")]
    WrongGateway {
        /// Who signed.
        got: Ed25519Id,
    },
    /// Signed by a validator the intent does not name.
    #[error("{got} is not a validator of this task")]
    UnknownValidator {
        /// Who signed.
        got: Ed25519Id,
    },
    /// Accepted, or acked, when the lease was already closed (spec §5.3).
    #[error("at {at}, closed since {closed}")]
    TooLate {
        /// The object's time.
        at: UnixMs,
        /// First moment that is too late.
        closed: UnixMs,
    },
    /// The ack names another attempt than its lease.
    #[error("ack names attempt {got}, its lease is of attempt {want}")]
    WrongAttempt {
        /// In the ack.
        got: u8,
        /// In the lease.
        want: u8,
    },
    /// A rank above the number of leases.
    #[error("rank {got} of {max} leases")]
    RankOverMax {
        /// The rank.
        got: u8,
        /// `leaseCount`.
        max: u8,
    },
    /// The output is larger than the manifest allows.
    #[error("output of {got} bytes, the manifest allows {max}")]
    OutputTooLarge {
        /// Its size.
        got: u64,
        /// The limit.
        max: u64,
    },
    /// More evidence than a validator fetches (threat #56).
    #[error("evidence of {got} bytes, allowed are {max}")]
    EvidenceTooLarge {
        /// Bytes of one piece, or of all together.
        got: u64,
        /// The limit.
        max: u64,
    },
    /// Judged by another model than the intent's.
    #[error("judged by another model than the intent's")]
    WrongModel,
    /// The signer already said what counts here.
    #[error("no room for more of {0:?}")]
    SlotTaken(Slot),
}

impl Evidence {
    /// Admits one object. A lease enters alone only when it is the whole set (`leaseCount` 1); other sets
    /// enter by [`Evidence::insert_leases`] or [`Evidence::insert_all`].
    ///
    /// # Errors
    /// [`NotAdmitted`] names the first broken rule; the evidence is unchanged.
    pub fn insert(&mut self, object: impl Into<EvidenceObject>) -> Result<Admitted, NotAdmitted> {
        let object = object.into();
        if self.contains(&object.cid()) {
            return Ok(Admitted::Known);
        }
        match object {
            EvidenceObject::Lease(lease) => self.insert_leases(vec![lease]),
            EvidenceObject::LeaseAccept(accept) => self.insert_accept(accept),
            EvidenceObject::Commit(commit) => self.insert_commit(commit),
            EvidenceObject::Ack(ack) => self.insert_ack(ack),
            EvidenceObject::Claim(claim) => self.insert_claim(claim),
            EvidenceObject::Receipt(receipt) => self.insert_receipt(receipt),
            EvidenceObject::NoMoreLeases(notice) => self.insert_notice(notice),
        }
    }

    /// Admits a whole lease set (spec §5.1).
    ///
    /// # Errors
    /// [`NotAdmitted::LeaseSet`] when the leases are no set of this task, [`NotAdmitted::SlotTaken`] when the
    /// gateway already signed other leases for the same attempt and root.
    pub fn insert_leases(&mut self, leases: Vec<Signed<Lease>>) -> Result<Admitted, NotAdmitted> {
        let set = LeaseSet::check(&self.dossier, leases).map_err(NotAdmitted::LeaseSet)?;
        let key = (set.attempt(), set.root());
        match self.sets.get(&key) {
            Some(known) if *known == set => return Ok(Admitted::Known),
            Some(_) => return Err(NotAdmitted::SlotTaken(Slot::LeaseSet)),
            None => {}
        }
        if self.leases.len().saturating_add(set.leases().len()) > MAX_LEASES {
            return Err(NotAdmitted::SlotTaken(Slot::LeaseSet));
        }
        for lease in set.leases() {
            self.leases.insert(lease.cid(), lease.clone());
        }
        self.sets.insert(key, set);
        Ok(Admitted::New)
    }

    /// Admits many objects in any order, leases of one set together. Returns what was not admitted and why;
    /// everything else is evidence now.
    pub fn insert_all(&mut self, mut objects: Vec<EvidenceObject>) -> Vec<(Cid, NotAdmitted)> {
        objects.sort_by_key(|object| (object.admission_order(), object.cid()));
        let mut refused = Vec::new();
        let mut sets: std::collections::BTreeMap<(u8, Hex32), Vec<Signed<Lease>>> =
            std::collections::BTreeMap::new();
        let mut rest = Vec::new();
        for object in objects {
            match object {
                EvidenceObject::Lease(lease) if !self.leases.contains_key(&lease.cid()) => {
                    let key = (lease.payload().attempt, lease.payload().lease_set_root);
                    sets.entry(key).or_default().push(lease);
                }
                EvidenceObject::Lease(_) => {}
                EvidenceObject::LeaseAccept(_)
                | EvidenceObject::Commit(_)
                | EvidenceObject::Ack(_)
                | EvidenceObject::Claim(_)
                | EvidenceObject::Receipt(_)
                | EvidenceObject::NoMoreLeases(_) => rest.push(object),
            }
        }
        for leases in sets.into_values() {
            let cids: Vec<Cid> = leases.iter().map(Signed::cid).collect();
            if let Err(reason) = self.insert_leases(leases) {
                refused.extend(cids.into_iter().map(|cid| (cid, reason.clone())));
            }
        }
        for object in rest {
            let cid = object.cid();
            if let Err(reason) = self.insert(object) {
                refused.push((cid, reason));
            }
        }
        refused
    }

    fn check_task(&self, task: Cid, network: &Caip2) -> Result<(), NotAdmitted> {
        if task != self.dossier.task_id() {
            return Err(NotAdmitted::OtherTask { got: task });
        }
        if network != self.dossier.network() {
            return Err(NotAdmitted::OtherNetwork);
        }
        Ok(())
    }

    fn check_terms(&self, got: Hex32) -> Result<(), NotAdmitted> {
        if got != self.dossier.terms_hash() {
            return Err(NotAdmitted::OtherTerms { got });
        }
        Ok(())
    }

    fn check_validator(&self, got: Ed25519Id) -> Result<(), NotAdmitted> {
        match self.dossier.set_index_of(&got) {
            Some(_) => Ok(()),
            None => Err(NotAdmitted::UnknownValidator { got }),
        }
    }

    /// The lease with this CID when `worker` holds it.
    fn lease_of(&self, lease: Cid, worker: Ed25519Id) -> Result<&Lease, NotAdmitted> {
        let lease = self
            .leases
            .get(&lease)
            .ok_or(NotAdmitted::UnknownLease(lease))?
            .payload();
        if lease.worker != worker {
            return Err(NotAdmitted::WrongWorker { got: worker });
        }
        Ok(lease)
    }

    fn insert_accept(&mut self, accept: Signed<LeaseAccept>) -> Result<Admitted, NotAdmitted> {
        let payload = accept.payload();
        self.check_task(payload.task_id, &payload.network)?;
        let lease = self.lease_of(payload.lease_cid, payload.worker)?;
        if payload.at_ms >= lease.expires_at_ms {
            return Err(NotAdmitted::TooLate {
                at: payload.at_ms,
                closed: lease.expires_at_ms,
            });
        }
        if self.accepts.contains_key(&payload.lease_cid) {
            return Err(NotAdmitted::SlotTaken(Slot::LeaseAccept));
        }
        self.accepts.insert(payload.lease_cid, accept);
        Ok(Admitted::New)
    }

    fn insert_commit(&mut self, commit: Signed<ClaimCommit>) -> Result<Admitted, NotAdmitted> {
        let payload = commit.payload();
        self.check_task(payload.task_id, &payload.network)?;
        self.lease_of(payload.lease_cid, payload.worker)?;
        let values = self.commit_values(&payload.lease_cid);
        if values.contains(&payload.commit) || values.len() >= CONTRADICTION {
            return Err(NotAdmitted::SlotTaken(Slot::Commit));
        }
        self.commits.insert(commit.cid(), commit);
        Ok(Admitted::New)
    }

    fn insert_ack(&mut self, ack: Signed<CommitAck>) -> Result<Admitted, NotAdmitted> {
        let payload = ack.payload();
        self.check_task(payload.task_id, &payload.network)?;
        self.check_validator(payload.validator)?;
        let signed_lease = self
            .leases
            .get(&payload.lease_cid)
            .ok_or(NotAdmitted::UnknownLease(payload.lease_cid))?;
        let lease = signed_lease.payload();
        if payload.attempt != lease.attempt {
            return Err(NotAdmitted::WrongAttempt {
                got: payload.attempt,
                want: lease.attempt,
            });
        }
        if payload.rank > lease.lease_count {
            return Err(NotAdmitted::RankOverMax {
                got: payload.rank,
                max: lease.lease_count,
            });
        }
        let closed = self.dossier.times().commit_closes(lease.expires_at_ms);
        if payload.at_ms >= closed {
            return Err(NotAdmitted::TooLate {
                at: payload.at_ms,
                closed,
            });
        }
        if !self
            .commit_values(&payload.lease_cid)
            .contains(&payload.commit)
        {
            return Err(NotAdmitted::UnknownCommit {
                lease: payload.lease_cid,
                commit: payload.commit,
            });
        }
        let mut held = 0usize;
        for other in self.acks.values().map(Signed::payload) {
            if other.validator == payload.validator && other.lease_cid == payload.lease_cid {
                held = held.saturating_add(1);
                if other.commit == payload.commit && other.rank == payload.rank {
                    return Err(NotAdmitted::SlotTaken(Slot::Ack));
                }
            }
        }
        if held >= CONTRADICTION {
            return Err(NotAdmitted::SlotTaken(Slot::Ack));
        }
        self.acks.insert(ack.cid(), ack);
        Ok(Admitted::New)
    }

    fn insert_claim(&mut self, claim: Signed<ResultClaim>) -> Result<Admitted, NotAdmitted> {
        let payload = claim.payload();
        self.check_task(payload.task_id, &payload.network)?;
        self.check_terms(payload.terms_hash)?;
        self.lease_of(payload.lease_cid, payload.worker)?;
        let max = self.dossier.manifest().permissions.output_bytes;
        if payload.output.bytes > max {
            return Err(NotAdmitted::OutputTooLarge {
                got: payload.output.bytes,
                max,
            });
        }
        check_evidence_size(payload)?;
        let commit = claim_opens(self.dossier.intent().mode, &claim);
        if !self.commit_values(&payload.lease_cid).contains(&commit) {
            return Err(NotAdmitted::UnknownCommit {
                lease: payload.lease_cid,
                commit,
            });
        }
        let of_lease = self
            .claims
            .values()
            .filter(|c| c.payload().lease_cid == payload.lease_cid);
        if of_lease.count() >= CONTRADICTION {
            return Err(NotAdmitted::SlotTaken(Slot::Claim));
        }
        self.claims.insert(claim.cid(), claim);
        Ok(Admitted::New)
    }

    fn insert_receipt(
        &mut self,
        receipt: Signed<ValidationReceipt>,
    ) -> Result<Admitted, NotAdmitted> {
        let payload = receipt.payload();
        self.check_task(payload.task_id, &payload.network)?;
        self.check_terms(payload.terms_hash)?;
        self.check_validator(payload.validator)?;
        if !self.claims.contains_key(&payload.claim_cid) {
            return Err(NotAdmitted::UnknownClaim(payload.claim_cid));
        }
        if payload.model != self.dossier.intent().validation.model {
            return Err(NotAdmitted::WrongModel);
        }
        let taken = self.receipts.values().map(Signed::payload).any(|other| {
            other.validator == payload.validator
                && other.claim_cid == payload.claim_cid
                && other.verdict == payload.verdict
        });
        if taken {
            return Err(NotAdmitted::SlotTaken(Slot::Receipt));
        }
        self.receipts.insert(receipt.cid(), receipt);
        Ok(Admitted::New)
    }

    fn insert_notice(&mut self, notice: Signed<NoMoreLeases>) -> Result<Admitted, NotAdmitted> {
        let payload = notice.payload();
        self.check_task(payload.task_id, &payload.network)?;
        if payload.gateway != self.dossier.intent().gateway {
            return Err(NotAdmitted::WrongGateway {
                got: payload.gateway,
            });
        }
        if self.no_more_leases.is_some() {
            return Err(NotAdmitted::SlotTaken(Slot::NoMoreLeases));
        }
        self.no_more_leases = Some(notice);
        Ok(Admitted::New)
    }
}

fn check_evidence_size(claim: &ResultClaim) -> Result<(), NotAdmitted> {
    let mut total = 0u64;
    for piece in &claim.evidence {
        if piece.bytes > MAX_EVIDENCE_BYTES {
            return Err(NotAdmitted::EvidenceTooLarge {
                got: piece.bytes,
                max: MAX_EVIDENCE_BYTES,
            });
        }
        total = total.saturating_add(piece.bytes);
    }
    if total > MAX_CLAIM_BYTES {
        return Err(NotAdmitted::EvidenceTooLarge {
            got: total,
            max: MAX_CLAIM_BYTES,
        });
    }
    Ok(())
}

/// The commit a claim opens: its sealed hash, in mode single its own CID (spec §5.2, §5.5).
#[must_use]
pub(crate) fn claim_opens(mode: Mode, claim: &Signed<ResultClaim>) -> Hex32 {
    match mode {
        Mode::Single => claim.cid().to_hex32(),
        Mode::Race | Mode::Quorum => claim.payload().commit(),
    }
}
