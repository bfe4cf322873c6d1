//! The rule of each mode (spec §5.7) and early rejection (spec §4.4).

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::certify::Certificates;
use super::judge::Verdicts;
use super::{Circumstances, Derived, Inputs, Mode, Path, Rules, Undecided, final_quorum, pay};

/// Domain of the race tie-break.
const RACE_TAG: &[u8; 12] = b"d402/race/v1";

struct Case<'a> {
    rules: &'a Rules<'a>,
    inputs: &'a Inputs,
    n: u8,
    certificates: Certificates<'a>,
    verdicts: Verdicts,
}

pub(super) fn derive(rules: &Rules<'_>, inputs: &Inputs, circumstances: Circumstances) -> Derived {
    if circumstances.deposit_late || circumstances.paid_elsewhere {
        return Derived::Rejected {
            judged: Vec::new(),
            receipts: Vec::new(),
            rows: Vec::new(),
        };
    }
    let n = u8::try_from(rules.validators.len()).unwrap_or(u8::MAX);
    let attempts = match rules.mode {
        Mode::Single => u8::MAX,
        // Their worst case is one lease set.
        Mode::Race | Mode::Quorum { .. } => 1,
    };
    let case = Case {
        rules,
        inputs,
        n,
        certificates: Certificates::new(inputs, rules.m, n, attempts),
        verdicts: Verdicts::new(inputs, rules.m, n),
    };
    let decision = match rules.mode {
        Mode::Single => case.single(circumstances.path),
        Mode::Race => case.race(circumstances.path),
        Mode::Quorum { agree } => case.quorum(agree, circumstances.path),
    };
    match decision {
        Ok(winners) => pay::paid(rules, inputs, &case.verdicts, winners),
        Err(_) if circumstances.path == Path::Slow => case.reject(),
        Err(_) if case.may_reject_early(circumstances) => case.reject(),
        Err(why) => Derived::Undecided(why),
    }
}

