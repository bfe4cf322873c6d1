//! [`Rail`] with payTo = the vault of the task's terms, x402 flow `upfront` (threat #39).
//!
//! Invariants: `verify` changes nothing; an answer that did not come is [`RailError::Unknown`]; a payment or
//! settlement is believed when accounts and events show it at the level its amount needs (threat #36), whoever sent
//! it (threat #37), never because a transaction was sent or its status was read.

use std::sync::Arc;

use async_trait::async_trait;
use d402_core::ports::{
    Deposit, PaymentFault, Rail, RailError, Settled, VaultOpener, VaultState, VerifiedPayment,
};
use d402_objects::{Amount, Cid, Hex32, SignedReceipt};
use d402_settlement::ledger::VaultAccount;
use d402_settlement::{TERMS_LEN, Terms, ValidatorSet};
use d402_svm::instructions::Place;
use d402_svm::token::{Mint, NATIVE, TokenAccount};
use d402_svm::transaction::Table;
use d402_svm::{
    Address, Chain, Fault, Level, RpcError, Signature, Silence, Status, VaultView, address,
};
use d402_wire::simchain::{PaidKind, PaidRow};
use tokio::sync::{Mutex, OnceCell};

use super::body::MoneyBody;
use super::exact::Received;
use super::money::settle_body;
use super::open::OpenPayment;
use super::opening::OpeningBook;
use super::outcome::{refused, retry};
use super::sender::Sender;
use crate::recent::Recent;

/// A blockhash is good for this many blocks.
pub(super) const BLOCKHASH_LIFE: u64 = 150;
/// `SetNotPublished` of the program.
const SET_NOT_PUBLISHED: u32 = 6_005;

/// What the rail is over.
#[derive(Clone, Debug)]
pub struct VaultRailOptions {
    /// CAIP-2 name of the cluster.
    pub network: String,
    /// The token.
    pub mint: Address,
    /// The common lookup table, if there is one (spec §2.5).
    pub table: Option<Address>,
}

/// Task vaults as a way to pay.
#[derive(Debug)]
pub struct VaultRail {
    pub(super) options: VaultRailOptions,
    pub(super) chain: Arc<Chain>,
    pub(super) sender: Sender,
    pub(super) sets: Recent<ValidatorSet>,
    pub(super) published: Recent<()>,
    token_program: OnceCell<Address>,
    payments: Recent<Seen>,
    pub(super) openings: Option<Mutex<OpeningBook>>,
}

/// What is remembered of a payment; forgetting it only makes the rail wait longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    signature: Option<Signature>,
    /// No block above this height executes it.
    last_valid: u64,
}

impl VaultRail {
    /// The rail over a cluster and the sender of this gateway.
    #[must_use]
    pub fn new(options: VaultRailOptions, chain: Arc<Chain>, sender: Sender) -> Self {
        Self {
            options,
            chain,
            sender,
            sets: Recent::default(),
            published: Recent::default(),
            token_program: OnceCell::new(),
            payments: Recent::default(),
            openings: None,
        }
    }

    /// Opens vaults for requests nobody paid for yet, as far as this book's caps go (threat #19).
    #[must_use]
    pub fn with_openings(mut self, book: OpeningBook) -> Self {
        self.openings = Some(Mutex::new(book));
        self
    }

    /// The sender.
    #[must_use]
    pub const fn sender(&self) -> &Sender {
        &self.sender
    }

    /// The cluster.
    #[must_use]
    pub const fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// The vault of encoded terms.
    ///
    /// # Errors
    /// [`RailError::Refused`] for bytes that are no terms of this rail's token, unknown without the chain.
    pub async fn place(&self, bytes: &[u8]) -> Result<Place, RailError> {
        let terms = terms(bytes)?;
        if address::address(&terms.mint) != self.options.mint {
            return Err(refused("OtherMint"));
        }
        let token_program = self.token_program().await?;
        Place::of(self.chain.domain(), &terms, token_program).ok_or_else(|| refused("TermsForm"))
    }

