//! `settle`: who gets what, and when nobody does.

use d402_settlement::ledger::VaultAccount;
use d402_settlement::{Bps, Key32, Outcome, Role};
use solana_signer::Signer;
use svm_tests::idl;
use svm_tests::program::{self, Named, receipt_bytes, settle as at};
use svm_tests::scene::*;
use svm_tests::token::TOKEN;

#[test]
fn a_receipt_pays_rows_commission_fee_and_refund_in_one_transaction() {
    let mut scene = Scene::funded(12_345);
    let before = scene.balance_of(&buyer().pubkey());
    let done = accepted(scene.settle(&usual()));
    let paid = |who: &solana_keypair::Keypair| scene.balance_of(&who.pubkey());
    assert_eq!(paid(&worker(0)), 5_400);
    assert_eq!(paid(&worker(1)), 1_800);
    assert_eq!(paid(&judge(0)), 500);
    assert_eq!(paid(&creator()), 800);
    assert_eq!(paid(&gateway()), 160);
    assert_eq!(paid(&buyer()) - before, 12_345 - 8_660);
    assert!(scene.chain.account(&scene.place().tokens).is_none());
    assert_eq!(scene.chain.data(&scene.vault()).len(), 84);
    let transfers = done
        .calls
        .iter()
        .filter(|(to, data)| *to == TOKEN && data[0] == 12);
    assert_eq!(transfers.count(), 6);
    let [event] = done.events.as_slice() else {
        panic!("{} events", done.events.len());
    };
    assert_eq!(idl::event(event), "VaultSettled");
    assert_eq!(event[8..40], scene.vault().to_bytes());
    assert_eq!(event[72..104], [9; 32], "receipt CID");
    assert_eq!(event[104], 1, "outcome");
    assert_eq!(event[105..107], 0b111u16.to_le_bytes(), "signers");
    assert_eq!(event[107..111], 6u32.to_le_bytes(), "payments");
}

#[test]
fn threat_25_a_rejected_receipt_pays_validators_only() {
    let mut scene = Scene::funded(10_000);
    let judged = receipt(
        Outcome::Rejected,
        vec![row(&judge(0), Role::Validator, 1_000)],
    );
    accepted(scene.settle(&judged));
    assert_eq!(scene.balance_of(&judge(0).pubkey()), 1_000);
    assert_eq!(scene.balance_of(&creator().pubkey()), 0);
    assert_eq!(scene.balance_of(&gateway().pubkey()), 0);

    let mut scene = Scene::funded(10_000);
    accepted(scene.settle(&receipt(Outcome::Rejected, Vec::new())));
    assert_eq!(scene.balance_of(&buyer().pubkey()), 1_000_000_000);
}

#[test]
fn terms_without_commission_and_fee_need_no_accounts_for_them() {
    let mut scene = Scene::with(1, 1, |terms| {
        (terms.commission_bps, terms.commission_payee) = (Bps(0), Key32::ZERO);
        (terms.gateway_fee_bps, terms.gateway_fee_payee) = (Bps(0), Key32::ZERO);
    });
    scene.publish();
    accepted(scene.open());
    accepted(scene.deposit(50));
    accepted(scene.settle(&receipt(
        Outcome::Paid,
        vec![row(&worker(0), Role::Worker, 50)],
    )));
    assert_eq!(scene.balance_of(&worker(0).pubkey()), 50);
}

#[test]
fn rows_that_cannot_be_paid_are_refused_each_with_its_code() {
    let worker_row = |amount| row(&worker(0), Role::Worker, amount);
    let judge_row = |amount| row(&judge(0), Role::Validator, amount);
    let scene = Scene::funded(10_000);
    for (settlement, expected) in [
        (
            receipt(Outcome::Paid, vec![judge_row(5)]),
            "PaidWithoutWorker",
        ),
        (receipt(Outcome::Paid, Vec::new()), "PaidWithoutWorker"),
        (
            receipt(Outcome::Rejected, vec![worker_row(5)]),
            "RejectedWithWorker",
        ),
        (
            receipt(Outcome::Paid, vec![worker_row(5), judge_row(1_001)]),
            "ValidatorsOverCap",
        ),
        (
            receipt(Outcome::Paid, vec![worker_row(9_805)]),
            "OverBudget",
        ),
        (
            receipt(Outcome::Paid, vec![worker_row(u64::MAX)]),
            "OverBudget",
        ),
    ] {
        let mut scene = scene.clone();
        refused(scene.settle(&settlement), expected);
    }
    // 9,804 and its fee of 196 are the budget, to the unit.
    let mut scene = scene;
    accepted(scene.settle(&receipt(Outcome::Paid, vec![worker_row(9_804)])));

    // Too little money is no dead end: after a top-up the same receipt settles.
    let mut scene = Scene::funded(8_659);
    refused(scene.settle(&usual()), "Underfunded");
    accepted(scene.deposit(1));
    accepted(scene.settle(&usual()));
}

