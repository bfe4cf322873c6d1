//! `settle` with every account replaced by a wrong one, and the payees' accounts in every condition.

use d402_settlement::ledger::VaultAccount;
use d402_settlement::{Outcome, Role};
use solana_address::Address;
use solana_instruction::Instruction;
use solana_signer::Signer;
use svm_tests::program::{self, INSTRUCTIONS, SYSTEM, settle as at};
use svm_tests::scene::*;
use svm_tests::token::{TOKEN, TOKEN_2022, account_bytes, mint_bytes};

/// Sends the usual settlement with a changed instruction.
fn changed(
    scene: &Scene,
    change: impl FnOnce(&mut Instruction),
) -> Result<svm_tests::chain::Done, svm_tests::chain::Failed> {
    let mut scene = scene.clone();
    let signed = scene.signed(&usual(), &[0, 1, 2]);
    let mut settle = scene.settle_instruction(&usual(), false);
    change(&mut settle);
    scene.chain.send(&[signed, settle], &[&payer()])
}

#[test]
fn every_wrong_account_of_settle_is_refused() {
    let mut scene = Scene::funded(10_000);
    // A second vault, open and funded, of the same mint and set.
    let terms = scene.terms;
    scene.terms.salt = [1; 32];
    accepted(scene.open());
    accepted(scene.deposit(10_000));
    let other = scene.place();
    scene.terms = terms;
    let mint = Address::new_from_array([0x44; 32]);
    scene.chain.set(mint, TOKEN, 1_461_600, mint_bytes(6));
    let (set, _) = validators(3, 3);
    let publish = program::publish_set(payer().pubkey(), &set);
    scene.send(publish).unwrap();
    // A token account of the right wallet that is not the canonical one.
    let spare = Address::new_from_array([0x45; 32]);
    let data = account_bytes(&scene.mint, &worker(0).pubkey(), 0);
    scene.chain.set(spare, TOKEN, 2_039_280, data);
    let spare_of_vault = Address::new_from_array([0x46; 32]);
    let data = account_bytes(&scene.mint, &scene.vault(), 10_000);
    scene.chain.set(spare_of_vault, TOKEN, 2_039_280, data);
    let buyers = scene.tokens_of(&buyer().pubkey());
    for (index, account, expected) in [
        (at::VAULT, other.vault, Some("NotCanonical")),
        (at::VAULT, buyer().pubkey(), Some("NotAVault")),
        (
            at::VAULT,
            program::set_address(&scene.set),
            Some("NotAVault"),
        ),
        (at::TOKENS, other.tokens, Some("NotCanonical")),
        (at::TOKENS, spare_of_vault, Some("NotCanonical")),
        (at::TOKENS, buyers, Some("NotCanonical")),
        (at::MINT, mint, Some("NotCanonical")),
        (at::MINT, buyers, Some("NotAMint")),
        (at::TOKEN_PROGRAM, TOKEN_2022, Some("WrongTokenProgram")),
        (at::TOKEN_PROGRAM, program::ID, Some("WrongTokenProgram")),
        (
            at::REFUND,
            scene.tokens_of(&worker(2).pubkey()),
            Some("NotCanonical"),
        ),
        (at::RENT_TO, stranger().pubkey(), Some("WrongRentTo")),
        (at::INSTRUCTIONS, SYSTEM, None),
        (at::SET, program::set_address(&set), Some("WrongSet")),
        (at::SET, SYSTEM, Some("WrongSet")),
        (
            at::COMMISSION,
            scene.tokens_of(&gateway().pubkey()),
            Some("NotCanonical"),
        ),
        (at::COMMISSION, program::ID, Some("MissingAccount")),
        (
            at::FEE,
            scene.tokens_of(&creator().pubkey()),
            Some("NotCanonical"),
        ),
        (at::FEE, program::ID, Some("MissingAccount")),
        (at::EVENTS, stranger().pubkey(), None),
        (at::PROGRAM, TOKEN, None),
        (at::ROWS, spare, Some("NotCanonical")),
        (at::ROWS, SYSTEM, Some("NotATokenAccount")),
    ] {
        let result = changed(&scene, |settle| {
            settle.accounts[index].pubkey = account;
        });
        match expected {
            Some(code) => refused(result, code),
            None => failed(result),
        }
    }
    // Both accounts of the other vault: a consistent vault, but these signatures are not for it.
    let result = changed(&scene, |settle| {
        settle.accounts[at::VAULT].pubkey = other.vault;
        settle.accounts[at::TOKENS].pubkey = other.tokens;
    });
    refused(result, "WrongDigest");
    // A copy of the instructions sysvar.
    let copy = Address::new_from_array([0x47; 32]);
    scene.chain.set(copy, SYSTEM, 9_000_000, vec![0; 512]);
    assert_ne!(copy, INSTRUCTIONS);
    failed(changed(&scene, |settle| {
        settle.accounts[at::INSTRUCTIONS].pubkey = copy;
    }));
    drop(accepted(changed(&scene, |_| {})));
}

