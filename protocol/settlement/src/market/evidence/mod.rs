//! Evidence: the verified objects of one task that decide who is paid.
//!
//! Responsible for: admission. Every object in it is signed, belongs to this task and these terms, names
//! only objects that are there, and fits the rules of spec §5. Not responsible for: who wins
//! ([`decide`](crate::market::decide)), nor for time beyond what the objects say.
//!
//! Invariants: grow-only; whether an object is admitted depends on it and on the objects it names, never on
//! the order of arrival, except that a full slot refuses ([`NotAdmitted::SlotTaken`]) what a hostile signer
//! adds to what already convicts it. A proposal is judged on its own [`Evidence`], built by
//! [`Evidence::assemble`], so a full slot never keeps a validator from reading a proposal.

mod admission;
mod lease_set;
mod object;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use admission::claim_opens;
pub use admission::{Admitted, MAX_CLAIM_BYTES, MAX_EVIDENCE_BYTES, NotAdmitted, Slot};
pub use lease_set::{LeaseFault, LeaseSet, worst_case_cost};
pub use object::EvidenceObject;
pub use view::InventoryLists;

use std::collections::{BTreeMap, BTreeSet};

use d402_objects::{
    Cid, ClaimCommit, CommitAck, Hex32, Lease, LeaseAccept, NoMoreLeases, ResultClaim, Signed,
    ValidationReceipt,
};

use crate::market::Dossier;

/// Most leases of one task: 8 attempts of 8 leases, as an inventory may list.
pub const MAX_LEASES: usize = 64;

/// The evidence of one task. Cloning shares the objects.
#[derive(Clone, Debug)]
pub struct Evidence {
    dossier: Dossier,
    sets: BTreeMap<(u8, Hex32), LeaseSet>,
    leases: BTreeMap<Cid, Signed<Lease>>,
    /// By lease.
    accepts: BTreeMap<Cid, Signed<LeaseAccept>>,
    commits: BTreeMap<Cid, Signed<ClaimCommit>>,
    acks: BTreeMap<Cid, Signed<CommitAck>>,
    claims: BTreeMap<Cid, Signed<ResultClaim>>,
    receipts: BTreeMap<Cid, Signed<ValidationReceipt>>,
    no_more_leases: Option<Signed<NoMoreLeases>>,
}

/// Why the evidence of a proposal cannot be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleError {
    /// These inputs are neither held nor supplied; ask for them.
    #[error("{} inputs are missing", .0.len())]
    Missing(Vec<Cid>),
    /// An object was supplied that the proposal does not name.
    #[error("{0} is not an input of the proposal")]
    NotAnInput(Cid),
    /// The inputs name one object twice.
    #[error("inputs repeat {0}")]
    Repeated(Cid),
    /// An input does not fit the task or the other inputs.
    #[error("input {cid} is not admitted")]
    NotAdmitted {
        /// The input.
        cid: Cid,
        /// Why.
        #[source]
        source: NotAdmitted,
    },
}

impl Evidence {
    /// No evidence yet.
    #[must_use]
    pub fn new(dossier: &Dossier) -> Self {
        Self {
            dossier: dossier.clone(),
            sets: BTreeMap::new(),
            leases: BTreeMap::new(),
            accepts: BTreeMap::new(),
            commits: BTreeMap::new(),
            acks: BTreeMap::new(),
            claims: BTreeMap::new(),
            receipts: BTreeMap::new(),
            no_more_leases: None,
        }
    }

    /// The task.
    #[must_use]
    pub const fn dossier(&self) -> &Dossier {
        &self.dossier
    }

