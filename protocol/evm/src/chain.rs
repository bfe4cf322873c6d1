//! One chain through one or two providers: blocks, calls and logs that belong together.

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use futures::future::{join_all, try_join_all};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::rpc::{Rpc, RpcError, RpcLimits, Silence};
use crate::wire::{Block, Log, TransactionReceipt};

/// How sure a block must be before something is read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The newest block.
    Latest,
    /// A block with this many blocks on top of it.
    Depth(u64),
    /// Derived from data that L1 has.
    Safe,
    /// L1-final: cannot be undone.
    Finalized,
}

/// From which amount on which level counts (threat #36), in base units of a 6-decimals dollar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finality {
    /// Up to here [`Level::Depth`] of [`Self::depth`] is enough: $10.
    pub small: u128,
    /// Up to here [`Level::Safe`] is enough: $1,000. Above it, [`Level::Finalized`].
    pub medium: u128,
    /// Blocks on top for small amounts.
    pub depth: u64,
    /// A development chain that nobody reorganises and that never names a final block: every level is the
    /// newest block. Never true for a public network.
    pub development: bool,
}

impl Finality {
    /// Threat #36: `latest` + 2 up to $10, `safe` up to $1,000, `finalized` above.
    pub const BASE: Self = Self {
        small: 10_000_000,
        medium: 1_000_000_000,
        depth: 2,
        development: false,
    };
    /// For a chain on this machine.
    pub const DEVELOPMENT: Self = Self {
        development: true,
        ..Self::BASE
    };

    /// The level at which a deposit of this size is believed.
    #[must_use]
    pub const fn level(&self, units: u128) -> Level {
        if units <= self.small {
            self.real(Level::Depth(self.depth))
        } else if units <= self.medium {
            self.real(Level::Safe)
        } else {
            self.real(Level::Finalized)
        }
    }

    /// The level of facts that must never be undone (threat #71).
    #[must_use]
    pub const fn last(&self) -> Level {
        self.real(Level::Finalized)
    }

    const fn real(&self, level: Level) -> Level {
        if self.development {
            Level::Latest
        } else {
            level
        }
    }
}

/// What a chain is and how it is read.
#[derive(Clone, Copy, Debug)]
pub struct ChainOptions {
    /// EIP-155 id; a provider of another chain is never believed.
    pub chain_id: u64,
    /// When what counts.
    pub finality: Finality,
    /// Most blocks in one question for logs.
    pub log_range: u64,
    /// Most such questions for one answer.
    pub log_questions: u32,
    /// Usual seconds between blocks; only the first guess of a search.
    pub block_time_s: u64,
    /// Times and sizes.
    pub limits: RpcLimits,
}

impl ChainOptions {
    /// Base and its test network.
    #[must_use]
    pub fn base(chain_id: u64) -> Self {
        Self {
            chain_id,
            finality: Finality::BASE,
            log_range: 2_000,
            log_questions: 600,
            block_time_s: 2,
            limits: RpcLimits::default(),
        }
    }
}

/// A block that answers belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
    /// Wei per gas that is burnt.
    pub base_fee: U256,
}

impl From<Block> for Head {
    fn from(block: Block) -> Self {
        Self {
            number: block.number.to(),
            hash: block.hash,
            timestamp: block.timestamp.to(),
            base_fee: block.base_fee_per_gas.unwrap_or_default(),
        }
    }
}

/// Which logs are wanted.
#[derive(Clone, Debug)]
pub struct LogFilter {
    /// Emitters.
    pub addresses: Vec<Address>,
    /// Alternatives per topic position; `None` takes any.
    pub topics: Vec<Option<Vec<B256>>>,
}

/// A chain, asked through one provider or through two that must agree.
#[derive(Debug)]
pub struct Chain {
    providers: Vec<Rpc>,
    options: ChainOptions,
    checked: OnceCell<()>,
}

impl Chain {
    /// A chain behind one or two URLs; nothing is sent.
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

