//! One sender per key: intents become transactions, each at most once at a time.
//!
//! An intent is a hash of what is meant. Its signed bytes are durable before the first broadcast ([`super::book`]);
//! what comes later is the same bytes again, until they are on the chain or proven void: the finalized block height
//! is past their last valid one and no provider knows them, however far back (threat #71). Only then the intent gets
//! new bytes. A transaction that was executed without effect is void too.

use std::sync::Arc;
use std::time::Duration;

use d402_core::ports::Clock;
use d402_objects::Hex32;
use d402_svm::instructions::{unit_limit, unit_price};
use d402_svm::transaction::{AssembleFault, Table, assemble, encode, signed};
use d402_svm::{Address, Chain, Fault, Instruction, RpcError, Signature, VersionedMessage};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, MutexGuard};

use super::book::{BookError, Entry, TransactionBook};
use super::key::SolanaKey;

/// First pause between two looks at a status; it doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause between two looks at a status.
const MAX_PAUSE: Duration = Duration::from_millis(400);
/// The most units a transaction may ask for.
const MAX_UNITS: u32 = 1_400_000;
/// What the network takes for a signature, in the transaction or checked by the precompile, lamports.
const SIGNATURE_LAMPORTS: u64 = 5_000;
const DAY_MS: u64 = 86_400_000;

/// What this key may spend, and how patient it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Least offered per compute unit, micro-lamports.
    pub min_price: u64,
    /// Most offered per compute unit, micro-lamports.
    pub max_price: u64,
    /// Most lamports signed away within 24 hours: fees, and rent that comes back later.
    pub daily_lamports: u64,
    /// How long one submission waits for its transaction.
    pub wait: Duration,
}

impl Caps {
    /// At most 0.0001 SOL of priority for 100,000 units, and 1 SOL a day: rent for 200 vaults at a time.
    pub const SOLANA: Self = Self {
        min_price: 1_000,
        max_price: 1_000_000,
        daily_lamports: 1_000_000_000,
        wait: Duration::from_secs(5),
    };
}

/// Why a transaction is not on the chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The provider's answer is missing; the transaction may be on its way.
    #[error("not known")]
    Unknown(#[source] RpcError),
    /// It was sent and is not confirmed yet.
    #[error("not confirmed yet")]
    Waiting,
    /// It would fail now, or did.
    #[error("fails: {0:?}")]
    Failed(Fault),
    /// It is larger than the network carries.
    #[error(transparent)]
    TooLarge(#[from] AssembleFault),
    /// This key has spent enough for today.
    #[error("{spent} lamports were signed away within a day, {wanted} more are over the budget")]
    Budget {
        /// Since yesterday.
        spent: u64,
        /// By this transaction.
        wanted: u64,
    },
    /// The book failed; nothing was sent.
    #[error(transparent)]
    Book(#[from] BookError),
}

impl From<RpcError> for SendError {
    fn from(error: RpcError) -> Self {
        Self::Unknown(error)
    }
}

/// A transaction to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it does; limit and price come in front.
    pub instructions: Vec<Instruction>,
    /// Signatures the precompile checks, which cost like those of the transaction.
    pub checked_signatures: u64,
    /// Lamports it leaves in accounts.
    pub rent: u64,
    /// Makes the bytes of a repeated effect differ within one blockhash.
    pub round: u32,
}

/// The sender of one key.
pub struct Sender {
    chain: Arc<Chain>,
    key: SolanaKey,
    caps: Caps,
    clock: Arc<dyn Clock>,
    book: Mutex<TransactionBook>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("payer", &self.payer())
            .finish_non_exhaustive()
    }
}

/// What became of an intent's last transaction.
enum Last {
    Done(Signature),
    Flying(Entry),
    /// There is none, or it is void.
    Void {
        attempt: u32,
    },
}

impl Sender {
    /// A sender; nothing is sent.
    #[must_use]
    pub fn new(
        chain: Arc<Chain>,
        (key, book): (SolanaKey, TransactionBook),
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

    /// The account that pays.
    #[must_use]
    pub fn payer(&self) -> Address {
        self.key.address()
    }

    /// The key, for transactions somebody else pays with.
    #[must_use]
    pub const fn key(&self) -> &SolanaKey {
        &self.key
    }

    /// The book; hold it for as short as possible, never across a question to the chain.
    pub async fn book(&self) -> MutexGuard<'_, TransactionBook> {
        self.book.lock().await
    }

