//! Attacks of the threat review that the ledger answers, one test each.

use d402_settlement::ledger::{Refusal, TransferKind, VaultAccount};
use d402_settlement::{Bps, Key32, Outcome, PlanRefusal, Rows, plan};

use crate::scene::*;

#[test]
fn threat_01_rent_recovery_does_not_replay_the_receipt() {
    // The five steps of the finding: deposit, settle, close, deposit, settle.
    let mut scene = Scene::funded(3, 4, 10_000);
    let receipt = paid(&[worker(WORKER, 2_000)]);
    scene.settle(&receipt, ISSUED + 30).unwrap();
    let from = at(REFUND_AFTER);
    let early = Err(Refusal::TooEarly {
        now: at(REFUND_AFTER - 1),
        from,
    });
    assert_eq!(scene.close(REFUND_AFTER - 1), early);
    scene.deposit(10_000, REFUND_AFTER - 1).unwrap();
    assert_eq!(
        scene.open(0, REFUND_AFTER - 1),
        Err(Refusal::AlreadySettled)
    );
    assert_eq!(
        scene.settle(&receipt, REFUND_AFTER - 1),
        Err(Refusal::AlreadySettled)
    );
    // Once the state may go, the receipt is too late for ever.
    scene.close(REFUND_AFTER).unwrap();
    let late = Err(Refusal::TooLate {
        now: from,
        until: from,
    });
    assert_eq!(scene.open(0, REFUND_AFTER), late);
    assert_eq!(scene.settle(&receipt, REFUND_AFTER), Err(Refusal::NotOpen));
    assert_eq!(scene.paid_to(WORKER, TransferKind::Worker), 1_800);
}

#[test]
fn threat_06_invalid_terms_do_not_trap_the_deposit() {
    let mut scene = Scene::with(3, 4, |terms| terms.refund_after = at(i64::MAX));
    scene.deposit(10_000, ISSUED + 5).unwrap();
    scene.sweep(ISSUED + 5).unwrap();
    assert_eq!(scene.paid_to(BUYER, TransferKind::Refund), 10_000);
    // A set hash that names no valid set is settleable to the clock, and refunds at refundAfter.
    let nobody = d402_settlement::SetHash([0xBA; 32]);
    let mut scene = Scene::with(3, 4, |terms| terms.validator_set = nobody);
    scene.deposit(10_000, ISSUED + 5).unwrap();
    assert_eq!(scene.open(0, ISSUED + 5), Err(Refusal::SetNotPublished));
    assert!(scene.sweep(REFUND_AFTER - 1).is_err());
    scene.sweep(REFUND_AFTER).unwrap();
}

#[test]
fn threat_17_a_payee_that_cannot_be_paid_becomes_a_credit_and_aborts_nothing() {
    let mut scene = Scene::funded(3, 4, 10_000);
    scene.frozen.push(WORKER);
    scene
        .settle(
            &paid(&[worker(WORKER, 1_000), worker(WORKER_2, 1_000)]),
            ISSUED + 30,
        )
        .unwrap();
    assert_eq!(scene.paid_to(WORKER, TransferKind::Worker), 0);
    assert_eq!(scene.paid_to(WORKER_2, TransferKind::Worker), 900);
    assert_eq!(scene.credits(), 900);
}

#[test]
fn threat_20_all_rent_goes_to_rent_to_whoever_paid_it() {
    let mut scene = Scene::new(3, 4);
    scene.deposit(1, ISSUED).unwrap();
    scene.open(10_000, ISSUED + 1).unwrap();
    scene.settle(&rejected(&[]), ISSUED + 30).unwrap();
    scene.close(REFUND_AFTER).unwrap();
    assert_eq!(scene.lamports_out.len(), 1);
    assert_eq!(scene.lamports_out[&Some(SPONSOR)], scene.lamports_in);
}

#[test]
fn threat_21_a_missing_payee_account_is_never_made_with_somebody_elses_rent() {
    let mut scene = Scene::funded(3, 4, 10_000);
    scene.frozen.push(WORKER);
    let before = scene.lamports_in;
    let effects = scene
        .settle(&paid(&[worker(WORKER, 1_000)]), ISSUED + 30)
        .unwrap();
    assert_eq!(scene.lamports_in, before, "settling costs no rent");
    assert!(
        effects
            .transfers
            .iter()
            .all(|transfer| transfer.to != WORKER)
    );
    assert_eq!(effects.credits.as_slice()[0].amount, units(900));
}

#[test]
fn threat_22_a_blocked_refund_target_blocks_nobody_and_can_be_retried_for_ever() {
    let mut scene = Scene::funded(3, 4, 10_000);
    scene.frozen.push(BUYER);
    scene
        .settle(&paid(&[worker(WORKER, 1_000)]), ISSUED + 30)
        .unwrap();
    assert_eq!(scene.paid_to(WORKER, TransferKind::Worker), 900);
    for now in [ISSUED + 31, REFUND_AFTER, CREDITS_UNTIL] {
        assert_eq!(scene.sweep(now), Err(Refusal::Unpayable { to: BUYER }));
    }
    scene.close(REFUND_AFTER).unwrap();
    scene.frozen.clear();
    scene.sweep(i64::MAX).unwrap();
    assert_eq!(scene.paid_to(BUYER, TransferKind::Refund), 10_000 - 1_020);
}

