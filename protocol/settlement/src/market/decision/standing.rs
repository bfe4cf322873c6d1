//! From signed objects to the index-based inputs of [`derive`](crate::derive::derive).
//!
//! Indexes are places in CID order, so two holders of the same evidence build the same inputs.

use std::collections::{BTreeMap, BTreeSet};

use d402_objects::{Cid, CommitAck, Hex32, Lease, ResultClaim, Signed, Verdict};

use crate::derive;
use crate::market::evidence::{Evidence, claim_opens};
use crate::{Codec, Key32, Units};

/// Inputs of the derivation and the objects their indexes stand for.
pub(super) struct Standing<'a> {
    pub(super) inputs: derive::Inputs,
    pub(super) claims: Vec<&'a Signed<ResultClaim>>,
    /// By claim: root of its lease's set.
    pub(super) roots: Vec<Hex32>,
    pub(super) receipts: Vec<Cid>,
    /// Every lease that could ever be paid was judged rejected: no need to wait for the deadline.
    pub(super) exhausted: bool,
}

impl<'a> Standing<'a> {
    pub(super) fn of(evidence: &'a Evidence) -> Self {
        let lease_at: Places = places(evidence.leases().map(Signed::cid));
        let claim_at: Places = places(evidence.claims().map(Signed::cid));
        let acks = acks_that_count(evidence);
        let inputs = derive::Inputs {
            leases: evidence
                .leases()
                .map(|lease| lease_input(evidence.dossier().codec(), lease.payload()))
                .collect(),
            commits: commit_inputs(evidence, &lease_at),
            acks: ack_inputs(evidence, &acks, &lease_at),
            claims: claim_inputs(evidence, &lease_at),
            receipts: receipt_inputs(evidence, &claim_at),
        };
        let roots = evidence
            .claims()
            .map(|claim| evidence.lease(&claim.payload().lease_cid))
            .map(|lease| lease.map_or(Hex32::from_bytes([0; 32]), |l| l.payload().lease_set_root))
            .collect();
        Self {
            inputs,
            claims: evidence.claims().collect(),
            roots,
            receipts: evidence.receipts().map(Signed::cid).collect(),
            exhausted: exhausted(evidence, &acks),
        }
    }
}

type Places = BTreeMap<Cid, usize>;

fn places(cids: impl Iterator<Item = Cid>) -> Places {
    cids.enumerate().map(|(index, cid)| (cid, index)).collect()
}

/// Place of an object that admission saw; the derivation ignores an index out of range, so an object that
/// named nothing would count for nothing and still keep its own place.
fn place(places: &Places, cid: &Cid) -> usize {
    places.get(cid).copied().unwrap_or(usize::MAX)
}

fn commit_inputs(evidence: &Evidence, lease_at: &Places) -> Vec<derive::Commit> {
    let commits = evidence.commits().map(Signed::payload);
    commits
        .map(|commit| derive::Commit {
            lease: place(lease_at, &commit.lease_cid),
            commit: commit.commit.as_bytes(),
        })
        .collect()
}

fn ack_inputs(evidence: &Evidence, acks: &[&CommitAck], lease_at: &Places) -> Vec<derive::Ack> {
    acks.iter()
        .map(|ack| derive::Ack {
            validator: evidence
                .dossier()
                .set_index_of(&ack.validator)
                .unwrap_or(u8::MAX),
            lease: place(lease_at, &ack.lease_cid),
            commit: ack.commit.as_bytes(),
            rank: ack.rank,
        })
        .collect()
}

fn claim_inputs(evidence: &Evidence, lease_at: &Places) -> Vec<derive::Claim> {
    let mode = evidence.dossier().intent().mode;
    evidence
        .claims()
        .map(|claim| derive::Claim {
            cid: claim.cid().as_bytes(),
            lease: place(lease_at, &claim.payload().lease_cid),
            commit: claim_opens(mode, claim).as_bytes(),
            salt: claim.payload().salt.as_bytes(),
            canonical_digest: claim.payload().canonical_digest.as_bytes(),
        })
        .collect()
}

