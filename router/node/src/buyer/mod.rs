//! A buyer: asks a gateway, checks what it is asked to pay for, pays, and keeps what proves it.
//!
//! Nothing is paid before the address was recomputed from the terms and the terms were compared with the
//! buyer's own wishes (threat #4). The signed payment is on disk before it is sent, and a retry sends the
//! same bytes with the same payment identifier (threat #70).

mod challenge;
mod client;
mod purchase;
mod wallet;
mod wishes;

#[cfg(test)]
mod tests;

pub use challenge::{Challenge, ChallengeError};
pub use client::{BuyError, GatewayClient};
pub use purchase::{Purchase, Receipt, Stage, buy};
pub use wallet::{SolanaWallet, Wallet};
pub use wishes::{Refusal, Wishes};
