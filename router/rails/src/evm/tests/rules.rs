//! What is believed, from whom, and when.

use std::sync::Arc;

use alloy::primitives::{Bytes, U256, address};
use alloy::sol_types::{SolCall as _, SolValue as _};
use d402_core::ports::{Deposit, PaymentFault, Rail as _, RailError};
use d402_evm::abi::Token;
use d402_evm::{Finality, Level};

use super::stage::{Stage, authorize, chain, escrow_of, payload, rail, token};
use crate::evm::authorization::SignedAuthorization;
use crate::evm::body::MoneyBody;
use crate::evm::devnet::{Devnet, DevnetOptions, USDC, WHALE};

#[tokio::test]
async fn threat_36_small_deposits_need_two_blocks_on_top_and_larger_ones_more() {
    let stage = Stage::start().await;
    let strict = Arc::new(chain(
        std::slice::from_ref(&stage.proxy.url),
        Finality::BASE,
    ));
    let folder = tempfile::tempdir().unwrap();
    let strict = rail(&strict, folder.path()).await;
    let terms = stage.terms(10_000).await;
    let buyer = stage.buyer(10_000).await;
    let until = stage.now().await + 100;
    let payment = authorize(&buyer, escrow_of(&terms), 10_000, (1, until));
    let bytes = terms.encode();
    let paid = stage.rail.verify(&payload(&payment), &bytes).await.unwrap();
    let paid = paid.unwrap();
    stage.rail.submit(&paid.body).await.unwrap();
    let seen = strict.deposit(&bytes, paid.payment_id).await.unwrap();
    assert_eq!(seen, Deposit::Pending, "no block on top");
    stage.devnet.mine(1).await.unwrap();
    let seen = strict.deposit(&bytes, paid.payment_id).await.unwrap();
    assert_eq!(seen, Deposit::Pending, "one block on top");
    stage.devnet.mine(1).await.unwrap();
    let seen = strict.deposit(&bytes, paid.payment_id).await.unwrap();
    assert!(matches!(seen, Deposit::Funded { .. }), "{seen:?}");
    assert_eq!(Finality::BASE.level(10_000_000), Level::Depth(2));
    assert_eq!(Finality::BASE.level(10_000_001), Level::Safe);
    assert_eq!(Finality::BASE.level(1_000_000_001), Level::Finalized);
}

#[tokio::test]
async fn threat_37_a_payment_somebody_else_submitted_is_a_payment() {
    let stage = Stage::start().await;
    let terms = stage.terms(10_000).await;
    let buyer = stage.buyer(20_000).await;
    let until = stage.now().await + 100;
    let payment = authorize(&buyer, escrow_of(&terms), 10_000, (1, until));
    let bytes = terms.encode();
    let verified = stage.rail.verify(&payload(&payment), &bytes).await.unwrap();
    let verified = verified.unwrap();
    take(&stage, &payment).await;
    stage.rail.submit(&verified.body).await.unwrap();
    let seen = stage.rail.deposit(&bytes, verified.payment_id).await;
    assert!(matches!(seen, Ok(Deposit::Funded { .. })), "{seen:?}");
    let again = stage.rail.verify(&payload(&payment), &bytes).await.unwrap();
    assert_eq!(again.unwrap(), verified, "as good as before");
    assert_eq!(stage.devnet.units(buyer.address()).await.unwrap(), 10_000);
}

#[tokio::test]
async fn a_nonce_used_for_something_else_is_spent_and_pays_nothing_here() {
    let stage = Stage::start().await;
    let terms = stage.terms(10_000).await;
    let buyer = stage.buyer(30_000).await;
    let until = stage.now().await + 100;
    let payment = authorize(&buyer, escrow_of(&terms), 10_000, (1, until));
    let elsewhere = authorize(&buyer, stage.stranger(), 10_000, (1, until));
    let bytes = terms.encode();
    let verified = stage.rail.verify(&payload(&payment), &bytes).await.unwrap();
    let verified = verified.unwrap();
    take(&stage, &elsewhere).await;
    let fault = stage.rail.verify(&payload(&payment), &bytes).await.unwrap();
    assert_eq!(fault, Err(PaymentFault::Spent));
    let refused = stage.rail.submit(&verified.body).await;
    assert!(
        matches!(&refused, Err(RailError::Refused { rule }) if rule == "AuthorizationSpent"),
        "{refused:?}"
    );
    let seen = stage.rail.deposit(&bytes, verified.payment_id).await;
    assert_eq!(seen.unwrap(), Deposit::Impossible, "threat #71");
}

