//! [`Rail`] with payTo = the escrow of the task's terms, x402 flow `upfront` (threat #39).
//!
//! Invariants: `verify` changes nothing; an answer that did not come is [`RailError::Unknown`]; a payment or
//! settlement is believed when the chain's logs show it at the level its amount needs (threat #36), whoever
//! sent it (threat #37), never because a transaction was sent or a receipt was read.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolCall as _, SolEvent as _};
use async_trait::async_trait;
use d402_core::ports::{
    Deposit, PaymentFault, Rail, RailError, Settled, VaultState, VerifiedPayment,
};
use d402_evm::abi::Token;
use d402_evm::chain::LogFilter;
use d402_evm::rpc::Silence;
use d402_evm::{Chain, EscrowQuery, EscrowView, Level, RpcError};
use d402_objects::{Amount, Cid, Hex32, SignedReceipt};
use d402_settlement::ValidatorSet;
use d402_settlement::evm::{EVM_TERMS_LEN, EvmAccount, EvmSigners, EvmTerms};
use d402_wire::simchain::{PaidKind, PaidRow};

use super::authorization::{SignedAuthorization, TokenDomain};
use super::body::{MoneyBody, ReceiptBody, SetBody, intent_key};
use super::check::{CLOCK_SLACK_S, Checked, MAX_WINDOW_S, Trial, check};
use super::outcome::{self, Verdict, not_sent, refused, retry};
use super::sequencer::{SendError, Sequencer};
use crate::recent::Recent;

/// No accepted payment is valid longer than this after `issuedAt`: challenges live 120 s, payments another
/// 120 s and the slack of clocks. From then on an unseen payment is impossible (threat #71).
pub const LAST_VALID_S: u64 = 120 + MAX_WINDOW_S + CLOCK_SLACK_S;
/// Most sweeps of one escrow by one body.
const MAX_SWEEPS: u32 = 64;

/// What the rail is over.
#[derive(Clone, Debug)]
pub struct EscrowRailOptions {
    /// CAIP-2 name of the chain, e.g. `eip155:84532`.
    pub network: String,
    /// The token.
    pub token: TokenDomain,
    /// The ledger contract.
    pub ledger: Address,
}

/// Base task escrow as a way to pay.
#[derive(Debug)]
pub struct EscrowRail {
    options: EscrowRailOptions,
    chain: Arc<Chain>,
    sequencer: Sequencer,
    sets: Recent<ValidatorSet>,
    payments: Recent<Seen>,
}

/// What is remembered of a payment that passed by; forgetting it only makes the rail wait longer.
#[derive(Clone, Copy, Debug)]
struct Seen {
    from: Address,
    nonce: B256,
    valid_before: u64,
}

/// Terms with what follows from them on this chain.
struct Place {
    bytes: Bytes,
    terms: EvmTerms,
    query: EscrowQuery,
}

impl EscrowRail {
    /// The rail over a chain and the sender of this gateway.
    #[must_use]
    pub fn new(options: EscrowRailOptions, chain: Arc<Chain>, sequencer: Sequencer) -> Self {
        Self {
            options,
            chain,
            sequencer,
            sets: Recent::default(),
            payments: Recent::default(),
        }
    }

    /// The sender, to be tended from time to time.
    #[must_use]
    pub const fn sequencer(&self) -> &Sequencer {
        &self.sequencer
    }

    /// The chain.
    #[must_use]
    pub const fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    fn place(&self, bytes: &[u8]) -> Result<Place, RailError> {
        let form = || refused("TermsForm");
        let fixed = <&[u8; EVM_TERMS_LEN]>::try_from(bytes).map_err(|_| form())?;
        Ok(Place {
            bytes: Bytes::copy_from_slice(bytes),
            terms: EvmTerms::decode(fixed).map_err(|_| form())?,
            query: EscrowQuery::of_terms(bytes, self.options.ledger).ok_or_else(form)?,
        })
    }