fn receipt_inputs(evidence: &Evidence, claim_at: &Places) -> Vec<derive::Receipt> {
    evidence
        .receipts()
        .map(|receipt| derive::Receipt {
            validator: evidence
                .dossier()
                .set_index_of(&receipt.payload().validator)
                .unwrap_or(u8::MAX),
            claim: place(claim_at, &receipt.payload().claim_cid),
            accept: receipt.payload().verdict == Verdict::Accept,
            cid: receipt.cid().as_bytes(),
        })
        .collect()
}

fn lease_input(codec: &Codec, lease: &Lease) -> derive::Lease {
    derive::Lease {
        attempt: lease.attempt,
        set_root: lease.lease_set_root.as_bytes(),
        lease_count: lease.lease_count,
        worker: lease.worker.as_bytes(),
        // Admission checked that the payout is an account; zero would be refused as a row.
        payee: codec.account(&lease.payout.address).unwrap_or(Key32::ZERO),
        price: Units::new(lease.price.get()).unwrap_or(Units::MAX),
    }
}

/// Acks that may certify: of leases the worker accepted (spec §2.1: a lease is void without), and, should
/// two sets of one attempt both hold m acks, only of the better backed one, so that the worst case of one
/// set stays the worst case of the attempt (threat #33).
fn acks_that_count(evidence: &Evidence) -> Vec<&CommitAck> {
    let mut acks: Vec<(&CommitAck, &Lease)> = Vec::new();
    for ack in evidence.acks().map(Signed::payload) {
        if let Some(lease) = evidence.lease(&ack.lease_cid)
            && evidence.accept_of(&ack.lease_cid).is_some()
        {
            acks.push((ack, lease.payload()));
        }
    }
    let mut backing: BTreeMap<(u8, Hex32), BTreeSet<_>> = BTreeMap::new();
    for (ack, lease) in &acks {
        backing
            .entry((lease.attempt, lease.lease_set_root))
            .or_default()
            .insert(ack.validator);
    }
    let m = usize::from(evidence.dossier().set().m());
    let mut best: BTreeMap<u8, (usize, std::cmp::Reverse<Hex32>)> = BTreeMap::new();
    for ((attempt, root), validators) in &backing {
        if validators.len() >= m {
            let backed = (validators.len(), std::cmp::Reverse(*root));
            let current = best.entry(*attempt).or_insert(backed);
            *current = backed.max(*current);
        }
    }
    let in_force = |lease: &Lease| {
        best.get(&lease.attempt)
            .is_none_or(|(_, root)| root.0 == lease.lease_set_root)
    };
    acks.into_iter()
        .filter(|(_, lease)| in_force(lease))
        .map(|(ack, _)| ack)
        .collect()
}

/// Whether each attempt the intent allows had a set in force, and each of its leases is void or was judged
/// rejected by m: then nobody can be paid any more, whatever the clock says.
fn exhausted(evidence: &Evidence, acks: &[&CommitAck]) -> bool {
    let m = usize::from(evidence.dossier().set().m());
    let is_out = |lease: &Signed<Lease>| {
        evidence.is_contradicted(&lease.cid())
            || evidence
                .claims()
                .filter(|claim| claim.payload().lease_cid == lease.cid())
                .any(|claim| evidence.verdict_count(&claim.cid(), Verdict::Reject) >= m)
    };
    (1..=evidence.dossier().last_attempt()).all(|attempt| {
        evidence
            .lease_sets()
            .filter(|set| set.attempt() == attempt)
            .any(|set| {
                let backers: BTreeSet<_> = acks
                    .iter()
                    .filter(|ack| {
                        set.leases()
                            .iter()
                            .any(|lease| lease.cid() == ack.lease_cid)
                    })
                    .map(|ack| ack.validator)
                    .collect();
                backers.len() >= m && set.leases().iter().all(is_out)
            })
    })
}
