//! One sender per key: intents become transactions, each at most once, and stay on the chain.
//!
//! An intent is the hash of a money effect's bytes. Its nonce and signed bytes are durable before the first
//! broadcast ([`super::book`]); what comes later is the same bytes again, or a version with higher fees under
//! the same nonce, so at most one version is ever executed. Whether a transaction is on the chain is read
//! from the chain every time, so a block that was undone brings its transactions back here.
//!
//! A transaction that was executed without effect has used its nonce up, and its intent may have another one.
//! The book keeps both until the first is final: if its block is undone, nobody else can fill the gap, and it
//! may have its effect after all. Two transactions of one intent are therefore possible, and harmless only
//! because of what is sent here: see [`Sequencer::bring`].

use std::sync::Arc;
use std::time::Duration;

use alloy::consensus::TxEip1559;
use alloy::primitives::{Address, Bytes, TxKind, U256};
use d402_core::ports::Clock;
use d402_evm::{Chain, Level, RpcError, TransactionReceipt};
use d402_objects::Hex32;
use serde_json::json;
use tokio::sync::Mutex;

use super::book::{BookError, Entry, MAX_VERSIONS, NonceBook, Version};
use super::signature::{EvmKey, KeyFault};

/// First pause between two looks for a receipt; it doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(15);
/// Longest pause between two looks for a receipt.
const MAX_PAUSE: Duration = Duration::from_millis(400);
/// Most transactions looked after in one go.
pub(super) const MAX_TENDED: u32 = 32;
/// Most nonces an intent uses up before the first of them is final: who can make a call revert after its trial
/// run passed costs this key so much gas, and no more.
pub(super) const MAX_ATTEMPTS: usize = 8;

/// What this key may spend on one transaction, and how patient it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Most wei per gas, tip included.
    pub max_fee: u128,
    /// Tip, wei per gas.
    pub tip: u128,
    /// Most gas.
    pub max_gas: u64,
    /// How long one submission waits for its receipt.
    pub wait: Duration,
    /// A transaction this old is sent again with higher fees.
    pub bump_after: Duration,
}

impl Caps {
    /// 5 gwei, 3,000,000 gas: at most $0.045 at $3,000 per ether, a hundred times the usual.
    pub const BASE: Self = Self {
        max_fee: 5_000_000_000,
        tip: 1_000_000,
        max_gas: 3_000_000,
        wait: Duration::from_secs(5),
        bump_after: Duration::from_secs(12),
    };
}

/// Why a transaction is not on the chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The provider's answer is missing; the transaction may be on its way.
    #[error("not known")]
    Unknown(#[source] RpcError),
    /// It was sent and is in no block yet.
    #[error("not in a block yet")]
    Waiting,
    /// The call would revert now, or did.
    #[error("reverts")]
    Reverted {
        /// ABI-encoded error; empty when it was not told.
        data: Bytes,
    },
    /// Gas costs more than this key may pay.
    #[error("gas price is over the cap")]
    GasPrice,
    /// The call needs more gas than this key may pay for.
    #[error("the call needs {needed} gas")]
    GasLimit {
        /// Estimate.
        needed: u64,
    },
    /// The nonce book failed; nothing was sent.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The key failed; nothing was sent.
    #[error(transparent)]
    Key(#[from] KeyFault),
}

/// What there is of an intent.
enum Resumed {
    /// Attempts of which one may have an effect.
    Underway(Vec<Entry>),
    /// Nothing, or attempts that had no effect: it may have a nonce.
    Free(Vec<Entry>),
}

/// The sender of one key.
pub struct Sequencer {
    chain: Arc<Chain>,
    key: EvmKey,
    caps: Caps,
    clock: Arc<dyn Clock>,
    book: Mutex<NonceBook>,
}

impl std::fmt::Debug for Sequencer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sequencer")
            .field("signer", &self.key.address())
            .finish_non_exhaustive()
    }
}

