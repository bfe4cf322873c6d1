//! Paying a worker straight: what is taken, what is believed, and when a payment is given up.

use std::sync::Arc;

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolValue as _;
use d402_core::ports::{
    DirectAsk, DirectRail as _, DirectState, PaymentFault, Rail as _, RailError, Uncollectable,
    VerifiedPayment,
};
use d402_evm::Finality;
use d402_objects::Amount;

use super::rules::take;
use super::stage::{Stage, authorize, chain, direct, payload, token};
use crate::evm::authorization::SignedAuthorization;
use crate::evm::devnet::USDC;
use crate::evm::{BaseDirectRail, EvmKey};

const UNITS: u64 = 10_000;

/// A stage whose chain a direct rail is used on, a worker's account, and a buyer with money.
struct Straight {
    stage: Stage,
    rail: BaseDirectRail,
    worker: Address,
    buyer: EvmKey,
    _folder: tempfile::TempDir,
}

impl Straight {
    async fn start() -> Self {
        let stage = Stage::start().await;
        let folder = tempfile::tempdir().unwrap();
        let rail = direct(&stage.chain, folder.path()).await;
        Self {
            worker: stage.stranger(),
            buyer: stage.buyer(UNITS).await,
            rail,
            stage,
            _folder: folder,
        }
    }

    async fn authorized(&self, to: Address, units: u64) -> SignedAuthorization {
        let until = self.stage.now().await + 100;
        authorize(&self.buyer, to, units, (self.stage.fresh(), until))
    }

    async fn verify(&self, payment: &SignedAuthorization) -> Result<VerifiedPayment, PaymentFault> {
        self.verify_until(payment, 40).await
    }

    /// As a task asks that is collected so many seconds from now at the latest.
    async fn verify_until(
        &self,
        payment: &SignedAuthorization,
        hold_s: u64,
    ) -> Result<VerifiedPayment, PaymentFault> {
        let now = self.stage.now().await;
        let (pay_to, asset) = (format!("{:#x}", self.worker), format!("{USDC:#x}"));
        let ask = DirectAsk {
            pay_to: &pay_to.parse().unwrap(),
            asset: &asset.parse().unwrap(),
            amount: Amount::from(UNITS),
            hold_until_ms: (now + hold_s) * 1_000,
        };
        let answer = self.rail.verify_direct(&payload(payment), &ask).await;
        answer.unwrap()
    }

    async fn units(&self, of: Address) -> u128 {
        self.stage.devnet.units(of).await.unwrap()
    }
}

#[tokio::test]
async fn a_direct_payment_moves_nothing_until_it_is_submitted_and_then_once() {
    let at = Straight::start().await;
    let payment = at.authorized(at.worker, UNITS).await;
    let verified = at.verify(&payment).await.unwrap();
    assert_eq!(verified.payment_id, payment.id(&token()));
    assert_eq!(at.units(at.worker).await, 0, "verifying changes nothing");
    let open = at.rail.payment(&verified.body).await.unwrap();
    assert!(matches!(open, DirectState::Open { .. }), "{open:?}");
    at.rail.submit(&verified.body).await.unwrap();
    at.rail.submit(&verified.body).await.unwrap();
    assert_eq!(at.units(at.worker).await, u128::from(UNITS));
    let paid = at.rail.payment(&verified.body).await.unwrap();
    let DirectState::Paid { transaction, .. } = paid else {
        panic!("{paid:?}");
    };
    assert!(transaction.starts_with("0x") && transaction.len() == 66);
    let known = at.rail.transaction(verified.payment_id).await.unwrap();
    assert_eq!(known, Some(transaction));
}

