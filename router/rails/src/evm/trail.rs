//! Following an authorization on the chain: which transaction used it, and whether that moved the money.
//!
//! Found by payer and nonce, whoever submitted it (threat #37).

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::{SolCall as _, SolEvent as _};
use d402_core::ports::RailError;
use d402_evm::abi::Token;
use d402_evm::chain::LogFilter;
use d402_evm::{Chain, Head, Log};

use super::escrow::unknown;

/// One authorization of one token.
pub(super) struct Trail<'a> {
    pub(super) chain: &'a Chain,
    pub(super) asset: Address,
    pub(super) from: Address,
    pub(super) nonce: B256,
}

impl Trail<'_> {
    /// The token's event of the use, between a moment (unix seconds) and a block.
    pub(super) async fn used(&self, since: u64, head: &Head) -> Result<Option<Log>, RailError> {
        let first = self.chain.block_before(since, head).await;
        let filter = self.filter(vec![
            Some(vec![Token::AuthorizationUsed::SIGNATURE_HASH]),
            Some(vec![self.from.into_word()]),
            Some(vec![self.nonce]),
        ]);
        let step = self.chain.options().log_range.max(1);
        let mut from = first.map_err(unknown)?;
        while from <= head.number {
            let to = from.saturating_add(step.saturating_sub(1)).min(head.number);
            let logs = self.chain.logs((from, to), &filter).await;
            if let Some(used) = logs.map_err(unknown)?.into_iter().next() {
                return Ok(Some(used));
            }
            from = to.saturating_add(1);
        }
        Ok(None)
    }

    /// Whether the transaction of that event also moved the payer's money there: the token's own `Transfer`.
    pub(super) async fn moved(
        &self,
        used: &Log,
        (to, value): (Address, U256),
    ) -> Result<bool, RailError> {
        let filter = self.filter(vec![
            Some(vec![Token::Transfer::SIGNATURE_HASH]),
            Some(vec![self.from.into_word()]),
            Some(vec![to.into_word()]),
        ]);
        let block: u64 = used.block_number.to();
        let logs = self.chain.logs((block, block), &filter).await;
        Ok(logs.map_err(unknown)?.iter().any(|log| {
            log.transaction_hash == used.transaction_hash
                && Token::Transfer::decode_raw_log(log.topics.iter().copied(), &log.data)
                    .is_ok_and(|moved| moved.value == value)
        }))
    }

    /// Whether the nonce is used or cancelled at a block.
    pub(super) async fn is_spent(&self, head: &Head) -> Result<bool, RailError> {
        let call = Token::authorizationStateCall {
            authorizer: self.from,
            nonce: self.nonce,
        };
        let input = call.abi_encode().into();
        let answer = self.chain.call(self.asset, &input, head).await;
        Token::authorizationStateCall::abi_decode_returns(&answer.map_err(unknown)?)
            .map_err(|_| RailError::Unknown)
    }

    fn filter(&self, topics: Vec<Option<Vec<B256>>>) -> LogFilter {
        LogFilter {
            addresses: vec![self.asset],
            topics,
        }
    }
}
