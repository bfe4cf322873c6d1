//! When nobody's work is paid, and when that may be said early (spec §4.4).

use super::scene::{FAST, OVER, SLOW, Scene, fee_row};
use crate::derive::{Circumstances, Derived, Mode, Undecided};

const MODES: [Mode; 3] = [Mode::Single, Mode::Race, Mode::Quorum { agree: 1 }];

/// One lease, acked by three of four, revealed, judged rejected by `rejections`.
fn rejected_by(mode: Mode, rejections: &[u8]) -> (Scene, usize) {
    let mut scene = Scene::new(mode, 3, 4);
    let lease = scene.lease(1, 1, 1);
    scene.commit(lease, 50);
    scene.acks(lease, 50, &[(0, 1), (1, 1), (2, 1)]);
    let claim = scene.claim(lease, 50);
    scene.judge(claim, false, rejections);
    (scene, lease)
}

#[test]
fn nothing_seen_is_rejected_once_the_deadline_passed_and_no_lease_follows() {
    for mode in MODES {
        let scene = Scene::new(mode, 3, 4);
        assert!(scene.rejected(OVER));
        assert!(scene.rejected(SLOW));
        for circumstances in [
            FAST,
            Circumstances {
                deadline_passed: false,
                ..OVER
            },
            Circumstances {
                no_lease_follows: false,
                ..OVER
            },
        ] {
            assert_eq!(
                scene.undecided(circumstances),
                Some(Undecided::NothingAccepted)
            );
        }
    }
}

#[test]
fn every_commit_anybody_saw_must_be_judged_rejected_by_m() {
    for mode in MODES {
        assert!(rejected_by(mode, &[0, 1, 2]).0.rejected(OVER));
        let (scene, _) = rejected_by(mode, &[0, 1]);
        assert_eq!(
            scene.undecided(OVER),
            Some(Undecided::NothingAccepted),
            "two of three"
        );
        assert_eq!(
            rejected_by(mode, &[0, 1, 2]).0.undecided(FAST),
            Some(Undecided::NothingAccepted)
        );
    }
}

#[test]
fn one_ack_one_commit_or_one_reveal_of_something_unjudged_holds_an_early_rejection() {
    for held in 0..3 {
        let (mut scene, lease) = rejected_by(Mode::Single, &[0, 1, 2]);
        let other = scene.lease(2, 2, 1);
        match held {
            0 => scene.acks(other, 60, &[(3, 1)]),
            1 => scene.commit(other, 60),
            _ => {
                scene.claim(other, 60);
            }
        }
        assert_eq!(
            scene.undecided(OVER),
            Some(Undecided::NothingAccepted),
            "case {held}"
        );
        assert!(scene.rejected(SLOW));
        // An ack of another commit of the rejected lease holds it as well.
        let (mut scene, _) = rejected_by(Mode::Single, &[0, 1, 2]);
        scene.acks(lease, 51, &[(3, 1)]);
        assert_eq!(scene.undecided(OVER), Some(Undecided::NothingAccepted));
    }
}

#[test]
fn a_void_lease_holds_no_rejection() {
    let (mut scene, lease) = rejected_by(Mode::Single, &[]);
    assert_eq!(scene.undecided(OVER), Some(Undecided::NothingAccepted));
    scene.commit(lease, 51);
    assert!(scene.rejected(OVER));
}

#[test]
fn rejection_of_another_leases_claim_with_the_same_commit_does_not_count() {
    let (mut scene, _) = rejected_by(Mode::Single, &[0, 1, 2]);
    let other = scene.lease(2, 2, 1);
    scene.acks(other, 50, &[(0, 1)]);
    assert_eq!(scene.undecided(OVER), Some(Undecided::NothingAccepted));
}

#[test]
fn a_late_deposit_or_payment_elsewhere_rejects_at_once_and_pays_nobody() {
    let mut scene = Scene::new(Mode::Single, 3, 4).fee(10);
    let lease = scene.lease(1, 1, 1);
    scene.done(lease, 50, &[0, 1, 2]);
    assert_eq!(scene.winners(FAST), [0]);
    for base in [FAST, SLOW, OVER] {
        for circumstances in [
            Circumstances {
                deposit_late: true,
                ..base
            },
            Circumstances {
                paid_elsewhere: true,
                ..base
            },
        ] {
            let nothing = Derived::Rejected {
                judged: [].into(),
                receipts: [].into(),
                rows: [].into(),
            };
            assert_eq!(scene.derive(circumstances), nothing);
        }
    }
}

#[test]
fn decide_at_always_gives_an_answer() {
    for mode in MODES {
        let (scene, _) = rejected_by(mode, &[]);
        assert!(scene.rejected(SLOW));
    }
}

#[test]
fn threat_25_validators_that_judged_are_paid_when_the_work_is_rejected() {
    let (mut scene, _) = rejected_by(Mode::Single, &[3, 2, 0]);
    scene = scene.fee(10);
    assert_eq!(
        scene.rows(OVER),
        [fee_row(0, 10), fee_row(2, 10), fee_row(3, 10)]
    );
    let Derived::Rejected {
        judged, receipts, ..
    } = scene.derive(OVER)
    else {
        panic!("rejected")
    };
    assert_eq!(judged, [0]);
    assert_eq!(receipts.len(), 3);
    // Fewer than m verdicts are no judgement: nobody is named, nobody is paid.
    let (scene, _) = rejected_by(Mode::Single, &[0, 1]);
    assert_eq!(scene.fee(10).rows(SLOW), []);
}
