//! [`Rail`] over the RPC client: checks before money moves, bodies of money effects, truth afterwards.
//!
//! Invariants: `verify` changes nothing; what [`SimulatedRail::submit`] posts are the planned bytes; an
//! answer that did not come is [`RailError::Unknown`], never zero and never success; a transaction counts
//! only when the vault or the payment's status shows it, so a chain that lies about success is found out.

use async_trait::async_trait;
use d402_core::ports::{
    Deposit, PaymentFault, Rail, RailError, Settled, VaultState, VerifiedPayment,
};
use d402_objects::{Amount, Cid, Hex32, SignedReceipt};
use d402_settlement::{TERMS_LEN, Terms, ValidatorSet};
use d402_wire::simchain::{NETWORK, Payment, PaymentState, Rpc, SettleRow, VaultView};
use serde::Deserialize;

use super::body::{self, BodyError, MoneyBody};
use super::client::{ClientError, SimClient};
use super::deposit::{judge_deposit, milliseconds};
use super::payment::{self, CheckedPayment, PaymentForm};
use super::server::NOTHING_TO_SWEEP;
use super::vault_terms::VaultTerms;
use crate::recent::Recent;

/// A payment must stay valid for more than this when it is accepted, seconds.
pub const MIN_WINDOW_S: i64 = 5;
/// A payment may be valid for at most this when it is accepted, seconds (x402 `maxTimeoutSeconds`).
pub const MAX_WINDOW_S: i64 = 120;
/// No accepted payment is valid longer than this after `issuedAt`: challenges live 120 s, payments another
/// 120 s. From then on an unseen payment is impossible, whatever this process forgot (threat #71).
pub const LAST_VALID_S: i64 = 240;

/// The simulated chain as a way to pay.
#[derive(Debug)]
pub struct SimulatedRail {
    client: SimClient,
    sets: Recent<ValidatorSet>,
    valid_before: Recent<i64>,
}

/// Payload of the x402 `PAYMENT-SIGNATURE` for this rail.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    payment: Payment,
}

impl SimulatedRail {
    /// The rail over a chain's client.
    #[must_use]
    pub fn new(client: SimClient) -> Self {
        Self {
            client,
            sets: Recent::default(),
            valid_before: Recent::default(),
        }
    }

    /// The client, for what is no rail business (faucet, events).
    #[must_use]
    pub const fn client(&self) -> &SimClient {
        &self.client
    }

    /// Requests that make `terms` known to the chain, as far as this process can.
    fn publish_set(&self, terms: &VaultTerms) -> Option<Rpc> {
        let set = self
            .sets
            .recall(Hex32::from_bytes(*terms.terms().validator_set.as_bytes()))?;
        let keys = set
            .keys()
            .iter()
            .map(|key| Hex32::from_bytes(*key.as_bytes()))
            .collect();
        Some(Rpc::PublishSet {
            threshold: set.m(),
            keys,
        })
    }

    fn pay_body(&self, payment: &CheckedPayment, terms: &VaultTerms) -> Result<Vec<u8>, RailError> {
        let pay = Rpc::Pay {
            payment: payment.payment().clone(),
            terms: Some(terms.to_hex()),
        };
        let steps: Vec<Rpc> = self.publish_set(terms).into_iter().chain([pay]).collect();
        body::encode(&steps).map_err(|e| bad_body(&e))
    }

    /// Latest moment an unseen payment may still take effect: its own, if this process saw it.
    fn last_moment(&self, terms: &Terms, payment_id: Hex32) -> i64 {
        self.valid_before
            .recall(payment_id)
            .unwrap_or_else(|| terms.issued_at.0.saturating_add(LAST_VALID_S))
    }

    fn note_window(&self, payment: &Payment) {
        if let Some(id) = payment::payment_id(payment) {
            self.valid_before.remember(id, payment.valid_before);
        }
    }

    async fn view(&self, terms: &VaultTerms) -> Result<VaultView, RailError> {
        let asset = Hex32::from_bytes(*terms.terms().mint.as_bytes());
        self.client
            .vault(terms.hash(), terms.address(), asset)
            .await
            .map_err(rail_error)
    }
}

#[async_trait]
impl Rail for SimulatedRail {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn network(&self) -> &str {
        NETWORK
    }

    // Terms carry only the set's hash, and neither `open` nor `settle` works before the set is published.
    // The bodies made afterwards keep the set, so nothing here has to survive a restart.
    fn learn_set(&self, set: &ValidatorSet) {
        self.sets
            .remember(Hex32::from_bytes(*set.hash().as_bytes()), *set);
    }

