//! Transaction sizes of spec §2.5, on the bytes the tests really send.

use d402_settlement::{Outcome, Role, Row, Settlement};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use svm_tests::program::{self, approve, compute_budget, open, open_funded};
use svm_tests::scene::*;
use svm_tests::sizes::{LIMIT, legacy, v0};

/// A vault that needs `m` signatures, and a receipt with this many rows.
fn scene(m: u8, rows: u8) -> (Scene, Settlement) {
    let n = (2 * m - 1).max(1);
    let mut scene = Scene::with(m, n, |_| {});
    let rows: Vec<Row> = (0..rows)
        .map(|i| {
            let who = worker(i);
            scene.give_account(&who.pubkey(), 0);
            row(&who, Role::Worker, 10)
        })
        .collect();
    (scene, receipt(Outcome::Paid, rows))
}

fn budgeted(instructions: &[Instruction]) -> Vec<Instruction> {
    let mut all = compute_budget(300_000).to_vec();
    all.extend_from_slice(instructions);
    all
}

fn settling(scene: &Scene, settlement: &Settlement, m: u8) -> Vec<Instruction> {
    let signers: Vec<usize> = (0..usize::from(m)).collect();
    budgeted(&[
        scene.signed(settlement, &signers),
        scene.settle_instruction(settlement, false),
    ])
}

/// What transactions of many tasks have in common.
fn common(scene: &Scene) -> Vec<Address> {
    let place = scene.place();
    vec![
        scene.mint,
        scene.token_program,
        program::INSTRUCTIONS,
        program::event_authority(),
        place.set,
        scene.tokens_of(&gateway().pubkey()),
        place.rent_to,
    ]
}

#[test]
fn one_settlement_has_the_size_of_the_spec() {
    let (scene, settlement) = scene(3, 3);
    let instructions = settling(&scene, &settlement, 3);
    assert_eq!(legacy(&instructions, &[&payer()]), 1_157);
    assert_eq!(v0(&instructions, &[&payer()], &common(&scene)), 976);
}

#[test]
fn as_many_rows_fit_as_the_spec_says_and_not_one_more() {
    // m, rows in a legacy transaction, rows with the common table.
    for (m, most_legacy, most_v0) in [
        (1, 9, 14),
        (2, 7, 11),
        (3, 4, 8),
        (4, 2, 6),
        (5, 0, 3),
        (6, 0, 1),
    ] {
        let size = |rows: u8| {
            let (scene, settlement) = scene(m, rows);
            let instructions = settling(&scene, &settlement, m);
            let table = common(&scene);
            (
                legacy(&instructions, &[&payer()]),
                v0(&instructions, &[&payer()], &table),
            )
        };
        if most_legacy > 0 {
            assert!(
                size(most_legacy).0 <= LIMIT,
                "m = {m}: {}",
                size(most_legacy).0
            );
        }
        assert!(size(most_legacy + 1).0 > LIMIT, "m = {m}");
        assert!(size(most_v0).1 <= LIMIT, "m = {m}: {}", size(most_v0).1);
        assert!(
            size(most_v0 + 1).1 > LIMIT,
            "m = {m}: {}",
            size(most_v0 + 1).1
        );
    }
}

#[test]
fn opening_has_the_sizes_of_the_spec() {
    let scene = Scene::new();
    let (place, source) = (scene.place(), scene.tokens_of(&buyer().pubkey()));
    let by_gateway = budgeted(&[open(&place, payer().pubkey())]);
    assert_eq!(legacy(&by_gateway, &[&payer()]), 800);
    let who = buyer().pubkey();
    let by_buyer = budgeted(&[open_funded(&place, who, source, who, 10)]);
    assert_eq!(legacy(&by_buyer, &[&buyer()]), 842);
    let sponsored = budgeted(&[open_funded(&place, payer().pubkey(), source, who, 10)]);
    assert_eq!(legacy(&sponsored, &[&payer(), &buyer()]), 938);
}

#[test]
fn the_two_step_path_carries_sixteen_rows_and_any_set() {
    // Six signatures in a legacy transaction.
    let (scene16, settlement) = scene(8, 16);
    let digest = scene16.digest(&settlement);
    let approving = |signatures: usize| {
        let signers: Vec<usize> = (0..signatures).collect();
        budgeted(&[
            scene16.signed(&settlement, &signers),
            approve(&scene16.place(), payer().pubkey(), &digest),
        ])
    };
    assert!(legacy(&approving(6), &[&payer()]) <= LIMIT);
    let table = common(&scene16);
    let size = v0(&approving(7), &[&payer()], &table);
    assert!(size <= LIMIT, "{size}");

    let two_step = |rows: u8| {
        let (scene, settlement) = scene(3, rows);
        let settle = budgeted(&[scene.settle_instruction(&settlement, true)]);
        (
            legacy(&settle, &[&payer()]),
            v0(&settle, &[&payer()], &common(&scene)),
        )
    };
    assert!(two_step(14).0 <= LIMIT, "{}", two_step(14).0);
    assert!(two_step(16).1 <= LIMIT, "{}", two_step(16).1);
}

#[test]
fn a_payee_without_an_account_costs_32_bytes_more() {
    let (mut scene, settlement) = scene(3, 3);
    let before = legacy(&settling(&scene, &settlement, 3), &[&payer()]);
    let who: Keypair = worker(0);
    let account = scene.tokens_of(&who.pubkey());
    scene.chain.erase(account);
    let after = legacy(&settling(&scene, &settlement, 3), &[&payer()]);
    assert_eq!(after, before + 32);
}
