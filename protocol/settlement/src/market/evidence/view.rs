//! Reading evidence: what is held, by whom it was acked, and what a proposal leaves out.

use std::collections::BTreeSet;

use d402_objects::{
    Cid, ClaimCommit, CommitAck, Ed25519Id, Hex32, Lease, LeaseAccept, NoMoreLeases, ResultClaim,
    Signed, ValidationReceipt, Verdict,
};

use super::{Evidence, LeaseSet};

/// The lists of an inventory, each ascending. Lease accepts are listed with the leases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InventoryLists {
    /// Commit acks.
    pub acks: Vec<Cid>,
    /// Claim commits.
    pub commits: Vec<Cid>,
    /// Result claims.
    pub claims: Vec<Cid>,
    /// Validation receipts.
    pub receipts: Vec<Cid>,
    /// Leases and lease accepts.
    pub leases: Vec<Cid>,
}

impl Evidence {
    /// Lease sets, by attempt and root.
    pub fn lease_sets(&self) -> impl Iterator<Item = &LeaseSet> {
        self.sets.values()
    }

    /// Leases, by CID.
    pub fn leases(&self) -> impl Iterator<Item = &Signed<Lease>> {
        self.leases.values()
    }

    /// Commits, by CID.
    pub fn commits(&self) -> impl Iterator<Item = &Signed<ClaimCommit>> {
        self.commits.values()
    }

    /// Acks, by CID.
    pub fn acks(&self) -> impl Iterator<Item = &Signed<CommitAck>> {
        self.acks.values()
    }

    /// Claims, by CID.
    pub fn claims(&self) -> impl Iterator<Item = &Signed<ResultClaim>> {
        self.claims.values()
    }

    /// Verdicts, by CID.
    pub fn receipts(&self) -> impl Iterator<Item = &Signed<ValidationReceipt>> {
        self.receipts.values()
    }

    /// The gateway's word that it leases no more.
    #[must_use]
    pub const fn no_more_leases(&self) -> Option<&Signed<NoMoreLeases>> {
        self.no_more_leases.as_ref()
    }

    /// A lease.
    #[must_use]
    pub fn lease(&self, lease: &Cid) -> Option<&Signed<Lease>> {
        self.leases.get(lease)
    }

    /// The worker's accept of a lease.
    #[must_use]
    pub fn accept_of(&self, lease: &Cid) -> Option<&Signed<LeaseAccept>> {
        self.accepts.get(lease)
    }

    /// A claim.
    #[must_use]
    pub fn claim(&self, claim: &Cid) -> Option<&Signed<ResultClaim>> {
        self.claims.get(claim)
    }

    /// What the worker committed to under a lease; two values void it (spec §5.3).
    #[must_use]
    pub fn commit_values(&self, lease: &Cid) -> BTreeSet<Hex32> {
        self.commits
            .values()
            .map(Signed::payload)
            .filter(|commit| commit.lease_cid == *lease)
            .map(|commit| commit.commit)
            .collect()
    }

    /// Acks of one commit of a lease: its certificate once m validators gave one (spec §5.4).
    #[must_use]
    pub fn certificate(&self, lease: &Cid, commit: &Hex32) -> Vec<Signed<CommitAck>> {
        self.acks
            .values()
            .filter(|ack| ack.payload().lease_cid == *lease && ack.payload().commit == *commit)
            .cloned()
            .collect()
    }

    /// The ack a validator gave for a lease.
    #[must_use]
    pub fn ack_by(&self, validator: &Ed25519Id, lease: &Cid) -> Option<&Signed<CommitAck>> {
        self.acks
            .values()
            .find(|ack| ack.payload().validator == *validator && ack.payload().lease_cid == *lease)
    }

    /// Distinct leases of an attempt that a validator acked; its next rank is one more (spec §5.3).
    #[must_use]
    pub fn acked_leases(&self, validator: &Ed25519Id, attempt: u8) -> BTreeSet<Cid> {
        self.acks
            .values()
            .map(Signed::payload)
            .filter(|ack| ack.validator == *validator && ack.attempt == attempt)
            .map(|ack| ack.lease_cid)
            .collect()
    }