impl Sequencer {
    /// A sender; nothing is sent.
    #[must_use]
    pub fn new(
        chain: Arc<Chain>,
        (key, book): (EvmKey, NonceBook),
        caps: Caps,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            chain,
            key,
            caps,
            clock,
            book: Mutex::new(book),
        }
    }

    /// The account that pays the gas.
    #[must_use]
    pub const fn signer(&self) -> Address {
        self.key.address()
    }

    /// Brings an intent into a block. The same `key` is the same transaction, however often it is asked for;
    /// only one that was executed without effect is followed by another.
    ///
    /// **The chain itself must execute the call with effect at most once**, in whatever order and however often
    /// it is sent: a block that held a failed attempt can be undone after the next attempt was sent, and then
    /// both run. That holds for a payment (its authorization has one nonce at the token), a settlement (code at
    /// the escrow is the mark) and a sweep (what is left goes to one account, and then nothing is left). A plain
    /// transfer must not be sent this way.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::Waiting`] and [`SendError::Unknown`] mean: ask again with the same key.
    pub async fn bring(
        &self,
        key: Hex32,
        target: Address,
        input: &Bytes,
    ) -> Result<TransactionReceipt, SendError> {
        let attempts = match self.resume(key).await? {
            Resumed::Underway(attempts) => attempts,
            Resumed::Free(failed) => self.start(key, (target, input), &failed).await?,
        };
        let receipt = self.wait(&attempts).await?;
        if receipt.status.is_zero() {
            return Err(SendError::Reverted { data: Bytes::new() });
        }
        Ok(receipt)
    }

    /// Whether an intent was executed with effect.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn is_executed(&self, key: Hex32) -> Result<bool, SendError> {
        let attempts = self.book.lock().await.find(key).await?;
        let outcome = self.outcome(&attempts).await?;
        Ok(outcome.is_some_and(|receipt| !receipt.status.is_zero()))
    }

    /// Looks after everything that is in no block: what fell out of the chain or the pool goes out again,
    /// lowest nonce first, a bounded number at a time.
    ///
    /// # Errors
    /// [`SendError`]; the next call goes on.
    pub async fn tend(&self) -> Result<(), SendError> {
        let mut book = self.book.lock().await;
        let mined = self.count("latest").await?;
        let next = book.next_nonce().await?;
        for entry in book.between((mined, next), MAX_TENDED).await? {
            self.push(&mut book, &entry).await?;
        }
        Ok(())
    }

    /// An intent that was sent before, sent again where it is in no block.
    async fn resume(&self, key: Hex32) -> Result<Resumed, SendError> {
        let mut book = self.book.lock().await;
        let attempts = book.find(key).await?;
        let Some(last) = attempts.last() else {
            return Ok(Resumed::Free(attempts));
        };
        match self.outcome(&attempts).await? {
            Some(receipt) if receipt.status.is_zero() => {
                return self.retire(&mut book, attempts).await.map(Resumed::Free);
            }
            Some(_) => return Ok(Resumed::Underway(attempts)),
            None => {}
        }
        let mined = self.count("latest").await?;
        for entry in attempts.iter().filter(|entry| entry.nonce < mined) {
            self.forget_taken(&mut book, entry).await?;
        }
        for lower in book.between((mined, last.nonce), MAX_TENDED).await? {
            self.push(&mut book, &lower).await?;
        }
        if last.nonce >= mined {
            self.push(&mut book, last).await?;
        }
        let attempts = book.find(key).await?;
        Ok(if attempts.is_empty() {
            Resumed::Free(attempts)
        } else {
            Resumed::Underway(attempts)
        })
    }

    /// Forgets attempts that failed for good, and refuses another one while too many may still be undone.
    async fn retire(
        &self,
        book: &mut NonceBook,
        failed: Vec<Entry>,
    ) -> Result<Vec<Entry>, SendError> {
        let final_count = self.final_count().await?;
        let mut kept = Vec::with_capacity(failed.len());
        for entry in failed {
            if entry.nonce < final_count {
                book.forget(entry.nonce).await?;
            } else {
                kept.push(entry);
            }
        }
        if kept.len() >= MAX_ATTEMPTS {
            tracing::warn!("a call fails again and again after its trial run passed");
            return Err(SendError::Reverted { data: Bytes::new() });
        }
        Ok(kept)
    }

    /// Whether another transaction of this key has the nonce of an entry, unless a provider lags behind. Only
    /// when that is final the intent may have a new one.
    async fn forget_taken(&self, book: &mut NonceBook, entry: &Entry) -> Result<(), SendError> {
        if self.included(entry).await?.is_some()
            || self.final_count().await? <= entry.nonce
            || self.included(entry).await?.is_some()
        {
            return Ok(());
        }
        tracing::error!(
            nonce = entry.nonce,
            "somebody else uses the key of this gateway"
        );
        book.forget(entry.nonce).await?;
        Ok(())
    }

    /// Gives an intent a nonce and sends it; `failed` are the attempts before that had no effect.
    async fn start(
        &self,
        key: Hex32,
        (target, input): (Address, &Bytes),
        failed: &[Entry],
    ) -> Result<Vec<Entry>, SendError> {
        let gas = self.gas(target, input).await?;
        let (max_fee, tip) = self.fees().await?;
        let mut book = self.book.lock().await;
        // Two submissions of one intent can have come here together.
        let mut attempts = book.find(key).await?;
        if attempts.last().is_some_and(|last| !failed.contains(last)) {
            return Ok(attempts);
        }
        let pending = self.count("pending").await?;
        let next = book.next_nonce().await?;
        for lower in book.between((pending, next), MAX_TENDED).await? {
            self.push(&mut book, &lower).await?;
        }
        let mut entry = Entry {
            key,
            attempt: attempts
                .last()
                .map_or(0, |last| last.attempt.saturating_add(1)),
            nonce: pending.max(next),
            target,
            input: input.clone(),
            gas,
            versions: Vec::new(),
        };
        let version = self.version(&entry, max_fee, tip)?;
        let raw = version.raw.clone();
        entry.versions.push(version);
        book.add(&entry).await?;
        attempts.push(entry);
        self.send(&raw).await?;
        Ok(attempts)
    }

    /// Sends a transaction that is in no block again, with higher fees when it is old.
    async fn push(&self, book: &mut NonceBook, entry: &Entry) -> Result<(), SendError> {
        let Some(last) = entry.versions.last() else {
            return Err(BookError::Damaged { what: "versions" }.into());
        };
        let age = self.clock.now_ms().saturating_sub(last.sent_ms);
        let old = u128::from(age) >= self.caps.bump_after.as_millis();
        let room = i64::try_from(entry.versions.len()).is_ok_and(|n| n < MAX_VERSIONS);
        let raised = raise(last.max_fee);
        if !old || !room || raised > self.caps.max_fee {
            return self.send(&last.raw).await;
        }
        let version = self.version(entry, raised, raise(last.tip).min(raised))?;
        book.add_version(entry, &version).await?;
        self.send(&version.raw).await
    }

    fn version(&self, entry: &Entry, max_fee: u128, tip: u128) -> Result<Version, SendError> {
        let transaction = TxEip1559 {
            chain_id: self.chain.options().chain_id,
            nonce: entry.nonce,
            gas_limit: entry.gas,
            max_fee_per_gas: max_fee,
            max_priority_fee_per_gas: tip,
            to: TxKind::Call(entry.target),
            value: U256::ZERO,
            access_list: alloy::eips::eip2930::AccessList::default(),
            input: entry.input.clone(),
        };
        let (raw, hash) = self.key.sign_transaction(transaction)?;
        Ok(Version {
            hash,
            raw,
            max_fee,
            tip,
            sent_ms: self.clock.now_ms(),
        })
    }

    /// A node that knows the transaction, or one with its nonce in a block, refuses it: both are found by
    /// looking for the receipt.
    async fn send(&self, raw: &Bytes) -> Result<(), SendError> {
        match self.chain.broadcast(raw).await {
            Ok(_) => Ok(()),
            Err(RpcError::Refused { code, message }) => {
                tracing::debug!(code, message, "provider does not take the transaction");
                Ok(())
            }
            Err(error) => Err(SendError::Unknown(error)),
        }
    }

    async fn wait(&self, attempts: &[Entry]) -> Result<TransactionReceipt, SendError> {
        let looking = async {
            let mut pause = MIN_PAUSE;
            loop {
                if let Some(receipt) = self.outcome(attempts).await? {
                    return Ok(receipt);
                }
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(MAX_PAUSE);
            }
        };
        match tokio::time::timeout(self.caps.wait, looking).await {
            Ok(receipt) => receipt,
            Err(_over) => Err(SendError::Waiting),
        }
    }

    /// What became of an intent: the receipt that had an effect, or, when every attempt is in a block and none
    /// had, the last one's.
    async fn outcome(&self, attempts: &[Entry]) -> Result<Option<TransactionReceipt>, SendError> {
        let mut failed = None;
        let mut open = false;
        for entry in attempts {
            match self.included(entry).await? {
                Some(receipt) if !receipt.status.is_zero() => return Ok(Some(receipt)),
                Some(receipt) => failed = Some(receipt),
                None => open = true,
            }
        }
        Ok(failed.filter(|_| !open))
    }

    /// The receipt of whichever version is in a block.
    async fn included(&self, entry: &Entry) -> Result<Option<TransactionReceipt>, SendError> {
        for version in entry.versions.iter().rev() {
            let receipt = self.chain.receipt(version.hash).await;
            if let Some(receipt) = receipt.map_err(SendError::Unknown)? {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }

    async fn gas(&self, target: Address, input: &Bytes) -> Result<u64, SendError> {
        let call = json!({"from": self.signer(), "to": target, "data": input});
        let estimate = match self.chain.estimate(&call).await {
            Ok(gas) => gas,
            Err(RpcError::Reverted { data }) => return Err(SendError::Reverted { data }),
            Err(error) => return Err(SendError::Unknown(error)),
        };
        // A fifth on top: between estimate and execution a balance may become non-zero or a row cold.
        let needed = estimate.saturating_add(estimate.checked_div(5).unwrap_or(0));
        if needed > self.caps.max_gas {
            return Err(SendError::GasLimit { needed });
        }
        Ok(needed)
    }

    /// Twice the base fee, so that six full blocks in a row do not strand it, within the cap.
    async fn fees(&self) -> Result<(u128, u128), SendError> {
        let head = self.chain.now().await.map_err(SendError::Unknown)?;
        let base: u128 = head.base_fee.saturating_to();
        let least = base.saturating_add(self.caps.tip);
        if least > self.caps.max_fee {
            return Err(SendError::GasPrice);
        }
        let wanted = base.saturating_mul(2).saturating_add(self.caps.tip);
        Ok((wanted.min(self.caps.max_fee), self.caps.tip))
    }

    async fn count(&self, tag: &str) -> Result<u64, SendError> {
        self.chain
            .transaction_count(self.signer(), tag)
            .await
            .map_err(SendError::Unknown)
    }

    async fn final_count(&self) -> Result<u64, SendError> {
        let tag = match self.chain.options().finality.last() {
            Level::Latest => "latest",
            Level::Depth(_) | Level::Safe | Level::Finalized => "finalized",
        };
        self.count(tag).await
    }
}

/// A quarter more: nodes replace a transaction from an eighth more on.
const fn raise(wei: u128) -> u128 {
    wei.saturating_add(wei.div_ceil(4)).saturating_add(1)
}
