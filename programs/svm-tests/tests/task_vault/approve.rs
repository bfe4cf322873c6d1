//! `approve`, `settle_approved` and `close_approval`.

use d402_settlement::{Outcome, Role, Settlement};
use ed25519_dalek::SigningKey;
use solana_keypair::Keypair;
use solana_signer::Signer;
use svm_tests::chain::{Done, Failed};
use svm_tests::program::{self, SYSTEM, approval_address, approve, close_approval, ed25519};
use svm_tests::scene::*;

fn remember(
    scene: &mut Scene,
    settlement: &Settlement,
    signers: &[usize],
    who: &Keypair,
) -> Result<Done, Failed> {
    let digest = scene.digest(settlement);
    let instructions = [
        scene.signed(settlement, signers),
        approve(&scene.place(), who.pubkey(), &digest),
    ];
    scene.chain.send(&instructions, &[who])
}

fn settle_approved(scene: &mut Scene, settlement: &Settlement) -> Result<Done, Failed> {
    let settle = scene.settle_instruction(settlement, true);
    scene.send(settle)
}

#[test]
fn signatures_of_several_transactions_settle_together() {
    let mut scene = Scene::funded(10_000);
    refused(settle_approved(&mut scene, &usual()), "WrongApproval");
    accepted(remember(&mut scene, &usual(), &[4], &payer()));
    accepted(remember(&mut scene, &usual(), &[1, 4], &stranger()));
    refused(settle_approved(&mut scene, &usual()), "NotEnoughSignatures");
    let done = accepted(remember(&mut scene, &usual(), &[0], &payer()));
    assert_eq!(done.events[0][72..74], 0b10011u16.to_le_bytes());
    accepted(settle_approved(&mut scene, &usual()));
    assert_eq!(scene.balance_of(&worker(0).pubkey()), 5_400);
}

#[test]
fn sixteen_rows_settle_in_two_steps() {
    let mut scene = Scene::funded(10_000);
    let workers: Vec<Keypair> = (0..16).map(worker).collect();
    for who in &workers {
        scene.give_account(&who.pubkey(), 0);
    }
    let rows = workers
        .iter()
        .map(|who| row(who, Role::Worker, 500))
        .collect();
    let settlement = receipt(Outcome::Paid, rows);
    accepted(remember(&mut scene, &settlement, &[0, 1, 2], &payer()));
    accepted(settle_approved(&mut scene, &settlement));
    for who in &workers {
        assert_eq!(scene.balance_of(&who.pubkey()), 450);
    }
}

#[test]
fn the_largest_settlement_leaves_eighteen_credits_and_all_are_paid_later() {
    // The most the program's heap, stack and account must hold.
    let mut scene = Scene::funded(10_000);
    let workers: Vec<Keypair> = (0..16).map(worker).collect();
    for who in &workers {
        scene.give_account(&who.pubkey(), 0);
    }
    let payees: Vec<Keypair> = workers.into_iter().chain([creator(), gateway()]).collect();
    for who in &payees {
        scene.freeze(&who.pubkey(), true);
    }
    let rows = payees[..16]
        .iter()
        .map(|who| row(who, Role::Worker, 500))
        .collect();
    let settlement = receipt(Outcome::Paid, rows);
    accepted(remember(&mut scene, &settlement, &[0, 1, 2], &payer()));
    let mut settle = scene.settle_instruction(&settlement, true);
    settle.accounts.push(program::read(SYSTEM));
    accepted(scene.send(settle));
    assert_eq!(scene.chain.data(&scene.vault()).len(), 84 + 18 * 41);
    assert_eq!(scene.vault_balance(), 8_160);
    for who in &payees {
        scene.freeze(&who.pubkey(), false);
        accepted(scene.claim(&who.pubkey()));
    }
    assert_eq!(scene.vault_balance(), 0);
}