    fn payment_id(&self, payload: &serde_json::Value) -> Option<Hex32> {
        let Payload { payment } = Payload::deserialize(payload).ok()?;
        payment::payment_id(&payment)
    }

    async fn verify(
        &self,
        payload: &serde_json::Value,
        terms: &[u8],
    ) -> Result<Result<VerifiedPayment, PaymentFault>, RailError> {
        let terms = parse_terms(terms)?;
        let Ok(Payload { payment }) = Payload::deserialize(payload) else {
            return Ok(Err(PaymentFault::Malformed));
        };
        if !fits(&payment, &terms) {
            return Ok(Err(PaymentFault::Mismatch));
        }
        let payment = match payment::check(&payment) {
            Ok(checked) => checked,
            Err(PaymentForm::Amount) => return Ok(Err(PaymentFault::Mismatch)),
            Err(PaymentForm::Signature) => return Ok(Err(PaymentFault::Signature)),
        };
        if let Err(fault) = self.acceptable_now(&payment, terms.terms()).await? {
            return Ok(Err(fault));
        }
        self.note_window(payment.payment());
        Ok(Ok(VerifiedPayment {
            payment_id: payment.id(),
            payer: payment.payment().from.to_string(),
            body: self.pay_body(&payment, &terms)?,
        }))
    }

    async fn submit(&self, body: &[u8]) -> Result<(), RailError> {
        let body = MoneyBody::decode(body).map_err(|e| bad_body(&e))?;
        let mut last = Ok(());
        for step in body.steps() {
            if let Rpc::Pay { payment, .. } = &step.rpc {
                self.note_window(payment);
            }
            last = match self
                .client
                .execute_bytes(step.bytes.clone())
                .await
                .map_err(rail_error)
            {
                Ok(_) => Ok(()),
                // What a sweep is for holds already: nothing that may be refunded is there.
                Err(RailError::Retry { rule }) if rule == NOTHING_TO_SWEEP => Ok(()),
                // A step before the last may be refused because it is done or not needed any more; what
                // matters is the effect. Without an answer nothing more is sent.
                Err(refused @ (RailError::Retry { .. } | RailError::Refused { .. })) => {
                    Err(refused)
                }
                Err(unknown) => return Err(unknown),
            };
        }
        last
    }

    fn settle_body(&self, terms: &[u8], receipt: &SignedReceipt) -> Result<Vec<u8>, RailError> {
        let terms = parse_terms(terms)?;
        let settle = settle_request(&terms, receipt)?;
        let open = Rpc::Open {
            terms: terms.to_hex(),
        };
        let steps: Vec<Rpc> = self
            .publish_set(&terms)
            .into_iter()
            .chain([open, settle])
            .collect();
        body::encode(&steps).map_err(|e| bad_body(&e))
    }

    fn sweep_body(&self, terms: &[u8]) -> Vec<u8> {
        // Bytes that are no terms make a body the chain refuses.
        body::encode(&[Rpc::Sweep {
            terms: hex::encode(terms),
        }])
        .unwrap_or_default()
    }

    async fn deposit(&self, terms: &[u8], payment_id: Hex32) -> Result<Deposit, RailError> {
        let terms = parse_terms(terms)?;
        let last_moment = self.last_moment(terms.terms(), payment_id);
        let state = self
            .client
            .payment(payment_id, Some(last_moment))
            .await
            .map_err(rail_error)?;
        let view = self.view(&terms).await?;
        judge_deposit(terms.terms().budget, &state, &view)
    }

    async fn transaction(&self, payment_id: Hex32) -> Result<Option<String>, RailError> {
        let state = self
            .client
            .payment(payment_id, None)
            .await
            .map_err(rail_error)?;
        Ok(match state {
            PaymentState::Executed { transaction, .. } => Some(transaction.to_string()),
            PaymentState::Unseen | PaymentState::Impossible => None,
        })
    }

    async fn vault(&self, terms: &[u8]) -> Result<VaultState, RailError> {
        let terms = parse_terms(terms)?;
        let view = self.view(&terms).await?;
        Ok(match view.settled {
            None => VaultState::Open {
                balance: view.balance,
            },
            Some(settled) => VaultState::Settled(Settled {
                receipt_cid: Cid::from_digest(settled.receipt_cid.as_bytes()),
                transaction: settled.transaction.to_string(),
                height: settled.height,
                paid: settled.paid,
                refunded: settled.refunded,
            }),
        })
    }