    async fn view(&self, place: &Place, level: Level) -> Result<EscrowView, RailError> {
        EscrowView::read(&self.chain, &place.query, level)
            .await
            .map_err(unknown)
    }

    fn level(&self, place: &Place) -> Level {
        self.chain
            .options()
            .finality
            .level(place.terms.budget.get())
    }

    fn note(&self, payment: &SignedAuthorization) -> Hex32 {
        let id = payment.id(&self.options.token);
        let given = &payment.authorization;
        self.payments.remember(
            id,
            Seen {
                from: given.from,
                nonce: given.nonce,
                valid_before: given.valid_before.saturating_to(),
            },
        );
        id
    }

    /// Whether this very authorization moved money into the escrow, whoever submitted it (threat #37): both
    /// events, in one transaction that was executed.
    async fn came_here(
        &self,
        place: &Place,
        payment: &SignedAuthorization,
    ) -> Result<bool, RailError> {
        let given = &payment.authorization;
        let head = self.chain.now().await.map_err(unknown)?;
        let since = place.terms.issued_at.saturating_sub(LAST_VALID_S);
        let first = self
            .chain
            .block_before(since, &head)
            .await
            .map_err(unknown)?;
        let filter = LogFilter {
            addresses: vec![place.query.asset],
            topics: vec![
                Some(vec![Token::AuthorizationUsed::SIGNATURE_HASH]),
                Some(vec![given.from.into_word()]),
                Some(vec![given.nonce]),
            ],
        };
        let step = self.chain.options().log_range.max(1);
        let mut from = first;
        while from <= head.number {
            let to = from.saturating_add(step.saturating_sub(1)).min(head.number);
            let logs = self
                .chain
                .logs((from, to), &filter)
                .await
                .map_err(unknown)?;
            if let Some(used) = logs.first() {
                let receipt = self
                    .chain
                    .receipt(used.transaction_hash)
                    .await
                    .map_err(unknown)?
                    .ok_or(RailError::Unknown)?;
                return Ok(receipt.logs.iter().any(|log| {
                    log.address == place.query.asset
                        && Token::Transfer::decode_raw_log(log.topics.iter().copied(), &log.data)
                            .is_ok_and(|moved| {
                                moved.from == given.from
                                    && moved.to == place.query.escrow
                                    && moved.value == given.value
                            })
                }));
            }
            from = to.saturating_add(1);
        }
        Ok(false)
    }

    async fn is_spent(&self, from: Address, nonce: B256, level: Level) -> Result<bool, RailError> {
        let head = self.chain.head(level).await.map_err(unknown)?;
        let call = Token::authorizationStateCall {
            authorizer: from,
            nonce,
        };
        let input = call.abi_encode().into();
        let answer = self
            .chain
            .call(self.options.token.asset, &input, &head)
            .await
            .map_err(unknown)?;
        Token::authorizationStateCall::abi_decode_returns(&answer).map_err(|_| RailError::Unknown)
    }

    /// What became of a payment of which nothing arrived (threat #71): impossible once a block that cannot
    /// be undone is past its `validBefore`, or says that it was used up elsewhere.
    async fn absent(&self, place: &Place, payment_id: Hex32) -> Result<Deposit, RailError> {
        let last = self.chain.options().finality.last();
        let head = self.chain.head(last).await.map_err(unknown)?;
        let seen = self.payments.recall(payment_id);
        let last_moment = seen.map_or_else(
            || place.terms.issued_at.saturating_add(LAST_VALID_S),
            |seen| seen.valid_before,
        );
        let over = head.timestamp >= last_moment;
        let spent = match seen {
            Some(seen) => self.is_spent(seen.from, seen.nonce, last).await?,
            None => false,
        };
        if !over && !spent {
            return Ok(Deposit::Pending);
        }
        // The same final block must not show a deposit that the first look was too early for.
        let view = self.view(place, last).await?;
        Ok(if view.received > 0 || view.closed {
            Deposit::Pending
        } else {
            Deposit::Impossible
        })
    }

