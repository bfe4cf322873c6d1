//! An authorized transfer in a transaction: what a payment straight to somebody leaves on the chain.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolEvent as _;

use crate::abi::Token;
use crate::chain::{Chain, Head, LogFilter};
use crate::rpc::RpcError;
use crate::wire::Log;

/// Who paid exactly so much to an account in a transaction that is in or below `head`, by an EIP-3009
/// authorization; `None` when the token's events there say nothing of the kind.
///
/// # Errors
/// [`RpcError`].
pub async fn authorized_payer(
    chain: &Chain,
    head: &Head,
    transaction: B256,
    (asset, to, value): (Address, Address, U256),
) -> Result<Option<Address>, RpcError> {
    let Some(receipt) = chain.receipt(transaction).await? else {
        return Ok(None);
    };
    let height: u64 = receipt.block_number.to();
    if height > head.number {
        return Ok(None);
    }
    let filter = LogFilter {
        addresses: vec![asset],
        topics: Vec::new(),
    };
    // The receipt is one provider's word; the events are what both agree on.
    let mut logs = chain.logs((height, height), &filter).await?;
    logs.retain(|log| log.transaction_hash == transaction);
    let payer = logs.iter().find_map(|log| paid(log, to, value));
    let used = |from: &Address| {
        logs.iter().any(|log| {
            log.topics.first() == Some(&Token::AuthorizationUsed::SIGNATURE_HASH)
                && log.topics.get(1) == Some(&from.into_word())
        })
    };
    chain.confirm(head).await?;
    Ok(payer.filter(used))
}

fn paid(log: &Log, to: Address, value: U256) -> Option<Address> {
    if log.topics.first() != Some(&Token::Transfer::SIGNATURE_HASH) {
        return None;
    }
    let moved = Token::Transfer::decode_raw_log(log.topics.iter().copied(), &log.data).ok()?;
    (moved.to == to && moved.value == value).then_some(moved.from)
}
