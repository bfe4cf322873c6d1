//! M2 and M8b: who may move money, and how many of them it takes.

use d402_settlement::ledger::{Command, Refusal, TransferKind, Unpayable};
use d402_settlement::{
    ApprovalFault, Approvals, Key32, OnSilence, RowsFault, SetFault, StrictEd25519, ValidatorSet,
    need,
};
use proptest::prelude::*;

use crate::money::{play, step};
use crate::scene::*;

fn subset(bits: u16, n: u8) -> Vec<u8> {
    (0..n).filter(|i| bits & (1 << i) != 0).collect()
}

#[test]
fn m2a_no_set_of_fewer_than_need_signatures_moves_a_unit() {
    for (m, n) in [(1, 1), (2, 2), (2, 3), (3, 3), (3, 4), (3, 5), (4, 5)] {
        for bits in 0..(1u16 << n) {
            let mut scene = Scene::funded(m, n, 10_000);
            let receipt = paid(&[worker(WORKER, 5_000)]);
            let signers = subset(bits, n);
            let approvals = scene.approve(&receipt, &signers);
            let got = signers.len() as u8;
            let outcome = scene.settle_with(&receipt, &approvals, ISSUED + 60);
            if got < m {
                assert_eq!(outcome, Err(Refusal::NotEnoughSignatures { got, need: m }));
                assert_eq!(scene.paid_to(WORKER, TransferKind::Worker), 0);
            } else {
                assert!(outcome.is_ok(), "{m} of {n}, signers {signers:?}");
            }
        }
    }
}

#[test]
fn m2a_signatures_of_another_set_move_nothing() {
    // The same members with a lower threshold are another set: 1 of 1 cannot stand in for 2 of 2.
    let mut scene = Scene::funded(2, 2, 10_000);
    let receipt = paid(&[worker(WORKER, 5_000)]);
    let digest = scene.digest(&receipt);
    let alone = ValidatorSet::new(1, &[scene.set.key(0).unwrap()]).unwrap();
    let signatures = sign(&scene.keys, digest, &[0]);
    let approvals = Approvals::check(&alone, digest, &signatures, &StrictEd25519).unwrap();
    let outcome = scene.settle_with(&receipt, &approvals, ISSUED + 60);
    assert_eq!(outcome, Err(Refusal::WrongSet));
}

#[test]
fn m2a_one_validator_cannot_sign_twice() {
    let scene = Scene::funded(2, 3, 10_000);
    let digest = scene.digest(&paid(&[worker(WORKER, 5_000)]));
    let twice = [
        sign(&scene.keys, digest, &[1]),
        sign(&scene.keys, digest, &[1]),
    ]
    .concat();
    let outcome = Approvals::check(&scene.set, digest, &twice, &StrictEd25519);
    assert_eq!(outcome, Err(ApprovalFault::NotAscending { index: 1 }));
    let backwards = sign(&scene.keys, digest, &[2, 0]);
    let outcome = Approvals::check(&scene.set, digest, &backwards, &StrictEd25519);
    assert_eq!(outcome, Err(ApprovalFault::NotAscending { index: 0 }));
}

#[test]
fn one_invalid_signature_refuses_all_of_them() {
    let scene = Scene::funded(2, 3, 10_000);
    let digest = scene.digest(&paid(&[worker(WORKER, 5_000)]));
    let mut signatures = sign(&scene.keys, digest, &[0, 1, 2]);
    signatures[2].1[0] ^= 1;
    let outcome = Approvals::check(&scene.set, digest, &signatures, &StrictEd25519);
    assert_eq!(outcome, Err(ApprovalFault::BadSignature { index: 2 }));
    let outside = [(3, signatures[0].1)];
    let outcome = Approvals::check(&scene.set, digest, &outside, &StrictEd25519);
    assert_eq!(
        outcome,
        Err(ApprovalFault::UnknownSigner { index: 3, n: 3 })
    );
    let many = [signatures.clone(), signatures].concat();
    let outcome = Approvals::check(&scene.set, digest, &many, &StrictEd25519);
    assert_eq!(outcome, Err(ApprovalFault::TooMany { got: 6, n: 3 }));
}