    async fn submit_payment(
        &self,
        place: &Place,
        (body, payment): (&[u8], &SignedAuthorization),
        call: super::body::Call,
    ) -> Result<(), RailError> {
        self.note(payment);
        let key = intent_key(body, 0);
        let error = match self.sequencer.bring(key, call.target, &call.input).await {
            Ok(_) => return Ok(()),
            Err(SendError::Reverted { data }) => data,
            Err(error) => return Err(not_sent(&error)),
        };
        let given = &payment.authorization;
        if self
            .is_spent(given.from, given.nonce, Level::Latest)
            .await?
        {
            return if self.came_here(place, payment).await? {
                Ok(())
            } else {
                Err(refused(outcome::SPENT))
            };
        }
        let now = self.chain.now().await.map_err(unknown)?;
        if U256::from(now.timestamp) >= given.valid_before {
            return Err(refused(outcome::EXPIRED));
        }
        Err(match outcome::judge(&error, false) {
            Verdict::Never(rule) => RailError::Refused { rule },
            Verdict::NotNow(rule) => retry(rule),
            // Batched with the making of a wallet, the ledger's reason is wrapped: time decides.
            Verdict::PaymentRefused => retry("PaymentRefused"),
            Verdict::AlreadySettled => refused("AlreadySettled"),
            Verdict::NothingToSweep => retry("Reverted"),
        })
    }

    async fn submit_settlement(
        &self,
        place: &Place,
        (body, receipt_cid): (&[u8], B256),
        call: super::body::Call,
    ) -> Result<(), RailError> {
        let key = intent_key(body, 0);
        let data = match self.sequencer.bring(key, call.target, &call.input).await {
            Ok(_) => return Ok(()),
            Err(SendError::Reverted { data }) => data,
            Err(error) => return Err(not_sent(&error)),
        };
        Err(match outcome::judge(&data, place.terms.on_silence == 1) {
            // A payee may have been faster with the same receipt (threat #12).
            Verdict::AlreadySettled => {
                let view = self.view(place, Level::Latest).await?;
                match view.settled {
                    Some(settled) if settled.receipt_cid == receipt_cid => return Ok(()),
                    Some(_) => refused("AlreadySettled"),
                    None => refused("Swept"),
                }
            }
            Verdict::NotNow(rule) => retry(rule),
            Verdict::Never(rule) => RailError::Refused { rule },
            Verdict::NothingToSweep | Verdict::PaymentRefused => RailError::Unknown,
        })
    }

    /// A sweep may be wanted again whenever something came afterwards, so every executed one is followed by
    /// an intent of its own.
    async fn submit_sweep(&self, body: &[u8], call: super::body::Call) -> Result<(), RailError> {
        for round in 0..MAX_SWEEPS {
            let key = intent_key(body, round);
            if self
                .sequencer
                .is_included(key)
                .await
                .map_err(|e| not_sent(&e))?
            {
                continue;
            }
            let data = match self.sequencer.bring(key, call.target, &call.input).await {
                Ok(_) => return Ok(()),
                Err(SendError::Reverted { data }) => data,
                Err(error) => return Err(not_sent(&error)),
            };
            return match outcome::judge(&data, false) {
                Verdict::NothingToSweep => Ok(()),
                Verdict::NotNow(rule) => Err(retry(rule)),
                Verdict::Never(rule) => Err(RailError::Refused { rule }),
                Verdict::AlreadySettled | Verdict::PaymentRefused => Err(RailError::Unknown),
            };
        }
        Err(retry("SweptTooOften"))
    }
}

