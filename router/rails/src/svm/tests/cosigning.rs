//! Vaults opened before they are paid, and payments this gateway signs as fee payer.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use d402_core::ports::{
    Deposit, NotOpened, OpenAsk, PaymentFault, Rail as _, RailError, VaultOpener as _,
};
use d402_objects::{Address as Text, Amount};
use d402_settlement::Terms;
use d402_svm::address::{TOKEN, key as key_of, token_account};
use d402_svm::instructions::{unit_limit, unit_price};
use d402_svm::message::v0;
use d402_svm::transaction::{encode, signed};
use d402_svm::{
    AccountMeta, Address, Instruction, Signature, VersionedMessage, VersionedTransaction,
};

use super::proxy::Trick;
use super::stage::{Stage, payload, place, rail, transfer};
use crate::svm::devnet::USDC;
use crate::svm::exact::requirements::MEMO_PROGRAM;
use crate::svm::opening::{OpeningBook, OpeningCaps};
use crate::svm::{Caps, Finalizer, SolanaKey, VaultRail};

const BUDGET: u64 = 100_000;
/// What a payment with these limits costs its fee payer: two signatures, one lamport of priority.
const FEE: u64 = 10_001;

/// A folder of its own: the stage's rail holds the other book.
fn folder(stage: &Stage) -> std::path::PathBuf {
    let folder = stage.folder.path().join("opening");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A rail that opens vaults, over the stage's node.
async fn opening_rail(stage: &Stage, folder: &Path) -> VaultRail {
    let caps = Caps {
        wait: Duration::from_secs(3),
        ..Caps::SOLANA
    };
    let rail = Arc::into_inner(rail(&stage.proxy.url, folder, caps).await).unwrap();
    let path = folder.join("openings.sqlite");
    let book = OpeningBook::open(&path, OpeningCaps::DEFAULT);
    rail.learn_set(&stage.validators.set);
    rail.with_openings(book.await.unwrap())
}

/// Terms whose money comes from this buyer and goes back there.
async fn terms_of(stage: &Stage, buyer: &SolanaKey) -> Terms {
    Terms {
        refund_to: key_of(&buyer.address()),
        ..stage.terms(BUDGET, &stage.validators.set).await
    }
}

async fn ask(rail: &VaultRail, terms: &Terms, network: u8) -> Result<(), NotOpened> {
    let refund_to = Address::new_from_array(terms.refund_to.0).to_string();
    let ask = OpenAsk {
        refund_to: &Text::new(refund_to).unwrap(),
        budget: Amount::from(terms.budget),
        from: Some(IpAddr::V4(Ipv4Addr::new(203, 0, network, 7))),
        now_ms: 1_800_000_000_000,
    };
    rail.open(&ask, &terms.encode()).await.unwrap()
}

/// A payment as a stock client makes it, without the fee payer's signature.
async fn paying(stage: &Stage, buyer: &SolanaKey, terms: &Terms) -> VersionedTransaction {
    spoiled(stage, buyer, terms, |_| ()).await
}

async fn spoiled(
    stage: &Stage,
    buyer: &SolanaKey,
    terms: &Terms,
    spoil: impl FnOnce(&mut Vec<Instruction>),
) -> VersionedTransaction {
    let tokens = |owner: &Address| token_account(owner, &USDC, &TOKEN).unwrap().0;
    let mut data = vec![12];
    data.extend(terms.budget.to_le_bytes());
    data.push(6);
    let accounts = vec![
        AccountMeta::new(tokens(&buyer.address()), false),
        AccountMeta::new_readonly(USDC, false),
        AccountMeta::new(place(terms).tokens, false),
        AccountMeta::new_readonly(buyer.address(), true),
    ];
    let mut instructions = vec![
        unit_limit(20_000),
        unit_price(1),
        Instruction::new_with_bytes(TOKEN, &data, accounts),
        Instruction::new_with_bytes(MEMO_PROGRAM, &stage.node.fresh().to_le_bytes(), vec![]),
    ];
    instructions[3].data = hex::encode(&instructions[3].data).into_bytes();
    spoil(&mut instructions);
    let chain = stage.node.devnet.chain();
    let blockhash = chain.latest_blockhash().await.unwrap().hash;
    let fee_payer = stage.rail.sender().payer();
    let message = v0::Message::try_compile(&fee_payer, &instructions, &[], blockhash).unwrap();
    let message = VersionedMessage::V0(message);
    let signature = buyer.sign(&message.serialize());
    signed(message, vec![Signature::default(), signature])
}

async fn lamports(stage: &Stage) -> u64 {
    let payer = stage.rail.sender().payer();
    stage.node.devnet.chain().lamports(&payer).await.unwrap()
}

#[tokio::test]
async fn a_payment_into_an_opened_vault_is_signed_as_fee_payer_and_is_a_deposit() {
    let stage = Stage::start().await;
    let rail = opening_rail(&stage, &folder(&stage)).await;
    let buyer = stage.buyer(BUDGET).await;
    let terms = terms_of(&stage, &buyer).await;
    let bytes = terms.encode();
    ask(&rail, &terms, 1).await.unwrap();
    let payment = payload(&paying(&stage, &buyer, &terms).await);
    let before = lamports(&stage).await;
    let verified = rail.verify(&payment, &bytes).await.unwrap().unwrap();
    assert_eq!(verified.payer, buyer.address().to_string());
    assert_eq!(Some(verified.payment_id), rail.payment_id(&payment));
    assert_eq!(rail.transaction(verified.payment_id).await.unwrap(), None);
    rail.submit(&verified.body).await.unwrap();
    let deposit = rail.deposit(&bytes, verified.payment_id).await.unwrap();
    assert!(matches!(deposit, Deposit::Funded { amount, .. } if amount == Amount::from(BUDGET)));
    assert_eq!(
        before - lamports(&stage).await,
        FEE,
        "the fee and nothing else"
    );
    let transaction = rail.transaction(verified.payment_id).await.unwrap();
    assert!(transaction.is_some_and(|signature| signature.len() > 80));
    // Verified and submitted again it is the same payment.
    let sent = stage.proxy.seen().len();
    let again = rail.verify(&payment, &bytes).await.unwrap().unwrap();
    assert_eq!(again, verified);
    rail.submit(&again.body).await.unwrap();
    assert_eq!(stage.proxy.seen().len(), sent, "it is on the chain already");
}

/// payments-standards §4 row 12: re-broadcasting one transaction is harmless, signing a second is not.
#[tokio::test]
async fn a_payment_is_signed_once_and_only_the_same_bytes_go_out_again() {
    for trick in [Trick::LoseAnswer, Trick::LoseRequest] {
        let stage = Stage::start().await;
        let folder = tempfile::tempdir().unwrap();
        let rail = opening_rail(&stage, folder.path()).await;
        let buyer = stage.buyer(BUDGET).await;
        let terms = terms_of(&stage, &buyer).await;
        let bytes = terms.encode();
        ask(&rail, &terms, 1).await.unwrap();
        let payment = payload(&paying(&stage, &buyer, &terms).await);
        let verified = rail.verify(&payment, &bytes).await.unwrap().unwrap();
        let before = stage.proxy.seen().len();
        stage.proxy.arm(trick);
        let lost = rail.submit(&verified.body).await;
        assert!(
            matches!(lost, Err(RailError::Unknown)),
            "{trick:?}: {lost:?}"
        );
        // After a restart as well: what was written down is what is sent.
        drop(rail);
        let rail = opening_rail(&stage, folder.path()).await;
        rail.submit(&verified.body).await.unwrap();
        let sent = stage.proxy.seen().split_off(before);
        assert!(sent.iter().all(|raw| *raw == sent[0]), "{trick:?}");
        let deposit = rail.deposit(&bytes, verified.payment_id).await.unwrap();
        assert!(matches!(deposit, Deposit::Funded { .. }), "{trick:?}");
        assert_eq!(stage.node.devnet.units(&buyer.address()).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_payment_that_breaks_a_rule_is_refused_by_the_rules_name_and_nothing_is_signed() {
    let stage = Stage::start().await;
    let rail = opening_rail(&stage, &folder(&stage)).await;
    let buyer = stage.buyer(BUDGET).await;
    let terms = terms_of(&stage, &buyer).await;
    ask(&rail, &terms, 1).await.unwrap();
    let us = stage.rail.sender().payer();
    let drain = spoiled(&stage, &buyer, &terms, |all| {
        all[3].accounts = vec![AccountMeta::new(us, true)];
    })
    .await;
    let fault = rail
        .verify(&payload(&drain), &terms.encode())
        .await
        .unwrap();
    let involved = "invalid_exact_svm_payload_transaction_fee_payer_transferring_funds";
    assert_eq!(fault, Err(PaymentFault::Scheme { reason: involved }));
    // Fees are paid only into vaults this gateway lent the rent of.
    let own = Terms {
        rent_to: terms.refund_to,
        ..terms_of(&stage, &buyer).await
    };
    let payment = payload(&paying(&stage, &buyer, &own).await);
    let fault = rail.verify(&payment, &own.encode()).await.unwrap();
    let mismatch = "invalid_exact_svm_fee_payer_mismatch";
    assert_eq!(fault, Err(PaymentFault::Scheme { reason: mismatch }));
    // Into a vault that is not open.
    let closed = terms_of(&stage, &buyer).await;
    let payment = payload(&paying(&stage, &buyer, &closed).await);
    let fault = rail.verify(&payment, &closed.encode()).await.unwrap();
    let simulation = "invalid_exact_svm_transaction_simulation_failed";
    assert_eq!(fault, Err(PaymentFault::Scheme { reason: simulation }));
    let good = paying(&stage, &buyer, &terms).await;
    let message = encode(&good);
    stage.outlive_blockhashes().await;
    let fault = rail.verify(&payload(&good), &terms.encode()).await.unwrap();
    assert_eq!(fault, Err(PaymentFault::Scheme { reason: simulation }));
    let opened = 2;
    assert_eq!(stage.proxy.seen().len(), opened, "the set and the vault");
    assert!(!stage.proxy.seen().contains(&message));
}

#[tokio::test]
async fn threat_19_who_takes_his_money_away_again_keeps_his_place_until_the_vault_is_closed() {
    let stage = Stage::start().await;
    let rail = Arc::new(opening_rail(&stage, &folder(&stage)).await);
    let buyer = stage.buyer(BUDGET).await;
    let terms = terms_of(&stage, &buyer).await;
    let had = lamports(&stage).await;
    ask(&rail, &terms, 1).await.unwrap();
    let payment = payload(&paying(&stage, &buyer, &terms).await);
    let verified = rail
        .verify(&payment, &terms.encode())
        .await
        .unwrap()
        .unwrap();
    let elsewhere = stage.wallet().await;
    let tokens = token_account(&buyer.address(), &USDC, &TOKEN).unwrap().0;
    let mut data = vec![12];
    data.extend(BUDGET.to_le_bytes());
    data.push(6);
    let accounts = vec![
        AccountMeta::new(tokens, false),
        AccountMeta::new_readonly(USDC, false),
        AccountMeta::new(token_account(&elsewhere, &USDC, &TOKEN).unwrap().0, false),
        AccountMeta::new_readonly(buyer.address(), true),
    ];
    let away = Instruction::new_with_bytes(TOKEN, &data, accounts);
    stage.node.send(&buyer, &[away]).await.unwrap();
    let failed = rail.submit(&verified.body).await;
    assert!(
        matches!(failed, Err(RailError::Refused { .. })),
        "{failed:?}"
    );

    transfer(&stage.node, &buyer.address(), BUDGET).await;
    let next = terms_of(&stage, &buyer).await;
    let refused = ask(&rail, &next, 2).await;
    assert!(matches!(refused, Err(NotOpened::Cap { .. })), "{refused:?}");
    let over = terms.issued_at.0 + 140;
    stage.node.devnet.advance_to(over).await.unwrap();
    let tidied = Finalizer::new(rail.clone()).tidy().await.unwrap();
    assert_eq!((tidied.gone, tidied.left), (1, 0));
    // Opening, a failed payment, closing: fees, and the set that stays. The rent is back.
    let lost = had - lamports(&stage).await;
    assert!(lost < 4_000_000, "{lost} lamports");
    let fresh = Terms {
        issued_at: d402_settlement::UnixSeconds(over),
        settle_by: d402_settlement::UnixSeconds(over + 400),
        refund_after: d402_settlement::UnixSeconds(over + 1_300),
        ..next
    };
    ask(&rail, &fresh, 2).await.unwrap();
}

#[tokio::test]
async fn threat_19_a_vault_is_opened_for_who_could_pay_now_and_for_one_at_a_time() {
    let stage = Stage::start().await;
    let rail = opening_rail(&stage, &folder(&stage)).await;
    let had = lamports(&stage).await;
    let poor = stage.buyer(BUDGET - 1).await;
    let terms = terms_of(&stage, &poor).await;
    assert_eq!(ask(&rail, &terms, 1).await, Err(NotOpened::NoMoney));
    let nobody = Terms {
        refund_to: key_of(&stage.node.rich().await.address()),
        ..terms
    };
    assert_eq!(ask(&rail, &nobody, 1).await, Err(NotOpened::NoMoney));
    let cheap = Terms {
        budget: OpeningCaps::DEFAULT.least_budget - 1,
        ..terms
    };
    let refused = ask(&rail, &cheap, 1).await;
    assert!(
        matches!(refused, Err(NotOpened::Budget { .. })),
        "{refused:?}"
    );
    assert_eq!(lamports(&stage).await, had, "a refusal costs nothing");

    let buyer = stage.buyer(3 * BUDGET).await;
    let first = terms_of(&stage, &buyer).await;
    ask(&rail, &first, 1).await.unwrap();
    let second = terms_of(&stage, &buyer).await;
    let refused = ask(&rail, &second, 2).await;
    assert!(matches!(refused, Err(NotOpened::Cap { .. })), "{refused:?}");
    let neighbour = stage.buyer(BUDGET).await;
    let third = terms_of(&stage, &neighbour).await;
    let refused = ask(&rail, &third, 1).await;
    assert!(matches!(refused, Err(NotOpened::Cap { .. })), "{refused:?}");
    // Paid by a plain transfer, which no one told this gateway about: the chain does.
    transfer(&stage.node, &place(&first).vault, BUDGET).await;
    ask(&rail, &second, 2).await.unwrap();
    ask(&rail, &third, 1).await.unwrap();
}