#[test]
fn m2d_nobody_is_paid_who_could_never_spend_it() {
    let scene = Scene::new(2, 3);
    let (vault, program) = (scene.state.site.vault, DOMAIN.program);
    for bad in [vault, MINT, program] {
        let mut scene = Scene::funded(2, 3, 10_000);
        let outcome = scene.settle(&paid(&[worker(bad, 5_000)]), ISSUED + 60);
        assert_eq!(outcome, Err(Refusal::BadPayee { payee: bad }));
        let outcome = scene.settle(&rejected(&[judge(bad, 500)]), ISSUED + 60);
        assert_eq!(outcome, Err(Refusal::BadPayee { payee: bad }));
    }
    for bad in [MINT, program] {
        let mut creator = Scene::with(2, 3, |terms| terms.commission_payee = bad);
        creator.open(10_000, ISSUED).unwrap();
        let outcome = creator.settle(&paid(&[worker(WORKER, 5_000)]), ISSUED + 60);
        assert_eq!(outcome, Err(Refusal::BadPayee { payee: bad }));
        let mut gateway = Scene::with(2, 3, |terms| terms.gateway_fee_payee = bad);
        gateway.open(10_000, ISSUED).unwrap();
        let outcome = gateway.settle(&paid(&[worker(WORKER, 5_000)]), ISSUED + 60);
        assert_eq!(outcome, Err(Refusal::BadPayee { payee: bad }));
    }
}

#[test]
fn threat_58_rows_are_ascending_by_payee_pay_something_and_are_at_most_sixteen() {
    use d402_settlement::{Row, Rows, Units};
    let rows = |rows: &[Row]| Rows::new(rows).map(|rows| rows.len());
    assert_eq!(
        rows(&[worker(Key32::ZERO, 1)]),
        Err(RowsFault::ZeroPayee { index: 0 })
    );
    let twice = [worker(key(1), 1), judge(key(1), 1)];
    assert_eq!(rows(&twice), Err(RowsFault::NotAscending { index: 1 }));
    let backwards = [worker(key(2), 1), worker(key(1), 1)];
    assert_eq!(rows(&backwards), Err(RowsFault::NotAscending { index: 1 }));
    assert_eq!(
        rows(&[worker(key(1), 0)]),
        Err(RowsFault::ZeroAmount { index: 0 })
    );
    let large = Row {
        amount: Units::new(1 << 64).unwrap(),
        ..worker(key(1), 1)
    };
    assert_eq!(rows(&[large]), Err(RowsFault::AmountTooLarge { index: 0 }));
    let many: Vec<Row> = (1..=17).map(|i| worker(key(i), 1)).collect();
    assert_eq!(rows(&many), Err(RowsFault::TooMany { got: 17 }));
    assert_eq!(rows(&many[..16]), Ok(16));
}

#[test]
fn m2e_a_receipt_executes_at_most_once_even_after_close_and_reopen() {
    // At every second that matters: settle, close if it lets us, fund and open again, settle again.
    let times = [
        ISSUED + 60,
        ISSUED + 120,
        SETTLE_BY - 1,
        SETTLE_BY,
        REFUND_AFTER - 1,
        REFUND_AFTER,
        CREDITS_UNTIL,
    ];
    for frozen in [false, true] {
        for again in times {
            let mut scene = Scene::funded(3, 4, 10_000);
            let receipt = paid(&[worker(WORKER, 2_000)]);
            if frozen {
                scene.frozen.push(WORKER);
            }
            scene.settle(&receipt, ISSUED + 30).unwrap();
            scene.frozen.clear();
            for _ in 0..2 {
                let _ = scene.claim(WORKER, again);
                let _ = scene.lapse(again);
                let _ = scene.sweep(again);
                let _ = scene.close(again);
                let _ = scene.close_unfunded(again);
                let _ = scene.deposit(10_000, again);
                let _ = scene.open(0, again);
                assert!(
                    scene.settle(&receipt, again).is_err(),
                    "second settlement at {again}"
                );
            }
            assert_eq!(scene.settled_times, 1);
            let worker = scene.paid_to(WORKER, TransferKind::Worker)
                + scene.paid_to(WORKER, TransferKind::Credit);
            assert!(worker <= 1_800, "paid {worker}");
        }
    }
}

