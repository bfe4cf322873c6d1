//! What a provider says about blocks, logs and transactions; fields nobody reads here are ignored.

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use serde::Deserialize;

/// Header of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    /// Height.
    pub number: U64,
    /// Hash.
    pub hash: B256,
    /// Unix seconds.
    pub timestamp: U64,
    /// Price of gas that is burnt, wei; absent before EIP-1559.
    #[serde(default)]
    pub base_fee_per_gas: Option<U256>,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// Who emitted it.
    pub address: Address,
    /// Signature hash and indexed fields.
    pub topics: Vec<B256>,
    /// The other fields.
    pub data: Bytes,
    /// Height.
    pub block_number: U64,
    /// Block hash.
    pub block_hash: B256,
    /// Transaction.
    pub transaction_hash: B256,
    /// Position in the block.
    pub log_index: U64,
    /// Whether the block was undone.
    #[serde(default)]
    pub removed: bool,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionReceipt {
    /// 1 = executed, 0 = reverted.
    pub status: U64,
    /// Height.
    pub block_number: U64,
    /// Block hash.
    pub block_hash: B256,
    /// Transaction.
    pub transaction_hash: B256,
    /// Gas that was paid for.
    #[serde(default)]
    pub gas_used: U64,
    /// Events.
    #[serde(default)]
    pub logs: Vec<Log>,
}
