//! The simulated rail: settlement's ledger behind HTTP, one process, money out of a faucet.
//!
//! The server holds balances, clock and vaults in SQLite and decides nothing itself: every rule about
//! terms, vaults and receipts is `d402-settlement`'s (threat #73). What exists only here is the outside
//! world: a faucet, accounts that cannot receive, and misbehaviour on demand.
//!
//! | module | what it is |
//! |---|---|
//! | [`account`] | a buyer's key that signs payments |
//! | [`payment`] | what makes a payment message valid, the same on both sides of the wire |
//! | [`server`] | the chain: `POST /rpc` over SQLite |
//! | [`vault_terms`] | terms with their hash and address |
//! | [`client`] | one request, one typed answer |
//! | [`body`] | the bytes of a money effect |
//! | [`rail`] | [`d402_core::ports::Rail`] over the client |

pub mod account;
pub mod body;
pub mod client;
mod deposit;
pub mod payment;
pub mod rail;
pub mod server;
pub mod vault_terms;

pub use account::{BuyerAccount, PaymentOrder};
pub use client::{ClientError, SimClient};
pub use d402_wire::simchain::NETWORK;
pub use rail::SimulatedRail;
pub use server::{ClockMode, Location, Options, SimChain, run_simchain};
pub use vault_terms::VaultTerms;

use d402_objects::{Cid, Hex32};

/// Decimals of [`asset`]: one unit is a millionth of a simulated dollar.
pub const ASSET_DECIMALS: u8 = 6;

/// Text whose SHA-256 names the simulated dollar.
const ASSET_NAME: &[u8] = b"d402/simulated-usd/v1";

/// The simulated dollar. The chain itself carries any asset; this is the one the market prices in.
#[must_use]
pub fn asset() -> Hex32 {
    Cid::of(ASSET_NAME).to_hex32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_asset_is_the_digest_everybody_writes_in_their_config() {
        // printf 'd402/simulated-usd/v1' | sha256sum
        assert_eq!(
            asset().to_string(),
            "3005b7aef9afb089e939cadea86f9153e02f0f6f3958193328fe2576c4965d12"
        );
    }
}