    /// Who owns the mint: for ever, so it is asked once.
    async fn token_program(&self) -> Result<Address, RailError> {
        let found = self.token_program.get_or_try_init(|| async {
            let wanted = [self.options.mint];
            let accounts = self.chain.accounts(&wanted, Level::Confirmed, None).await;
            let accounts = accounts.map_err(unknown)?;
            let mint = accounts.get(0).and_then(Mint::read);
            mint.filter(|mint| mint.is_allowed && !NATIVE.contains(&self.options.mint))
                .map(|mint| mint.program)
                .ok_or_else(|| {
                    tracing::error!(mint = %self.options.mint, "no token that a vault may hold");
                    RailError::Unknown
                })
        });
        found.await.copied()
    }

    /// The common lookup table as it is now; one that cannot be read, or was given up, is none.
    pub(super) async fn table(&self) -> Option<Table> {
        let key = self.options.table?;
        let accounts = self.chain.accounts(&[key], Level::Finalized, None).await;
        Table::read(key, accounts.ok()?.get(0)?)
    }

    pub(super) async fn view(&self, place: &Place, level: Level) -> Result<VaultView, RailError> {
        VaultView::read(&self.chain, place, level)
            .await
            .map_err(unknown)
    }

    fn level(&self, place: &Place) -> Level {
        let finality = &self.chain.options().finality;
        finality.level(u128::from(place.terms.budget))
    }

    /// From which height on a payment seen by now is void: its blockhash is no younger than the highest block.
    /// Without an earlier look this is the latest it can be, also after a restart that forgot everything.
    pub(super) async fn seen(
        &self,
        id: Hex32,
        signature: Option<Signature>,
    ) -> Result<Seen, RailError> {
        let known = self.payments.recall(id);
        let seen = match known {
            Some(seen) => Seen {
                signature: seen.signature.or(signature),
                ..seen
            },
            None => {
                let heights = self.chain.block_heights(Level::Confirmed).await;
                let (_, highest) = heights.map_err(unknown)?;
                Seen {
                    signature,
                    last_valid: highest.saturating_add(BLOCKHASH_LIFE),
                }
            }
        };
        self.payments.remember(id, seen);
        Ok(seen)
    }

    /// Whether a payment can take effect no more; asked before its status is.
    pub(super) async fn is_void(&self, payment: &OpenPayment) -> Result<bool, RailError> {
        let seen = self.seen(payment.id(), Some(payment.signature())).await?;
        self.is_past(seen.last_valid).await
    }

    async fn is_past(&self, last_valid: u64) -> Result<bool, RailError> {
        let last = self.chain.options().finality.last();
        let (lowest, _) = self.chain.block_heights(last).await.map_err(unknown)?;
        Ok(lowest > last_valid)
    }

    /// What became of a payment of which nothing arrived (threat #71): impossible once a final block is past its
    /// last valid one, no provider knows it, and nothing ever came to the vault's account.
    async fn absent(&self, place: &Place, payment_id: Hex32) -> Result<Deposit, RailError> {
        let seen = self.seen(payment_id, None).await?;
        if !self.is_past(seen.last_valid).await? {
            return Ok(Deposit::Pending);
        }
        if let Some(signature) = seen.signature {
            let status = self.chain.status(&signature).await.map_err(unknown)?;
            if status.is_some_and(|status| status.succeeded()) {
                return Ok(Deposit::Pending);
            }
        }
        // The same final slot must not show a deposit that the first look was too early for.
        let last = self.chain.options().finality.last();
        let view = VaultView::now(&self.chain, place, last)
            .await
            .map_err(unknown)?;
        let history = self.chain.history(&place.tokens, last, view.slot).await;
        let came = history
            .map_err(unknown)?
            .iter()
            .any(|entry| entry.err.is_none());
        Ok(if came || view.balance > 0 {
            Deposit::Pending
        } else {
            Deposit::Impossible
        })
    }