    async fn chain_now_ms(&self) -> Result<u64, RailError> {
        let (now, _) = self.client.clock().await.map_err(rail_error)?;
        milliseconds(now)
    }
}

impl SimulatedRail {
    /// Time window and funds, unless the payment has taken effect already: then it is as good as any
    /// (somebody else may submit it first, threat #37).
    async fn acceptable_now(
        &self,
        payment: &CheckedPayment,
        terms: &Terms,
    ) -> Result<Result<(), PaymentFault>, RailError> {
        match self
            .client
            .payment(payment.id(), None)
            .await
            .map_err(rail_error)?
        {
            PaymentState::Executed { .. } => return Ok(Ok(())),
            PaymentState::Unseen | PaymentState::Impossible => {}
        }
        let (now, _) = self.client.clock().await.map_err(rail_error)?;
        let valid_before = payment.payment().valid_before;
        let latest = now
            .saturating_add(MAX_WINDOW_S)
            .min(terms.issued_at.0.saturating_add(LAST_VALID_S));
        if valid_before <= now.saturating_add(MIN_WINDOW_S) || valid_before > latest {
            return Ok(Err(PaymentFault::Expired));
        }
        let needed = payment.payment().amount;
        let got = self
            .client
            .balance(payment.payment().from, payment.payment().asset)
            .await
            .map_err(rail_error)?;
        Ok(if got < needed {
            Err(PaymentFault::Funds { got, needed })
        } else {
            Ok(())
        })
    }
}

fn fits(payment: &Payment, terms: &VaultTerms) -> bool {
    payment.amount == Amount::from(terms.terms().budget)
        && payment.pay_to == terms.address()
        && payment.asset.as_bytes() == *terms.terms().mint.as_bytes()
}

fn parse_terms(bytes: &[u8]) -> Result<VaultTerms, RailError> {
    <&[u8; TERMS_LEN]>::try_from(bytes)
        .ok()
        .and_then(VaultTerms::decode)
        .ok_or_else(|| RailError::Refused {
            rule: "TermsForm".to_owned(),
        })
}

fn settle_request(terms: &VaultTerms, receipt: &SignedReceipt) -> Result<Rpc, RailError> {
    let refused = |rule: &str| RailError::Refused {
        rule: rule.to_owned(),
    };
    let decided = receipt.receipt();
    if decided.terms_hash != terms.hash() {
        return Err(refused("ReceiptOfOtherTerms"));
    }
    let mut rows = Vec::with_capacity(decided.rows.len());
    for row in &decided.rows {
        let payee = row
            .payee
            .to_string()
            .parse()
            .map_err(|_| refused("PayeeForm"))?;
        let role = match row.role {
            d402_objects::RowRole::Worker => 0,
            d402_objects::RowRole::Validator => 1,
        };
        rows.push(SettleRow {
            payee,
            role,
            amount: row.amount,
        });
    }
    let signatures = receipt
        .signatures()
        .iter()
        .map(|s| (s.set_index, hex::encode(s.signature.as_slice())))
        .collect();
    let outcome = match decided.outcome {
        d402_objects::Outcome::Paid => 1,
        d402_objects::Outcome::Rejected => 2,
    };
    let receipt_cid = receipt.receipt_cid().to_hex32();
    Ok(Rpc::Settle {
        terms: terms.to_hex(),
        receipt_cid,
        outcome,
        rows,
        signatures,
    })
}

/// What a missing or refusing answer means for money: only the chain's own rules are definite.
fn rail_error(error: ClientError) -> RailError {
    match error {
        ClientError::Refused {
            rule,
            retryable: true,
        } => RailError::Retry { rule },
        ClientError::Refused {
            rule,
            retryable: false,
        } => RailError::Refused { rule },
        ClientError::Unreadable(_) => RailError::Refused {
            rule: "RequestForm".to_owned(),
        },
        cause @ (ClientError::Address
        | ClientError::NoAnswer(_)
        | ClientError::TooLong
        | ClientError::Malformed
        | ClientError::Status(_)) => {
            tracing::debug!(
                error = &cause as &dyn std::error::Error,
                "simulated chain gave no answer"
            );
            RailError::Unknown
        }
    }
}

fn bad_body(error: &BodyError) -> RailError {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "money body is not of this rail"
    );
    RailError::Refused {
        rule: "BodyForm".to_owned(),
    }
}
