//! `sweep` and `sweep_to`.

use solana_address::Address;
use solana_signer::Signer;
use svm_tests::program::{self, sweep, sweep_to};
use svm_tests::scene::*;
use svm_tests::token::{
    RENT_ATA, TOKEN, TOKEN_2022, account_2022_bytes, account_bytes, ata, mint_2022_bytes,
    mint_bytes,
};

#[test]
fn m4a_at_refund_after_minus_one_only_settle_and_at_refund_after_only_sweep() {
    for (now, settles) in [(REFUND_AFTER - 1, true), (REFUND_AFTER, false)] {
        let mut scene = Scene::funded(10_000);
        scene.chain.at(now);
        let mut other = scene.clone();
        if settles {
            refused(scene.sweep(), "TooEarly");
            accepted(other.settle(&usual()));
        } else {
            accepted(scene.sweep());
            refused(other.settle(&usual()), "TooLate");
            assert_eq!(scene.balance_of(&buyer().pubkey()), 1_000_000_000);
        }
    }
}

#[test]
fn threat_06_and_m4c_money_under_terms_that_can_never_settle_goes_back_at_once() {
    let mut scene = Scene::with(3, 5, |terms| terms.refund_after.0 = i64::MAX);
    let place = scene.place();
    let data = account_bytes(&scene.mint, &place.vault, 777);
    scene.chain.set(place.tokens, TOKEN, RENT_ATA, data);
    accepted(scene.sweep());
    assert_eq!(scene.balance_of(&buyer().pubkey()), 1_000_000_777);
    assert!(scene.chain.account(&place.tokens).is_none());
    assert_eq!(
        scene.chain.lamports(&sponsor().pubkey()),
        1_000_000 + RENT_ATA
    );
}

#[test]
fn m5c_money_sent_before_anything_was_opened_or_after_close_comes_back() {
    let mut scene = Scene::new();
    let place = scene.place();
    let fund = |scene: &mut Scene| {
        let data = account_bytes(&scene.mint, &place.vault, 1);
        scene.chain.set(place.tokens, TOKEN, RENT_ATA, data);
    };
    fund(&mut scene);
    refused(scene.sweep(), "TooEarly");
    scene.chain.at(REFUND_AFTER);
    accepted(scene.sweep());
    assert_eq!(scene.balance_of(&buyer().pubkey()), 1_000_000_001);
    refused(scene.sweep(), "NothingToSweep");

    let mut scene = Scene::funded(10_000);
    accepted(scene.settle(&usual()));
    scene.chain.at(REFUND_AFTER);
    accepted(scene.close());
    fund(&mut scene);
    let before = scene.balance_of(&buyer().pubkey());
    accepted(scene.sweep());
    assert_eq!(scene.balance_of(&buyer().pubkey()), before + 1);
}

#[test]
fn m1b_a_sweep_leaves_the_credits_alone() {
    let mut scene = Scene::funded(10_000);
    scene.freeze(&worker(0).pubkey(), true);
    accepted(scene.settle(&usual()));
    refused(scene.sweep(), "NothingToSweep");
    accepted(scene.deposit(40));
    accepted(scene.sweep());
    assert_eq!(scene.vault_balance(), 5_400);
    assert_eq!(scene.balance_of(&buyer().pubkey()), 1_000_000_000 - 8_660);
    scene.freeze(&worker(0).pubkey(), false);
    accepted(scene.claim(&worker(0).pubkey()));
    let before = scene.chain.lamports(&sponsor().pubkey());
    accepted(scene.sweep());
    assert_eq!(scene.chain.lamports(&sponsor().pubkey()), before + RENT_ATA);
}

