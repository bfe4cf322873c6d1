//! One cluster through one or two providers: accounts, histories and transactions that belong together.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_rpc::{CallError as RpcError, Rpc, Silence};
use d402_settlement::{Domain, Key32};
use futures::future::{join_all, try_join_all};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use solana_address::Address;
use solana_hash::Hash;
use solana_signature::Signature;
use tokio::sync::OnceCell;

use crate::address::CLOCK;
pub use crate::level::{ChainOptions, Finality, Level};
use crate::wire::{Account, At, Blockhash, Entry, Executed, Simulation, Status, WireExecuted};

/// Most accounts of one question.
const MAX_ACCOUNTS: usize = 100;
/// Most signatures of one question about statuses.
const MAX_STATUSES: usize = 256;
/// Most entries of one page of a history, as providers have it.
const PAGE: usize = 1_000;

/// Accounts that were read together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// The slot they are of.
    pub slot: u64,
    /// In the order asked for; `None` for an account that is not there.
    pub accounts: Vec<Option<Account>>,
}

impl Accounts {
    /// One of them.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&Account> {
        self.accounts.get(place).and_then(Option::as_ref)
    }
}

/// A cluster, asked through one provider or through two that must agree.
#[derive(Debug)]
pub struct Chain {
    providers: Vec<Rpc>,
    options: ChainOptions,
    checked: OnceCell<()>,
}