#[test]
fn m7a_signatures_over_another_digest_vault_or_set_do_not_count() {
    let mut scene = Scene::funded(10_000);
    accepted(remember(&mut scene, &usual(), &[0, 1, 2], &payer()));
    let digest = scene.digest(&usual());
    // Another receipt has another approval account, and that of this receipt is not accepted for it.
    let mut other = usual();
    other.receipt_cid.0[0] ^= 1;
    refused(settle_approved(&mut scene, &other), "WrongApproval");
    let mut settle = scene.settle_instruction(&other, true);
    settle.accounts[program::settle::INSTRUCTIONS].pubkey =
        approval_address(&scene.vault(), &digest);
    refused(scene.send(settle), "WrongApproval");
    // Another vault.
    let terms = scene.terms;
    scene.terms.salt = [1; 32];
    accepted(scene.open());
    accepted(scene.deposit(10_000));
    let mut settle = scene.settle_instruction(&usual(), true);
    settle.accounts[program::settle::INSTRUCTIONS].pubkey =
        approval_address(&scene.place_of(&terms).vault, &digest);
    refused(scene.send(settle), "WrongApproval");
    scene.terms = terms;
    // Signed something else than the digest named.
    let keys: Vec<&SigningKey> = scene.keys.iter().take(3).collect();
    let instructions = [
        ed25519(&keys, &[7; 32]),
        approve(&scene.place(), payer().pubkey(), &digest),
    ];
    refused(
        scene.chain.send(&instructions, &[&payer()]),
        "WrongApproval",
    );
    // By a stranger, and under another set.
    let forger = SigningKey::from_bytes(&[66; 32]);
    let forged = [
        ed25519(&[&forger], &digest),
        approve(&scene.place(), payer().pubkey(), &digest),
    ];
    refused(scene.chain.send(&forged, &[&payer()]), "UnknownSigner");
    let (set, _) = validators(3, 4);
    let publish = program::publish_set(payer().pubkey(), &set);
    scene.send(publish).unwrap();
    let mut place = scene.place();
    place.set = program::set_address(&set);
    let wrong_set = [
        scene.signed(&usual(), &[0]),
        approve(&place, payer().pubkey(), &digest),
    ];
    refused(scene.chain.send(&wrong_set, &[&payer()]), "WrongSet");
    // At an address of something else, and without a precompile.
    let mut wrong = approve(&scene.place(), payer().pubkey(), &digest);
    wrong.accounts[2].pubkey = approval_address(&scene.vault(), &[7; 32]);
    let signed = scene.signed(&usual(), &[0]);
    let result = scene.chain.send(&[signed, wrong], &[&payer()]);
    refused(result, "WrongApproval");
    let alone = approve(&scene.place(), payer().pubkey(), &digest);
    refused(scene.send(alone), "NoPrecompile");
    accepted(settle_approved(&mut scene, &usual()));
}

#[test]
fn nothing_is_remembered_for_a_vault_that_is_not_open() {
    let mut scene = Scene::new();
    scene.publish();
    refused(remember(&mut scene, &usual(), &[0], &payer()), "NotAVault");
    accepted(scene.open());
    accepted(scene.deposit(10_000));
    accepted(scene.settle(&usual()));
    refused(
        remember(&mut scene, &usual(), &[0], &payer()),
        "AlreadySettled",
    );
}

#[test]
fn threat_72_lamports_at_the_address_of_an_approval_do_not_block_it() {
    let mut scene = Scene::funded(10_000);
    let address = approval_address(&scene.vault(), &scene.digest(&usual()));
    scene.chain.set(address, SYSTEM, 1, Vec::new());
    accepted(remember(&mut scene, &usual(), &[0, 1, 2], &payer()));
    accepted(settle_approved(&mut scene, &usual()));
}

#[test]
fn m1c_the_rent_of_an_approval_goes_back_to_who_paid_it() {
    let mut scene = Scene::funded(10_000);
    let digest = scene.digest(&usual());
    accepted(remember(&mut scene, &usual(), &[0, 1, 2], &stranger()));
    accepted(remember(&mut scene, &usual(), &[3], &payer()));
    let address = approval_address(&scene.vault(), &digest);
    let rent = scene.chain.lamports(&address);
    let close = |to: &Keypair| close_approval(&scene.vault(), &digest, to.pubkey());
    let (to_payer, to_stranger) = (close(&payer()), close(&stranger()));
    refused(scene.send(to_stranger.clone()), "ApprovalInUse");
    // Of no use once the time is over,
    let mut late = scene.clone();
    late.chain.at(REFUND_AFTER);
    accepted(late.send(to_stranger.clone()));
    // or once the vault is settled.
    accepted(settle_approved(&mut scene, &usual()));
    refused(scene.send(to_payer), "WrongRentTo");
    let before = scene.chain.lamports(&stranger().pubkey());
    accepted(scene.send(to_stranger.clone()));
    assert_eq!(scene.chain.lamports(&stranger().pubkey()), before + rent);
    assert!(scene.chain.account(&address).is_none());
    refused(scene.send(to_stranger), "NothingToClose");
}
