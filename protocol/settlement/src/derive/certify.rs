//! Which commits count: lease sets in force, void leases, equivocators, certificates (spec §5.1–5.4).

use alloc::collections::{BTreeMap, BTreeSet};
use core::cmp::Reverse;

use super::{Ack, Inputs, Lease};

/// Acks and commits, sorted out.
pub(super) struct Certificates<'a> {
    m: usize,
    /// Distinct acks of leases in force, by lease and commit, then validator → ranks.
    by_commit: BTreeMap<(usize, [u8; 32]), BTreeMap<u8, u8>>,
    equivocators: BTreeSet<u8>,
    void: BTreeSet<usize>,
    in_force: BTreeSet<usize>,
    inputs: &'a Inputs,
}

impl<'a> Certificates<'a> {
    /// `attempts` is the highest attempt of the mode; leases of later ones are never in force.
    pub(super) fn new(inputs: &'a Inputs, m: u8, n: u8, attempts: u8) -> Self {
        let leases = inputs.leases.len();
        let counts = |ack: &Ack| ack.validator < n && ack.lease < leases && ack.rank > 0;
        let acks: BTreeSet<Ack> = inputs.acks.iter().copied().filter(counts).collect();
        let in_force = leases_in_force(inputs, &acks, m, attempts);
        let mut by_commit: BTreeMap<(usize, [u8; 32]), BTreeMap<u8, u8>> = BTreeMap::new();
        for ack in acks.iter().filter(|a| in_force.contains(&a.lease)) {
            let ranks = by_commit.entry((ack.lease, ack.commit)).or_default();
            let rank = ranks.entry(ack.validator).or_insert(ack.rank);
            *rank = ack.rank.min(*rank);
        }
        Self {
            m: usize::from(m),
            by_commit,
            equivocators: equivocators(inputs, &acks),
            void: void_leases(inputs),
            in_force,
            inputs,
        }
    }

    /// Whether m distinct validators acked this commit of a lease that is in force and not void.
    pub(super) fn certified(&self, lease: usize, commit: &[u8; 32]) -> bool {
        !self.void.contains(&lease)
            && self
                .by_commit
                .get(&(lease, *commit))
                .is_some_and(|validators| validators.len() >= self.m)
    }

    /// Validators that gave this commit rank 1 and did not equivocate.
    pub(super) fn first_ranks(&self, lease: usize, commit: &[u8; 32]) -> usize {
        self.by_commit
            .get(&(lease, *commit))
            .map_or(0, |validators| {
                validators
                    .iter()
                    .filter(|(v, rank)| **rank == 1 && !self.equivocators.contains(v))
                    .count()
            })
    }

    /// Rank a validator gave, when its word counts as a vote.
    pub(super) fn vote_rank(&self, validator: u8, lease: usize, commit: &[u8; 32]) -> Option<u8> {
        if self.equivocators.contains(&validator) {
            return None;
        }
        self.by_commit
            .get(&(lease, *commit))?
            .get(&validator)
            .copied()
    }

    /// Commits anybody has seen: acked, committed to, or revealed; of leases in force or not.
    pub(super) fn seen(&self) -> BTreeSet<(usize, [u8; 32])> {
        let acked = self.inputs.acks.iter().map(|a| (a.lease, a.commit));
        let committed = self.inputs.commits.iter().map(|c| (c.lease, c.commit));
        let revealed = self.inputs.claims.iter().map(|c| (c.lease, c.commit));
        acked
            .chain(committed)
            .chain(revealed)
            .filter(|(lease, _)| *lease < self.inputs.leases.len())
            .collect()
    }

    /// Leases of the set in force, by index.
    pub(super) fn leases_in_force(&self) -> &BTreeSet<usize> {
        &self.in_force
    }

    /// Whether the worker committed to two things under this lease.
    pub(super) fn is_void(&self, lease: usize) -> bool {
        self.void.contains(&lease)
    }
}

/// Per attempt the one set under which most validators acked, at least m of them; of equally backed ones the
/// set with the smaller root (threat #33). While at most n − m validators are hostile two sets of an attempt
/// can both have m backers only where 3m ≤ 2n; then one still stands, so that an attempt never costs two sets.
fn leases_in_force(inputs: &Inputs, acks: &BTreeSet<Ack>, m: u8, attempts: u8) -> BTreeSet<usize> {
    let mut backing: BTreeMap<(u8, [u8; 32]), BTreeSet<u8>> = BTreeMap::new();
    for ack in acks {
        if let Some(lease) = inputs.leases.get(ack.lease) {
            backing
                .entry((lease.attempt, lease.set_root))
                .or_default()
                .insert(ack.validator);
        }
    }
    let mut chosen: BTreeMap<u8, (usize, Reverse<[u8; 32]>)> = BTreeMap::new();
    for ((attempt, root), validators) in backing {
        if validators.len() >= usize::from(m) && attempt <= attempts {
            let backed = (validators.len(), Reverse(root));
            let best = chosen.entry(attempt).or_insert(backed);
            *best = backed.max(*best);
        }
    }
    let stands = |lease: &Lease| {
        chosen
            .get(&lease.attempt)
            .is_some_and(|(_, root)| root.0 == lease.set_root)
    };
    inputs
        .leases
        .iter()
        .enumerate()
        .filter(|(_, lease)| stands(lease))
        .map(|(index, _)| index)
        .collect()
}

/// Two acks of one attempt with one rank, or two acks of one lease, by one validator.
fn equivocators(inputs: &Inputs, acks: &BTreeSet<Ack>) -> BTreeSet<u8> {
    let mut ranks: BTreeMap<(u8, u8, u8), (usize, [u8; 32])> = BTreeMap::new();
    let mut leases: BTreeMap<(u8, usize), ([u8; 32], u8)> = BTreeMap::new();
    let mut out = BTreeSet::new();
    for ack in acks {
        let Some(lease) = inputs.leases.get(ack.lease) else {
            continue;
        };
        let by_rank = *ranks
            .entry((ack.validator, lease.attempt, ack.rank))
            .or_insert((ack.lease, ack.commit));
        let by_lease = *leases
            .entry((ack.validator, ack.lease))
            .or_insert((ack.commit, ack.rank));
        if by_rank != (ack.lease, ack.commit) || by_lease != (ack.commit, ack.rank) {
            out.insert(ack.validator);
        }
    }
    out
}

/// Two commit envelopes of one lease by its worker void the lease (spec §5.3).
fn void_leases(inputs: &Inputs) -> BTreeSet<usize> {
    let mut first: BTreeMap<usize, [u8; 32]> = BTreeMap::new();
    let mut out = BTreeSet::new();
    for commit in &inputs.commits {
        if *first.entry(commit.lease).or_insert(commit.commit) != commit.commit {
            out.insert(commit.lease);
        }
    }
    out
}