#[test]
fn m6c_no_choice_of_accounts_turns_a_payable_payee_into_a_credit() {
    let scene = Scene::funded(10_000);
    let settlement = usual();
    let first = settlement.rows.as_slice()[0].payee;
    let wallet = program::address_of(&first);
    let missing = Address::new_from_array([0x55; 32]);
    let rows_at = 8 + 1 + 32 + 1;
    // Another bump: that address is empty, but it is not the payee's account.
    for bump in [0u8, 1, 7, 100, 250] {
        let result = changed(&scene, |settle| {
            let right = settle.data[rows_at + 9];
            settle.data[rows_at + 9] = if bump == 0 { right - 1 } else { bump };
        });
        refused(result, "NotCanonical");
    }
    // The wallet written out, with an account that does not exist.
    let inline = |settle: &mut Instruction| {
        settle.data[rows_at + 9] = 0;
        let tail = settle.data.split_off(rows_at + 10);
        settle.data.extend(wallet.as_ref());
        settle.data.extend(tail);
    };
    let result = changed(&scene, |settle| {
        inline(settle);
        settle.accounts[at::ROWS].pubkey = missing;
    });
    refused(result, "NotCanonical");
    // The wallet written out is allowed, and pays.
    let done = accepted(changed(&scene, inline));
    assert_eq!(done.events[0][107..111], 6u32.to_le_bytes(), "six payments");
    // A read-only account cannot be paid, which fails everything instead of making a credit.
    failed(changed(&scene, |settle| {
        settle.accounts[at::ROWS].is_writable = false;
    }));
}

/// Settles after `break_account` and returns the scene: worker 0 must have a credit, all others their money.
fn with_credit(break_account: impl FnOnce(&mut Scene, Address)) -> Scene {
    let mut scene = Scene::funded(10_000);
    let account = scene.tokens_of(&worker(0).pubkey());
    break_account(&mut scene, account);
    let before = scene.chain.lamports(&account);
    accepted(scene.settle(&usual()));
    assert_eq!(
        scene.chain.lamports(&account),
        before,
        "#21: nobody's account is made"
    );
    let VaultAccount::Settled(tombstone) = scene.state().account else {
        panic!("not settled");
    };
    let [credit] = tombstone.credits.as_slice() else {
        panic!("{} credits", tombstone.credits.len());
    };
    assert_eq!(credit.to, program::key(&worker(0).pubkey()));
    assert_eq!(credit.amount, units(5_400));
    assert_eq!(scene.vault_balance(), 5_400);
    assert_eq!(scene.balance_of(&worker(1).pubkey()), 1_800, "M6a");
    assert_eq!(scene.balance_of(&judge(0).pubkey()), 500, "M6a");
    assert_eq!(scene.balance_of(&creator().pubkey()), 800, "M6a");
    scene
}

#[test]
fn threat_17_a_frozen_payee_is_a_credit_and_the_others_are_paid() {
    with_credit(|scene, _| scene.freeze(&worker(0).pubkey(), true));
}

#[test]
fn threat_21_a_payee_without_an_account_is_a_credit_and_none_is_made_for_it() {
    with_credit(|scene, account| scene.chain.erase(account));
    // Not even when the address holds lamports.
    with_credit(|scene, account| scene.chain.set(account, SYSTEM, 2_039_280, Vec::new()));
}

#[test]
fn threat_17_a_reowned_payee_account_is_a_credit() {
    with_credit(|scene, account| {
        scene.chain.patch(&account, |account| {
            account.data[32..64].copy_from_slice(stranger().pubkey().as_ref());
        });
    });
}

#[test]
fn threat_17_an_account_of_another_mint_program_or_shape_is_a_credit() {
    with_credit(|scene, account| {
        scene.chain.patch(&account, |account| account.data[0] ^= 1);
    });
    with_credit(|scene, account| {
        scene.chain.patch(&account, |account| account.data[108] = 0);
    });
    with_credit(|scene, account| {
        scene
            .chain
            .patch(&account, |account| account.owner = TOKEN_2022);
    });
    with_credit(|scene, account| {
        scene
            .chain
            .patch(&account, |account| account.data.truncate(100));
    });
}

