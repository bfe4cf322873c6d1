//! Whole lives: replay, and every lamport.

use d402_settlement::{Outcome, Role};
use solana_signer::Signer;
use svm_tests::program;
use svm_tests::scene::*;
use svm_tests::token::{RENT_ATA, account_bytes};

#[test]
fn threat_01_a_receipt_executes_once_whatever_is_closed_and_reopened() {
    let mut scene = Scene::funded(10_000);
    accepted(scene.settle(&usual()));
    let paid = scene.balance_of(&worker(0).pubkey());
    // A second deposit, with and without a fresh open, before and after everything is closed.
    accepted(scene.open_again("AlreadySettled"));
    scene.fund_by_hand(10_000);
    refused(scene.settle(&usual()), "AlreadySettled");
    scene.chain.at(REFUND_AFTER - 1);
    refused(scene.close(), "TooEarly");
    refused(scene.close_unfunded(), "AlreadySettled");
    refused(scene.settle(&usual()), "AlreadySettled");
    scene.chain.at(REFUND_AFTER);
    accepted(scene.close());
    refused(scene.open(), "TooLate");
    refused(scene.settle(&usual()), "NotAVault");
    assert_eq!(scene.balance_of(&worker(0).pubkey()), paid);
    accepted(scene.sweep());
    assert_eq!(
        scene.balance_of(&buyer().pubkey()),
        1_000_000_000 - 8_660 + 10_000
    );
}

trait Again {
    fn open_again(
        &mut self,
        expected: &str,
    ) -> Result<svm_tests::chain::Done, svm_tests::chain::Failed>;
    fn fund_by_hand(&mut self, amount: u64);
}

impl Again for Scene {
    /// Refused, and something harmless in the same block is accepted.
    fn open_again(
        &mut self,
        expected: &str,
    ) -> Result<svm_tests::chain::Done, svm_tests::chain::Failed> {
        refused(self.open(), expected);
        let again = program::publish_set(payer().pubkey(), &self.set);
        self.send(again)
    }

    fn fund_by_hand(&mut self, amount: u64) {
        let place = self.place();
        let data = account_bytes(&self.mint, &place.vault, amount);
        self.chain
            .set(place.tokens, self.token_program, RENT_ATA, data);
    }
}

#[test]
fn m1c_every_lamport_of_a_plain_task_comes_back_to_rent_to() {
    let mut scene = Scene::new();
    scene.publish();
    let (payer, sponsor) = (payer().pubkey(), sponsor().pubkey());
    let start = (scene.chain.lamports(&payer), scene.chain.lamports(&sponsor));
    let mut fees = accepted(scene.open()).fee;
    let after_open = scene.chain.lamports(&payer);
    assert_eq!(
        start.0 - after_open - fees,
        4_823_280,
        "spec 2.2: 2,784,000 + 2,039,280"
    );
    accepted(scene.deposit(10_000));
    fees += accepted(scene.settle(&usual())).fee;
    assert_eq!(
        scene.chain.lamports(&sponsor) - start.1,
        RENT_ATA + 2_784_000 - 1_475_520,
        "the token account, and what the tombstone does not need"
    );
    assert_eq!(scene.chain.lamports(&scene.vault()), 1_475_520);
    scene.chain.at(REFUND_AFTER);
    fees += accepted(scene.close()).fee;
    assert_eq!(scene.chain.lamports(&sponsor) - start.1, 4_823_280);
    assert_eq!(start.0 - scene.chain.lamports(&payer), 4_823_280 + fees);
    let place = scene.place();
    for account in [place.vault, place.tokens] {
        assert_eq!(scene.chain.lamports(&account), 0, "nothing is stranded");
    }
}

#[test]
fn m1c_every_lamport_comes_back_for_every_number_of_credits() {
    let wallets = [
        worker(0),
        worker(1),
        worker(2),
        judge(0),
        creator(),
        gateway(),
    ];
    for frozen in 0..=wallets.len() {
        let mut scene = Scene::funded(10_000);
        let frozen = &wallets[..frozen];
        for who in frozen {
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
        let sponsor = sponsor().pubkey();
        let before = (
            scene.chain.lamports(&payer().pubkey()),
            scene.chain.lamports(&sponsor),
        );
        let mut settle = scene.settle_instruction(&settlement, false);
        settle.accounts.push(program::read(program::SYSTEM));
        let signed = scene.signed(&settlement, &[0, 1, 2]);
        let fees = accepted(scene.chain.send(&[signed, settle], &[&payer()])).fee;
        let topped_up = before.0 - scene.chain.lamports(&payer().pubkey()) - fees;
        for who in frozen {
            scene.freeze(&who.pubkey(), false);
            accepted(scene.claim(&who.pubkey()));
        }
        scene.chain.at(REFUND_AFTER);
        if !frozen.is_empty() {
            accepted(scene.sweep());
        }
        accepted(scene.close());
        assert_eq!(
            scene.chain.lamports(&sponsor) - before.1,
            4_823_280 + topped_up,
            "{} credits",
            frozen.len()
        );
        let place = scene.place();
        for account in [place.vault, place.tokens] {
            assert_eq!(scene.chain.lamports(&account), 0, "nothing is stranded");
        }
    }
}

#[test]
fn m8_silence_ends_in_a_refund_that_anybody_cranks() {
    let mut scene = Scene::funded(10_000);
    scene.chain.at(REFUND_AFTER);
    let to = scene.tokens_of(&buyer().pubkey());
    let crank = program::sweep(&scene.place(), stranger().pubkey(), to);
    accepted(scene.chain.send(&[crank], &[&stranger()]));
    assert_eq!(scene.balance_of(&buyer().pubkey()), 1_000_000_000);
    accepted(scene.close());
    assert_eq!(
        scene.chain.lamports(&sponsor().pubkey()),
        1_000_000 + 4_823_280
    );
}
