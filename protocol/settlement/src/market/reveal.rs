//! When a sealed claim may be shown to the validators (spec §5.4, §5.5).
//!
//! The worker asks before it reveals, the validator before it counts a reveal. An earlier reveal is ignored
//! and changes nothing for other leases.

use std::collections::BTreeSet;

use d402_objects::{Cid, Ed25519Id, Hex32, Mode, ResultClaim, Signed, UnixMs};

use crate::derive::final_quorum;
use crate::market::Evidence;
use crate::market::evidence::claim_opens;

/// Why a reveal must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevealNotYet {
    /// The lease is not evidence.
    #[error("lease {0} is not known")]
    UnknownLease(Cid),
    /// The commit has fewer than m acks: it may never be revealed as it stands.
    #[error("{got} acks of the commit, {need} are needed")]
    NotCertified {
        /// Distinct validators that acked.
        got: usize,
        /// m.
        need: usize,
    },
    /// Certified, but not strongly: others could still copy. Wait until this time.
    #[error("a certificate without the strong form opens at {from}")]
    TooEarly {
        /// `commitBy` + 2 s.
        from: UnixMs,
    },
}

/// Whether `claim` may be revealed at `now` given the acks in `evidence`.
///
/// single: with m acks. race: early with q rank-1 acks. quorum: early with q acks of one commit of every
/// lease of the set. Otherwise from `commitBy` + 2 s with m acks.
///
/// # Errors
/// [`RevealNotYet`] says what is missing.
pub fn may_reveal(
    evidence: &Evidence,
    claim: &Signed<ResultClaim>,
    now: UnixMs,
) -> Result<(), RevealNotYet> {
    let dossier = evidence.dossier();
    let mode = dossier.intent().mode;
    let lease_cid = claim.payload().lease_cid;
    let lease = evidence
        .lease(&lease_cid)
        .ok_or(RevealNotYet::UnknownLease(lease_cid))?
        .payload();
    let commit = claim_opens(mode, claim);
    let (got, need) = (
        ackers(evidence, &lease_cid, &commit, None).len(),
        usize::from(dossier.set().m()),
    );
    if got < need {
        return Err(RevealNotYet::NotCertified { got, need });
    }
    let q = usize::from(final_quorum(dossier.set().m(), dossier.set().n()));
    let early = match mode {
        Mode::Single => true,
        Mode::Race => ackers(evidence, &lease_cid, &commit, Some(1)).len() >= q,
        Mode::Quorum => evidence
            .lease_sets()
            .filter(|set| set.root() == lease.lease_set_root && set.attempt() == lease.attempt)
            .any(|set| {
                set.leases()
                    .iter()
                    .all(|lease| is_strong(evidence, &lease.cid(), q))
            }),
    };
    let from = dossier.times().reveal_from_ms;
    if !early && now < from {
        return Err(RevealNotYet::TooEarly { from });
    }
    Ok(())
}

/// Whether some commit of the lease has q acks.
fn is_strong(evidence: &Evidence, lease: &Cid, q: usize) -> bool {
    evidence
        .commit_values(lease)
        .iter()
        .any(|commit| ackers(evidence, lease, commit, None).len() >= q)
}

/// Distinct validators that acked a commit, with the given rank or any.
fn ackers(
    evidence: &Evidence,
    lease: &Cid,
    commit: &Hex32,
    rank: Option<u8>,
) -> BTreeSet<Ed25519Id> {
    evidence
        .acks()
        .map(Signed::payload)
        .filter(|ack| ack.lease_cid == *lease && ack.commit == *commit)
        .filter(|ack| rank.is_none_or(|rank| ack.rank == rank))
        .map(|ack| ack.validator)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )]

    use super::*;
    use crate::market::testkit::{TaskSpec, TaskStory};

    /// The story's leases, accepts and commits, and acks of each lease by the first `acks[lease]` validators,
    /// in lease order.
    fn with_acks(story: &TaskStory, acks: &[usize]) -> Evidence {
        let mut evidence = Evidence::new(&story.scene.dossier);
        evidence.insert_leases(story.leases.clone()).unwrap();
        for ((index, lease), count) in story.leases.iter().enumerate().zip(acks) {
            let commit = &story.commits[index];
            evidence.insert(commit.clone()).unwrap();
            for v in 0..*count {
                evidence
                    .insert(story.scene.ack(v, lease, commit, index as u8 + 1))
                    .unwrap();
            }
        }
        evidence
    }

    fn verdict(
        story: &TaskStory,
        acks: &[usize],
        claim: usize,
        late: bool,
    ) -> Result<(), RevealNotYet> {
        let from = story.scene.dossier.times().reveal_from_ms;
        let now = if late {
            from
        } else {
            from.saturating_sub_ms(1)
        };
        may_reveal(&with_acks(story, acks), &story.claims[claim], now)
    }

    #[test]
    fn nothing_is_revealed_without_m_acks_however_late_it_is() {
        for spec in [
            TaskSpec::single(3, 4),
            TaskSpec::race(3, 4),
            TaskSpec::quorum(3, 4),
        ] {
            let story = TaskStory::honest(spec);
            let got = verdict(&story, &[2, 2, 2], 0, true);
            assert_eq!(got, Err(RevealNotYet::NotCertified { got: 2, need: 3 }));
        }
    }

    #[test]
    fn single_reveals_with_m_acks() {
        let story = TaskStory::honest(TaskSpec::single(3, 4));
        assert_eq!(verdict(&story, &[3], 0, false), Ok(()));
    }

    #[test]
    fn threat_31_a_race_claim_is_shown_early_only_with_q_first_ranks() {
        let story = TaskStory::honest(TaskSpec::race(3, 4));
        assert_eq!(verdict(&story, &[3, 0], 0, false), Ok(()));
        let too_early = Err(RevealNotYet::TooEarly {
            from: story.scene.dossier.times().reveal_from_ms,
        });
        // The second lease has ranks 2 only.
        assert_eq!(verdict(&story, &[4, 4], 1, false), too_early);
        assert_eq!(verdict(&story, &[4, 4], 1, true), Ok(()));
        // 2-of-3: q is 3, one more than m.
        let story = TaskStory::honest(TaskSpec::race(2, 3));
        assert!(verdict(&story, &[2, 0], 0, false).is_err());
        assert_eq!(verdict(&story, &[3, 0], 0, false), Ok(()));
    }

    #[test]
    fn threat_31_a_quorum_claim_is_shown_early_only_when_every_lease_is_sealed_for_good() {
        let story = TaskStory::honest(TaskSpec::quorum(3, 4));
        assert!(verdict(&story, &[3, 3, 2], 0, false).is_err());
        assert!(verdict(&story, &[3, 3, 0], 0, false).is_err());
        assert_eq!(verdict(&story, &[3, 3, 3], 0, false), Ok(()));
        assert_eq!(verdict(&story, &[3, 0, 0], 0, true), Ok(()));
    }

    #[test]
    fn a_claim_of_an_unknown_lease_waits() {
        let story = TaskStory::honest(TaskSpec::single(3, 4));
        let empty = Evidence::new(&story.scene.dossier);
        let got = may_reveal(&empty, &story.claims[0], UnixMs::MAX);
        assert_eq!(got, Err(RevealNotYet::UnknownLease(story.leases[0].cid())));
    }
}
