//! What an escrow received, holds and paid, at one block.
//!
//! The first moment the budget was covered is rebuilt from the token's `Transfer` events, whoever sent them
//! (threat #37); what is there now is the token's own balance. Both belong to one block, which is asked for
//! again at the end: a chain that changed in between is unknown.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::{SolCall as _, SolEvent as _};

use d402_settlement::evm::{EVM_TERMS_LEN, EvmAccount, EvmTerms, escrow_address};

use crate::abi::Token;
use crate::chain::{Chain, Head, Level, LogFilter};
use crate::rpc::{RpcError, Silence};
use crate::settled::{SettledView, settlement_in};
use crate::wire::Log;

/// Terms may be issued this far ahead of the chain's clock (spec §3), so money may come that much earlier.
const EARLY_S: u64 = 900;

/// Which escrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EscrowQuery {
    /// Hash of its terms.
    pub terms_hash: B256,
    /// Its address.
    pub escrow: Address,
    /// The ledger that settles it.
    pub ledger: Address,
    /// The token of the terms.
    pub asset: Address,
    /// Base units that must be there.
    pub budget: u128,
    /// When the terms were made, unix seconds: nobody can have paid much earlier.
    pub issued_at: u64,
    /// Whom the ledger pays besides the rows.
    pub shares: Shares,
}

/// Payees the ledger computes from terms and rows (M3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Creator's share of every worker row, taken out of it.
    pub commission_bps: u16,
    /// Creator.
    pub commission_payee: Address,
    /// Gateway's share of the worker total, on top of it.
    pub gateway_fee_bps: u16,
    /// Gateway.
    pub gateway_fee_payee: Address,
    /// Gets the rest.
    pub refund_to: Address,
}

/// An escrow at one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscrowView {
    /// The block.
    pub head: Head,
    /// Base units held.
    pub balance: u128,
    /// Base units that came until the budget was covered, or until the block.
    pub received: u128,
    /// Chain time at which the budget was first covered, unix seconds.
    pub covered_at: Option<u64>,
    /// Whether the escrow account has code: settled, or swept after its time.
    pub closed: bool,
    /// The executed receipt.
    pub settled: Option<SettledView>,
}

impl EscrowQuery {
    /// The escrow of encoded terms; `None` when these bytes are no terms of an EVM chain.
    #[must_use]
    pub fn of_terms(bytes: &[u8], ledger: Address) -> Option<Self> {
        let fixed = <&[u8; EVM_TERMS_LEN]>::try_from(bytes).ok()?;
        let terms = EvmTerms::decode(fixed).ok()?;
        let home = EvmAccount(ledger.into_array());
        let hash = terms.hash(&home);
        Some(Self {
            terms_hash: B256::from(*hash.as_bytes()),
            escrow: Address::from(escrow_address(&home, &hash).0),
            ledger,
            asset: Address::from(terms.asset.0),
            budget: terms.budget.get(),
            issued_at: terms.issued_at,
            shares: Shares {
                commission_bps: terms.commission_bps.0,
                commission_payee: Address::from(terms.commission_payee.0),
                gateway_fee_bps: terms.gateway_fee_bps.0,
                gateway_fee_payee: Address::from(terms.gateway_fee_payee.0),
                refund_to: Address::from(terms.refund_to.0),
            },
        })
    }
}

impl EscrowView {
    /// Reads an escrow at the highest block of this level.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn read(chain: &Chain, query: &EscrowQuery, level: Level) -> Result<Self, RpcError> {
        let head = chain.head(level).await?;
        let view = Self::at(chain, query, head).await?;
        chain.confirm(&head).await?;
        Ok(view)
    }

    async fn at(chain: &Chain, query: &EscrowQuery, head: Head) -> Result<Self, RpcError> {
        let balance = balance_of(chain, query.asset, query.escrow, &head).await?;
        let closed = !chain.code(query.escrow, &head).await?.is_empty();
        let mut view = Self {
            head,
            balance,
            received: 0,
            covered_at: None,
            closed,
            settled: None,
        };
        let start = query.issued_at.saturating_sub(EARLY_S);
        let first = chain.block_before(start, &head).await?;
        let mut ranges = Ranges::new(chain, first, head.number);
        while let Some(range) = ranges.next_range()? {
            if view.covered_at.is_none() {
                view.add_deposits(chain, query, range).await?;
            }
            if closed && view.settled.is_none() {
                view.settled = settlement_in(chain, query, range).await?;
            }
            if view.covered_at.is_some() && (!closed || view.settled.is_some()) {
                break;
            }
        }
        Ok(view)
    }

    async fn add_deposits(
        &mut self,
        chain: &Chain,
        query: &EscrowQuery,
        range: (u64, u64),
    ) -> Result<(), RpcError> {
        let filter = LogFilter {
            addresses: vec![query.asset],
            topics: vec![
                Some(vec![Token::Transfer::SIGNATURE_HASH]),
                None,
                Some(vec![query.escrow.into_word()]),
            ],
        };
        let mut logs = chain.logs(range, &filter).await?;
        logs.sort_by_key(|log| (log.block_number, log.log_index));
        for log in logs {
            // A token that announces transfers in another shape announces none.
            let Ok(transfer) =
                Token::Transfer::decode_raw_log(log.topics.iter().copied(), &log.data)
            else {
                continue;
            };
            if transfer.to != query.escrow || log.address != query.asset {
                return Err(RpcError::unknown(Silence::Malformed));
            }
            self.received = self.received.saturating_add(units(transfer.value));
            if self.received >= query.budget && self.covered_at.is_none() {
                self.covered_at = Some(time_of(chain, &log).await?);
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Units of a token at a block.
///
/// # Errors
/// [`RpcError`].
pub async fn balance_of(
    chain: &Chain,
    asset: Address,
    of: Address,
    at: &Head,
) -> Result<u128, RpcError> {
    let call = Token::balanceOfCall { account: of };
    let answer = chain.call(asset, &call.abi_encode().into(), at).await?;
    Token::balanceOfCall::abi_decode_returns(&answer)
        .map(units)
        .map_err(|_| RpcError::unknown(Silence::Malformed))
}

/// Chain time of a log's block, which must still be that block.
pub(crate) async fn time_of(chain: &Chain, log: &Log) -> Result<u64, RpcError> {
    let block = chain.block(log.block_number.to()).await?;
    if block.hash == log.block_hash {
        Ok(block.timestamp)
    } else {
        Err(RpcError::unknown(Silence::Reorganised))
    }
}

/// More units than 128 bits can say are as good as the most that they can.
pub(crate) fn units(value: U256) -> u128 {
    value.saturating_to()
}

/// The blocks between two heights, in questions a provider answers.
struct Ranges {
    next: u64,
    last: u64,
    step: u64,
    left: u32,
}

impl Ranges {
    fn new(chain: &Chain, first: u64, last: u64) -> Self {
        let options = chain.options();
        Self {
            next: first,
            last,
            step: options.log_range.max(1),
            left: options.log_questions,
        }
    }

    fn next_range(&mut self) -> Result<Option<(u64, u64)>, RpcError> {
        if self.next > self.last {
            return Ok(None);
        }
        self.left = self
            .left
            .checked_sub(1)
            .ok_or(RpcError::unknown(Silence::TooMuch))?;
        let from = self.next;
        let to = from
            .saturating_add(self.step.saturating_sub(1))
            .min(self.last);
        self.next = to.saturating_add(1);
        Ok(Some((from, to)))
    }
}