#[test]
fn m2e_a_second_receipt_of_the_same_task_is_refused_too() {
    let mut scene = Scene::funded(3, 4, 10_000);
    scene.settle(&rejected(&[]), ISSUED + 30).unwrap();
    scene.deposit(10_000, ISSUED + 31).unwrap();
    let outcome = scene.settle(&paid(&[worker(WORKER, 2_000)]), ISSUED + 32);
    assert_eq!(outcome, Err(Refusal::AlreadySettled));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn m2e_no_command_sequence_settles_twice(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut scene = Scene::new(3, 4);
        play(&mut scene, &steps);
        prop_assert!(scene.settled_times <= 1);
    }
}

#[test]
fn m8b_two_times_need_is_above_n_at_every_time() {
    for n in 1..=16u8 {
        for m in 0..=20u8 {
            let keys: Vec<Key32> = (1..=n).map(key).collect();
            let Ok(set) = ValidatorSet::new(m, &keys) else {
                assert!(2 * m <= n || m > n, "{m} of {n} is a valid set");
                continue;
            };
            assert!(2 * m > n && m <= n, "{m} of {n} is not a valid set");
            let mut terms = base_terms(set.hash());
            for silence in 0..=255u8 {
                terms.on_silence = silence;
                for now in [
                    i64::MIN,
                    ISSUED,
                    SETTLE_BY - 1,
                    SETTLE_BY,
                    REFUND_AFTER,
                    i64::MAX,
                ] {
                    let need = need(&terms, &set, at(now));
                    assert!(2 * need > n && need <= m, "need {need} of {m}/{n} at {now}");
                    let late = silence == OnSilence::Majority as u8 && now >= SETTLE_BY;
                    assert_eq!(need, if late { n / 2 + 1 } else { m });
                }
            }
        }
    }
}

#[test]
fn majority_on_silence_lowers_the_threshold_exactly_from_settle_by_on() {
    for (now, ok) in [
        (SETTLE_BY - 1, false),
        (SETTLE_BY, true),
        (REFUND_AFTER - 1, true),
    ] {
        let mut scene = Scene::with(5, 5, |terms| terms.on_silence = 1);
        scene.open(10_000, ISSUED).unwrap();
        let receipt = paid(&[worker(WORKER, 5_000)]);
        let two = scene.approve(&receipt, &[1, 3]);
        assert!(
            scene.settle_with(&receipt, &two, now).is_err(),
            "two of five"
        );
        let three = scene.approve(&receipt, &[0, 2, 4]);
        assert_eq!(
            scene.settle_with(&receipt, &three, now).is_ok(),
            ok,
            "at {now}"
        );
    }
    let mut refund = Scene::funded(5, 5, 10_000);
    let receipt = paid(&[worker(WORKER, 5_000)]);
    let three = refund.approve(&receipt, &[0, 2, 4]);
    let outcome = refund.settle_with(&receipt, &three, SETTLE_BY);
    assert_eq!(
        outcome,
        Err(Refusal::NotEnoughSignatures { got: 3, need: 5 })
    );
}

