//! Blocks that are undone, with transactions in them that had no effect.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, Bytes, U64, U256};
use alloy::sol_types::SolCall as _;
use d402_core::ports::{Rail as _, RailError};
use d402_evm::Finality;
use d402_evm::abi::Token;
use d402_objects::Hex32;
use serde_json::{Value, json};

use super::stage::{Stage, WallClock, authorize, caps, chain, escrow_of, key, payload, rail};
use crate::evm::book::NonceBook;
use crate::evm::devnet::{USDC, WHALE};
use crate::evm::sequencer::{MAX_ATTEMPTS, MAX_TENDED};
use crate::evm::{Caps, EvmKey, SendError, Sequencer};

/// Long enough for a transaction to be in the pool, short enough to wait for it in vain.
const SHORT: Duration = Duration::from_millis(300);

fn intent(number: u8) -> Hex32 {
    Hex32::from_bytes([number; 32])
}

/// A call that moves one unit of the signer.
fn one_unit_to(to: Address) -> Bytes {
    let value = U256::from(1);
    Token::transferCall { to, value }.abi_encode().into()
}

/// A chain as Base is: nothing of the last minutes is final.
async fn sender(stage: &Stage, signer: u64) -> Sequencer {
    let signer = key(signer);
    stage.devnet.give_gas(signer.address()).await.unwrap();
    stage.devnet.give(signer.address(), 100).await.unwrap();
    open(stage, signer).await
}

async fn open(stage: &Stage, signer: EvmKey) -> Sequencer {
    let url = std::slice::from_ref(&stage.proxy.url);
    let path = stage.folder.path().join("sender.sqlite");
    let book = NonceBook::open(&path, signer.address()).await.unwrap();
    let caps = Caps {
        wait: SHORT,
        ..caps()
    };
    let chain = Arc::new(chain(url, Finality::BASE));
    Sequencer::new(chain, (signer, book), caps, Arc::new(WallClock))
}

async fn mine_by_itself(stage: &Stage, itself: bool) {
    let set = stage.devnet.ask("evm_setAutomine", json!([itself])).await;
    set.unwrap();
}

async fn snapshot(stage: &Stage) -> Value {
    stage.devnet.ask("evm_snapshot", json!([])).await.unwrap()
}

/// Undoes every block since a snapshot; what was in them is in no pool either.
async fn undo(stage: &Stage, to: Value) {
    let undone = stage.devnet.ask("evm_revert", json!([to])).await.unwrap();
    assert_eq!(undone, json!(true));
}

/// Makes the next block with the token blocking `victim` in front of everything else.
async fn block_in_front(stage: &Stage, victim: Address) {
    alloy::sol! { function setBlocked(address who, bool value) external; }
    let call = setBlockedCall {
        who: victim,
        value: true,
    };
    let data = Bytes::from(call.abi_encode());
    let tip = U64::from(50_000_000_000_u64);
    let transaction = json!([{
        "from": WHALE, "to": USDC, "data": data, "gas": U64::from(200_000),
        "maxFeePerGas": U64::from(100_000_000_000_u64), "maxPriorityFeePerGas": tip,
    }]);
    let sent = stage.devnet.ask("eth_sendTransaction", transaction).await;
    sent.unwrap();
    stage.devnet.mine(1).await.unwrap();
    mine_by_itself(stage, true).await;
}

/// Sends a call whose trial run passes and which is then executed without effect, because the token blocks
/// `victim` in front of it; the sender sees that.
async fn bring_to_nothing(
    stage: &Stage,
    sender: &Sequencer,
    (intent, victim): (Hex32, Address),
    call: &Bytes,
) {
    mine_by_itself(stage, false).await;
    let waiting = sender.bring(intent, USDC, call).await;
    assert!(matches!(waiting, Err(SendError::Waiting)), "{waiting:?}");
    block_in_front(stage, victim).await;
    let reverted = sender.bring(intent, USDC, call).await;
    assert!(
        matches!(reverted, Err(SendError::Reverted { .. })),
        "{reverted:?}"
    );
    stage.set_blocked(victim, false).await;
}

async fn nonce_of(stage: &Stage, who: Address) -> u64 {
    let count = stage
        .devnet
        .ask("eth_getTransactionCount", json!([who, "latest"]));
    let count: U64 = serde_json::from_value(count.await.unwrap()).unwrap();
    count.to()
}

/// The failed transaction's nonce is a gap when its block is undone; whoever is behind it would wait for ever.
#[tokio::test]
async fn a_reverted_transaction_of_an_undone_block_leaves_no_gap() {
    let stage = Stage::start().await;
    let sender = sender(&stage, 910).await;
    let to = stage.stranger();
    let call = one_unit_to(to);
    let before = snapshot(&stage).await;
    bring_to_nothing(&stage, &sender, (intent(1), sender.signer()), &call).await;
    sender.bring(intent(2), USDC, &call).await.unwrap();
    assert_eq!(stage.devnet.units(to).await.unwrap(), 1, "the second only");
    undo(&stage, before).await;
    assert_eq!(nonce_of(&stage, sender.signer()).await, 0, "undone");
    sender.tend().await.unwrap();
    stage.devnet.mine(1).await.unwrap();
    assert_eq!(nonce_of(&stage, sender.signer()).await, 2, "no gap");
    assert_eq!(stage.devnet.units(to).await.unwrap(), 2, "both this time");
    sender.bring(intent(1), USDC, &call).await.unwrap();
    assert_eq!(stage.devnet.units(to).await.unwrap(), 2, "each once");
}

