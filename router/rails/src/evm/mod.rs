//! Base: EIP-3009 payments, task escrows, and the one sender of this gateway's key.
//!
//! | module | what it is |
//! |---|---|
//! | [`authorization`] | what a payer signs, and the payment's id |
//! | [`signature`] | ECDSA: payers' signatures, this gateway's key and its keystore |
//! | [`check`] | whether a payment would take effect, without any |
//! | [`body`] | the bytes of a money effect, and the call they stand for |
//! | [`book`] | which intent has which nonce, durable |
//! | [`sequencer`] | intents become transactions and stay on the chain |
//! | [`outcome`] | what a refusal of the ledger means for money |
//! | `money` | submitting the effects of the escrow rail |
//! | [`devnet`] | a chain of this machine, for demo and tests |
//! | `trail` | following an authorization through the token's logs |
//! | [`direct`] | [`d402_core::ports::Rail`] with payTo = the worker |
//! | [`escrow`] | [`d402_core::ports::Rail`] with payTo = the task's escrow |

pub mod authorization;
pub mod body;
pub mod book;
pub mod check;
pub mod devnet;
pub mod direct;
pub mod escrow;
mod money;
pub mod outcome;
pub mod sequencer;
pub mod signature;
#[cfg(test)]
mod tests;
mod trail;

pub use authorization::{Authorization, SignedAuthorization, TokenDomain};
pub use direct::BaseDirectRail;
pub use escrow::{EscrowRail, EscrowRailOptions};
pub use sequencer::{Caps, SendError, Sequencer};
pub use signature::{EvmKey, KeyFault};