    /// Whether a good payment can still be executed, and would be.
    async fn try_out(
        &self,
        payment: &OpenPayment,
        (place, source): (&Place, &Address),
    ) -> Result<Option<PaymentFault>, RailError> {
        // What was called impossible must not come back, whatever a provider says about its blockhash.
        if self.is_void(payment).await? {
            return Ok(Some(PaymentFault::Expired));
        }
        let blockhash = payment.transaction().message.recent_blockhash();
        let accounts = [*source];
        let (valid, accounts) = futures::try_join!(
            self.chain.is_blockhash_valid(blockhash),
            self.chain.accounts(&accounts, Level::Confirmed, None),
        )
        .map_err(unknown)?;
        if !valid {
            return Ok(Some(PaymentFault::Expired));
        }
        let tokens = accounts.get(0).and_then(TokenAccount::read);
        let ours = tokens.filter(|tokens| tokens.mint == place.mint);
        let units = ours.map_or(0, |tokens| tokens.amount);
        if units < place.terms.budget {
            return Ok(Some(PaymentFault::Funds {
                got: Amount::from(units),
                needed: Amount::from(place.terms.budget),
            }));
        }
        let tried = self
            .chain
            .simulate(payment.raw(), false)
            .await
            .map_err(unknown)?;
        let fault = tried.err.as_ref().map(Fault::of);
        Ok(match fault {
            None => None,
            Some(Fault::Runtime(name)) if name == "BlockhashNotFound" => {
                Some(PaymentFault::Expired)
            }
            Some(Fault::Runtime(name)) if name == "AlreadyProcessed" => {
                return Err(RailError::Unknown);
            }
            // Published before this payment is broadcast: a set this gateway knows.
            Some(Fault::Program { code, .. })
                if code == SET_NOT_PUBLISHED && self.knows_set(place) =>
            {
                None
            }
            Some(_) => Some(PaymentFault::Simulation),
        })
    }

    fn knows_set(&self, place: &Place) -> bool {
        let hash = Hex32::from_bytes(place.terms.validator_set.0);
        self.sets.recall(hash).is_some()
    }
}

