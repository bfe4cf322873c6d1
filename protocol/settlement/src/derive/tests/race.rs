//! Race: q rank-1 acks early, votes late, then the hash.

use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::scene::{FAST, SLOW, Scene, b, worker_row};
use crate::derive::{Mode, Undecided};

/// Two leases; ranks by validator, 0 is no ack. All four validators accept both.
fn race(m: u8, n: u8, ranks: [&[u8]; 2]) -> (Scene, [usize; 2]) {
    let mut scene = Scene::new(Mode::Race, m, n);
    let leases = [scene.lease(1, 1, 2), scene.lease(1, 2, 2)];
    let commits = [50, 60];
    let mut claims = [0; 2];
    for ((lease, commit), ranks) in leases.into_iter().zip(commits).zip(ranks) {
        for (validator, rank) in ranks.iter().enumerate() {
            if *rank > 0 {
                scene.acks(lease, commit, &[(validator as u8, *rank)]);
            }
        }
    }
    for ((claim, lease), commit) in claims.iter_mut().zip(leases).zip(commits) {
        *claim = scene.claim(lease, commit);
        let everyone: Vec<u8> = (0..n).collect();
        scene.judge(*claim, true, &everyone);
    }
    (scene, claims)
}

#[test]
fn q_first_ranks_win_before_decide_at_and_one_fewer_waits() {
    let (scene, claims) = race(3, 4, [&[1, 1, 1, 2], &[2, 2, 2, 1]]);
    assert_eq!(scene.winners(FAST), [claims[0]]);
    assert_eq!(scene.rows(FAST), [worker_row(1, 1_001)]);
    let (scene, claims) = race(3, 4, [&[1, 1, 2, 2], &[2, 2, 1, 1]]);
    assert_eq!(scene.undecided(FAST), Some(Undecided::NoClearWinner));
    assert!([[claims[0]], [claims[1]]].contains(&scene.winners(SLOW).try_into().unwrap()));
}

#[test]
fn q_is_more_than_m_where_two_m_sets_share_one_validator() {
    let (scene, claims) = race(2, 3, [&[1, 1, 2], &[2, 2, 1]]);
    assert_eq!(scene.undecided(FAST), Some(Undecided::NoClearWinner));
    assert_eq!(scene.winners(SLOW), [claims[0]]);
    let (scene, claims) = race(2, 3, [&[2, 2, 2], &[1, 1, 1]]);
    assert_eq!(scene.winners(FAST), [claims[1]]);
}

#[test]
fn most_votes_win_at_decide_at() {
    let (scene, claims) = race(3, 4, [&[2, 1, 2, 2], &[1, 2, 1, 1]]);
    assert_eq!(scene.winners(FAST), [claims[1]]);
    let (scene, claims) = race(3, 5, [&[2, 1, 2, 2, 1], &[1, 2, 1, 1, 2]]);
    assert_eq!(
        scene.undecided(FAST),
        Some(Undecided::NoClearWinner),
        "q is 5"
    );
    assert_eq!(scene.winners(SLOW), [claims[1]]);
}

#[test]
fn a_vote_goes_to_the_accepted_claim_acked_first_so_a_rejected_rival_takes_none() {
    let (mut scene, claims) = race(3, 4, [&[1, 1, 1, 1], &[2, 2, 2, 2]]);
    scene
        .inputs
        .receipts
        .retain(|receipt| receipt.claim != claims[0]);
    scene.judge(claims[0], false, &[0, 1, 2, 3]);
    assert_eq!(scene.undecided(FAST), Some(Undecided::NoClearWinner));
    assert_eq!(scene.winners(SLOW), [claims[1]]);
}