#[test]
fn m6a_everybody_unpayable_is_all_credits_and_the_payer_tops_up_the_rent() {
    let mut scene = Scene::funded(10_000);
    for who in [
        worker(0),
        worker(1),
        worker(2),
        judge(0),
        creator(),
        gateway(),
        buyer(),
    ] {
        scene.freeze(&who.pubkey(), true);
    }
    let settlement = receipt(
        Outcome::Paid,
        vec![
            row(&worker(0), Role::Worker, 4_000),
            row(&worker(1), Role::Worker, 2_000),
            row(&worker(2), Role::Worker, 2_000),
            row(&judge(0), Role::Validator, 500),
        ],
    );
    // Six credits: 84 + 6 * 41 bytes are more than the 272 the open vault had.
    let signed = scene.signed(&settlement, &[0, 1, 2]);
    let mut settle = scene.settle_instruction(&settlement, false);
    refused(
        scene
            .chain
            .send(&[signed.clone(), settle.clone()], &[&payer()]),
        "MissingAccount",
    );
    let mut wrong = settle.clone();
    wrong.accounts.push(program::read(TOKEN));
    refused(
        scene.chain.send(&[signed.clone(), wrong], &[&payer()]),
        "ExtraAccount",
    );
    settle.accounts.push(program::read(SYSTEM));
    let before = scene.chain.lamports(&payer().pubkey());
    let done = accepted(scene.chain.send(&[signed, settle], &[&payer()]));
    assert_eq!(scene.chain.data(&scene.vault()).len(), 84 + 6 * 41);
    let rent = scene
        .chain
        .svm
        .minimum_balance_for_rent_exemption(84 + 6 * 41);
    assert_eq!(scene.chain.lamports(&scene.vault()), rent);
    assert_eq!(
        before - scene.chain.lamports(&payer().pubkey()),
        rent - 2_784_000 + done.fee
    );
    assert_eq!(scene.vault_balance(), 10_000, "nothing left the vault");
}

#[test]
fn threat_22_a_refund_target_that_cannot_be_paid_does_not_block_the_workers() {
    let mut scene = Scene::funded(12_000);
    scene.freeze(&buyer().pubkey(), true);
    accepted(scene.settle(&usual()));
    assert_eq!(scene.balance_of(&worker(0).pubkey()), 5_400);
    assert_eq!(scene.vault_balance(), 12_000 - 8_660);
    refused(scene.sweep(), "Unpayable");
    scene.freeze(&buyer().pubkey(), false);
    accepted(scene.sweep());
    assert_eq!(scene.balance_of(&buyer().pubkey()), 1_000_000_000 - 8_660);
}

#[test]
fn one_wallet_in_two_parts_is_paid_for_both() {
    // The buyer is also a worker, the creator also the gateway.
    let mut scene = Scene::with(3, 5, |terms| {
        terms.gateway_fee_payee = terms.commission_payee;
    });
    scene.publish();
    accepted(scene.open());
    accepted(scene.deposit(10_000));
    let own = receipt(Outcome::Paid, vec![row(&buyer(), Role::Worker, 1_000)]);
    accepted(scene.settle(&own));
    assert_eq!(scene.balance_of(&buyer().pubkey()), 1_000_000_000 - 120);
    assert_eq!(scene.balance_of(&creator().pubkey()), 120);
}

#[test]
fn a_rent_account_that_cannot_take_lamports_never_blocks_workers_or_refund() {
    // The system program's address can never be written to; a new wallet would stay below the minimum.
    for rent_to in [SYSTEM, Address::new_from_array([0x66; 32])] {
        let mut scene = Scene::with(3, 5, |terms| terms.rent_to = program::key(&rent_to));
        scene.publish();
        accepted(scene.open());
        accepted(scene.deposit(10_000));
        for who in [worker(0), worker(1)] {
            scene.freeze(&who.pubkey(), true);
        }
        accepted(scene.settle(&usual()));
        assert_eq!(scene.balance_of(&judge(0).pubkey()), 500);
        assert_eq!(
            scene.chain.lamports(&scene.vault()),
            2_784_000,
            "the rent waits"
        );

        let mut scene = Scene::with(3, 5, |terms| terms.rent_to = program::key(&rent_to));
        scene.publish();
        accepted(scene.open());
        accepted(scene.deposit(10_000));
        scene.chain.at(REFUND_AFTER);
        accepted(scene.sweep());
        assert_eq!(scene.balance_of(&buyer().pubkey()), 1_000_000_000);
        if rent_to == SYSTEM {
            refused(scene.sweep(), "RentToCannotReceive");
            // Nothing but the rent is stuck, and only for who chose this.
            failed(scene.close());
        }
    }
}
