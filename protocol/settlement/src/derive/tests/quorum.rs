//! Quorum: the largest group of equal results.

use alloc::vec;
use alloc::vec::Vec;

use super::scene::{FAST, OVER, SLOW, Scene, b, worker_row};
use crate::derive::{Mode, Undecided};

/// One lease per digest, each acked and accepted by all of 3-of-4, except where the digest is 0: only leased.
fn quorum(agree: u8, digests: &[u8]) -> (Scene, Vec<usize>) {
    let mut scene = Scene::new(Mode::Quorum { agree }, 3, 4);
    let count = digests.len() as u8;
    let mut claims = Vec::new();
    let leases: Vec<usize> = (1..=count).map(|who| scene.lease(1, who, count)).collect();
    for (at, digest) in digests.iter().enumerate() {
        if *digest == 0 {
            continue;
        }
        let commit = 50 + at as u8;
        let rank = at as u8 + 1;
        scene.acks(
            leases[at],
            commit,
            &[(0, rank), (1, rank), (2, rank), (3, rank)],
        );
        let claim = scene.claim_with(leases[at], commit, b(commit), b(*digest));
        scene.judge(claim, true, &[0, 1, 2, 3]);
        claims.push(claim);
    }
    (scene, claims)
}

#[test]
fn all_accepted_and_equal_are_paid_early_each_its_own_price() {
    let (scene, claims) = quorum(2, &[9, 9, 9]);
    assert_eq!(scene.winners(FAST), claims);
    assert_eq!(
        scene.rows(FAST),
        [
            worker_row(1, 1_001),
            worker_row(2, 1_002),
            worker_row(3, 1_003)
        ]
    );
}

#[test]
fn the_minority_gets_nothing() {
    let (scene, claims) = quorum(2, &[9, 8, 9]);
    assert_eq!(scene.winners(FAST), [claims[0], claims[2]]);
    assert_eq!(
        scene.rows(SLOW),
        [worker_row(1, 1_001), worker_row(3, 1_003)]
    );
}

#[test]
fn a_lease_that_is_not_in_holds_everybody_until_decide_at() {
    let (scene, claims) = quorum(2, &[9, 9, 0]);
    assert_eq!(scene.undecided(FAST), Some(Undecided::NotUnanimous));
    assert_eq!(scene.undecided(OVER), Some(Undecided::NotUnanimous));
    assert_eq!(scene.winners(SLOW), claims);
}

#[test]
fn a_lease_without_a_certificate_or_an_acceptance_is_not_in() {
    let (mut scene, claims) = quorum(2, &[9, 9, 9]);
    scene
        .inputs
        .acks
        .retain(|ack| ack.lease != 2 || ack.validator < 2);
    assert_eq!(scene.undecided(FAST), Some(Undecided::NotUnanimous));
    assert_eq!(scene.winners(SLOW), claims[..2]);
    let (mut scene, claims) = quorum(2, &[9, 9, 9]);
    scene
        .inputs
        .receipts
        .retain(|r| r.claim != claims[2] || r.validator < 2);
    assert_eq!(scene.undecided(FAST), Some(Undecided::NotUnanimous));
    assert_eq!(scene.winners(SLOW), claims[..2]);
}

#[test]
fn fewer_equal_results_than_k_pay_nobody() {
    let (scene, claims) = quorum(3, &[9, 9, 8]);
    assert_eq!(scene.undecided(FAST), Some(Undecided::NotUnanimous));
    assert!(scene.rejected(SLOW));
    let (scene, claims_of_two) = quorum(2, &[9, 9, 8]);
    assert_eq!(scene.winners(SLOW), claims_of_two[..2]);
    assert_eq!(claims.len(), 3);
}

#[test]
fn two_largest_groups_of_one_size_pay_nobody() {
    let (scene, _) = quorum(2, &[9, 9, 8, 8]);
    assert_eq!(scene.undecided(FAST), Some(Undecided::NotUnanimous));
    assert!(scene.rejected(SLOW));
    let (scene, claims) = quorum(2, &[9, 9, 8, 8, 8]);
    assert_eq!(scene.winners(SLOW), claims[2..]);
}

#[test]
fn one_worker_cannot_be_two_voices_by_two_claims_of_one_commit() {
    let (mut scene, claims) = quorum(2, &[9, 8]);
    // The second worker opens its commit a second time, with the result it now knows.
    let again = scene.claim_with(1, 51, b(99), b(9));
    scene.judge(again, true, &[0, 1, 2, 3]);
    assert!(scene.rejected(SLOW), "{claims:?}: the smaller CID stands");
    scene.inputs.claims[again].cid = b(1);
    assert_eq!(
        scene.winners(SLOW),
        [claims[0], again],
        "one claim of each lease"
    );
}

#[test]
fn the_number_of_leases_is_that_of_the_set_in_force() {
    let (mut scene, claims) = quorum(2, &[9, 9]);
    // The gateway signed a larger set too; nobody acked under it.
    scene
        .inputs
        .leases
        .extend(vec![scene.inputs.leases[0].clone(); 3]);
    for (at, lease) in scene.inputs.leases.iter_mut().enumerate().skip(2) {
        (lease.set_root, lease.lease_count, lease.worker) = (b(77), 3, b(at as u8 + 100));
    }
    assert_eq!(scene.winners(FAST), claims);
}