impl Chain {
    /// A cluster behind one or two URLs; nothing is sent.
    ///
    /// # Errors
    /// [`RpcError::Address`] for none, more than two, or a URL that is none.
    pub fn new(urls: &[String], options: ChainOptions) -> Result<Self, RpcError> {
        if urls.is_empty() || urls.len() > 2 {
            return Err(RpcError::Address);
        }
        let providers = urls
            .iter()
            .map(|url| Rpc::new(url, options.limits))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            providers,
            options,
            checked: OnceCell::new(),
        })
    }

    /// What it was made with.
    #[must_use]
    pub const fn options(&self) -> &ChainOptions {
        &self.options
    }

    /// What hashes and addresses are bound to.
    #[must_use]
    pub const fn domain(&self) -> &Domain {
        &self.options.domain
    }

    /// Accounts of one slot, not older than `not_before`. With two providers the slots may differ, the contents
    /// must not.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn accounts(
        &self,
        of: &[Address],
        level: Level,
        not_before: Option<u64>,
    ) -> Result<Accounts, RpcError> {
        if of.len() > MAX_ACCOUNTS {
            return Err(RpcError::unknown(Silence::TooMuch));
        }
        let names: Vec<String> = of.iter().map(ToString::to_string).collect();
        let params = json!([
            names,
            config(level, not_before, &[("encoding", json!("base64"))])
        ]);
        let answers: Vec<At<Vec<Option<Account>>>> =
            self.everybody("getMultipleAccounts", &params).await?;
        let slot = answers.iter().map(|answer| answer.context.slot).min();
        let mut contents = answers.into_iter().map(|answer| answer.value);
        let accounts = contents.next().ok_or(RpcError::Address)?;
        if contents.any(|other| other != accounts) {
            return Err(disagreement("getMultipleAccounts"));
        }
        if accounts.len() != of.len() {
            return Err(RpcError::unknown(Silence::Malformed));
        }
        Ok(Accounts {
            slot: slot.unwrap_or(0),
            accounts,
        })
    }

    /// Chain time, unix seconds: the clock programs see.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn now(&self) -> Result<i64, RpcError> {
        // The clock moves with every slot, so two providers can hardly agree on it: the slower one counts.
        let params = json!([
            [CLOCK.to_string()],
            config(Level::Confirmed, None, &[("encoding", json!("base64"))])
        ]);
        let answers: Vec<At<Vec<Option<Account>>>> =
            self.everybody("getMultipleAccounts", &params).await?;
        let mut lowest = None;
        for answer in &answers {
            let clock = answer.value.first().and_then(Option::as_ref);
            let now = clock
                .and_then(clock_of)
                .ok_or(RpcError::unknown(Silence::Malformed))?;
            lowest = Some(lowest.map_or(now, |low: i64| low.min(now)));
        }
        lowest.ok_or(RpcError::Address)
    }

    /// A blockhash to sign with, from the first provider.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn latest_blockhash(&self) -> Result<Blockhash, RpcError> {
        self.check_cluster().await?;
        let params = json!([config(Level::Confirmed, None, &[])]);
        let at: At<Blockhash> = ask(self.first()?, "getLatestBlockhash", &params).await?;
        Ok(at.value)
    }

    /// Whether a message with this blockhash may still be executed, as far as any provider knows.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn is_blockhash_valid(&self, hash: &Hash) -> Result<bool, RpcError> {
        let params = json!([hash.to_string(), config(Level::Confirmed, None, &[])]);
        let answers: Vec<At<bool>> = self.everybody("isBlockhashValid", &params).await?;
        Ok(answers.iter().any(|answer| answer.value))
    }

    /// Height of the highest block of this level: at the provider that is behind, and at the one ahead.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn block_heights(&self, level: Level) -> Result<(u64, u64), RpcError> {
        let params = json!([config(level, None, &[])]);
        let heights: Vec<u64> = self.everybody("getBlockHeight", &params).await?;
        let lowest = heights.iter().min().ok_or(RpcError::Address)?;
        let highest = heights.iter().max().ok_or(RpcError::Address)?;
        Ok((*lowest, *highest))
    }

    /// Lamports of an account at the first provider: for warnings and budgets, not for facts.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn lamports(&self, of: &Address) -> Result<u64, RpcError> {
        self.check_cluster().await?;
        let params = json!([of.to_string(), config(Level::Confirmed, None, &[])]);
        let at: At<u64> = ask(self.first()?, "getBalance", &params).await?;
        Ok(at.value)
    }

    /// What transactions that write to these accounts paid of late, micro-lamports per compute unit, one entry a
    /// slot; the first provider's word.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn recent_prices(&self, accounts: &[Address]) -> Result<Vec<u64>, RpcError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Paid {
            prioritization_fee: u64,
        }
        let names: Vec<String> = accounts.iter().map(ToString::to_string).collect();
        let params = json!([names]);
        let paid: Vec<Paid> = ask(self.first()?, "getRecentPrioritizationFees", &params).await?;
        Ok(paid.iter().map(|paid| paid.prioritization_fee).collect())
    }

    /// Every transaction that names an address, oldest first.
    ///
    /// # Errors
    /// [`RpcError`]; [`Silence::TooMuch`] for more than [`ChainOptions::pages`].
    pub async fn history(
        &self,
        of: &Address,
        level: Level,
        not_before: u64,
    ) -> Result<Vec<Entry>, RpcError> {
        let mut entries: Vec<Entry> = Vec::new();
        for _ in 0..self.options.pages {
            let mut extra = vec![("limit", json!(PAGE))];
            if let Some(oldest) = entries.last() {
                extra.push(("before", json!(oldest.signature.to_string())));
            }
            let params = json!([of.to_string(), config(level, Some(not_before), &extra)]);
            let page: Vec<Entry> = self.agreed("getSignaturesForAddress", &params).await?;
            let is_last = page.len() < PAGE;
            entries.extend(page);
            if is_last {
                entries.reverse();
                return Ok(entries);
            }
        }
        Err(RpcError::unknown(Silence::TooMuch))
    }

    /// A transaction with what it did; `None` when it is not there.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn transaction(
        &self,
        signature: &Signature,
        level: Level,
    ) -> Result<Option<Executed>, RpcError> {
        let params = json!([signature.to_string(), {
            "commitment": level.name(), "encoding": "base64", "maxSupportedTransactionVersion": 0,
        }]);
        let found: Option<WireExecuted> = self.agreed("getTransaction", &params).await?;
        let Some(found) = found else {
            return Ok(None);
        };
        match found.read() {
            Some(executed) if executed.transaction.signatures.first() == Some(signature) => {
                Ok(Some(executed))
            }
            _ => Err(RpcError::unknown(Silence::Malformed)),
        }
    }

    /// How far transactions got, also long ago. `None` only where no provider has the transaction. One
    /// provider's word: never enough to believe money.
    ///
    /// # Errors
    /// [`RpcError`] when one of them does not answer.
    pub async fn statuses(
        &self,
        signatures: &[Signature],
    ) -> Result<Vec<Option<Status>>, RpcError> {
        if signatures.len() > MAX_STATUSES {
            return Err(RpcError::unknown(Silence::TooMuch));
        }
        let names: Vec<String> = signatures.iter().map(ToString::to_string).collect();
        let params = json!([names, {"searchTransactionHistory": true}]);
        let answers: Vec<At<Vec<Option<Status>>>> =
            self.everybody("getSignatureStatuses", &params).await?;
        let mut merged: Vec<Option<Status>> = vec![None; signatures.len()];
        for answer in answers {
            if answer.value.len() != signatures.len() {
                return Err(RpcError::unknown(Silence::Malformed));
            }
            for (slot, status) in merged.iter_mut().zip(answer.value) {
                if slot.as_ref().is_none_or(|known| !known.is_confirmed()) && status.is_some() {
                    *slot = status;
                }
            }
        }
        Ok(merged)
    }

    /// [`Self::statuses`] of one.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn status(&self, signature: &Signature) -> Result<Option<Status>, RpcError> {
        Ok(self
            .statuses(&[*signature])
            .await?
            .into_iter()
            .next()
            .flatten())
    }

    /// Runs a transaction without any effect and without looking at its signatures, at the first provider: a
    /// preview, not a fact. With `fresh` its blockhash may be any.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn simulate(&self, raw: &[u8], fresh: bool) -> Result<Simulation, RpcError> {
        self.check_cluster().await?;
        let params = json!([STANDARD.encode(raw), {
            "encoding": "base64", "commitment": Level::Confirmed.name(),
            "sigVerify": false, "replaceRecentBlockhash": fresh,
        }]);
        let at: At<Simulation> = ask(self.first()?, "simulateTransaction", &params).await?;
        Ok(at.value)
    }

    /// Hands signed bytes to every provider: the only question here that can change the chain. Fine once one of
    /// them has taken the transaction; whether it is executed, the chain says.
    ///
    /// # Errors
    /// [`RpcError::Refused`] when all that answered refuse, unknown otherwise.
    pub async fn broadcast(&self, raw: &[u8]) -> Result<(), RpcError> {
        self.check_cluster().await?;
        // No trial run at the node: a transaction that was tried here may still be sent when the node lags.
        let params = json!([STANDARD.encode(raw), {
            "encoding": "base64", "skipPreflight": true, "maxRetries": 0,
        }]);
        let asked = self
            .providers
            .iter()
            .map(|rpc| rpc.once::<String>("sendTransaction", &params));
        let mut worst = RpcError::Address;
        for answer in join_all(asked).await {
            match answer {
                Ok(_) => return Ok(()),
                Err(unknown @ RpcError::Unknown { .. }) => worst = unknown,
                Err(refused) if matches!(worst, RpcError::Address) => worst = refused,
                Err(_) => {}
            }
        }
        Err(worst)
    }

    /// The same answer from every provider.
    async fn agreed<T: DeserializeOwned + PartialEq>(
        &self,
        method: &'static str,
        params: &impl Serialize,
    ) -> Result<T, RpcError> {
        let mut answers = self.everybody::<T>(method, params).await?.into_iter();
        let first = answers.next().ok_or(RpcError::Address)?;
        if answers.any(|other| other != first) {
            return Err(disagreement(method));
        }
        Ok(first)
    }

    /// The answers of all providers; none is missing.
    async fn everybody<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &impl Serialize,
    ) -> Result<Vec<T>, RpcError> {
        self.check_cluster().await?;
        let asked = self.providers.iter().map(|rpc| ask(rpc, method, params));
        try_join_all(asked).await
    }

    fn first(&self) -> Result<&Rpc, RpcError> {
        self.providers.first().ok_or(RpcError::Address)
    }

    /// A wrong URL must not make another cluster's accounts look like this one's (#44).
    async fn check_cluster(&self) -> Result<(), RpcError> {
        self.checked
            .get_or_try_init(|| async {
                for rpc in &self.providers {
                    let genesis: String = ask(rpc, "getGenesisHash", &json!([])).await?;
                    let genesis: Option<Hash> = genesis.parse().ok();
                    if genesis.map(|hash| hash.to_bytes()) != Some(self.options.domain.genesis) {
                        return Err(RpcError::unknown(Silence::OtherChain));
                    }
                }
                Ok(())
            })
            .await
            .copied()
    }
}

