//! The sender: one transaction per intent, whatever happens in between.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall as _;
use d402_evm::Finality;
use d402_evm::abi::Token;
use d402_objects::Hex32;

use super::proxy::Trick;
use super::stage::{Stage, WallClock, caps, chain, key};
use crate::evm::book::NonceBook;
use crate::evm::devnet::USDC;
use crate::evm::{Caps, SendError, Sequencer};

fn intent(number: u8) -> Hex32 {
    Hex32::from_bytes([number; 32])
}

/// A call that moves one unit of the signer.
fn one_unit_to(to: Address) -> Bytes {
    let value = U256::from(1);
    Token::transferCall { to, value }.abi_encode().into()
}

async fn sequencer(stage: &Stage, signer: u64, caps: Caps) -> Sequencer {
    let signer = key(signer);
    stage.devnet.give_gas(signer.address()).await.unwrap();
    stage.devnet.give(signer.address(), 100).await.unwrap();
    let path = stage.folder.path().join("sender.sqlite");
    let book = NonceBook::open(&path, signer.address()).await.unwrap();
    let chain = Arc::clone(&stage.chain);
    Sequencer::new(chain, (signer, book), caps, Arc::new(WallClock))
}

#[tokio::test]
async fn an_intent_asked_for_twice_is_one_transaction() {
    let stage = Stage::start().await;
    let sender = sequencer(&stage, 900, caps()).await;
    let to = stage.stranger();
    let call = one_unit_to(to);
    let first = sender.bring(intent(1), USDC, &call).await.unwrap();
    let again = sender.bring(intent(1), USDC, &call).await.unwrap();
    assert_eq!(first.transaction_hash, again.transaction_hash);
    let (left, right) = tokio::join!(
        sender.bring(intent(2), USDC, &call),
        sender.bring(intent(2), USDC, &call)
    );
    assert_eq!(
        left.unwrap().transaction_hash,
        right.unwrap().transaction_hash
    );
    assert_eq!(stage.devnet.units(to).await.unwrap(), 2);
}

#[tokio::test]
async fn after_a_crash_the_same_bytes_go_out_again_and_nothing_else() {
    let stage = Stage::start().await;
    let to = stage.stranger();
    let call = one_unit_to(to);
    let sender = sequencer(&stage, 901, caps()).await;
    stage.proxy.arm(Trick::LoseRequest);
    let lost = sender.bring(intent(1), USDC, &call).await;
    assert!(matches!(lost, Err(SendError::Unknown(_))), "{lost:?}");
    drop(sender);
    let sender = sequencer(&stage, 901, caps()).await;
    sender.bring(intent(1), USDC, &call).await.unwrap();
    let seen = stage.proxy.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], seen[1], "the bytes that were planned");
    assert_eq!(stage.devnet.units(to).await.unwrap(), 1);
}

#[tokio::test]
async fn a_lost_transaction_is_sent_before_the_one_that_waits_behind_it() {
    let stage = Stage::start().await;
    let to = stage.stranger();
    let call = one_unit_to(to);
    let sender = sequencer(&stage, 902, caps()).await;
    stage.proxy.arm(Trick::LoseRequest);
    let lost = sender.bring(intent(1), USDC, &call).await;
    assert!(matches!(lost, Err(SendError::Unknown(_))), "{lost:?}");
    sender.bring(intent(2), USDC, &call).await.unwrap();
    assert_eq!(stage.devnet.units(to).await.unwrap(), 2, "both happened");
    sender.bring(intent(1), USDC, &call).await.unwrap();
    assert_eq!(stage.devnet.units(to).await.unwrap(), 2, "each once");
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced_under_its_nonce_with_higher_fees() {
    let stage = Stage::start().await;
    let caps = Caps {
        bump_after: Duration::ZERO,
        wait: Duration::from_millis(200),
        ..caps()
    };
    let sender = sequencer(&stage, 903, caps).await;
    let to = stage.stranger();
    let call = one_unit_to(to);
    stage
        .devnet
        .ask("evm_setAutomine", serde_json::json!([false]))
        .await
        .unwrap();
    for _ in 0..3 {
        let waiting = sender.bring(intent(1), USDC, &call).await;
        assert!(matches!(waiting, Err(SendError::Waiting)), "{waiting:?}");
    }
    let seen = stage.proxy.seen();
    assert!(seen.len() >= 3 && seen[0] != seen[2], "fees were raised");
    stage.devnet.mine(1).await.unwrap();
    sender.bring(intent(1), USDC, &call).await.unwrap();
    assert_eq!(stage.devnet.units(to).await.unwrap(), 1, "executed once");
}

#[tokio::test]
async fn a_transaction_of_an_undone_block_comes_back() {
    let stage = Stage::start().await;
    let sender = sequencer(&stage, 904, caps()).await;
    let to = stage.stranger();
    let call = one_unit_to(to);
    let before = stage
        .devnet
        .ask("evm_snapshot", serde_json::json!([]))
        .await
        .unwrap();
    sender.bring(intent(1), USDC, &call).await.unwrap();
    assert_eq!(stage.devnet.units(to).await.unwrap(), 1);
    stage
        .devnet
        .ask("evm_revert", serde_json::json!([before]))
        .await
        .unwrap();
    assert_eq!(stage.devnet.units(to).await.unwrap(), 0, "undone");
    // Nobody asks for the intent; looking after what is not final is enough. On this chain every level is
    // the newest block, so the count of the undone chain is what counts.
    sender.tend().await.unwrap();
    // The node answers a submission before its block is made; the transaction is in this one at the latest.
    stage.devnet.mine(1).await.unwrap();
    assert_eq!(
        stage.devnet.units(to).await.unwrap(),
        1,
        "there again, once"
    );
}

#[tokio::test]
async fn gas_over_the_cap_is_not_paid() {
    let stage = Stage::start().await;
    let call = one_unit_to(stage.stranger());
    let dear = Caps {
        max_fee: 1,
        ..caps()
    };
    let sender = sequencer(&stage, 905, dear).await;
    let refused = sender.bring(intent(1), USDC, &call).await;
    assert!(matches!(refused, Err(SendError::GasPrice)), "{refused:?}");
    drop(sender);
    let small = Caps {
        max_gas: 21_000,
        ..caps()
    };
    let sender = sequencer(&stage, 905, small).await;
    let refused = sender.bring(intent(1), USDC, &call).await;
    assert!(
        matches!(refused, Err(SendError::GasLimit { .. })),
        "{refused:?}"
    );
    assert_eq!(stage.proxy.seen().len(), 0, "nothing was sent");
}

#[tokio::test]
async fn a_provider_of_another_chain_is_never_asked_for_more() {
    let stage = Stage::start().await;
    let options = d402_evm::ChainOptions {
        finality: Finality::DEVELOPMENT,
        ..d402_evm::ChainOptions::base(8_453)
    };
    let wrong = d402_evm::Chain::new(std::slice::from_ref(&stage.proxy.url), options).unwrap();
    assert!(wrong.now().await.is_err());
    assert_eq!(stage.proxy.asked("eth_getBlockByNumber"), 0);
    let right = chain(
        std::slice::from_ref(&stage.proxy.url),
        Finality::DEVELOPMENT,
    );
    assert!(right.now().await.is_ok());
}