#[async_trait]
impl Rail for EscrowRail {
    fn name(&self) -> &'static str {
        "base-escrow"
    }

    fn network(&self) -> &str {
        &self.options.network
    }

    fn learn_set(&self, set: &ValidatorSet) {
        if let Ok(signers) = EvmSigners::ecdsa(set) {
            self.sets
                .remember(Hex32::from_bytes(*signers.hash().as_bytes()), *set);
        }
    }

    fn payment_id(&self, payload: &serde_json::Value) -> Option<Hex32> {
        Some(SignedAuthorization::parse(payload)?.id(&self.options.token))
    }

    async fn verify(
        &self,
        payload: &serde_json::Value,
        terms: &[u8],
    ) -> Result<Result<VerifiedPayment, PaymentFault>, RailError> {
        let place = self.place(terms)?;
        let Some(payment) = SignedAuthorization::parse(payload) else {
            return Ok(Err(PaymentFault::Malformed));
        };
        let given = &payment.authorization;
        if given.to != place.query.escrow
            || given.value != U256::from(place.terms.budget.get())
            || place.query.asset != self.options.token.asset
        {
            return Ok(Err(PaymentFault::Mismatch));
        }
        let body = MoneyBody::Pay {
            terms: place.bytes.clone(),
            payment: payment.clone(),
        };
        let Ok(call) = body.call(self.options.ledger) else {
            return Ok(Err(PaymentFault::Malformed));
        };
        let trial = Trial {
            target: call.target,
            input: call.input,
        };
        match check(&self.chain, &self.options.token, &payment, trial)
            .await
            .map_err(unknown)?
        {
            Checked::Good => {}
            Checked::Spent if self.came_here(&place, &payment).await? => {}
            Checked::Spent => return Ok(Err(PaymentFault::Spent)),
            Checked::Bad(fault) => return Ok(Err(fault)),
        }
        Ok(Ok(VerifiedPayment {
            payment_id: self.note(&payment),
            payer: format!("{:#x}", given.from),
            body: body.encode().map_err(|_| refused("BodyForm"))?,
        }))
    }

    async fn submit(&self, bytes: &[u8]) -> Result<(), RailError> {
        let body = MoneyBody::decode(bytes).map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "money body");
            refused("BodyForm")
        })?;
        let place = self.place(body.terms())?;
        let call = body
            .call(self.options.ledger)
            .map_err(|_| refused("BodyForm"))?;
        match &body {
            MoneyBody::Pay { payment, .. } => {
                self.submit_payment(&place, (bytes, payment), call).await
            }
            MoneyBody::Settle { receipt, .. } => {
                self.submit_settlement(&place, (bytes, receipt.receipt_cid), call)
                    .await
            }
            MoneyBody::Sweep { .. } => self.submit_sweep(bytes, call).await,
        }
    }

    fn settle_body(&self, terms: &[u8], receipt: &SignedReceipt) -> Result<Vec<u8>, RailError> {
        let place = self.place(terms)?;
        let wanted = Hex32::from_bytes(place.terms.validator_set.0);
        let set = self
            .sets
            .recall(wanted)
            .and_then(|set| EvmSigners::ecdsa(&set).ok())
            .ok_or_else(|| retry("SetNotLearned"))?;
        settlement(&place, receipt, &set)?
            .encode()
            .map_err(|_| refused("BodyForm"))
    }

    fn sweep_body(&self, terms: &[u8]) -> Vec<u8> {
        MoneyBody::Sweep {
            terms: Bytes::copy_from_slice(terms),
        }
        .encode()
        .unwrap_or_default()
    }

    async fn deposit(&self, terms: &[u8], payment_id: Hex32) -> Result<Deposit, RailError> {
        let place = self.place(terms)?;
        let level = self.level(&place);
        let view = self.view(&place, level).await?;
        let held = view.settled.is_some() || view.balance >= place.terms.budget.get();
        if let (Some(at), true) = (view.covered_at, held) {
            let units = if view.settled.is_some() {
                view.received
            } else {
                view.balance
            };
            return Ok(Deposit::Funded {
                amount: amount(units)?,
                at_ms: at.saturating_mul(1_000),
            });
        }
        let newest = if level == Level::Latest {
            view
        } else {
            self.view(&place, Level::Latest).await?
        };
        if newest.covered_at.is_some() && newest.balance >= place.terms.budget.get() {
            // There, and not sure enough yet.
            return Ok(Deposit::Pending);
        }
        if newest.received > 0 {
            return Ok(Deposit::Short {
                amount: amount(newest.balance)?,
            });
        }
        self.absent(&place, payment_id).await
    }

    async fn vault(&self, terms: &[u8]) -> Result<VaultState, RailError> {
        let place = self.place(terms)?;
        let view = self.view(&place, self.level(&place)).await?;
        let Some(settled) = view.settled else {
            return Ok(VaultState::Open {
                balance: amount(view.balance)?,
            });
        };
        let mut paid = Vec::with_capacity(settled.paid.len());
        for row in &settled.paid {
            paid.push(PaidRow {
                payee: Hex32::from_bytes(row.payee.into_word().0),
                amount: amount(row.amount)?,
                kind: match row.role {
                    1 => PaidKind::Validator,
                    2 => PaidKind::Creator,
                    3 => PaidKind::Gateway,
                    _ => PaidKind::Worker,
                },
                credited: row.credited,
            });
        }
        Ok(VaultState::Settled(Settled {
            receipt_cid: Cid::from_digest(settled.receipt_cid.0),
            transaction: format!("{:#x}", settled.transaction),
            height: settled.height,
            paid,
            refunded: amount(settled.refunded)?,
        }))
    }

    async fn chain_now_ms(&self) -> Result<u64, RailError> {
        let head = self.chain.now().await.map_err(unknown)?;
        Ok(head.timestamp.saturating_mul(1_000))
    }
}