/// Somebody submits an authorization straight to the token.
pub(super) async fn take(stage: &Stage, payment: &SignedAuthorization) {
    let given = &payment.authorization;
    let call = Token::transferWithAuthorizationCall {
        from: given.from,
        to: given.to,
        value: given.value,
        validAfter: given.valid_after,
        validBefore: given.valid_before,
        nonce: given.nonce,
        signature: payment.signature.clone(),
    };
    let sent = stage.devnet.send(WHALE, USDC, call.abi_encode().into());
    sent.await.unwrap();
}

#[tokio::test]
async fn a_blocked_payer_fails_the_trial_run_although_every_check_passes() {
    let stage = Stage::start().await;
    let terms = stage.terms(10_000).await;
    let buyer = stage.buyer(10_000).await;
    let until = stage.now().await + 100;
    let payment = authorize(&buyer, escrow_of(&terms), 10_000, (1, until));
    stage.set_blocked(buyer.address(), true).await;
    let fault = stage.rail.verify(&payload(&payment), &terms.encode()).await;
    assert_eq!(fault.unwrap(), Err(PaymentFault::Simulation));
}

#[tokio::test]
async fn two_providers_that_disagree_are_unknown_and_never_half_believed() {
    let stage = Stage::start().await;
    let other = Devnet::start(DevnetOptions::default()).await.unwrap();
    other.give(stage.stranger(), 1).await.unwrap();
    stage.devnet.give(stage.stranger(), 2).await.unwrap();
    let urls = [stage.proxy.url.clone(), other.url().to_owned()];
    let both = Arc::new(chain(&urls, Finality::DEVELOPMENT));
    let folder = tempfile::tempdir().unwrap();
    let both = rail(&both, folder.path()).await;
    let terms = stage.terms(10_000).await.encode();
    let id = d402_objects::Hex32::from_bytes([1; 32]);
    let seen = both.deposit(&terms, id).await;
    assert!(matches!(seen, Err(RailError::Unknown)), "{seen:?}");
    let seen = both.vault(&terms).await;
    assert!(matches!(seen, Err(RailError::Unknown)), "{seen:?}");
    let same = [stage.proxy.url.clone(), stage.devnet.url().to_owned()];
    let same = Arc::new(chain(&same, Finality::DEVELOPMENT));
    let folder = tempfile::tempdir().unwrap();
    let same = rail(&same, folder.path()).await;
    assert_eq!(same.deposit(&terms, id).await.unwrap(), Deposit::Pending);
}

#[tokio::test]
async fn a_ledger_that_is_not_there_takes_no_payment_although_every_call_to_it_succeeds() {
    let stage = Stage::start().await;
    let terms = stage.terms(10_000).await;
    let buyer = stage.buyer(10_000).await;
    let until = stage.now().await + 100;
    let payment = authorize(&buyer, escrow_of(&terms), 10_000, (1, until));
    let none = serde_json::json!([super::stage::ledger(), "0x"]);
    stage.devnet.ask("anvil_setCode", none).await.unwrap();
    let verified = stage.rail.verify(&payload(&payment), &terms.encode()).await;
    assert!(matches!(verified, Err(RailError::Unknown)), "{verified:?}");
}

#[tokio::test]
async fn a_dead_chain_is_unknown_to_every_question_and_never_zero() {
    let dead = Arc::new(chain(
        &["http://127.0.0.1:1".to_owned()],
        Finality::DEVELOPMENT,
    ));
    let folder = tempfile::tempdir().unwrap();
    let dead = rail(&dead, folder.path()).await;
    let stage = Stage::start().await;
    let terms = stage.terms(10_000).await;
    let buyer = stage.buyer(10_000).await;
    let until = stage.now().await + 100;
    let payment = authorize(&buyer, escrow_of(&terms), 10_000, (1, until));
    let bytes = terms.encode();
    let body = MoneyBody::Pay {
        terms: Bytes::copy_from_slice(&bytes),
        payment: payment.clone(),
    };
    let body = body.encode().unwrap();
    let id = payment.id(&token());
    assert!(matches!(
        dead.verify(&payload(&payment), &bytes).await,
        Err(RailError::Unknown)
    ));
    assert!(matches!(dead.submit(&body).await, Err(RailError::Unknown)));
    assert!(matches!(
        dead.deposit(&bytes, id).await,
        Err(RailError::Unknown)
    ));
    assert!(matches!(dead.vault(&bytes).await, Err(RailError::Unknown)));
    assert!(matches!(dead.chain_now_ms().await, Err(RailError::Unknown)));
}