    /// The newest block: chain time.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn now(&self) -> Result<Head, RpcError> {
        self.head(Level::Latest).await
    }

    /// The highest block that is this sure at every provider, and the same there.
    ///
    /// # Errors
    /// [`RpcError`]; two providers with different blocks at one height are unknown.
    pub async fn head(&self, level: Level) -> Result<Head, RpcError> {
        self.check_chain().await?;
        let (tag, depth) = match level {
            Level::Latest => ("latest", 0),
            Level::Depth(depth) => ("latest", depth),
            Level::Safe => ("safe", 0),
            Level::Finalized => ("finalized", 0),
        };
        let params = json!([tag, false]);
        let asked = self
            .providers
            .iter()
            .map(|rpc| rpc.read::<Option<Block>>("eth_getBlockByNumber", &params));
        let tops = try_join_all(asked).await?;
        let mut lowest: Option<Block> = None;
        for top in tops {
            let top = top.ok_or(RpcError::unknown(Silence::NoBlock))?;
            lowest =
                Some(lowest.map_or(top, |low| if top.number < low.number { top } else { low }));
        }
        let top = Head::from(lowest.ok_or(RpcError::Address)?);
        if depth == 0 && self.providers.len() == 1 {
            return Ok(top);
        }
        self.block(top.number.saturating_sub(depth)).await
    }

    /// A block by height.
    ///
    /// # Errors
    /// [`RpcError`]; a block that is not there is unknown.
    pub async fn block(&self, number: u64) -> Result<Head, RpcError> {
        let params = json!([U64::from(number), false]);
        let block: Option<Block> = self.agreed("eth_getBlockByNumber", &params).await?;
        block
            .map(Head::from)
            .ok_or(RpcError::unknown(Silence::NoBlock))
    }

    /// Calls a contract at a block.
    ///
    /// # Errors
    /// [`RpcError`]; a revert is definite.
    pub async fn call(&self, to: Address, data: &Bytes, at: &Head) -> Result<Bytes, RpcError> {
        let params = json!([{"to": to, "data": data}, U64::from(at.number)]);
        self.agreed("eth_call", &params).await
    }

    /// Code of an account at a block.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn code(&self, of: Address, at: &Head) -> Result<Bytes, RpcError> {
        self.agreed("eth_getCode", &json!([of, U64::from(at.number)]))
            .await
    }

    /// Whether `head` is still part of the chain; asked after what was read from it.
    ///
    /// # Errors
    /// [`Silence::Reorganised`] when it is not.
    pub async fn confirm(&self, head: &Head) -> Result<(), RpcError> {
        let again = self.block(head.number).await?;
        if again.hash == head.hash {
            Ok(())
        } else {
            Err(RpcError::unknown(Silence::Reorganised))
        }
    }

    /// Logs of a range of blocks, which must not be longer than [`ChainOptions::log_range`].
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn logs(
        &self,
        (from, to): (u64, u64),
        filter: &LogFilter,
    ) -> Result<Vec<Log>, RpcError> {
        if to.saturating_sub(from) >= self.options.log_range {
            return Err(RpcError::unknown(Silence::TooMuch));
        }
        let topics: Vec<Value> = filter.topics.iter().map(|t| json!(t)).collect();
        let params = json!([{
            "fromBlock": U64::from(from),
            "toBlock": U64::from(to),
            "address": filter.addresses,
            "topics": topics,
        }]);
        let mut logs: Vec<Log> = self.agreed("eth_getLogs", &params).await?;
        logs.retain(|log| !log.removed);
        Ok(logs)
    }

    /// A block that is not younger than `timestamp`, near it: where a search for logs starts.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn block_before(&self, timestamp: u64, head: &Head) -> Result<u64, RpcError> {
        let age = head.timestamp.saturating_sub(timestamp);
        let blocks = age
            .checked_div(self.options.block_time_s.max(1))
            .unwrap_or(age);
        let mut back = blocks.saturating_add(16);
        // Doubling reaches the first block of any chain in 64 steps.
        for _ in 0..64 {
            let number = head.number.saturating_sub(back);
            if number == 0 || self.block(number).await?.timestamp <= timestamp {
                return Ok(number);
            }
            back = back.saturating_mul(2);
        }
        Ok(0)
    }

    /// A receipt, from the first provider that has one. One provider's word: never enough to believe money.
    ///
    /// # Errors
    /// [`RpcError`] when no provider answers.
    pub async fn receipt(&self, of: B256) -> Result<Option<TransactionReceipt>, RpcError> {
        let mut failure = None;
        let mut absent = false;
        for rpc in &self.providers {
            match rpc
                .read::<Option<TransactionReceipt>>("eth_getTransactionReceipt", &json!([of]))
                .await
            {
                Ok(Some(receipt)) if receipt.transaction_hash == of => return Ok(Some(receipt)),
                Ok(_) => absent = true,
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if !absent => Err(error),
            _ => Ok(None),
        }
    }

    /// Calldata of a transaction; `None` when no provider has it.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn input_of(&self, transaction: B256) -> Result<Option<Bytes>, RpcError> {
        #[derive(serde::Deserialize, PartialEq)]
        struct Sent {
            input: Bytes,
        }
        let sent: Option<Sent> = self
            .agreed("eth_getTransactionByHash", &json!([transaction]))
            .await?;
        Ok(sent.map(|sent| sent.input))
    }

    /// Transactions an account has made, at a block tag (`latest`, `pending`) or a height; the highest any
    /// provider knows.
    ///
    /// # Errors
    /// [`RpcError`] when one of them does not answer.
    pub async fn transaction_count(&self, of: Address, at: &str) -> Result<u64, RpcError> {
        self.check_chain().await?;
        let params = json!([of, at]);
        let asked = self
            .providers
            .iter()
            .map(|rpc| rpc.read::<U64>("eth_getTransactionCount", &params));
        let counts = try_join_all(asked).await?;
        Ok(counts.iter().map(|count| count.to()).max().unwrap_or(0))
    }

    /// Executes a call on top of the newest block without any effect, at the first provider: a preview, not
    /// a fact.
    ///
    /// # Errors
    /// [`RpcError`]; a revert is definite for the state it was tried on.
    pub async fn preview(&self, call: &Value) -> Result<Bytes, RpcError> {
        self.check_chain().await?;
        self.first()?
            .read("eth_call", &json!([call, "latest"]))
            .await
    }

    /// Gas a call would need, at the first provider.
    ///
    /// # Errors
    /// As [`Self::preview`].
    pub async fn estimate(&self, call: &Value) -> Result<u64, RpcError> {
        let gas: U64 = self
            .first()?
            .read("eth_estimateGas", &json!([call]))
            .await?;
        Ok(gas.to())
    }

    /// Native coin of an account, wei.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn native_balance(&self, of: Address) -> Result<U256, RpcError> {
        self.first()?
            .read("eth_getBalance", &json!([of, "latest"]))
            .await
    }

    /// Hands signed bytes to every provider: the only question here that can change the chain. Fine once one
    /// of them has the transaction.
    ///
    /// # Errors
    /// [`RpcError::Refused`] when all that answered refuse, unknown otherwise.
    pub async fn broadcast(&self, raw: &Bytes) -> Result<B256, RpcError> {
        let params = json!([raw]);
        let asked = self
            .providers
            .iter()
            .map(|rpc| rpc.once::<B256>("eth_sendRawTransaction", &params));
        let mut worst = RpcError::Address;
        for answer in join_all(asked).await {
            match answer {
                Ok(hash) => return Ok(hash),
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
        let asked = self
            .providers
            .iter()
            .map(|rpc| rpc.read::<T>(method, params));
        let mut answers = try_join_all(asked).await?.into_iter();
        let first = answers.next().ok_or(RpcError::Address)?;
        if answers.any(|other| other != first) {
            tracing::warn!(method, "providers disagree");
            return Err(RpcError::unknown(Silence::Disagreement));
        }
        Ok(first)
    }

    fn first(&self) -> Result<&Rpc, RpcError> {
        self.providers.first().ok_or(RpcError::Address)
    }

    /// A wrong URL must not make another chain's blocks look like this one's.
    async fn check_chain(&self) -> Result<(), RpcError> {
        self.checked
            .get_or_try_init(|| async {
                let id: U64 = self.agreed("eth_chainId", &json!([])).await?;
                if id.to::<u64>() == self.options.chain_id {
                    Ok(())
                } else {
                    Err(RpcError::unknown(Silence::OtherChain))
                }
            })
            .await
            .copied()
    }
}
