//! Rows: prices, fees, the cap, and payees that meet (spec §2.4, §5.7).

use alloc::vec::Vec;

use super::scene::{FAST, SLOW, Scene, fee_row, payee, units, worker_row};
use crate::derive::{Derived, Mode};

/// One accepted claim, judged by `judges` of 3-of-5.
fn accepted_by(judges: &[u8]) -> Scene {
    let mut scene = Scene::new(Mode::Single, 3, 5).fee(10);
    let lease = scene.lease(1, 1, 1);
    scene.acks(lease, 50, &[(0, 1), (1, 1), (2, 1)]);
    let claim = scene.claim(lease, 50);
    scene.judge(claim, true, judges);
    scene
}

#[test]
fn the_m_lowest_set_indexes_behind_the_verdict_are_paid() {
    let rows = accepted_by(&[4, 3, 1, 0, 2]).rows(FAST);
    assert_eq!(
        rows,
        [
            worker_row(1, 1_001),
            fee_row(0, 10),
            fee_row(1, 10),
            fee_row(2, 10)
        ]
    );
    let rows = accepted_by(&[4, 3, 1]).rows(FAST);
    assert_eq!(
        rows,
        [
            worker_row(1, 1_001),
            fee_row(1, 10),
            fee_row(3, 10),
            fee_row(4, 10)
        ]
    );
}

#[test]
fn a_dissenter_is_not_paid() {
    let mut scene = accepted_by(&[1, 2, 3, 4]);
    scene.judge(0, false, &[0]);
    assert_eq!(
        scene.rows(FAST),
        [
            worker_row(1, 1_001),
            fee_row(1, 10),
            fee_row(2, 10),
            fee_row(3, 10)
        ]
    );
}

#[test]
fn the_receipts_named_are_those_of_the_paid_validators_by_cid() {
    let scene = accepted_by(&[4, 3, 1, 0, 2]);
    let Derived::Paid { receipts, .. } = scene.derive(FAST) else {
        panic!("paid")
    };
    let named: Vec<_> = receipts
        .iter()
        .map(|at| scene.inputs.receipts[*at])
        .collect();
    assert!(named.is_sorted_by_key(|receipt| receipt.cid));
    let mut signers: Vec<u8> = named.iter().map(|receipt| receipt.validator).collect();
    signers.sort_unstable();
    assert_eq!(signers, [0, 1, 2]);
}

#[test]
fn of_two_verdicts_alike_by_one_validator_the_smaller_cid_is_named() {
    for first in [1, 9] {
        let mut scene = accepted_by(&[0, 1, 2]);
        let mut second = scene.inputs.receipts[0];
        scene.inputs.receipts[0].cid = [first; 32];
        second.cid = [10 - first; 32];
        scene.inputs.receipts.push(second);
        let Derived::Paid { receipts, .. } = scene.derive(FAST) else {
            panic!("paid")
        };
        assert_eq!(receipts.len(), 3);
        assert!(
            receipts
                .iter()
                .any(|at| scene.inputs.receipts[*at].cid == [1; 32])
        );
        assert!(
            !receipts
                .iter()
                .any(|at| scene.inputs.receipts[*at].cid == [9; 32])
        );
    }
}

#[test]
fn over_the_cap_the_highest_index_goes_first() {
    for (cap, paid) in [(30, 3), (29, 2), (20, 2), (19, 1), (10, 1), (9, 0), (0, 0)] {
        let mut scene = accepted_by(&[0, 1, 2]);
        scene.cap = cap;
        let mut expected = Vec::from([worker_row(1, 1_001)]);
        expected.extend((0..paid).map(|v| fee_row(v, 10)));
        assert_eq!(scene.rows(FAST), expected, "cap {cap}");
    }
}

#[test]
fn a_cheap_validator_does_not_slip_in_behind_one_that_was_dropped() {
    let mut scene = accepted_by(&[0, 1, 2]);
    scene.cap = 25;
    scene.fees[1].fee = units(20);
    scene.fees[2].fee = units(1);
    assert_eq!(scene.rows(FAST), [worker_row(1, 1_001), fee_row(0, 10)]);
}

#[test]
fn a_validator_that_asks_nothing_has_no_row_and_takes_no_place() {
    let mut scene = accepted_by(&[0, 1, 2]);
    scene.cap = 20;
    scene.fees[1].fee = units(0);
    assert_eq!(
        scene.rows(FAST),
        [worker_row(1, 1_001), fee_row(0, 10), fee_row(2, 10)]
    );
}

#[test]
fn a_validator_is_paid_once_however_many_claims_it_judged() {
    let mut scene = Scene::new(Mode::Quorum { agree: 2 }, 3, 4).fee(10);
    let leases = [scene.lease(1, 1, 2), scene.lease(1, 2, 2)];
    for (lease, judges) in leases.into_iter().zip([[0, 1, 2], [1, 2, 3]]) {
        let commit = 50 + lease as u8;
        let rank = lease as u8 + 1;
        scene.acks(lease, commit, &[(0, rank), (1, rank), (2, rank)]);
        let claim = scene.claim(lease, commit);
        scene.judge(claim, true, &judges);
    }
    let expected: Vec<_> = [worker_row(1, 1_001), worker_row(2, 1_002)]
        .into_iter()
        .chain((0..4).map(|v| fee_row(v, 10)))
        .collect();
    assert_eq!(scene.rows(SLOW), expected);
}

#[test]
fn rows_ascend_by_payee_whoever_it_is() {
    let mut scene = accepted_by(&[0, 1, 2]);
    scene.fees[2].payee = payee(0xAA);
    scene.fees[0].payee = payee(0xBB);
    scene.inputs.leases[0].payee = payee(0xCC);
    let rows = scene.rows(FAST);
    assert!(rows.is_sorted_by_key(|row| row.payee));
    assert_eq!(rows.len(), 4);
}

#[test]
fn validators_with_one_payee_share_a_row() {
    let mut scene = accepted_by(&[0, 1, 2]);
    scene.fees[1].payee = payee(100);
    assert_eq!(
        scene.rows(FAST),
        [worker_row(1, 1_001), fee_row(0, 20), fee_row(2, 10)]
    );
}

#[test]
fn threat_58_a_payee_that_is_worker_and_validator_is_paid_as_worker_only() {
    let mut scene = accepted_by(&[0, 1, 2]);
    scene.fees[1].payee = payee(1);
    assert_eq!(
        scene.rows(FAST),
        [worker_row(1, 1_001), fee_row(0, 10), fee_row(2, 10)]
    );
}

#[test]
fn workers_with_one_payee_share_a_row() {
    let mut scene = Scene::new(Mode::Quorum { agree: 2 }, 1, 1);
    for who in [1, 2] {
        let lease = scene.lease(1, who, 2);
        scene.inputs.leases[lease].payee = payee(9);
        scene.acks(lease, 50 + who, &[(0, who)]);
        let claim = scene.claim(lease, 50 + who);
        scene.judge(claim, true, &[0]);
    }
    assert_eq!(scene.rows(FAST), [worker_row(9, 2_003)]);
}
