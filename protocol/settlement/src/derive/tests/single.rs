//! Single: the accepted claim of the lowest attempt.

use super::scene::{FAST, OVER, SLOW, Scene, b, worker_row};
use crate::derive::{Mode, Undecided};

/// Two attempts with one lease each, both certified; the second is accepted.
fn second_attempt_done() -> (Scene, usize, usize) {
    let mut scene = Scene::new(Mode::Single, 3, 4);
    let first = scene.lease(1, 1, 1);
    let second = scene.lease(2, 2, 1);
    scene.acks(first, 50, &[(0, 1), (1, 1), (2, 1)]);
    let claim = scene.done(second, 60, &[0, 1, 2]);
    (scene, first, claim)
}

#[test]
fn a_certified_claim_that_m_accept_is_paid_before_decide_at() {
    let mut scene = Scene::new(Mode::Single, 3, 4);
    let lease = scene.lease(1, 1, 1);
    let claim = scene.done(lease, 50, &[0, 1, 2]);
    assert_eq!(scene.winners(FAST), [claim]);
    assert_eq!(scene.winners(SLOW), [claim]);
    assert_eq!(scene.rows(FAST), [worker_row(1, 1_001)]);
}

#[test]
fn one_ack_or_one_verdict_too_few_pays_nobody() {
    for (acks, verdicts) in [(2u8, 3u8), (3, 2)] {
        let mut scene = Scene::new(Mode::Single, 3, 4);
        let lease = scene.lease(1, 1, 1);
        for validator in 0..acks {
            scene.acks(lease, 50, &[(validator, 1)]);
        }
        let claim = scene.claim(lease, 50);
        for validator in 0..verdicts {
            scene.judge(claim, true, &[validator]);
        }
        assert_eq!(scene.undecided(FAST), Some(Undecided::NothingAccepted));
        assert!(scene.rejected(SLOW));
    }
}

#[test]
fn a_claim_is_not_accepted_by_the_certificate_of_another_commit() {
    let mut scene = Scene::new(Mode::Single, 3, 4);
    let lease = scene.lease(1, 1, 1);
    scene.acks(lease, 50, &[(0, 1), (1, 1), (2, 1)]);
    let claim = scene.claim(lease, 51);
    scene.judge(claim, true, &[0, 1, 2, 3]);
    assert_eq!(scene.undecided(FAST), Some(Undecided::NothingAccepted));
    assert!(scene.rejected(SLOW));
}

#[test]
fn of_two_accepted_attempts_the_lower_is_paid() {
    for swapped in [false, true] {
        let mut scene = Scene::new(Mode::Single, 3, 4);
        let leases = if swapped {
            let second = scene.lease(2, 2, 1);
            [scene.lease(1, 1, 1), second]
        } else {
            [scene.lease(1, 1, 1), scene.lease(2, 2, 1)]
        };
        // The lower attempt has the larger CID.
        let second = scene.done(leases[1], 50, &[0, 1, 2]);
        let first = scene.done(leases[0], 60, &[0, 1, 2]);
        assert_ne!(first, second);
        assert_eq!(scene.winners(FAST), [first]);
        assert_eq!(scene.winners(SLOW), [first]);
    }
}

#[test]
fn a_lower_attempt_that_is_revealed_and_not_judged_holds_the_higher_one_until_decide_at() {
    let (mut scene, first, claim) = second_attempt_done();
    assert_eq!(
        scene.winners(FAST),
        [claim],
        "certified but never revealed holds nothing"
    );
    let open = scene.claim(first, 50);
    assert_eq!(scene.undecided(FAST), Some(Undecided::LowerAttemptOpen));
    assert_eq!(scene.undecided(OVER), Some(Undecided::LowerAttemptOpen));
    assert_eq!(scene.winners(SLOW), [claim]);
    scene.judge(open, false, &[0, 1]);
    assert_eq!(
        scene.undecided(FAST),
        Some(Undecided::LowerAttemptOpen),
        "two of three rejected it"
    );
    scene.judge(open, false, &[3]);
    assert_eq!(scene.winners(FAST), [claim]);
}

#[test]
fn a_lower_attempt_without_a_certificate_or_of_a_void_lease_holds_nothing() {
    let mut scene = Scene::new(Mode::Single, 3, 4);
    let first = scene.lease(1, 1, 1);
    let second = scene.lease(2, 2, 1);
    scene.acks(first, 50, &[(0, 1), (1, 1)]);
    scene.claim(first, 50);
    let claim = scene.done(second, 60, &[0, 1, 2]);
    assert_eq!(scene.winners(FAST), [claim]);
    scene.acks(first, 50, &[(2, 1)]);
    assert_eq!(scene.undecided(FAST), Some(Undecided::LowerAttemptOpen));
    scene.commit(first, 50);
    scene.commit(first, 51);
    assert_eq!(scene.winners(FAST), [claim]);
}

#[test]
fn a_higher_attempt_never_holds_a_lower_one() {
    let mut scene = Scene::new(Mode::Single, 3, 4);
    let first = scene.lease(1, 1, 1);
    let second = scene.lease(2, 2, 1);
    let claim = scene.done(first, 50, &[0, 1, 2]);
    scene.acks(second, 60, &[(0, 1), (1, 1), (2, 1)]);
    scene.claim(second, 60);
    assert_eq!(scene.winners(FAST), [claim]);
}

#[test]
fn of_two_accepted_claims_that_open_one_commit_the_smaller_cid_is_paid_whatever_the_order() {
    for cids in [[1, 2], [2, 1]] {
        let mut scene = Scene::new(Mode::Single, 3, 4);
        let lease = scene.lease(1, 1, 1);
        scene.acks(lease, 50, &[(0, 1), (1, 1), (2, 1)]);
        for cid in cids {
            let claim = scene.claim_with(lease, 50, b(cid), b(0xD0));
            scene.judge(claim, true, &[0, 1, 2]);
        }
        let expected = cids.iter().position(|cid| *cid == 1).unwrap();
        assert_eq!(scene.winners(FAST), [expected]);
        assert_eq!(scene.winners(SLOW), [expected]);
    }
}
