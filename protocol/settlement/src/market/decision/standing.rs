//! From signed objects to the index-based inputs of [`derive`](crate::derive::derive).
//!
//! Indexes are places in CID order, so two holders of the same evidence build the same inputs.

use std::collections::{BTreeMap, BTreeSet};

use d402_objects::{Cid, CommitAck, Hex32, Lease, ResultClaim, Signed, Verdict};

use crate::derive;
use crate::market::evidence::{Evidence, claim_opens};
use crate::market::network::account;
use crate::{Key32, Units};

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
        let leases: Vec<&Signed<Lease>> = evidence.leases().collect();
        let lease_at: BTreeMap<Cid, usize> = leases
            .iter()
            .enumerate()
            .map(|(index, lease)| (lease.cid(), index))
            .collect();
        let claims: Vec<&Signed<ResultClaim>> = evidence.claims().collect();
        let claim_at: BTreeMap<Cid, usize> = claims
            .iter()
            .enumerate()
            .map(|(index, claim)| (claim.cid(), index))
            .collect();
        let acks = acks_that_count(evidence);
        let exhausted = exhausted(evidence, &acks);
        let mode = evidence.dossier().intent().mode;
        let inputs = derive::Inputs {
            leases: leases
                .iter()
                .map(|lease| lease_input(lease.payload()))
                .collect(),
            commits: evidence
                .commits()
                .filter_map(|commit| {
                    let commit = commit.payload();
                    let lease = *lease_at.get(&commit.lease_cid)?;
                    Some(derive::Commit {
                        lease,
                        commit: commit.commit.as_bytes(),
                    })
                })
                .collect(),
            acks: acks
                .iter()
                .filter_map(|ack| {
                    let validator = evidence.dossier().set_index_of(&ack.validator)?;
                    let lease = *lease_at.get(&ack.lease_cid)?;
                    let commit = ack.commit.as_bytes();
                    Some(derive::Ack {
                        validator,
                        lease,
                        commit,
                        rank: ack.rank,
                    })
                })
                .collect(),
            claims: claims
                .iter()
                .filter_map(|claim| {
                    Some(derive::Claim {
                        cid: claim.cid().as_bytes(),
                        lease: *lease_at.get(&claim.payload().lease_cid)?,
                        commit: claim_opens(mode, claim).as_bytes(),
                        salt: claim.payload().salt.as_bytes(),
                        canonical_digest: claim.payload().canonical_digest.as_bytes(),
                    })
                })
                .collect(),
            receipts: evidence
                .receipts()
                .filter_map(|receipt| {
                    let payload = receipt.payload();
                    Some(derive::Receipt {
                        validator: evidence.dossier().set_index_of(&payload.validator)?,
                        claim: *claim_at.get(&payload.claim_cid)?,
                        accept: payload.verdict == Verdict::Accept,
                        cid: receipt.cid().as_bytes(),
                    })
                })
                .collect(),
        };
        let roots = claims
            .iter()
            .map(|claim| evidence.lease(&claim.payload().lease_cid))
            .map(|lease| lease.map_or(Hex32::from_bytes([0; 32]), |l| l.payload().lease_set_root))
            .collect();
        let receipts = evidence.receipts().map(Signed::cid).collect();
        Self {
            inputs,
            claims,
            roots,
            receipts,
            exhausted,
        }
    }
}

fn lease_input(lease: &Lease) -> derive::Lease {
    derive::Lease {
        attempt: lease.attempt,
        set_root: lease.lease_set_root.as_bytes(),
        lease_count: lease.lease_count,
        worker: lease.worker.as_bytes(),
        // Admission checked that the payout is an account; zero would be refused as a row.
        payee: account(&lease.payout.address).unwrap_or(Key32::ZERO),
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
