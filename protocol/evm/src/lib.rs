//! Reading an EVM chain, for whoever must not believe anybody else about money: router and validator bridge.
//!
//! Responsible for: bounded JSON-RPC with typed failure, the confirmation levels of threat #36, agreement of
//! two providers, and what an escrow received, holds and paid. Not responsible for: keys, transactions,
//! deciding anything about a task.
//!
//! Invariants: no answer is ever read as "nothing there"; every answer belongs to one block, and that block
//! is still part of the chain when the last question was answered; no question is unbounded.
//!
//! | module | what it is |
//! |---|---|
//! | [`rpc`] | one provider: a request, a typed answer |
//! | [`chain`] | one or two providers that agree, blocks and confirmation levels |
//! | [`abi`] | the token, the ledger and Multicall3 as the chain encodes them |
//! | [`escrow`] | what an escrow received and holds |
//! | [`settled`] | what the ledger paid |
//! | [`transfer`] | who paid an account straight |
#![warn(missing_docs)]

pub mod abi;
pub mod chain;
pub mod escrow;
pub mod rpc;
pub mod settled;
pub mod transfer;
mod wire;

pub use alloy::primitives;
pub use chain::{Chain, ChainOptions, Finality, Head, Level};
pub use escrow::{EscrowQuery, EscrowView, Shares};
pub use rpc::{Rpc, RpcError, RpcLimits};
pub use settled::{PaidRow, SettledView};
pub use wire::{Block, Log, TransactionReceipt};