#[tokio::test]
async fn a_gap_of_an_undone_block_is_filled_after_a_restart_with_the_bytes_of_before() {
    let stage = Stage::start().await;
    let signer = key(911);
    let sender = sender(&stage, 911).await;
    let to = stage.stranger();
    let call = one_unit_to(to);
    let before = snapshot(&stage).await;
    bring_to_nothing(&stage, &sender, (intent(1), sender.signer()), &call).await;
    let seen = sender.is_executed(intent(1)).await.unwrap();
    assert!(!seen, "in a block, without effect");
    sender.bring(intent(2), USDC, &call).await.unwrap();
    drop(sender);
    undo(&stage, before).await;
    let sender = open(&stage, signer).await;
    // Whoever comes next fills the gap as well.
    sender.bring(intent(3), USDC, &call).await.unwrap();
    assert_eq!(stage.devnet.units(to).await.unwrap(), 3);
    let seen = stage.proxy.seen();
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[..2], seen[2..4], "the bytes that were planned");
}

/// Two transactions of one payment, both executed: its authorization has one nonce at the token.
#[tokio::test]
async fn a_payment_tried_again_after_a_revert_moves_money_once_whatever_is_undone() {
    let stage = Stage::start().await;
    let url = std::slice::from_ref(&stage.proxy.url);
    let folder = tempfile::tempdir().unwrap();
    let rail = rail(&Arc::new(chain(url, Finality::BASE)), folder.path()).await;
    let gas = rail.sequencer().signer();
    let terms = stage.terms(10_000).await;
    let buyer = stage.buyer(20_000).await;
    let until = stage.now().await + 100;
    let payment = authorize(&buyer, escrow_of(&terms), 10_000, (1, until));
    let paid = rail.verify(&payload(&payment), &terms.encode()).await;
    let body = paid.unwrap().unwrap().body;
    let before = snapshot(&stage).await;
    mine_by_itself(&stage, false).await;
    let waiting = rail.submit(&body).await;
    assert!(matches!(waiting, Err(RailError::Unknown)), "{waiting:?}");
    block_in_front(&stage, buyer.address()).await;
    let refused = rail.submit(&body).await;
    assert!(
        matches!(refused, Err(RailError::Retry { .. })),
        "{refused:?}"
    );
    stage.set_blocked(buyer.address(), false).await;
    assert_eq!(stage.devnet.units(buyer.address()).await.unwrap(), 20_000);
    rail.submit(&body).await.unwrap();
    assert_eq!(nonce_of(&stage, gas).await, 2, "a nonce of its own");
    undo(&stage, before).await;
    rail.sequencer().tend().await.unwrap();
    stage.devnet.mine(1).await.unwrap();
    assert_eq!(nonce_of(&stage, gas).await, 2, "both ran again");
    assert_eq!(stage.devnet.units(buyer.address()).await.unwrap(), 10_000);
    let escrow = stage.devnet.units(escrow_of(&terms)).await.unwrap();
    assert_eq!(escrow, 10_000, "paid once");
    rail.submit(&body).await.unwrap();
    assert_eq!(nonce_of(&stage, gas).await, 2, "and asked for no more");
}

#[tokio::test]
async fn a_call_that_fails_again_and_again_stops_until_the_first_failure_is_final() {
    let stage = Stage::start().await;
    let sender = sender(&stage, 912).await;
    let call = one_unit_to(stage.stranger());
    for _ in 0..MAX_ATTEMPTS {
        bring_to_nothing(&stage, &sender, (intent(1), sender.signer()), &call).await;
    }
    let sent = stage.proxy.seen().len();
    assert_eq!(sent, MAX_ATTEMPTS);
    let refused = sender.bring(intent(1), USDC, &call).await;
    assert!(
        matches!(refused, Err(SendError::Reverted { .. })),
        "{refused:?}"
    );
    assert_eq!(stage.proxy.seen().len(), sent, "nothing was sent");
    stage.devnet.mine(200).await.unwrap();
    sender.bring(intent(1), USDC, &call).await.unwrap();
    assert_eq!(stage.proxy.seen().len(), sent + 1, "final: tried once more");
}

/// Base is busy: far more than one round of transactions is in blocks that are not final yet.
#[tokio::test]
async fn tending_is_bounded_and_never_stuck_on_what_is_in_a_block_already() {
    let stage = Stage::start().await;
    let sender = sender(&stage, 913).await;
    let to = stage.stranger();
    let call = one_unit_to(to);
    let bound = usize::try_from(MAX_TENDED).unwrap();
    for number in 0..=MAX_TENDED {
        let intent = intent(u8::try_from(number).unwrap());
        sender.bring(intent, USDC, &call).await.unwrap();
    }
    let before = snapshot(&stage).await;
    for number in 100..=100 + MAX_TENDED {
        let intent = intent(u8::try_from(number).unwrap());
        sender.bring(intent, USDC, &call).await.unwrap();
    }
    undo(&stage, before).await;
    let round = u128::from(MAX_TENDED);
    for units in [2 * round + 1, 2 * round + 2] {
        let sent = stage.proxy.seen().len();
        sender.tend().await.unwrap();
        assert!(stage.proxy.seen().len() - sent <= bound, "one round");
        stage.devnet.mine(1).await.unwrap();
        assert_eq!(stage.devnet.units(to).await.unwrap(), units);
    }
    let sent = stage.proxy.seen().len();
    sender.tend().await.unwrap();
    assert_eq!(stage.proxy.seen().len(), sent, "nothing to do");
}
