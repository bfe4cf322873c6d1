//! The sender and the rail between crashes, large receipts and payments that come another way.

use std::time::Duration;

use d402_core::ports::{Deposit, Rail as _, RailError, VaultState};
use d402_objects::{Amount, Hex32};
use d402_settlement::market::SOLANA;
use d402_settlement::{Bps, Key32, Role, Row, Terms};
use d402_svm::address::{LOOKUP_TABLES, address};
use d402_svm::{Address, Chain, ChainOptions, RpcError, Silence, transaction};

use super::proxy::Trick;
use super::stage::{Stage, Validators, payload, place, rail, rail_with, row, transfer};
use crate::svm::Caps;

const NOBODY: Hex32 = Hex32::from_bytes([0xEE; 32]);

fn caps() -> Caps {
    Caps {
        wait: Duration::from_secs(3),
        ..Caps::SOLANA
    }
}

async fn rows(stage: &Stage, count: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    for units in 0..count {
        let role = if units == 0 {
            Role::Validator
        } else {
            Role::Worker
        };
        rows.push(row(&stage.wallet().await, role, 100 + units));
    }
    rows.sort_by_key(|row| row.payee);
    rows
}

#[tokio::test]
async fn a_plain_wallet_transfer_funds_a_task_and_the_gateway_opens_the_vault_to_settle_it() {
    let stage = Stage::start().await;
    let terms = stage.terms(10_000, &stage.validators.set).await;
    let bytes = terms.encode();
    transfer(&stage.node, &place(&terms).vault, 10_000).await;
    let deposit = stage.rail.deposit(&bytes, NOBODY).await.unwrap();
    assert!(
        matches!(deposit, Deposit::Funded { amount, .. } if amount == Amount::from(10_000_u64)),
        "{deposit:?}"
    );
    let worker = stage.wallet().await;
    let receipt = stage
        .validators
        .receipt(&terms, &[row(&worker, Role::Worker, 7_000)], 0);
    let body = stage.rail.settle_body(&bytes, &receipt).unwrap();
    stage.rail.submit(&body).await.unwrap();
    assert_eq!(stage.node.devnet.units(&worker).await.unwrap(), 7_000);
    let vault = stage.rail.vault(&bytes).await.unwrap();
    assert!(matches!(vault, VaultState::Settled(_)), "{vault:?}");
}

#[tokio::test]
async fn a_receipt_too_large_for_one_transaction_goes_in_two_steps_and_pays_the_same() {
    let stage = Stage::start().await;
    let validators = Validators::new(8, 15);
    stage.rail.learn_set(&validators.set);
    let terms = stage.terms(10_000, &validators.set).await;
    let bytes = terms.encode();
    transfer(&stage.node, &place(&terms).vault, 10_000).await;
    let rows = rows(&stage, 12).await;
    let receipt = validators.receipt(&terms, &rows, 0);
    let body = stage.rail.settle_body(&bytes, &receipt).unwrap();
    stage.rail.submit(&body).await.unwrap();
    stage.rail.submit(&body).await.unwrap();
    for row in &rows {
        let units = stage.node.devnet.units(&address(&row.payee)).await.unwrap();
        assert_eq!(u128::from(units), row.amount.get());
    }
    // Set, open, two approvals of at most six signatures, the receipt.
    assert_eq!(stage.proxy.seen().len(), 5);
    let weak = validators.receipt(&terms, &rows, 1);
    let other = stage.rail.settle_body(&bytes, &weak).unwrap();
    stage.rail.submit(&other).await.unwrap();
    assert_eq!(stage.proxy.seen().len(), 5, "the same receipt is settled");
}

#[tokio::test]
async fn sixteen_rows_wait_for_the_common_lookup_table_and_go_with_it() {
    let stage = Stage::start().await;
    // Every account a settlement can name; the shares of so little are zero.
    let payee = |wallet: Address| Key32(wallet.to_bytes());
    let terms = Terms {
        commission_bps: Bps(1),
        commission_payee: payee(stage.wallet().await),
        gateway_fee_bps: Bps(1),
        gateway_fee_payee: payee(stage.wallet().await),
        rent_to: payee(stage.node.rich().await.address()),
        ..stage.terms(10_000, &stage.validators.set).await
    };
    let (bytes, place) = (terms.encode(), place(&terms));
    transfer(&stage.node, &place.vault, 10_000).await;
    let rows = rows(&stage, 16).await;
    let receipt = stage.validators.receipt(&terms, &rows, 0);
    let body = stage.rail.settle_body(&bytes, &receipt).unwrap();
    let waits = stage.rail.submit(&body).await;
    assert!(
        matches!(&waits, Err(RailError::Retry { rule }) if rule == "NeedsLookupTable"),
        "{waits:?}"
    );
    let table = Address::new_from_array([0x7A; 32]);
    let mut data = vec![0; 56];
    data[0] = 1;
    data[4..12].fill(0xFF);
    data[21] = 0;
    let common = [
        place.mint,
        place.token_program,
        place.set,
        place.events,
        place.rent_to(),
        place.tokens,
        place.vault,
    ];
    common
        .iter()
        .for_each(|address| data.extend(address.to_bytes()));
    let put = stage
        .node
        .devnet
        .put(&table, &LOOKUP_TABLES, 5_000_000, &data);
    put.await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rail = rail_with(&stage.proxy.url, folder.path(), caps(), Some(table)).await;
    rail.learn_set(&stage.validators.set);
    rail.submit(&body).await.unwrap();
    let last = stage.proxy.seen().pop().unwrap();
    let last = transaction::decode(&last).unwrap().message;
    assert_eq!(last.address_table_lookups().map(<[_]>::len), Some(1));
    for row in &rows {
        let units = stage.node.devnet.units(&address(&row.payee)).await.unwrap();
        assert_eq!(u128::from(units), row.amount.get());
    }
}

