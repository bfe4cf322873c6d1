//! Which acks certify: sets in force, void leases, equivocators, strangers (spec §5.1–5.4).

use super::scene::{FAST, OVER, SLOW, Scene};
use crate::derive::{Mode, Undecided, final_quorum};

#[test]
fn the_final_quorum_is_that_of_the_spec() {
    // (m, n, q): the recommended sets have q = m.
    for (m, n, q) in [
        (1, 1, 1),
        (3, 4, 3),
        (4, 5, 4),
        (5, 7, 5),
        (2, 3, 3),
        (3, 5, 5),
        (2, 2, 2),
        (9, 16, 15),
        (16, 16, 16),
    ] {
        assert_eq!(final_quorum(m, n), q, "{m} of {n}");
    }
}

#[test]
fn strangers_and_unknown_leases_count_for_nothing() {
    let mut scene = Scene::new(Mode::Single, 3, 4);
    let lease = scene.lease(1, 1, 1);
    scene.acks(lease, 50, &[(0, 1), (1, 1), (4, 1), (255, 1)]);
    scene.acks(9, 50, &[(0, 2), (1, 2), (2, 2)]);
    let claim = scene.claim(lease, 50);
    scene.judge(claim, true, &[0, 1, 2]);
    assert!(
        scene.rejected(SLOW),
        "two validators and two strangers acked"
    );
    scene.acks(lease, 50, &[(2, 1)]);
    assert_eq!(scene.winners(SLOW), [claim]);
    scene.inputs.receipts.clear();
    scene.judge(claim, true, &[0, 1, 4, 255]);
    assert!(
        scene.rejected(SLOW),
        "two validators and two strangers accepted"
    );
}

#[test]
fn an_ack_repeated_counts_once() {
    let mut scene = Scene::new(Mode::Single, 3, 4);
    let lease = scene.lease(1, 1, 1);
    scene.acks(lease, 50, &[(0, 1), (1, 1), (1, 1), (0, 1)]);
    let claim = scene.claim(lease, 50);
    scene.judge(claim, true, &[0, 0, 1, 1, 2]);
    assert!(scene.rejected(SLOW));
}

#[test]
fn an_ack_of_rank_0_is_none() {
    let mut scene = Scene::new(Mode::Single, 3, 4);
    let lease = scene.lease(1, 1, 1);
    scene.acks(lease, 50, &[(0, 1), (1, 1), (2, 0)]);
    let claim = scene.claim(lease, 50);
    scene.judge(claim, true, &[0, 1, 2]);
    assert!(scene.rejected(SLOW));
}

#[test]
fn threat_33_only_the_set_that_m_validators_acked_is_in_force() {
    let mut scene = Scene::new(Mode::Race, 3, 4);
    let mine = scene.lease_of_set(1, 1, 1, 10);
    let other = scene.lease_of_set(1, 2, 1, 20);
    let claim = scene.done(mine, 50, &[0, 1, 3]);
    // Validator 3 is hostile and helps both sets; 2 saw only the second.
    scene.acks(other, 60, &[(2, 1), (3, 2)]);
    let rival = scene.claim(other, 60);
    scene.judge(rival, true, &[0, 1, 2, 3]);
    assert_eq!(scene.winners(FAST), [claim]);
    assert_eq!(scene.winners(SLOW), [claim]);
    scene.inputs.acks.retain(|ack| ack.validator != 0);
    assert!(scene.rejected(SLOW), "no set has three");
}

#[test]
fn threat_33_acks_of_different_leases_of_one_set_put_all_of_it_in_force() {
    let mut scene = Scene::new(Mode::Race, 3, 4);
    let (first, second) = (scene.lease(1, 1, 2), scene.lease(1, 2, 2));
    // Nobody acked the first lease three times with one commit, but three acked under the set.
    scene.acks(first, 50, &[(0, 1), (1, 1)]);
    scene.acks(second, 60, &[(2, 1), (0, 2), (1, 2)]);
    let claim = scene.claim(second, 60);
    scene.judge(claim, true, &[0, 1, 2]);
    assert_eq!(scene.winners(SLOW), [claim]);
}

#[test]
fn threat_33_of_two_sets_with_m_backers_the_better_backed_stands_and_then_the_smaller_root() {
    // 2 of 3: one hostile validator can give both sets two backers.
    for (roots, winner) in [([10, 20], 0), ([20, 10], 1)] {
        let mut scene = Scene::new(Mode::Quorum { agree: 1 }, 2, 3);
        let first = scene.lease_of_set(1, 1, 1, roots[0]);
        let second = scene.lease_of_set(1, 2, 1, roots[1]);
        let claims = [
            scene.done(first, 50, &[0, 2]),
            scene.done(second, 60, &[1, 2]),
        ];
        assert_eq!(
            scene.winners(SLOW),
            [claims[winner]],
            "an attempt costs one set"
        );
        scene.acks(second, 60, &[(0, 2)]);
        assert_eq!(scene.winners(SLOW), [claims[1]]);
    }
}