/// A provider that has not the slot asked for yet says nothing.
async fn ask<T: DeserializeOwned>(
    rpc: &Rpc,
    method: &'static str,
    params: &impl Serialize,
) -> Result<T, RpcError> {
    match rpc.read(method, params).await {
        // Block or slot not available (yet), minimum context slot not reached.
        Err(RpcError::Refused {
            code: -32_004 | -32_014 | -32_016,
            ..
        }) => Err(RpcError::unknown(Silence::NoBlock)),
        answer => answer,
    }
}

fn config(level: Level, not_before: Option<u64>, extra: &[(&str, Value)]) -> Value {
    let mut config = serde_json::Map::new();
    config.insert("commitment".to_owned(), json!(level.name()));
    if let Some(slot) = not_before {
        config.insert("minContextSlot".to_owned(), json!(slot));
    }
    for (name, value) in extra {
        config.insert((*name).to_owned(), value.clone());
    }
    Value::Object(config)
}

fn disagreement(method: &'static str) -> RpcError {
    tracing::warn!(method, "providers disagree");
    RpcError::unknown(Silence::Disagreement)
}

/// Slot, start of the epoch, epoch, next epoch's schedule, now: eight bytes each.
pub(crate) fn clock_of(account: &Account) -> Option<i64> {
    let now = account.data.get(32..40)?;
    Some(i64::from_le_bytes(now.try_into().ok()?))
}

/// The verifier as an address.
#[must_use]
pub const fn program(domain: &Domain) -> Address {
    let Key32(bytes) = domain.program;
    Address::new_from_array(bytes)
}

#[cfg(test)]
mod tests;