#[test]
fn rows_in_disorder_unknown_roles_and_outcomes_are_refused() {
    let scene = Scene::funded(10_000);
    let settlement = usual();
    let right = scene.settle_instruction(&settlement, false);
    let rows_at = 8 + 1 + 32 + 1;
    type Change = fn(&mut solana_instruction::Instruction, usize);
    let changes: [(&str, Change); 7] = [
        ("UnknownOutcome", |instruction, _| instruction.data[8] = 3),
        ("UnknownRole", |instruction, at| instruction.data[at] = 2),
        ("RowZeroAmount", |instruction, at| {
            instruction.data[at + 1..at + 9].fill(0);
        }),
        ("RowNotAscending", |instruction, at| {
            instruction.accounts.swap(at::ROWS, at::ROWS + 1);
            let bumps = (instruction.data[at + 9], instruction.data[at + 19]);
            (instruction.data[at + 19], instruction.data[at + 9]) = bumps;
        }),
        ("RowNotAscending", |instruction, at| {
            instruction.accounts[at::ROWS + 1] = instruction.accounts[at::ROWS].clone();
            instruction.data[at + 19] = instruction.data[at + 9];
        }),
        ("MissingAccount", |instruction, _| {
            instruction.accounts.pop();
        }),
        ("ExtraAccount", |instruction, _| {
            let last = instruction.accounts.last().unwrap().clone();
            instruction.accounts.push(last);
        }),
    ];
    for (expected, change) in changes {
        let mut scene = scene.clone();
        let mut instruction = right.clone();
        change(&mut instruction, rows_at);
        let signed = scene.signed(&settlement, &[0, 1, 2]);
        // The order of rows is part of what was signed; which of the two is noticed first is not.
        let result = scene.chain.send(&[signed, instruction], &[&payer()]);
        refused(result, expected);
    }
    // More rows than sixteen, and the zero wallet.
    let mut scene = scene;
    let many: Vec<_> = (0..17)
        .map(|i| row(&worker(i % 3), Role::Worker, 1))
        .collect();
    let mut data = vec![1];
    data.extend([9; 32]);
    data.push(17);
    let mut instruction = right.clone();
    instruction.accounts.truncate(at::ROWS);
    for one in &many {
        data.push(0);
        data.extend(one.amount.to_u64().unwrap().to_le_bytes());
        let wallet = program::address_of(&one.payee);
        let (tokens, bump) = svm_tests::token::ata(&wallet, &scene.mint, &TOKEN);
        data.push(bump);
        instruction.accounts.push(program::write(tokens));
    }
    instruction.data.truncate(8);
    instruction.data.extend(&data);
    let signed = scene.signed(&settlement, &[0, 1, 2]);
    let result = scene
        .chain
        .send(&[signed.clone(), instruction], &[&payer()]);
    refused(result, "TooManyRows");

    let zero = solana_address::Address::default();
    let mut instruction = right;
    let mut data = receipt_bytes(
        &receipt(Outcome::Paid, vec![row(&worker(0), Role::Worker, 5)]),
        &[Named::Wallet],
    );
    let len = data.len();
    data[len - 32..].fill(0);
    instruction.data.truncate(8);
    instruction.data.extend(&data);
    instruction.accounts.truncate(at::ROWS);
    instruction
        .accounts
        .push(program::write(scene.tokens_of(&zero)));
    let result = scene.chain.send(&[signed, instruction], &[&payer()]);
    refused(result, "RowZeroPayee");
}

#[test]
fn threat_58_nobody_is_paid_who_could_never_spend_it() {
    let scene = Scene::funded(10_000);
    for forbidden in [scene.vault(), scene.mint, program::ID] {
        let mut scene = scene.clone();
        let mut settlement = usual();
        let mut rows = settlement.rows.as_slice().to_vec();
        rows[0].payee = program::key(&forbidden);
        rows.sort_by_key(|row| row.payee);
        settlement.rows = d402_settlement::Rows::new(&rows).unwrap();
        refused(scene.settle(&settlement), "BadPayee");
    }
}

#[test]
fn the_last_second_before_refund_after_still_settles_and_the_next_does_not() {
    let mut scene = Scene::funded(10_000);
    scene.chain.at(REFUND_AFTER);
    refused(scene.settle(&usual()), "TooLate");
    scene.chain.at(REFUND_AFTER - 1);
    accepted(scene.settle(&usual()));
}

#[test]
fn m8_a_majority_suffices_from_settle_by_on_only_where_the_terms_say_so() {
    for (on_silence, expected_late) in [(0, Some("NotEnoughSignatures")), (1, None)] {
        let mut scene = Scene::with(4, 5, |terms| terms.on_silence = on_silence);
        scene.publish();
        accepted(scene.open());
        accepted(scene.deposit(10_000));
        scene.chain.at(SETTLE_BY - 1);
        refused(scene.settle_by(&usual(), &[1, 2, 4]), "NotEnoughSignatures");
        scene.chain.at(SETTLE_BY);
        refused(scene.settle_by(&usual(), &[1, 4]), "NotEnoughSignatures");
        let late = scene.settle_by(&usual(), &[1, 2, 4]);
        match expected_late {
            Some(code) => refused(late, code),
            None => drop(accepted(late)),
        }
    }
}

#[test]
fn m2e_a_second_receipt_of_the_same_vault_is_refused() {
    let mut scene = Scene::funded(10_000);
    accepted(scene.settle(&usual()));
    refused(scene.settle(&usual()), "AlreadySettled");
    let other = receipt(Outcome::Rejected, Vec::new());
    refused(scene.settle(&other), "AlreadySettled");
}

#[test]
fn a_vault_that_was_never_opened_settles_nothing() {
    let mut scene = Scene::new();
    scene.publish();
    refused(scene.settle(&usual()), "NotAVault");
}

#[test]
fn the_tombstone_holds_what_the_ledger_says() {
    let mut scene = Scene::funded(10_000);
    accepted(scene.settle(&usual()));
    let state = scene.state();
    let VaultAccount::Settled(tombstone) = state.account else {
        panic!("not settled");
    };
    assert_eq!(tombstone.refund_after.0, REFUND_AFTER);
    assert_eq!(tombstone.rent_to, scene.terms.rent_to);
    let data = scene.chain.data(&scene.vault());
    assert_eq!(state.encode_account().unwrap().as_slice(), data);
}