    /// Roots of the lease sets under which a validator acked in an attempt; an honest one has at most one.
    #[must_use]
    pub fn acked_roots(&self, validator: &Ed25519Id, attempt: u8) -> BTreeSet<Hex32> {
        self.acked_leases(validator, attempt)
            .iter()
            .filter_map(|lease| self.lease(lease))
            .map(|lease| lease.payload().lease_set_root)
            .collect()
    }

    /// Validators whose only verdict on a claim is this one.
    #[must_use]
    pub fn verdict_count(&self, claim: &Cid, verdict: Verdict) -> usize {
        let by = |wanted: bool| -> BTreeSet<Ed25519Id> {
            self.receipts
                .values()
                .map(Signed::payload)
                .filter(|r| r.claim_cid == *claim && (r.verdict == verdict) == wanted)
                .map(|r| r.validator)
                .collect()
        };
        by(true).difference(&by(false)).count()
    }

    /// Whether a lease's worker contradicted itself: two commits, or two claims that open one commit. No
    /// object about such a lease can help anybody but its worker.
    #[must_use]
    pub fn is_contradicted(&self, lease: &Cid) -> bool {
        let claims = self
            .claims
            .values()
            .filter(|claim| claim.payload().lease_cid == *lease);
        self.commit_values(lease).len() > 1 || claims.count() > 1
    }

    /// What `proposal` leaves out of what `validator` stands for: its acks with the accepts of their leases,
    /// and its verdicts (threat #13). What its own objects name comes with them, by admission. Leases that
    /// the proposal itself shows contradicted are nobody's loss.
    #[must_use]
    pub fn omits(&self, validator: &Ed25519Id, proposal: &Self) -> Vec<Cid> {
        let mut omitted = BTreeSet::new();
        let acks = self
            .acks
            .values()
            .filter(|ack| ack.payload().validator == *validator);
        for ack in acks {
            let lease = ack.payload().lease_cid;
            if proposal.is_contradicted(&lease) {
                continue;
            }
            if !proposal.acks.contains_key(&ack.cid()) {
                omitted.insert(ack.cid());
            }
            if let Some(accept) = self.accepts.get(&lease)
                && !proposal.accepts.contains_key(&lease)
            {
                omitted.insert(accept.cid());
            }
        }
        let receipts = self
            .receipts
            .values()
            .filter(|r| r.payload().validator == *validator);
        for receipt in receipts {
            let lease = self
                .claims
                .get(&receipt.payload().claim_cid)
                .map(|c| c.payload().lease_cid);
            let contradicted = lease.is_some_and(|lease| proposal.is_contradicted(&lease));
            if !contradicted && !proposal.receipts.contains_key(&receipt.cid()) {
                omitted.insert(receipt.cid());
            }
        }
        omitted.into_iter().collect()
    }

    /// Leases of which this evidence holds an ack or a claim and `proposal` holds no commit: an early
    /// rejection must wait for them (spec §4.4a).
    #[must_use]
    pub fn commits_unknown_to(&self, proposal: &Self) -> Vec<Cid> {
        let acked = self.acks.values().map(|ack| ack.payload().lease_cid);
        let claimed = self.claims.values().map(|claim| claim.payload().lease_cid);
        let leases: BTreeSet<Cid> = acked.chain(claimed).collect();
        leases
            .into_iter()
            .filter(|lease| proposal.commit_values(lease).is_empty())
            .collect()
    }

    /// The lists a validator signs as its inventory (spec §5.8).
    #[must_use]
    pub fn inventory(&self) -> InventoryLists {
        let mut leases: Vec<Cid> = self.leases.keys().copied().collect();
        leases.extend(self.accepts.values().map(Signed::cid));
        leases.sort_unstable();
        InventoryLists {
            acks: self.acks.keys().copied().collect(),
            commits: self.commits.keys().copied().collect(),
            claims: self.claims.keys().copied().collect(),
            receipts: self.receipts.keys().copied().collect(),
            leases,
        }
    }
}