    /// Brings an intent onto the chain. The same intent is the same transaction, however often it is asked for;
    /// only one that failed, or can be in no block any more, is followed by another.
    ///
    /// **The program itself must execute the instructions with effect at most once**: a failure is believed when it is
    /// confirmed, and a fork could still run both. That holds for everything sent here: set, vault and approval are
    /// made once, the settlement leaves a tombstone, a sweep or close leaves nothing for the next. A plain transfer
    /// must not be sent this way.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::Waiting`] and [`SendError::Unknown`] mean: ask again with the same intent.
    pub async fn bring(
        &self,
        intent: Hex32,
        draft: &Draft,
        table: Option<&Table>,
    ) -> Result<Signature, SendError> {
        let entry = match self.last(intent).await? {
            Last::Done(signature) => return Ok(signature),
            Last::Flying(entry) => entry,
            Last::Void { attempt } => self.start((intent, attempt), draft, table).await?,
        };
        self.broadcast(&entry.raw).await?;
        self.wait(&entry.signature).await
    }

    /// Whether an intent had its effect.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn is_done(&self, intent: Hex32) -> Result<bool, SendError> {
        let entry = self.book().await.find(intent).await?;
        let Some(entry) = entry else {
            return Ok(false);
        };
        let status = self.chain.status(&entry.signature).await?;
        Ok(status.is_some_and(|status| status.is_confirmed() && status.succeeded()))
    }

    /// Hands bytes to the network. A node that knows them, or finds them void, refuses them: both are found by
    /// looking for their status.
    ///
    /// # Errors
    /// [`SendError::Unknown`].
    pub async fn broadcast(&self, raw: &[u8]) -> Result<(), SendError> {
        match self.chain.broadcast(raw).await {
            Ok(()) => Ok(()),
            Err(RpcError::Refused { code, message, .. }) => {
                tracing::debug!(code, message, "provider does not take the transaction");
                Ok(())
            }
            Err(error) => Err(SendError::Unknown(error)),
        }
    }

    /// Waits until a transaction is confirmed, as long as the caps allow.
    ///
    /// # Errors
    /// [`SendError::Failed`] when it had no effect, [`SendError::Waiting`] when it is not there.
    pub async fn wait(&self, signature: &Signature) -> Result<Signature, SendError> {
        let looking = async {
            let mut pause = MIN_PAUSE;
            loop {
                let status = self.chain.status(signature).await?;
                match status.filter(d402_svm::Status::is_confirmed) {
                    Some(status) => return result(*signature, status.err.as_ref()),
                    None => tokio::time::sleep(pause).await,
                }
                pause = pause.saturating_mul(2).min(MAX_PAUSE);
            }
        };
        match tokio::time::timeout(self.caps.wait, looking).await {
            Ok(result) => result,
            Err(_over) => Err(SendError::Waiting),
        }
    }

    async fn last(&self, intent: Hex32) -> Result<Last, SendError> {
        let entry = self.book().await.find(intent).await?;
        let Some(entry) = entry else {
            return Ok(Last::Void { attempt: 0 });
        };
        let void = Last::Void {
            attempt: entry.attempt.saturating_add(1),
        };
        // Height first: what is in no block by then, and is asked for afterwards, can be in none.
        let (height, _) = self
            .chain
            .block_heights(self.chain.options().finality.last())
            .await?;
        Ok(match self.chain.status(&entry.signature).await? {
            Some(status) if !status.is_confirmed() => Last::Flying(entry),
            Some(status) if status.succeeded() => Last::Done(entry.signature),
            Some(_failed) => void,
            None if height > entry.last_valid => void,
            None => Last::Flying(entry),
        })
    }

    /// Makes, tries, signs and writes down a transaction.
    async fn start(
        &self,
        (intent, attempt): (Hex32, u32),
        draft: &Draft,
        table: Option<&Table>,
    ) -> Result<Entry, SendError> {
        let price = self.price(draft).await?;
        let blockhash = self.chain.latest_blockhash().await?;
        let message = |units| {
            let mut instructions = vec![unit_limit(units), unit_price(price)];
            instructions.extend_from_slice(&draft.instructions);
            assemble(&self.payer(), &instructions, blockhash.hash, table)
        };
        let units = self.try_out(message(MAX_UNITS)?).await?;
        let units = units.saturating_add(draft.round).min(MAX_UNITS);
        let message = message(units)?;
        let bytes = message.serialize();
        let signature = self.key.sign(&bytes);
        let entry = Entry {
            message: Hex32::from_bytes(Sha256::digest(&bytes).into()),
            intent,
            attempt,
            signature,
            raw: encode(&signed(message, vec![signature])),
            last_valid: blockhash.last_valid_block_height,
            lamports: cost(draft, units, price),
            signed_ms: self.clock.now_ms(),
        };
        self.write_down(entry).await
    }

    /// The wall clock, ms.
    pub(super) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Durable, and within the budget, or nothing is sent.
    pub(super) async fn write_down(&self, entry: Entry) -> Result<Entry, SendError> {
        let mut book = self.book().await;
        // Two submissions of one intent can have come here together.
        if let Some(other) = book.find(entry.intent).await?
            && other.attempt >= entry.attempt
        {
            return Ok(other);
        }
        let spent = book
            .spent_since(entry.signed_ms.saturating_sub(DAY_MS))
            .await?;
        let wanted = entry.lamports;
        if spent.saturating_add(wanted) > self.caps.daily_lamports {
            return Err(SendError::Budget { spent, wanted });
        }
        book.add(&entry).await?;
        Ok(entry)
    }

    /// Units the transaction takes, and a sixth more: a balance or an account may be another by then.
    async fn try_out(&self, message: VersionedMessage) -> Result<u32, SendError> {
        let count = usize::from(message.header().num_required_signatures);
        let raw = encode(&signed(message, vec![Signature::default(); count]));
        let tried = self.chain.simulate(&raw, true).await?;
        if let Some(err) = &tried.err {
            return Err(SendError::Failed(Fault::of(err)));
        }
        let units = tried.units_consumed.unwrap_or(u64::from(MAX_UNITS));
        let more = units
            .saturating_add(units.checked_div(6).unwrap_or(0))
            .saturating_add(1_000);
        Ok(u32::try_from(more).unwrap_or(MAX_UNITS).min(MAX_UNITS))
    }

    /// More than three quarters of those who lately wrote to the same accounts paid, within the caps.
    async fn price(&self, draft: &Draft) -> Result<u64, SendError> {
        let mut written: Vec<Address> = draft
            .instructions
            .iter()
            .flat_map(|instruction| &instruction.accounts)
            .filter(|meta| meta.is_writable)
            .map(|meta| meta.pubkey)
            .collect();
        written.sort();
        written.dedup();
        written.truncate(128);
        let prices = match self.chain.recent_prices(&written).await {
            Ok(prices) => prices,
            // Only a hint, and some nodes have none.
            Err(RpcError::Refused { .. }) => Vec::new(),
            Err(error) => return Err(SendError::Unknown(error)),
        };
        Ok(quartile(prices).clamp(self.caps.min_price, self.caps.max_price))
    }
}