#[tokio::test]
async fn threat_38_dust_from_strangers_neither_hides_a_payment_nor_makes_it_late() {
    let stage = Stage::start().await;
    let terms = stage.terms(10_000).await;
    let escrow = escrow_of(&terms);
    for _ in 0..20 {
        stage.devnet.give(escrow, 1).await.unwrap();
    }
    let buyer = stage.buyer(10_000).await;
    let until = stage.now().await + 100;
    let payment = authorize(&buyer, escrow, 10_000, (1, until));
    let bytes = terms.encode();
    let paid = stage.rail.verify(&payload(&payment), &bytes).await.unwrap();
    let paid = paid.unwrap();
    stage.rail.submit(&paid.body).await.unwrap();
    let came = stage.now().await;
    stage.devnet.advance_to(came + 500).await.unwrap();
    for _ in 0..20 {
        stage.devnet.give(escrow, 1).await.unwrap();
    }
    let seen = stage.rail.deposit(&bytes, paid.payment_id).await.unwrap();
    let at_ms = came * 1_000;
    let amount = d402_objects::Amount::from(10_040_u64);
    assert_eq!(seen, Deposit::Funded { amount, at_ms });
}

#[tokio::test]
async fn contract_wallets_pay_deployed_or_not_and_a_lying_factory_does_not() {
    let stage = Stage::start().await;
    let owner = stage.buyer(1).await;
    let (factory, make, wallet) = stage.wallet_of(owner.address()).await;
    stage.devnet.give(wallet, 30_000).await.unwrap();
    let terms = stage.terms(10_000).await;
    let until = stage.now().await + 100;
    let mut payment = authorize(&owner, escrow_of(&terms), 10_000, (1, until));
    payment.authorization.from = wallet;
    let inner = owner.sign(&token().digest(&payment.authorization)).unwrap();
    let wrap = |factory, make: &Bytes, inner: &Bytes| -> Bytes {
        let mut bytes = (factory, make.clone(), inner.clone()).abi_encode_params();
        bytes.extend_from_slice(&[0x64, 0x92].repeat(16));
        bytes.into()
    };
    let bytes = terms.encode();
    // Whoever answers "valid" to everything is asked as a factory only.
    let liar = address!("0x000000000000000000000000000000000000a1a1");
    let yes =
        "0x7f1626ba7e0000000000000000000000000000000000000000000000000000000060005260206000f3";
    stage
        .devnet
        .ask("anvil_setCode", serde_json::json!([liar, yes]))
        .await
        .unwrap();
    let forged = stage
        .buyer(1)
        .await
        .sign(&token().digest(&payment.authorization))
        .unwrap();
    payment.signature = wrap(liar, &Bytes::new(), &forged);
    let fault = stage.rail.verify(&payload(&payment), &bytes).await.unwrap();
    assert_eq!(
        fault,
        Err(PaymentFault::Signature),
        "a factory's yes is none"
    );
    payment.signature = wrap(factory, &make, &inner);
    let paid = stage
        .rail
        .verify(&payload(&payment), &bytes)
        .await
        .unwrap()
        .unwrap();
    stage.rail.submit(&paid.body).await.unwrap();
    let seen = stage.rail.deposit(&bytes, paid.payment_id).await.unwrap();
    assert!(
        matches!(seen, Deposit::Funded { .. }),
        "not deployed: {seen:?}"
    );
    // Deployed now: its own signature is enough.
    let terms = stage.terms(10_000).await;
    let mut payment = authorize(&owner, escrow_of(&terms), 10_000, (2, until));
    payment.authorization.from = wallet;
    payment.signature = owner.sign(&token().digest(&payment.authorization)).unwrap();
    let bytes = terms.encode();
    let paid = stage
        .rail
        .verify(&payload(&payment), &bytes)
        .await
        .unwrap()
        .unwrap();
    stage.rail.submit(&paid.body).await.unwrap();
    let seen = stage.rail.deposit(&bytes, paid.payment_id).await.unwrap();
    assert!(matches!(seen, Deposit::Funded { .. }), "deployed: {seen:?}");
    assert_eq!(stage.devnet.units(wallet).await.unwrap(), 10_000);
    assert_eq!(payment.authorization.value, U256::from(10_000));
}
