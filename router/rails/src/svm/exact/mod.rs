//! x402 scheme `exact` on Solana: may this gateway sign somebody's transaction as its fee payer?
//!
//! A buyer hands over a transaction it signed itself, in which one signature is missing: ours, which pays the
//! fee. Whatever the transaction does, it then does with our key as a signer. The rules here are those of the
//! scheme, and stricter where the scheme leaves a choice; a payment that keeps them can cost the fee payer
//! [`FeeCaps::most_lamports`] and nothing else, and moves exactly the amount to exactly the place.
//!
//! | module | what it is |
//! |---|---|
//! | [`requirements`] | what the payment must be |
//! | [`received`] | the bytes of a payload, and the payment's id |
//! | [`tables`] | address lookup tables |
//! | `layout` | which instructions, in which order, with which limits |
//! | `inspect` | every rule that needs no chain, as one pure function |
//! | [`chain`] | the rules that need the chain |
//! | [`fault`] | why not |

pub mod chain;
pub mod fault;
pub mod inspect;
mod layout;
pub mod received;
pub mod requirements;
pub mod tables;
#[cfg(test)]
mod tests;

pub use chain::{ExactReader, resolve, verify};
pub use fault::ExactFault;
pub use inspect::{ExactPayment, inspect};
pub use received::Received;
pub use requirements::{FeeCaps, Requirements};
pub use tables::Tables;