impl Case<'_> {
    /// Accepted = certified ∧ m accept receipts; one claim per lease, the one with the smallest CID.
    fn accepted(&self) -> Vec<usize> {
        let mut by_lease: BTreeMap<usize, usize> = BTreeMap::new();
        for (index, claim) in self.inputs.claims.iter().enumerate() {
            if !self.verdicts.accepted(index)
                || !self.certificates.certified(claim.lease, &claim.commit)
            {
                continue;
            }
            let best = by_lease.entry(claim.lease).or_insert(index);
            if self.cid(index) < self.cid(*best) {
                *best = index;
            }
        }
        by_lease.into_values().collect()
    }

    fn cid(&self, claim: usize) -> Option<[u8; 32]> {
        self.inputs.claims.get(claim).map(|c| c.cid)
    }

    fn attempt(&self, claim: usize) -> u8 {
        self.inputs
            .claims
            .get(claim)
            .and_then(|c| self.inputs.leases.get(c.lease))
            .map_or(u8::MAX, |lease| lease.attempt)
    }

    fn single(&self, path: Path) -> Result<Vec<usize>, Undecided> {
        let winner = self
            .accepted()
            .into_iter()
            .min_by_key(|claim| (self.attempt(*claim), self.cid(*claim)))
            .ok_or(Undecided::NothingAccepted)?;
        let lower_open = self.inputs.claims.iter().enumerate().any(|(index, claim)| {
            self.attempt(index) < self.attempt(winner)
                && self.certificates.certified(claim.lease, &claim.commit)
                && !self.verdicts.rejected(index)
        });
        if path == Path::Fast && lower_open {
            return Err(Undecided::LowerAttemptOpen);
        }
        Ok(vec![winner])
    }

    fn race(&self, path: Path) -> Result<Vec<usize>, Undecided> {
        let accepted = self.accepted();
        if accepted.is_empty() {
            return Err(Undecided::NothingAccepted);
        }
        let winner = match path {
            Path::Fast => {
                let q = usize::from(final_quorum(self.rules.m, self.n));
                accepted
                    .into_iter()
                    .find(|claim| self.first_ranks(*claim) >= q)
            }
            Path::Slow => self.most_votes(&accepted),
        };
        winner
            .map(|claim| vec![claim])
            .ok_or(Undecided::NoClearWinner)
    }

    fn first_ranks(&self, claim: usize) -> usize {
        self.inputs
            .claims
            .get(claim)
            .map_or(0, |c| self.certificates.first_ranks(c.lease, &c.commit))
    }

    /// Each validator that did not equivocate votes for the accepted claim it acked first.
    fn most_votes(&self, accepted: &[usize]) -> Option<usize> {
        let mut votes: BTreeMap<usize, usize> = accepted.iter().map(|claim| (*claim, 0)).collect();
        for validator in 0..self.n {
            let choice = accepted
                .iter()
                .filter_map(|claim| {
                    let c = self.inputs.claims.get(*claim)?;
                    let rank = self.certificates.vote_rank(validator, c.lease, &c.commit)?;
                    Some((rank, c.cid, *claim))
                })
                .min();
            if let Some(count) = choice.and_then(|(_, _, claim)| votes.get_mut(&claim)) {
                *count = count.saturating_add(1);
            }
        }
        let most = votes.values().max().copied()?;
        let tied: Vec<usize> = votes
            .into_iter()
            .filter(|(_, count)| *count == most)
            .map(|(c, _)| c)
            .collect();
        tied.iter()
            .copied()
            .min_by_key(|claim| (self.tie_break(&tied, *claim), self.cid(*claim)))
    }

    /// `SHA256(tag("d402/race/v1") ‖ termsHash ‖ sorted revealed salts of the tied claims ‖ workerKey)`.
    fn tie_break(&self, tied: &[usize], claim: usize) -> [u8; 32] {
        let mut salts: Vec<[u8; 32]> = tied
            .iter()
            .filter_map(|c| self.inputs.claims.get(*c))
            .map(|c| c.salt)
            .collect();
        salts.sort_unstable();
        let worker = self
            .inputs
            .claims
            .get(claim)
            .and_then(|c| self.inputs.leases.get(c.lease))
            .map_or([0; 32], |lease| lease.worker);
        let mut hash = Sha256::new();
        let mut tag = [0u8; 32];
        for (slot, byte) in tag.iter_mut().zip(RACE_TAG) {
            *slot = *byte;
        }
        hash.update(tag);
        hash.update(self.rules.terms_hash);
        for salt in salts {
            hash.update(salt);
        }
        hash.update(worker);
        hash.finalize().into()
    }

    fn quorum(&self, agree: u8, path: Path) -> Result<Vec<usize>, Undecided> {
        let accepted = self.accepted();
        if accepted.is_empty() {
            return Err(Undecided::NothingAccepted);
        }
        if path == Path::Fast && !self.every_lease_is_in(&accepted) {
            return Err(Undecided::NotUnanimous);
        }
        let mut groups: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
        for claim in accepted {
            if let Some(c) = self.inputs.claims.get(claim) {
                groups.entry(c.canonical_digest).or_default().push(claim);
            }
        }
        let largest = groups.values().map(Vec::len).max().unwrap_or(0);
        let mut of_that_size = groups.into_values().filter(|group| group.len() == largest);
        match (of_that_size.next(), of_that_size.next()) {
            (Some(group), None) if group.len() >= usize::from(agree) => Ok(group),
            (Some(_) | None, Some(_) | None) => Err(Undecided::NotUnanimous),
        }
    }

    /// All `leaseCount` leases of the set in force have an accepted claim.
    fn every_lease_is_in(&self, accepted: &[usize]) -> bool {
        let in_force = self.certificates.leases_in_force();
        let count = in_force
            .iter()
            .filter_map(|i| self.inputs.leases.get(*i))
            .map(|l| l.lease_count)
            .max();
        count.is_some_and(|count| accepted.len() >= usize::from(count))
    }

    /// Spec §4.4a: after the deadline, every commit anybody saw was judged rejected by m, none can follow.
    fn may_reject_early(&self, circumstances: Circumstances) -> bool {
        circumstances.deadline_passed
            && circumstances.no_lease_follows
            && self
                .certificates
                .seen()
                .into_iter()
                .all(|(lease, commit)| self.is_out(lease, &commit))
    }

    fn is_out(&self, lease: usize, commit: &[u8; 32]) -> bool {
        self.certificates.is_void(lease)
            || self.inputs.claims.iter().enumerate().any(|(index, c)| {
                c.lease == lease && c.commit == *commit && self.verdicts.rejected(index)
            })
    }

    fn reject(&self) -> Derived {
        pay::rejected(self.rules, self.inputs, &self.verdicts)
    }
}