#[test]
fn m5c_another_token_is_swept_under_the_same_guard_and_its_rent_goes_to_the_caller() {
    let cases = [
        (TOKEN, mint_bytes(6)),
        // A mint no vault would be opened for.
        (TOKEN_2022, mint_2022_bytes(&[(12, vec![0; 32])])),
    ];
    for (token_program, data) in cases {
        let mut scene = Scene::funded(10_000);
        let mint = Address::new_from_array([0x44; 32]);
        scene.chain.set(mint, token_program, 9_000_000, data);
        let vault = scene.vault();
        let mut place = scene.place();
        (place.mint, place.token_program) = (mint, token_program);
        place.tokens = ata(&vault, &mint, &token_program).0;
        let target = ata(&buyer().pubkey(), &mint, &token_program).0;
        for (account, owner, amount) in [(place.tokens, vault, 33), (target, buyer().pubkey(), 0)] {
            let data = if token_program == TOKEN {
                account_bytes(&mint, &owner, amount)
            } else {
                account_2022_bytes(&mint, &owner, amount, &[(7, Vec::new())])
            };
            scene.chain.set(account, token_program, 2_100_000, data);
        }
        let instruction = sweep(&place, payer().pubkey(), target);
        refused(scene.send(instruction.clone()), "TooEarly");
        let to = sweep_to(&place, buyer().pubkey(), target);
        refused(scene.chain.send(&[to], &[&buyer()]), "WrongMint");
        accepted(scene.settle(&usual()));
        let before = scene.chain.lamports(&payer().pubkey());
        let done = accepted(scene.send(instruction));
        assert_eq!(scene.balance_at(&target), 33);
        assert!(scene.chain.account(&place.tokens).is_none());
        assert_eq!(
            scene.chain.lamports(&payer().pubkey()),
            before - done.fee + 2_100_000
        );
    }
}

#[test]
fn threat_22_refund_to_may_name_any_account_and_nobody_else_may() {
    let mut scene = Scene::funded(10_000);
    scene.chain.at(REFUND_AFTER);
    scene.freeze(&buyer().pubkey(), true);
    refused(scene.sweep(), "Unpayable");
    let place = scene.place();
    let spare = scene.tokens_of(&worker(2).pubkey());
    let theft = sweep_to(&place, stranger().pubkey(), spare);
    refused(scene.chain.send(&[theft], &[&stranger()]), "WrongSigner");
    let mut unsigned = sweep_to(&place, buyer().pubkey(), spare);
    unsigned.accounts[0].is_signer = false;
    failed(scene.send(unsigned));
    let into_itself = sweep_to(&place, buyer().pubkey(), place.tokens);
    refused(scene.chain.send(&[into_itself], &[&buyer()]), "BadPayee");
    let own = sweep_to(&place, buyer().pubkey(), spare);
    accepted(scene.chain.send(&[own], &[&buyer()]));
    assert_eq!(scene.balance_at(&spare), 10_000);
}

#[test]
fn every_wrong_account_of_sweep_is_refused() {
    let mut scene = Scene::funded(10_000);
    scene.chain.at(REFUND_AFTER);
    let mut other = scene.terms;
    other.salt = [1; 32];
    let other = scene.place_of(&other);
    let to = scene.tokens_of(&buyer().pubkey());
    for (index, account, expected) in [
        (1, other.vault, "WrongVault"),
        (2, other.tokens, "NotCanonical"),
        (3, to, "NotAMint"),
        (4, TOKEN_2022, "WrongTokenProgram"),
        (5, scene.tokens_of(&worker(0).pubkey()), "NotCanonical"),
        (6, stranger().pubkey(), "WrongRentTo"),
    ] {
        let mut scene = scene.clone();
        let mut instruction = sweep(&scene.place(), payer().pubkey(), to);
        instruction.accounts[index].pubkey = account;
        refused(scene.send(instruction), expected);
    }
    // Terms that are not the vault's, with their own refund target.
    let mut place = scene.place();
    place.terms.refund_to = program::key(&stranger().pubkey());
    let account = scene.tokens_of(&stranger().pubkey());
    refused(
        scene.send(sweep(&place, payer().pubkey(), account)),
        "WrongVault",
    );
    accepted(scene.sweep());
}
