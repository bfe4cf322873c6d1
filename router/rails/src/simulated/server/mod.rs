//! The simulated chain: `POST /rpc` over SQLite.
//!
//! | module | what it is |
//! |---|---|
//! | `chain` | opening, one writer, asking, closing |
//! | `http` | the route, its limits, graceful shutdown |
//! | `writer` | batches, savepoints, clock and height |
//! | `execute` | which request does what |
//! | `pay` | payments |
//! | `settle`, `vaults` | receipts; everything else about vaults; both through `d402-settlement` |
//! | `books`, `vault_books` | rows of accounts and payments; rows of vaults |
//! | `refusal` | names of the ledger's refusals, and which may be retried |
//! | `faults` | misbehaviour on demand |
//!
//! Invariants: every balance is the fold of the events; the units of an asset sum up to what the faucet
//! made; a payment id, a nonce and a receipt take effect at most once; height and chain time never fall;
//! nobody is told of a transaction that is not on disk.

mod books;
mod chain;
mod error;
mod execute;
mod faults;
mod http;
mod pay;
mod refusal;
mod settle;
mod vault_books;
mod vaults;
mod writer;

pub use chain::{ClockMode, Location, Options, SimChain, SimChainHandle};
pub use error::{ChainError, OpenError};
pub use http::{RunError, router, run_simchain, serve};
pub(crate) use refusal::NOTHING_TO_SWEEP;
pub use writer::Delivery;

#[cfg(test)]
mod tests;