fn result(signature: Signature, err: Option<&serde_json::Value>) -> Result<Signature, SendError> {
    match err {
        None => Ok(signature),
        Some(err) => Err(SendError::Failed(Fault::of(err))),
    }
}

fn quartile(mut prices: Vec<u64>) -> u64 {
    prices.sort_unstable();
    let at = prices.len().saturating_mul(3).checked_div(4).unwrap_or(0);
    prices.get(at).copied().unwrap_or(0)
}

/// The most a transaction takes out of its payer's account.
fn cost(draft: &Draft, units: u32, price: u64) -> u64 {
    let priority = u128::from(units)
        .saturating_mul(u128::from(price))
        .div_ceil(1_000_000);
    let signatures = draft
        .checked_signatures
        .saturating_add(1)
        .saturating_mul(SIGNATURE_LAMPORTS);
    u64::try_from(priority)
        .unwrap_or(u64::MAX)
        .saturating_add(signatures)
        .saturating_add(draft.rent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_follows_the_others_and_the_cost_counts_every_part() {
        assert_eq!(quartile(Vec::new()), 0);
        assert_eq!(quartile(vec![9, 1, 5, 7]), 9);
        assert_eq!(quartile(vec![0, 0, 0, 0, 0, 80]), 0);
        let draft = Draft {
            instructions: Vec::new(),
            checked_signatures: 3,
            rent: 100,
            round: 0,
        };
        // 4 signatures, 1.5 lamports of priority rounded up, rent.
        assert_eq!(cost(&draft, 1_500, 1_000), 20_000 + 2 + 100);
    }
}
