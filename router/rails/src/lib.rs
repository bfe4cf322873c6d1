//! Ways to pay, each behind one trait; the simulated chain.
//!
//! | module | what it is |
//! |---|---|
//! | [`simulated`] | a chain of one process (`d402 node --role simchain`) and the rail that talks to it |
//! | [`evm`] | Base: payments by EIP-3009, escrows of the ledger contract, transactions of this gateway |
//! | [`svm`] | Solana: task vaults, transactions of this gateway |
//! | [`conformance`] | what every rail must do, as one function that each rail's tests run |
#![warn(missing_docs)]

pub mod conformance;
pub mod evm;
mod recent;
pub mod simulated;
pub mod svm;