    /// CIDs of everything in it, ascending.
    #[must_use]
    pub fn cids(&self) -> Vec<Cid> {
        self.objects()
            .iter()
            .map(EvidenceObject::cid)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// CIDs of what a decision reads, ascending: all of it but the gateway's `noMoreLeases`.
    #[must_use]
    pub fn inputs(&self) -> Vec<Cid> {
        let mut cids = self.cids();
        if let Some(notice) = &self.no_more_leases {
            cids.retain(|cid| *cid != notice.cid());
        }
        cids
    }

    /// Whether an object with this CID is in it.
    #[must_use]
    pub fn contains(&self, cid: &Cid) -> bool {
        self.get(cid).is_some()
    }

    /// The object with this CID.
    #[must_use]
    pub fn get(&self, cid: &Cid) -> Option<EvidenceObject> {
        None.or_else(|| self.leases.get(cid).cloned().map(EvidenceObject::Lease))
            .or_else(|| self.commits.get(cid).cloned().map(EvidenceObject::Commit))
            .or_else(|| self.acks.get(cid).cloned().map(EvidenceObject::Ack))
            .or_else(|| self.claims.get(cid).cloned().map(EvidenceObject::Claim))
            .or_else(|| self.receipts.get(cid).cloned().map(EvidenceObject::Receipt))
            .or_else(|| {
                let accept = self.accepts.values().find(|accept| accept.cid() == *cid);
                accept.cloned().map(EvidenceObject::LeaseAccept)
            })
            .or_else(|| {
                let notice = self
                    .no_more_leases
                    .as_ref()
                    .filter(|notice| notice.cid() == *cid);
                notice.cloned().map(EvidenceObject::NoMoreLeases)
            })
    }

    /// Everything in it, in an order in which [`Evidence::insert_all`] takes it back.
    #[must_use]
    pub fn objects(&self) -> Vec<EvidenceObject> {
        let mut all: Vec<EvidenceObject> = Vec::new();
        all.extend(self.leases.values().cloned().map(EvidenceObject::Lease));
        all.extend(
            self.accepts
                .values()
                .cloned()
                .map(EvidenceObject::LeaseAccept),
        );
        all.extend(self.commits.values().cloned().map(EvidenceObject::Commit));
        all.extend(self.acks.values().cloned().map(EvidenceObject::Ack));
        all.extend(self.claims.values().cloned().map(EvidenceObject::Claim));
        all.extend(self.receipts.values().cloned().map(EvidenceObject::Receipt));
        all.extend(
            self.no_more_leases
                .iter()
                .cloned()
                .map(EvidenceObject::NoMoreLeases),
        );
        all
    }

    /// Those of `cids` that are not in it.
    #[must_use]
    pub fn missing(&self, cids: &[Cid]) -> Vec<Cid> {
        cids.iter()
            .copied()
            .filter(|cid| !self.contains(cid))
            .collect()
    }

    /// The evidence of exactly these CIDs, all of which are held.
    ///
    /// # Errors
    /// As [`Evidence::assemble`] with nothing supplied.
    pub fn subset(&self, cids: &[Cid]) -> Result<Self, AssembleError> {
        self.assemble(cids, Vec::new())
    }

    /// The evidence of exactly these CIDs: from what is held here and what came with a proposal. What is held
    /// here and not named plays no part; [`Evidence::omits`] is the check for that.
    ///
    /// # Errors
    /// [`AssembleError`]: missing inputs are asked for, everything else is a bad proposal.
    pub fn assemble(
        &self,
        inputs: &[Cid],
        supplied: Vec<EvidenceObject>,
    ) -> Result<Self, AssembleError> {
        let mut wanted = BTreeSet::new();
        for cid in inputs {
            if !wanted.insert(*cid) {
                return Err(AssembleError::Repeated(*cid));
            }
        }
        let mut found: BTreeMap<Cid, EvidenceObject> = BTreeMap::new();
        for object in supplied {
            let cid = object.cid();
            if !wanted.contains(&cid) {
                return Err(AssembleError::NotAnInput(cid));
            }
            found.insert(cid, object);
        }
        let mut missing = Vec::new();
        for cid in wanted {
            if found.contains_key(&cid) {
                continue;
            }
            match self.get(&cid) {
                Some(object) => {
                    found.insert(cid, object);
                }
                None => missing.push(cid),
            }
        }
        if !missing.is_empty() {
            return Err(AssembleError::Missing(missing));
        }
        let mut assembled = Self::new(&self.dossier);
        match assembled
            .insert_all(found.into_values().collect())
            .into_iter()
            .next()
        {
            None => Ok(assembled),
            Some((cid, source)) => Err(AssembleError::NotAdmitted { cid, source }),
        }
    }
}