#[test]
fn first_ranks_without_acceptance_or_certificate_win_nothing() {
    let (mut scene, claims) = race(3, 4, [&[1, 1, 1, 0], &[2, 2, 2, 1]]);
    scene
        .inputs
        .receipts
        .retain(|r| r.claim != claims[0] || r.validator > 1);
    assert_eq!(scene.winners(SLOW), [claims[1]]);
    let (scene, claims) = race(3, 4, [&[1, 1, 0, 0], &[2, 2, 1, 1]]);
    assert_eq!(
        scene.winners(SLOW),
        [claims[1]],
        "two acks are no certificate"
    );
}

#[test]
fn an_equivocators_first_ranks_and_votes_do_not_count() {
    // Validator 2 gave rank 1 to both.
    let (scene, claims) = race(3, 4, [&[1, 1, 1, 2], &[2, 2, 1, 1]]);
    assert_eq!(scene.undecided(FAST), Some(Undecided::NoClearWinner));
    assert_eq!(scene.winners(SLOW), [claims[0]], "two votes against one");
    // Its vote would have decided every tie; now the hash does. It equivocates by rank, by commit, by lease.
    for (lease, commit, rank) in [(2, 70, 1), (0, 51, 3), (0, 50, 3)] {
        let mut by_hash = [0; 2];
        for salt in 0..16 {
            let (mut scene, claims) = race(2, 3, [&[1, 2, 1], &[2, 1, 2]]);
            scene.inputs.claims[0].salt = b(salt);
            assert_eq!(scene.winners(SLOW), [claims[0]]);
            scene.lease(1, 3, 2);
            scene.acks(lease, commit, &[(2, rank)]);
            let expected = usize::from(tie_hash(&scene, 1) < tie_hash(&scene, 0));
            assert_eq!(scene.winners(SLOW), [claims[expected]]);
            by_hash[expected] += 1;
        }
        assert!(by_hash[0] > 0 && by_hash[1] > 0);
    }
}

/// The spec's tie-break, written a second time.
fn tie_hash(scene: &Scene, claim: usize) -> [u8; 32] {
    let mut bytes = b"d402/race/v1".to_vec();
    bytes.resize(32, 0);
    bytes.extend(b(7));
    let mut salts: Vec<[u8; 32]> = scene.inputs.claims.iter().map(|c| c.salt).collect();
    salts.sort_unstable();
    bytes.extend(salts.concat());
    bytes.extend(scene.inputs.leases[scene.inputs.claims[claim].lease].worker);
    Sha256::digest(bytes).into()
}

#[test]
fn a_tie_goes_to_the_smallest_hash_over_terms_salts_and_worker() {
    let mut winners = [0; 2];
    for salt in 0..32 {
        let (mut scene, claims) = race(3, 4, [&[1, 1, 2, 2], &[2, 2, 1, 1]]);
        scene.inputs.claims[0].salt = b(salt);
        let expected = usize::from(tie_hash(&scene, 1) < tie_hash(&scene, 0));
        assert_eq!(scene.winners(SLOW), [claims[expected]]);
        winners[expected] += 1;
        scene.inputs.claims.swap(0, 1);
        for receipt in &mut scene.inputs.receipts {
            receipt.claim = 1 - receipt.claim;
        }
        assert_eq!(scene.winners(SLOW), [1 - expected], "whatever the order");
    }
    assert!(
        winners[0] > 4 && winners[1] > 4,
        "neither worker always wins: {winners:?}"
    );
}

#[test]
fn only_the_tied_claims_salts_enter_the_hash() {
    let (mut scene, _) = race(3, 4, [&[1, 1, 2, 2], &[2, 2, 1, 1]]);
    let before = scene.winners(SLOW);
    // A third lease's claim is accepted, but has no vote.
    let third = scene.lease(1, 3, 2);
    scene.acks(third, 70, &[(0, 3), (1, 3), (2, 3)]);
    let claim = scene.claim(third, 70);
    scene.judge(claim, true, &[0, 1, 2]);
    for salt in 0..16 {
        scene.inputs.claims[claim].salt = b(salt);
        assert_eq!(scene.winners(SLOW), before);
    }
}