#[tokio::test]
async fn a_gateway_killed_after_the_broadcast_sends_the_same_bytes_and_nothing_twice() {
    let mut stage = Stage::start().await;
    let terms = stage.terms(10_000, &stage.validators.set).await;
    let bytes = terms.encode();
    let buyer = stage.buyer(10_000).await;
    let open = stage.opening(&terms, &buyer, 10_000).await;
    let verified = stage
        .rail
        .verify(&payload(&open), &bytes)
        .await
        .unwrap()
        .unwrap();
    stage.rail.submit(&verified.body).await.unwrap();
    let worker = stage.wallet().await;
    let receipt = stage
        .validators
        .receipt(&terms, &[row(&worker, Role::Worker, 7_000)], 0);
    let body = stage.rail.settle_body(&bytes, &receipt).unwrap();
    stage.proxy.arm(Trick::LoseRequest);
    let lost = stage.rail.submit(&body).await;
    assert!(matches!(lost, Err(RailError::Unknown)), "{lost:?}");
    // Everything in memory is gone; the book is not.
    let folder = tempfile::tempdir().unwrap();
    let nowhere = rail(&stage.proxy.url, folder.path(), caps()).await;
    drop(std::mem::replace(&mut stage.rail, nowhere));
    let again = rail(&stage.proxy.url, stage.folder.path(), caps()).await;
    again.submit(&body).await.unwrap();
    let sent = stage.proxy.seen();
    assert_eq!(sent[sent.len() - 1], sent[sent.len() - 2], "the same bytes");
    assert_eq!(stage.node.devnet.units(&worker).await.unwrap(), 7_000);
}

#[tokio::test]
async fn new_bytes_are_signed_only_once_the_old_ones_are_void() {
    let stage = Stage::start().await;
    let terms = stage.terms(10_000, &stage.validators.set).await;
    let bytes = terms.encode();
    transfer(&stage.node, &place(&terms).vault, 10_000).await;
    let worker = stage.wallet().await;
    let receipt = stage
        .validators
        .receipt(&terms, &[row(&worker, Role::Worker, 7_000)], 0);
    let body = stage.rail.settle_body(&bytes, &receipt).unwrap();
    // The set and the vault come first, then the receipt, which is lost.
    let rail = stage.rail.clone();
    let early = rail.settle_body(
        &bytes,
        &stage
            .validators
            .receipt(&terms, &[row(&worker, Role::Worker, 7_000)], 1),
    );
    let _too_few = rail.submit(&early.unwrap()).await;
    stage.proxy.arm(Trick::LoseRequest);
    let lost = stage.rail.submit(&body).await;
    assert!(matches!(lost, Err(RailError::Unknown)), "{lost:?}");
    let first = stage.proxy.seen().pop().unwrap();
    stage.outlive_blockhashes().await;
    stage.rail.submit(&body).await.unwrap();
    let second = stage.proxy.seen().pop().unwrap();
    assert_ne!(first, second, "a void transaction is not sent again");
    let hash = |raw: &[u8]| {
        let decoded = transaction::decode(raw).unwrap();
        *decoded.message.recent_blockhash()
    };
    assert_ne!(hash(&first), hash(&second));
    assert_eq!(stage.node.devnet.units(&worker).await.unwrap(), 7_000);
}

#[tokio::test]
async fn a_key_that_has_spent_its_budget_of_the_day_signs_nothing() {
    let stage = Stage::with(Caps {
        daily_lamports: 100_000,
        ..caps()
    })
    .await;
    let terms = stage.terms(10_000, &stage.validators.set).await;
    let bytes = terms.encode();
    transfer(&stage.node, &place(&terms).vault, 10_000).await;
    let receipt = stage.validators.receipt(&terms, &[], 0);
    let body = stage.rail.settle_body(&bytes, &receipt).unwrap();
    let refused = stage.rail.submit(&body).await;
    assert!(
        matches!(&refused, Err(RailError::Retry { rule }) if rule == "LamportBudget"),
        "{refused:?}"
    );
    assert!(stage.proxy.seen().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn dust_before_the_deposit_does_not_hide_when_the_budget_was_covered() {
    let stage = Stage::start().await;
    let terms = stage.terms(10_000, &stage.validators.set).await;
    let vault = place(&terms).vault;
    for _ in 0..5 {
        transfer(&stage.node, &vault, 1).await;
    }
    let before = stage.node.devnet.now().await.unwrap();
    transfer(&stage.node, &vault, 9_995).await;
    let after = stage.node.devnet.now().await.unwrap() + 1;
    transfer(&stage.node, &vault, 1).await;
    let deposit = stage.rail.deposit(&terms.encode(), NOBODY).await.unwrap();
    let Deposit::Funded { amount, at_ms } = deposit else {
        panic!("{deposit:?}");
    };
    assert_eq!(amount, Amount::from(10_001_u64));
    let at = i64::try_from(at_ms / 1_000).unwrap();
    assert!((before..=after).contains(&at), "{before} {at} {after}");
}

/// #44: a provider of another cluster is not believed about anything.
#[tokio::test]
async fn threat_44_a_node_with_another_genesis_is_unknown() {
    let stage = Stage::start().await;
    let options = ChainOptions::solana(SOLANA);
    let chain = Chain::new(&[stage.node.devnet.url().to_owned()], options).unwrap();
    let other = RpcError::unknown(Silence::OtherChain);
    assert_eq!(chain.now().await, Err(other.clone()));
    assert_eq!(chain.broadcast(&[0; 10]).await, Err(other));
}