#[tokio::test]
async fn a_direct_payment_is_exactly_what_was_asked_and_lasts_until_the_work_is_judged() {
    let at = Straight::start().await;
    let elsewhere = at.authorized(at.stage.stranger(), UNITS).await;
    assert_eq!(at.verify(&elsewhere).await, Err(PaymentFault::Mismatch));
    let less = at.authorized(at.worker, UNITS - 1).await;
    assert_eq!(at.verify(&less).await, Err(PaymentFault::Mismatch));
    let short = at.authorized(at.worker, UNITS).await;
    let refused = at.verify_until(&short, 101).await;
    assert_eq!(refused, Err(PaymentFault::Expired), "lapses while judged");
    let mut forged = at.authorized(at.worker, UNITS).await;
    forged.signature = at.authorized(at.worker, UNITS).await.signature;
    assert_eq!(at.verify(&forged).await, Err(PaymentFault::Signature));
    let poor = at.stage.buyer(UNITS - 1).await;
    let until = at.stage.now().await + 100;
    let unfunded = authorize(&poor, at.worker, UNITS, (1, until));
    let refused = at.verify(&unfunded).await;
    assert!(
        matches!(refused, Err(PaymentFault::Funds { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn threat_37_a_direct_payment_somebody_else_submitted_is_a_payment() {
    let at = Straight::start().await;
    let payment = at.authorized(at.worker, UNITS).await;
    let verified = at.verify(&payment).await.unwrap();
    take(&at.stage, &payment).await;
    at.rail.submit(&verified.body).await.unwrap();
    let paid = at.rail.payment(&verified.body).await.unwrap();
    assert!(matches!(paid, DirectState::Paid { .. }), "{paid:?}");
    assert_eq!(at.units(at.worker).await, u128::from(UNITS), "once");
}

#[tokio::test]
async fn a_direct_payment_used_before_it_came_pays_for_nothing_here() {
    let at = Straight::start().await;
    let payment = at.authorized(at.worker, UNITS).await;
    take(&at.stage, &payment).await;
    assert_eq!(
        at.verify(&payment).await,
        Err(PaymentFault::Spent),
        "its receiver does not say for which task it was"
    );
}

#[tokio::test]
async fn threat_71_a_nonce_used_for_another_transfer_makes_a_direct_payment_impossible() {
    let at = Straight::start().await;
    let nonce = at.stage.fresh();
    let until = at.stage.now().await + 100;
    let payment = authorize(&at.buyer, at.worker, UNITS, (nonce, until));
    let verified = at.verify(&payment).await.unwrap();
    let elsewhere = authorize(&at.buyer, at.stage.stranger(), UNITS, (nonce, until));
    take(&at.stage, &elsewhere).await;
    let refused = at.rail.submit(&verified.body).await;
    assert!(
        matches!(refused, Err(RailError::Refused { .. })),
        "{refused:?}"
    );
    let state = at.rail.payment(&verified.body).await.unwrap();
    let why = Uncollectable::Spent;
    assert_eq!(state, DirectState::Impossible { why });
}

#[tokio::test]
async fn threat_71_a_direct_payment_without_money_waits_for_it_and_is_impossible_once_it_lapsed() {
    let at = Straight::start().await;
    let payment = at.authorized(at.worker, UNITS).await;
    let verified = at.verify(&payment).await.unwrap();
    let until = at.stage.now().await + 100;
    let away = authorize(
        &at.buyer,
        at.stage.stranger(),
        UNITS,
        (at.stage.fresh(), until),
    );
    take(&at.stage, &away).await;
    let refused = at.rail.submit(&verified.body).await;
    assert!(
        matches!(refused, Err(RailError::Retry { .. })),
        "{refused:?}"
    );
    let state = at.rail.payment(&verified.body).await.unwrap();
    assert!(matches!(state, DirectState::Open { .. }), "{state:?}");
    let end: u64 = payment.authorization.valid_before.to();
    at.stage.devnet.advance_to(end).await.unwrap();
    let refused = at.rail.submit(&verified.body).await;
    assert!(
        matches!(refused, Err(RailError::Refused { .. })),
        "{refused:?}"
    );
    let state = at.rail.payment(&verified.body).await.unwrap();
    let why = Uncollectable::Expired;
    assert_eq!(state, DirectState::Impossible { why });
}

#[tokio::test]
async fn threat_36_a_direct_payment_needs_two_blocks_on_top() {
    let at = Straight::start().await;
    let strict = Arc::new(chain(
        std::slice::from_ref(&at.stage.proxy.url),
        Finality::BASE,
    ));
    let folder = tempfile::tempdir().unwrap();
    let strict = direct(&strict, folder.path()).await;
    let payment = at.authorized(at.worker, UNITS).await;
    let verified = at.verify(&payment).await.unwrap();
    at.rail.submit(&verified.body).await.unwrap();
    for blocks in 0..2 {
        let state = strict.payment(&verified.body).await.unwrap();
        assert!(
            matches!(state, DirectState::Open { .. }),
            "{blocks}: {state:?}"
        );
        at.stage.devnet.mine(1).await.unwrap();
    }
    let state = strict.payment(&verified.body).await.unwrap();
    assert!(matches!(state, DirectState::Paid { .. }), "{state:?}");
}

#[tokio::test]
async fn a_wallet_that_is_not_deployed_yet_pays_a_worker_straight() {
    let at = Straight::start().await;
    let (factory, made_with, wallet) = at.stage.wallet_of(at.buyer.address()).await;
    at.stage.devnet.give(wallet, UNITS).await.unwrap();
    let mut payment = at.authorized(at.worker, UNITS).await;
    payment.authorization.from = wallet;
    let digest = token().digest(&payment.authorization);
    let own = at.buyer.sign(&digest).unwrap();
    let mut wrapped = (factory, made_with, own).abi_encode_params();
    wrapped.extend_from_slice(&[0x64, 0x92].repeat(16));
    payment.signature = Bytes::from(wrapped);
    let verified = at.verify(&payment).await.unwrap();
    at.rail.submit(&verified.body).await.unwrap();
    let paid = at.rail.payment(&verified.body).await.unwrap();
    assert!(matches!(paid, DirectState::Paid { .. }), "{paid:?}");
    assert_eq!(at.units(at.worker).await, u128::from(UNITS));
    assert_eq!(payment.authorization.value, U256::from(UNITS));
}

#[tokio::test]
async fn an_escrow_payment_has_its_transaction_too() {
    let stage = Stage::start().await;
    let terms = stage.terms(UNITS).await;
    let buyer = stage.buyer(UNITS).await;
    let until = stage.now().await + 100;
    let escrow = super::stage::escrow_of(&terms);
    let payment = authorize(&buyer, escrow, UNITS, (1, until));
    let verified = stage.rail.verify(&payload(&payment), &terms.encode()).await;
    let verified = verified.unwrap().unwrap();
    let before = stage.rail.transaction(verified.payment_id).await.unwrap();
    assert_eq!(before, None, "not there yet");
    stage.rail.submit(&verified.body).await.unwrap();
    let known = stage.rail.transaction(verified.payment_id).await.unwrap();
    let hash = known.unwrap().parse().unwrap();
    let receipt = stage.chain.receipt(hash).await.unwrap();
    assert!(receipt.is_some(), "a transaction of this chain");
}
