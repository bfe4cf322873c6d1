//! [`Rail`] with payTo = the escrow of the task's terms, x402 flow `upfront` (threat #39).
//!
//! Invariants: `verify` changes nothing; an answer that did not come is [`RailError::Unknown`]; a payment or
//! settlement is believed when the chain's logs show it at the level its amount needs (threat #36), whoever
//! sent it (threat #37), never because a transaction was sent or a receipt was read.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256};
use async_trait::async_trait;
use d402_core::ports::{
    Deposit, PaymentFault, Rail, RailError, Settled, VaultState, VerifiedPayment,
};
use d402_evm::abi::MULTICALL3;
use d402_evm::rpc::Silence;
use d402_evm::{Chain, EscrowQuery, EscrowView, Level, RpcError};
use d402_objects::{Amount, Cid, Hex32, SignedReceipt};
use d402_settlement::ValidatorSet;
use d402_settlement::evm::{EVM_TERMS_LEN, EvmSigners, EvmTerms};
use d402_wire::simchain::{PaidKind, PaidRow};
use tokio::sync::OnceCell;

use super::authorization::{SignedAuthorization, TokenDomain};
use super::body::MoneyBody;
use super::check::{CLOCK_SLACK_S, Checked, MAX_WINDOW_S, Trial, check};
use super::money::settlement;
use super::outcome::{refused, retry};
use super::sequencer::Sequencer;
use super::trail::Trail;
use crate::recent::Recent;

/// No accepted payment is valid longer than this after `issuedAt`: challenges live 120 s, payments another
/// 120 s and the slack of clocks. From then on an unseen payment is impossible (threat #71).
pub const LAST_VALID_S: u64 = 120 + MAX_WINDOW_S + CLOCK_SLACK_S;

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
    pub(super) options: EscrowRailOptions,
    pub(super) chain: Arc<Chain>,
    pub(super) sequencer: Arc<Sequencer>,
    deployed: OnceCell<()>,
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
pub(super) struct Place {
    pub(super) bytes: Bytes,
    pub(super) terms: EvmTerms,
    pub(super) query: EscrowQuery,
}

impl EscrowRail {
    /// The rail over a chain and the sender of this gateway, which other rails may share.
    #[must_use]
    pub fn new(
        options: EscrowRailOptions,
        chain: Arc<Chain>,
        sequencer: impl Into<Arc<Sequencer>>,
    ) -> Self {
        Self {
            options,
            chain,
            sequencer: sequencer.into(),
            deployed: OnceCell::new(),
            sets: Recent::default(),
            payments: Recent::default(),
        }
    }

    /// The sender, to be tended from time to time.
    #[must_use]
    pub fn sequencer(&self) -> &Sequencer {
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

    /// A call to an address without code succeeds and does nothing: without this, a wrong ledger address would
    /// pass every trial run and burn gas on payments that never happen.
    async fn check_deployed(&self) -> Result<(), RailError> {
        self.deployed
            .get_or_try_init(|| async {
                let head = self.chain.now().await.map_err(unknown)?;
                for contract in [self.options.ledger, MULTICALL3, self.options.token.asset] {
                    let code = self.chain.code(contract, &head).await.map_err(unknown)?;
                    if code.is_empty() {
                        tracing::error!(%contract, "no contract at this address");
                        return Err(RailError::Unknown);
                    }
                }
                Ok(())
            })
            .await
            .copied()
    }

    pub(super) async fn view(&self, place: &Place, level: Level) -> Result<EscrowView, RailError> {
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

    pub(super) fn note(&self, payment: &SignedAuthorization) -> Hex32 {
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

    pub(super) fn trail(&self, from: Address, nonce: B256) -> Trail<'_> {
        Trail {
            chain: &self.chain,
            asset: self.options.token.asset,
            from,
            nonce,
        }
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
            Some(seen) => self.trail(seen.from, seen.nonce).is_spent(&head).await?,
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
        self.check_deployed().await?;
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
        self.check_deployed().await?;
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

    /// Of payments this process saw, by their `AuthorizationUsed`: payer and nonce name one payment, whoever
    /// submitted it.
    async fn transaction(&self, payment_id: Hex32) -> Result<Option<String>, RailError> {
        let Some(seen) = self.payments.recall(payment_id) else {
            return Ok(None);
        };
        let head = self.chain.now().await.map_err(unknown)?;
        let since = seen.valid_before.saturating_sub(LAST_VALID_S);
        let used = self.trail(seen.from, seen.nonce).used(since, &head).await?;
        Ok(used.map(|used| format!("{:#x}", used.transaction_hash)))
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

fn amount(units: u128) -> Result<Amount, RailError> {
    Amount::new(units).map_err(|_| RailError::Unknown)
}

/// Whatever a provider did not say is not known; a revert of a question is a provider's fault too.
pub(super) fn unknown(error: RpcError) -> RailError {
    let suspicious = matches!(
        error,
        RpcError::Unknown {
            why: Silence::OtherChain | Silence::Disagreement,
        }
    );
    if suspicious {
        tracing::error!(%error, "provider is not believed");
    } else {
        tracing::debug!(%error, "chain gave no answer");
    }
    RailError::Unknown
}