#[test]
fn threat_23_calling_work_a_validator_fee_does_not_dodge_the_commission() {
    let terms = base_terms(validators(1, 1).0.hash());
    let honest = Rows::new(&[worker(WORKER, 5_000)]).unwrap();
    let honest = plan(&terms, &honest, Outcome::Paid, units(10_000)).unwrap();
    assert_eq!(honest.commission, units(500));
    let relabelled = Rows::new(&[worker(WORKER, 1), judge(WORKER_2, 4_999)]).unwrap();
    let total = units(4_999);
    let over = PlanRefusal::ValidatorsOverCap {
        total,
        cap: units(1_000),
    };
    assert_eq!(
        plan(&terms, &relabelled, Outcome::Paid, units(10_000)),
        Err(over)
    );
    // The role is under the signature: the same money in another role is another message.
    let scene = Scene::new(1, 1);
    let a = scene.digest(&paid(&[worker(WORKER, 5), judge(WORKER_2, 5)]));
    let b = scene.digest(&paid(&[worker(WORKER, 5), worker(WORKER_2, 5)]));
    assert_ne!(a, b);
}

#[test]
fn threat_25_validators_are_paid_for_a_rejection_and_nobody_else_is() {
    let mut scene = Scene::funded(3, 4, 10_000);
    scene
        .settle(
            &rejected(&[judge(JUDGE, 600), judge(key(0x21), 400)]),
            ISSUED + 30,
        )
        .unwrap();
    assert_eq!(scene.paid_to(JUDGE, TransferKind::Validator), 600);
    assert_eq!(scene.paid_to(BUYER, TransferKind::Refund), 9_000);
    assert_eq!(scene.paid.len(), 3, "no commission and no fee");
}

#[test]
fn threat_42_no_exit_taken_before_refund_after_makes_settle_impossible() {
    // Whatever strangers do before refundAfter, a funded vault settles in its last second.
    let mut scene = Scene::new(3, 4);
    scene.open(0, ISSUED).unwrap();
    scene.close_unfunded(ISSUED + 120).unwrap();
    scene.deposit(10_000, ISSUED + 121).unwrap();
    let terms = scene.terms;
    for now in [ISSUED + 122, SETTLE_BY, REFUND_AFTER - 1] {
        assert!(scene.sweep(now).is_err());
        let other = d402_settlement::ledger::Command::SweepOther {
            terms: &terms,
            mint: key(0x99),
            balance: units(1),
            payable: true,
        };
        assert!(scene.run(&other, now).is_err());
        assert!(scene.close(now).is_err());
        assert!(scene.close_unfunded(now).is_err());
        assert!(scene.lapse(now).is_err());
    }
    scene.open(0, REFUND_AFTER - 1).unwrap();
    scene
        .settle(&paid(&[worker(WORKER, 1_000)]), REFUND_AFTER - 1)
        .unwrap();
}

#[test]
fn threat_52_one_unit_of_dust_does_not_hold_the_rent_of_a_settled_vault() {
    let mut scene = Scene::funded(3, 4, 10_000);
    scene
        .settle(&paid(&[worker(WORKER, 1_000)]), ISSUED + 30)
        .unwrap();
    scene.deposit(1, REFUND_AFTER - 1).unwrap();
    scene.close(REFUND_AFTER).unwrap();
    assert_eq!(scene.state.account, VaultAccount::Absent);
    scene.sweep(REFUND_AFTER).unwrap();
    assert_eq!(scene.lamports_out[&Some(SPONSOR)], scene.lamports_in);
}

#[test]
fn threat_58_rows_that_would_pay_the_vault_itself_are_refused() {
    let mut scene = Scene::funded(3, 4, 10_000);
    let vault = scene.state.site.vault;
    let outcome = scene.settle(&paid(&[worker(vault, 1_000)]), ISSUED + 30);
    assert_eq!(outcome, Err(Refusal::BadPayee { payee: vault }));
    assert_eq!(scene.state.balance(), units(10_000));
}

#[test]
fn threat_62_the_largest_solana_amounts_settle_without_overflow() {
    let mut scene = Scene::with(3, 4, |terms| {
        (terms.budget, terms.validator_fee_cap) = (u64::MAX, u64::MAX / 2);
        (terms.commission_bps, terms.gateway_fee_bps) = (Bps(2_000), Bps(0));
        terms.gateway_fee_payee = Key32::ZERO;
    });
    scene.open(u64::MAX, ISSUED).unwrap();
    let half = u64::MAX / 2;
    let over = paid(&[worker(WORKER, u64::MAX), worker(WORKER_2, u64::MAX)]);
    assert!(matches!(
        scene.settle(&over, ISSUED + 30),
        Err(Refusal::Plan(PlanRefusal::OverBudget { .. }))
    ));
    scene
        .settle(
            &paid(&[worker(WORKER, half + 1), judge(JUDGE, half)]),
            ISSUED + 30,
        )
        .unwrap();
    assert_eq!(scene.paid.values().sum::<u128>(), u128::from(u64::MAX));
}
