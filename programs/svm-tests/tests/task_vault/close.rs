//! `close` and `close_unfunded`.

use solana_signer::Signer;
use svm_tests::program::{self, close, close_unfunded};
use svm_tests::scene::*;
use svm_tests::token::{RENT_ATA, TOKEN_2022};

#[test]
fn an_unfunded_vault_gives_all_rent_back_from_two_minutes_on() {
    let mut scene = Scene::opened();
    scene.chain.at(ISSUED + 119);
    refused(scene.close_unfunded(), "TooEarly");
    scene.chain.at(ISSUED + 120);
    let before = scene.chain.lamports(&sponsor().pubkey());
    let done = accepted(scene.close_unfunded());
    assert_eq!(done.events[0][72..80], 4_823_280u64.to_le_bytes());
    assert_eq!(
        scene.chain.lamports(&sponsor().pubkey()),
        before + 4_823_280
    );
    let place = scene.place();
    assert!(scene.chain.account(&place.vault).is_none());
    assert!(scene.chain.account(&place.tokens).is_none());
    refused(scene.close_unfunded(), "NothingToClose");
    // It may be opened again: nothing was settled, so nothing can be replayed.
    accepted(scene.open());
}

#[test]
fn a_vault_with_money_or_a_settlement_is_not_unfunded() {
    let mut scene = Scene::funded(1);
    scene.chain.at(ISSUED + 120);
    refused(scene.close_unfunded(), "NotEmpty");
    let mut scene = Scene::funded(10_000);
    accepted(scene.settle(&usual()));
    scene.chain.at(ISSUED + 120);
    refused(scene.close_unfunded(), "AlreadySettled");
}

#[test]
fn m4b_the_tombstone_stays_until_refund_after_and_while_there_are_credits() {
    let mut scene = Scene::funded(10_000);
    scene.freeze(&worker(0).pubkey(), true);
    accepted(scene.settle(&usual()));
    scene.chain.at(REFUND_AFTER - 1);
    refused(scene.close(), "TooEarly");
    scene.chain.at(REFUND_AFTER);
    refused(scene.close(), "CreditsOutstanding");
    scene.freeze(&worker(0).pubkey(), false);
    accepted(scene.claim(&worker(0).pubkey()));
    // One unit of dust does not hold the rent.
    accepted(scene.deposit(1));
    accepted(scene.close());
    assert!(scene.chain.account(&scene.vault()).is_none());
    accepted(scene.sweep());
}

#[test]
fn an_open_vault_closes_from_refund_after_once_it_is_empty() {
    let mut scene = Scene::funded(10_000);
    scene.chain.at(REFUND_AFTER - 1);
    refused(scene.close(), "TooEarly");
    let mut empty = Scene::opened();
    empty.chain.at(REFUND_AFTER - 1);
    refused(empty.close(), "TooEarly");
    scene.chain.at(REFUND_AFTER);
    refused(scene.close(), "NotEmpty");
    accepted(scene.sweep());
    accepted(scene.close());
    refused(scene.close(), "NotAVault");
}

#[test]
fn every_wrong_account_of_closing_is_refused() {
    let mut scene = Scene::opened();
    scene.chain.at(REFUND_AFTER);
    let mut other = scene.terms;
    other.salt = [1; 32];
    let other = scene.place_of(&other);
    let stranger = stranger().pubkey();
    for (index, account, expected) in [
        (0, stranger, "NotAVault"),
        (1, stranger, "WrongRentTo"),
        (2, other.tokens, "NotCanonical"),
        (2, program::ID, "MissingAccount"),
        (3, stranger, "WrongMint"),
        (4, TOKEN_2022, "WrongTokenProgram"),
    ] {
        let mut scene = scene.clone();
        let mut instruction = close(&scene.place(), true);
        instruction.accounts[index].pubkey = account;
        refused(scene.send(instruction), expected);
    }
    for (index, account, expected) in [
        (0, other.vault, "WrongVault"),
        (1, other.tokens, "NotCanonical"),
        (2, stranger, "WrongMint"),
        (3, TOKEN_2022, "WrongTokenProgram"),
        (4, stranger, "WrongRentTo"),
    ] {
        let mut scene = scene.clone();
        let mut instruction = close_unfunded(&scene.place());
        instruction.accounts[index].pubkey = account;
        refused(scene.send(instruction), expected);
    }
}

#[test]
fn threat_20_gifts_of_lamports_go_to_rent_to_as_well() {
    let mut scene = Scene::opened();
    let place = scene.place();
    scene
        .chain
        .patch(&place.vault, |account| account.lamports += 555);
    scene
        .chain
        .patch(&place.tokens, |account| account.lamports += 444);
    scene.chain.at(ISSUED + 120);
    let before = scene.chain.lamports(&sponsor().pubkey());
    accepted(scene.close_unfunded());
    assert_eq!(
        scene.chain.lamports(&sponsor().pubkey()),
        before + 2_784_000 + RENT_ATA + 999
    );
}