#[test]
fn threat_07_a_set_in_which_two_quorums_could_disagree_does_not_exist() {
    let keys: Vec<Key32> = (1..=17).map(key).collect();
    let of = |m, n: usize| ValidatorSet::new(m, &keys[..n]).map(|set| set.hash());
    assert_eq!(of(0, 0), Err(SetFault::Size { got: 0 }));
    assert_eq!(of(9, 17), Err(SetFault::Size { got: 17 }));
    assert_eq!(of(0, 1), Err(SetFault::Threshold { m: 0, n: 1 }));
    assert_eq!(of(1, 2), Err(SetFault::Threshold { m: 1, n: 2 }));
    assert_eq!(of(2, 4), Err(SetFault::Threshold { m: 2, n: 4 }));
    assert_eq!(of(4, 3), Err(SetFault::Threshold { m: 4, n: 3 }));
    assert_eq!(of(200, 3), Err(SetFault::Threshold { m: 200, n: 3 }));
    let zero = [Key32::ZERO, key(1)];
    assert_eq!(
        ValidatorSet::new(2, &zero),
        Err(SetFault::ZeroKey { index: 0 })
    );
    let twice = [key(1), key(1)];
    assert_eq!(
        ValidatorSet::new(2, &twice),
        Err(SetFault::NotAscending { index: 1 })
    );
    let backwards = [key(2), key(1)];
    assert_eq!(
        ValidatorSet::new(2, &backwards),
        Err(SetFault::NotAscending { index: 1 })
    );
}

#[test]
fn only_refund_to_and_the_payee_may_name_another_account() {
    let elsewhere = key(0x77);
    let mut scene = Scene::funded(3, 4, 10_000);
    scene.frozen.push(WORKER);
    scene
        .settle(&paid(&[worker(WORKER, 1_000)]), ISSUED + 30)
        .unwrap();
    scene.deposit(500, ISSUED + 31).unwrap();
    let terms = scene.terms;
    let claim = |signer, to, payable| Command::ClaimCreditTo {
        payee: WORKER,
        signer,
        to,
        payable,
    };
    let sweep = |signer, to, payable| Command::SweepTo {
        terms: &terms,
        signer,
        to,
        payable,
    };
    let thief = scene.run(&claim(BUYER, elsewhere, true), ISSUED + 40);
    assert_eq!(thief, Err(Refusal::WrongSigner { needed: WORKER }));
    let thief = scene.run(&sweep(WORKER, elsewhere, true), ISSUED + 40);
    assert_eq!(thief, Err(Refusal::WrongSigner { needed: BUYER }));
    let vault = scene.state.site.vault;
    for bad in [Key32::ZERO, vault, DOMAIN.program] {
        let loops = scene.run(&claim(WORKER, bad, true), ISSUED + 40);
        assert_eq!(loops, Err(Refusal::BadPayee { payee: bad }));
        let loops = scene.run(&sweep(BUYER, bad, true), ISSUED + 40);
        assert_eq!(loops, Err(Refusal::BadPayee { payee: bad }));
    }
    let frozen = scene.run(&claim(WORKER, elsewhere, false), ISSUED + 40);
    assert_eq!(frozen, Err(Refusal::Unpayable { to: elsewhere }));
    scene
        .run(&claim(WORKER, elsewhere, true), ISSUED + 40)
        .unwrap();
    scene
        .run(&sweep(BUYER, elsewhere, true), ISSUED + 40)
        .unwrap();
    assert_eq!(scene.paid_to(elsewhere, TransferKind::Credit), 900);
    assert_eq!(scene.paid_to(elsewhere, TransferKind::Refund), 500);
}

#[test]
fn a_vault_that_is_not_open_settles_nothing() {
    let mut scene = Scene::new(1, 1);
    scene.deposit(10_000, ISSUED).unwrap();
    let receipt = paid(&[worker(WORKER, 1_000)]);
    let approvals = scene.approve(&receipt, &[0]);
    let unpayable = Unpayable::none();
    let command = Command::Settle {
        settlement: &receipt,
        approvals: &approvals,
        unpayable: &unpayable,
    };
    assert_eq!(scene.run(&command, ISSUED + 1), Err(Refusal::NotOpen));
    scene.open(0, ISSUED + 2).unwrap();
    scene.run(&command, ISSUED + 3).unwrap();
}
