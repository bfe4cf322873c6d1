//! Single mode: certificates and attempts.

use alloc::vec::Vec;
use super::scene::{FAST, SLOW, Scene, worker_row};
use crate::derive::{Mode, Undecided};

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
    for (acks, verdicts) in [(2, 3), (3, 2)] {
        let mut scene = Scene::new(Mode::Single, 3, 4);
        let lease = scene.lease(1, 1, 1);
        let ranks: Vec<(u8, u8)> = (0..acks).map(|v| (v, 1)).collect();
        scene.acks(lease, 50, &ranks);
        let claim = scene.claim(lease, 50);
        scene.judge(claim, true, &(0..verdicts).collect::<Vec<u8>>());
        assert_eq!(scene.undecided(FAST), Some(Undecided::NothingAccepted));
        assert!(scene.rejected(SLOW));
    }
}
