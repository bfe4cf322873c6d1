//! Reading Solana and writing its transactions, for whoever must not believe anybody else about money: router and
//! validator bridge.
//!
//! Responsible for: the questions asked of a provider, the confirmation levels of threat #36, agreement of two
//! providers, what a vault received, holds and paid, and the instructions of the `task-vault` program in
//! transactions that fit. Not responsible for: keys, sending, deciding anything about a task.
//!
//! Invariants: no answer is ever read as "nothing there"; accounts that are judged together were read together,
//! in one slot; no question is unbounded; a message is signed only once its size is known.
//!
//! | module | what it is |
//! |---|---|
//! | [`chain`] | one or two providers that agree, confirmation levels, every question |
//! | [`address`] | programs, sysvars and derived addresses |
//! | [`token`] | token accounts and mints from raw bytes |
//! | [`instructions`] | the instructions of `task-vault`, the Ed25519 precompile and the compute budget |
//! | [`transaction`] | messages and transactions: size, form, bytes |
//! | [`settling`] | a receipt as one transaction or as several, chosen by size |
//! | [`events`] | what the program announced |
//! | [`vault`] | what a vault received, holds and paid |
#![warn(missing_docs)]

pub mod address;
pub mod chain;
pub mod events;
pub mod instructions;
mod level;
pub mod settling;
pub mod token;
pub mod transaction;
pub mod vault;
mod wire;

pub use chain::{Accounts, Chain, ChainOptions, Finality, Level};
pub use d402_rpc::{CallError as RpcError, RpcLimits, Silence};
pub use solana_address::Address;
pub use solana_hash::Hash;
pub use solana_instruction::{AccountMeta, Instruction};
pub use solana_message::{self as message, VersionedMessage};
pub use solana_signature::Signature;
pub use solana_transaction::versioned::VersionedTransaction;
pub use vault::{VaultQuery, VaultView};
pub use wire::{
    Account, Blockhash, Entry, Executed, Fault, InnerInstruction, Simulation, Status, TokenBalance,
};