#[async_trait]
impl Rail for VaultRail {
    fn name(&self) -> &'static str {
        "solana-vault"
    }

    fn network(&self) -> &str {
        &self.options.network
    }

    fn learn_set(&self, set: &ValidatorSet) {
        self.sets.remember(Hex32::from_bytes(set.hash().0), *set);
    }

    fn payment_id(&self, payload: &serde_json::Value) -> Option<Hex32> {
        Some(OpenPayment::parse(payload)?.id())
    }

    async fn verify(
        &self,
        payload: &serde_json::Value,
        terms: &[u8],
    ) -> Result<Result<VerifiedPayment, PaymentFault>, RailError> {
        let Some(payment) = OpenPayment::parse(payload) else {
            return Ok(Err(PaymentFault::Malformed));
        };
        let place = self.place(terms).await?;
        if let Ok(received) = Received::parse(payload)
            && self.is_exact(&received)
        {
            return self.verify_exact(&received, (&place, terms)).await;
        }
        let paying = match payment.check(&place) {
            Ok(paying) => paying,
            Err(fault) => return Ok(Err(fault)),
        };
        self.seen(payment.id(), Some(payment.signature())).await?;
        let status = self
            .chain
            .status(&payment.signature())
            .await
            .map_err(unknown)?;
        let fault = match status.filter(Status::is_confirmed) {
            // Executed, so the money came here: nothing else is in it.
            Some(status) if status.succeeded() => None,
            Some(_) => Some(PaymentFault::Spent),
            None => self.try_out(&payment, (&place, &paying.source)).await?,
        };
        if let Some(fault) = fault {
            return Ok(Err(fault));
        }
        let body = MoneyBody::Pay {
            terms: terms.to_vec(),
            transaction: payment.raw().to_vec(),
        };
        Ok(Ok(VerifiedPayment {
            payment_id: payment.id(),
            payer: paying.authority.to_string(),
            body: body.encode().map_err(|_| refused("BodyForm"))?,
        }))
    }

    async fn submit(&self, bytes: &[u8]) -> Result<(), RailError> {
        let body = MoneyBody::decode(bytes).map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "money body");
            refused("BodyForm")
        })?;
        let place = self.place(body.terms()).await?;
        self.watch(&place).await?;
        match &body {
            MoneyBody::Pay { transaction, .. } => self.submit_payment(&place, transaction).await,
            MoneyBody::PayExact { transaction, .. } => self.submit_exact(&place, transaction).await,
            MoneyBody::Settle {
                receipt,
                set,
                signatures,
                ..
            } => {
                self.submit_settlement((bytes, &place), (receipt, set, signatures))
                    .await
            }
            MoneyBody::Sweep { .. } => self.submit_sweep(bytes, &place).await,
        }
    }

    fn settle_body(&self, terms: &[u8], receipt: &SignedReceipt) -> Result<Vec<u8>, RailError> {
        let decoded = self::terms(terms)?;
        let set = self
            .sets
            .recall(Hex32::from_bytes(decoded.validator_set.0))
            .ok_or_else(|| retry("SetNotLearned"))?;
        settle_body(self.chain.domain(), (terms, &decoded), receipt, &set)?
            .encode()
            .map_err(|_| refused("BodyForm"))
    }

    fn sweep_body(&self, terms: &[u8]) -> Vec<u8> {
        MoneyBody::Sweep {
            terms: terms.to_vec(),
        }
        .encode()
        .unwrap_or_default()
    }

    async fn deposit(&self, terms: &[u8], payment_id: Hex32) -> Result<Deposit, RailError> {
        let place = self.place(terms).await?;
        let level = self.level(&place);
        let view = self.view(&place, level).await?;
        let is_settled = matches!(view.state.account, VaultAccount::Settled(_));
        let held = is_settled || view.settled.is_some() || view.balance >= place.terms.budget;
        if let (Some(at), true) = (view.covered_at, held) {
            let units = if is_settled || view.settled.is_some() {
                view.received
            } else {
                view.balance
            };
            return Ok(Deposit::Funded {
                amount: Amount::from(units),
                at_ms: at.saturating_mul(1_000),
            });
        }
        let newest = if level == Level::Confirmed {
            view
        } else {
            VaultView::now(&self.chain, &place, Level::Confirmed)
                .await
                .map_err(unknown)?
        };
        if newest.balance >= place.terms.budget {
            // There, and not sure enough yet.
            return Ok(Deposit::Pending);
        }
        if newest.balance > 0 {
            return Ok(Deposit::Short {
                amount: Amount::from(newest.balance),
            });
        }
        self.absent(&place, payment_id).await
    }

    async fn transaction(&self, payment_id: Hex32) -> Result<Option<String>, RailError> {
        let seen = self.payments.recall(payment_id);
        let signature = match seen.and_then(|seen| seen.signature) {
            None => self.cosigned(payment_id).await?.map(|e| e.signature),
            known => known,
        };
        let Some(signature) = signature else {
            return Ok(None);
        };
        let status = self.chain.status(&signature).await.map_err(unknown)?;
        let is_there = status.is_some_and(|status| status.is_confirmed() && status.succeeded());
        Ok(is_there.then(|| signature.to_string()))
    }

    fn opener(&self) -> Option<&dyn VaultOpener> {
        self.openings.as_ref().map(|_| self as &dyn VaultOpener)
    }

    async fn vault(&self, terms: &[u8]) -> Result<VaultState, RailError> {
        let place = self.place(terms).await?;
        let view = self.view(&place, self.level(&place)).await?;
        let Some(settled) = view.settled else {
            return Ok(VaultState::Open {
                balance: Amount::from(view.balance),
            });
        };
        let paid = settled.paid.iter().map(|row| PaidRow {
            payee: Hex32::from_bytes(row.payee.to_bytes()),
            amount: Amount::from(row.amount),
            kind: match row.role {
                1 => PaidKind::Validator,
                2 => PaidKind::Creator,
                3 => PaidKind::Gateway,
                _ => PaidKind::Worker,
            },
            credited: row.credited,
        });
        Ok(VaultState::Settled(Settled {
            receipt_cid: Cid::from_digest(settled.receipt_cid),
            transaction: settled.signature.to_string(),
            height: settled.slot,
            paid: paid.collect(),
            refunded: Amount::from(settled.refunded),
        }))
    }

    async fn chain_now_ms(&self) -> Result<u64, RailError> {
        let now = self.chain.now().await.map_err(unknown)?;
        let now = u64::try_from(now).map_err(|_| RailError::Unknown)?;
        Ok(now.saturating_mul(1_000))
    }
}

pub(super) fn terms(bytes: &[u8]) -> Result<Terms, RailError> {
    <&[u8; TERMS_LEN]>::try_from(bytes)
        .map(Terms::decode)
        .map_err(|_| refused("TermsForm"))
}

/// Whatever a provider did not say is not known; a refusal of a question is a provider's fault too.
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