#[test]
fn sets_of_different_attempts_are_apart_even_with_one_root() {
    let mut scene = Scene::new(Mode::Single, 3, 4);
    let first = scene.lease_of_set(1, 1, 1, 10);
    let second = scene.lease_of_set(2, 1, 1, 10);
    scene.acks(first, 50, &[(0, 1), (1, 1)]);
    scene.acks(second, 60, &[(2, 1)]);
    let claim = scene.claim(second, 60);
    scene.judge(claim, true, &[0, 1, 2]);
    assert!(scene.rejected(SLOW));
    scene.acks(second, 60, &[(0, 1), (1, 1)]);
    assert_eq!(scene.winners(SLOW), [claim]);
}

#[test]
fn race_and_quorum_have_one_attempt() {
    for mode in [Mode::Race, Mode::Quorum { agree: 1 }] {
        let mut scene = Scene::new(mode, 3, 4);
        let lease = scene.lease(2, 1, 1);
        scene.done(lease, 50, &[0, 1, 2, 3]);
        assert_eq!(scene.undecided(FAST), Some(Undecided::NothingAccepted));
        assert!(scene.rejected(SLOW));
    }
}

#[test]
fn two_commits_void_a_lease_and_the_same_commit_twice_does_not() {
    let mut scene = Scene::new(Mode::Single, 3, 4);
    let lease = scene.lease(1, 1, 1);
    let claim = scene.done(lease, 50, &[0, 1, 2]);
    scene.commit(lease, 50);
    scene.commit(lease, 50);
    assert_eq!(scene.winners(SLOW), [claim]);
    scene.commit(lease, 51);
    assert_eq!(scene.undecided(FAST), Some(Undecided::NothingAccepted));
    assert!(scene.rejected(SLOW));
}

#[test]
fn a_void_lease_costs_the_others_nothing() {
    let mut scene = Scene::new(Mode::Race, 3, 4);
    let (first, second) = (scene.lease(1, 1, 2), scene.lease(1, 2, 2));
    scene.done(first, 50, &[0, 1, 2]);
    scene.acks(second, 60, &[(0, 2), (1, 2), (2, 2)]);
    let claim = scene.claim(second, 60);
    scene.judge(claim, true, &[0, 1, 2]);
    scene.commit(first, 50);
    scene.commit(first, 51);
    assert_eq!(scene.undecided(FAST), Some(Undecided::NoClearWinner));
    assert_eq!(scene.winners(SLOW), [claim]);
}

#[test]
fn equivocators_certify() {
    // Two acks with one rank; two ranks for one lease; two commits of one lease.
    for second_ack in [(1, 60, 1), (0, 50, 2), (0, 51, 1)] {
        let mut scene = Scene::new(Mode::Single, 3, 4);
        let leases = [scene.lease(1, 1, 2), scene.lease(1, 2, 2)];
        let claim = scene.done(leases[0], 50, &[0, 1, 2]);
        let (lease, commit, rank) = second_ack;
        scene.acks(leases[lease], commit, &[(2, rank)]);
        assert_eq!(scene.winners(FAST), [claim], "{second_ack:?}");
        assert_eq!(scene.winners(SLOW), [claim], "{second_ack:?}");
    }
}

#[test]
fn a_validator_that_judged_both_ways_counts_for_neither() {
    let mut scene = Scene::new(Mode::Single, 3, 4);
    let lease = scene.lease(1, 1, 1);
    let claim = scene.done(lease, 50, &[0, 1, 2]);
    scene.judge(claim, false, &[2]);
    assert!(scene.rejected(SLOW));
    scene.judge(claim, true, &[3]);
    assert_eq!(scene.winners(SLOW), [claim]);
}

#[test]
fn two_rejections_and_one_validator_of_both_minds_are_no_rejection() {
    let mut scene = Scene::new(Mode::Single, 3, 4);
    let lease = scene.lease(1, 1, 1);
    scene.acks(lease, 50, &[(0, 1), (1, 1), (2, 1)]);
    let claim = scene.claim(lease, 50);
    scene.judge(claim, false, &[0, 1, 2]);
    assert!(scene.rejected(OVER));
    scene.judge(claim, true, &[2]);
    assert_eq!(scene.undecided(OVER), Some(Undecided::NothingAccepted));
}
