//! Solana: payments into task vaults, and the one sender of this gateway's key.
//!
//! | module | what it is |
//! |---|---|
//! | [`key`] | an Ed25519 key of this machine |
//! | [`open`] | the buyer's own `open` with the deposit in it, as x402 carries it |
//! | [`body`] | the bytes of a money effect |
//! | [`book`] | which intent is which signed transaction, durable |
//! | [`sender`] | intents become transactions, each at most once |
//! | [`outcome`] | what a refusal of the program means for money |
//! | `money` | submitting the effects of the vault rail |
//! | [`finalizer`] | what finished tasks left on the chain goes back to who paid it |
//! | [`devnet`] | a node of this machine, for demo and tests |
//! | [`vault`] | [`d402_core::ports::Rail`] with payTo = the task's vault |

pub mod body;
pub mod book;
pub mod devnet;
pub mod finalizer;
pub mod key;
mod money;
pub mod open;
pub mod outcome;
pub mod sender;
#[cfg(test)]
mod tests;
pub mod vault;

pub use finalizer::{Finalizer, Tidied};
pub use key::{KeyFault, SolanaKey};
pub use open::OpenPayment;
pub use sender::{Caps, SendError, Sender};
pub use vault::{VaultRail, VaultRailOptions};
