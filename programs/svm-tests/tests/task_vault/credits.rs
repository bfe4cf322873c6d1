//! `claim_credit`, `claim_credit_to` and `lapse_credits`.

use solana_address::Address;
use solana_keypair::Keypair;
use solana_signer::Signer;
use svm_tests::program::{self, claim_credit, claim_credit_to};
use svm_tests::scene::*;
use svm_tests::token::{TOKEN, account_bytes, ata, mint_bytes};

/// Settled; worker 0 was frozen and has a credit of 5,400.
fn owing() -> Scene {
    let mut scene = Scene::funded(10_000);
    scene.freeze(&worker(0).pubkey(), true);
    accepted(scene.settle(&usual()));
    scene
}

fn to(
    scene: &mut Scene,
    who: &Keypair,
    account: Address,
) -> Result<svm_tests::chain::Done, svm_tests::chain::Failed> {
    let instruction = claim_credit_to(&scene.place(), who.pubkey(), account);
    scene.chain.send(&[instruction], &[&payer(), who])
}

#[test]
fn anyone_may_have_a_credit_paid_to_the_canonical_account_once() {
    let mut scene = owing();
    let payee = worker(0).pubkey();
    refused(scene.claim(&payee), "Unpayable");
    scene.freeze(&payee, false);
    accepted(scene.claim(&payee));
    assert_eq!(scene.balance_of(&payee), 5_400);
    assert_eq!(scene.vault_balance(), 0);
    refused(scene.claim(&payee), "NoCredit");
    refused(scene.claim(&worker(1).pubkey()), "NoCredit");
}

#[test]
fn m6_a_payee_takes_its_credit_anywhere_by_its_own_signature_only() {
    let mut scene = owing();
    let spare = Address::new_from_array([0x45; 32]);
    let data = account_bytes(&scene.mint, &worker(2).pubkey(), 0);
    scene.chain.set(spare, TOKEN, 2_039_280, data);
    refused(to(&mut scene, &stranger(), spare), "NoCredit");
    let mut unsigned = claim_credit_to(&scene.place(), worker(0).pubkey(), spare);
    unsigned.accounts[0].is_signer = false;
    failed(scene.send(unsigned));
    // The money must not stay where it is while the ledger says it was paid.
    let own = scene.place().tokens;
    refused(to(&mut scene, &worker(0), own), "BadPayee");
    let spare_of_vault = Address::new_from_array([0x46; 32]);
    let data = account_bytes(&scene.mint, &scene.vault(), 0);
    scene.chain.set(spare_of_vault, TOKEN, 2_039_280, data);
    refused(to(&mut scene, &worker(0), spare_of_vault), "BadPayee");
    refused(
        to(&mut scene, &worker(0), worker(0).pubkey()),
        "NotATokenAccount",
    );
    accepted(to(&mut scene, &worker(0), spare));
    assert_eq!(scene.balance_at(&spare), 5_400);
}

#[test]
fn a_credit_is_never_paid_in_another_token() {
    let mut scene = owing();
    // Somebody sends rubbish to the vault, and the credit is to be paid in it.
    let rubbish = Address::new_from_array([0x44; 32]);
    scene.chain.set(rubbish, TOKEN, 1_461_600, mint_bytes(6));
    let vault = scene.vault();
    let mut place = scene.place();
    place.mint = rubbish;
    place.tokens = ata(&vault, &rubbish, &TOKEN).0;
    let data = account_bytes(&rubbish, &vault, 1_000_000);
    scene.chain.set(place.tokens, TOKEN, 2_039_280, data);
    let payee = worker(0).pubkey();
    let target = ata(&payee, &rubbish, &TOKEN).0;
    let data = account_bytes(&rubbish, &payee, 0);
    scene.chain.set(target, TOKEN, 2_039_280, data);
    refused(scene.send(claim_credit(&place, payee, target)), "WrongMint");
    // Terms that name the rubbish are not this vault's.
    place.terms.mint = program::key(&rubbish);
    refused(
        scene.send(claim_credit(&place, payee, target)),
        "WrongVault",
    );
}

#[test]
fn every_wrong_account_of_a_claim_is_refused() {
    let mut scene = owing();
    scene.freeze(&worker(0).pubkey(), false);
    let payee = worker(0).pubkey();
    let mut other = scene.terms;
    other.salt = [1; 32];
    let other = scene.place_of(&other);
    for (index, account, expected) in [
        (0, other.vault, "WrongVault"),
        (1, other.tokens, "NotCanonical"),
        (2, scene.tokens_of(&payee), "WrongMint"),
        (3, program::ID, "WrongTokenProgram"),
        (4, scene.tokens_of(&worker(1).pubkey()), "NotCanonical"),
    ] {
        let mut scene = scene.clone();
        let right = scene.tokens_of(&payee);
        let mut instruction = claim_credit(&scene.place(), payee, right);
        instruction.accounts[index].pubkey = account;
        refused(scene.send(instruction), expected);
    }
}

#[test]
fn credits_are_claimed_before_180_days_and_lapse_at_that_second() {
    let mut scene = owing();
    scene.freeze(&worker(0).pubkey(), false);
    refused(scene.lapse(), "TooEarly");
    scene.chain.at(CREDITS_UNTIL - 1);
    refused(scene.lapse(), "TooEarly");
    let mut claimed = scene.clone();
    accepted(claimed.claim(&worker(0).pubkey()));
    scene.chain.at(CREDITS_UNTIL);
    refused(scene.claim(&worker(0).pubkey()), "TooLate");
    refused(scene.close(), "CreditsOutstanding");
    let done = accepted(scene.lapse());
    assert_eq!(done.events[0][40..48], 5_400u64.to_le_bytes());
    refused(scene.lapse(), "NoCredits");
    accepted(scene.sweep());
    assert_eq!(scene.balance_of(&buyer().pubkey()), 1_000_000_000 - 3_260);
    accepted(scene.close());
}

#[test]
fn a_vault_that_is_not_settled_has_no_credits() {
    let mut scene = Scene::funded(10_000);
    refused(scene.claim(&worker(0).pubkey()), "NotSettled");
    refused(scene.lapse(), "NotSettled");
    let mut absent = Scene::new();
    refused(absent.lapse(), "NotAVault");
}