fn settlement(
    place: &Place,
    receipt: &SignedReceipt,
    set: &EvmSigners,
) -> Result<MoneyBody, RailError> {
    let decided = receipt.receipt();
    if decided.terms_hash.as_bytes() != place.query.terms_hash.0 {
        return Err(refused("ReceiptOfOtherTerms"));
    }
    let mut rows = Vec::with_capacity(decided.rows.len());
    for row in &decided.rows {
        let payee = row
            .payee
            .as_str()
            .parse()
            .map_err(|_| refused("PayeeForm"))?;
        let role = match row.role {
            d402_objects::RowRole::Worker => 0,
            d402_objects::RowRole::Validator => 1,
        };
        rows.push((payee, role, row.amount));
    }
    let members = set.set().keys().iter().zip(0_u8..).map(|(key, index)| {
        let kind = set.kind(index).map_or(0, |kind| kind.as_u8());
        let account = EvmAccount::from_key(key).unwrap_or(EvmAccount::ZERO);
        (Address::from(account.0), kind)
    });
    Ok(MoneyBody::Settle {
        terms: place.bytes.clone(),
        receipt: ReceiptBody {
            receipt_cid: B256::from(receipt.receipt_cid().to_hex32().as_bytes()),
            outcome: match decided.outcome {
                d402_objects::Outcome::Paid => 1,
                d402_objects::Outcome::Rejected => 2,
            },
            rows,
        },
        set: SetBody {
            m: set.set().m(),
            members: members.collect(),
        },
        signatures: receipt
            .signatures()
            .iter()
            .map(|s| (s.set_index, Bytes::copy_from_slice(s.signature.as_slice())))
            .collect(),
    })
}

fn amount(units: u128) -> Result<Amount, RailError> {
    Amount::new(units).map_err(|_| RailError::Unknown)
}

/// Whatever a provider did not say is not known; a revert of a question is a provider's fault too.
fn unknown(error: RpcError) -> RailError {
    match &error {
        RpcError::Unknown {
            why: Silence::OtherChain | Silence::Disagreement,
        } => tracing::error!(%error, "provider is not believed"),
        _ => tracing::debug!(%error, "chain gave no answer"),
    }
    RailError::Unknown
}
