//! What a network's codec needs: which program holds the vaults, and how accounts are spelled.
//!
//! A network that is not known here is refused, never guessed.

use d402_objects::{Address, Caip2, Hex32};
use sha2::{Digest, Sha256};

use crate::timing::ChainClass;
use crate::{Domain, Key32};

/// CAIP-2 name of the simulated rail: the Solana codec with genesis and program id of 32 zero bytes (#73).
pub const SIMULATED_NETWORK: &str = "d402:simulated";
/// What the simulated asset's address is the SHA-256 of.
pub const SIMULATED_ASSET_NAME: &str = "d402/simulated-usd/v1";
/// 100 USD in base units of a 6-decimals dollar: above it `refundAfter` lies further out (spec §3.1).
pub const LARGE_BUDGET_UNITS: u128 = 100_000_000;

/// The address of the simulated dollar, 6 decimals: 64 lower-case hex digits.
#[must_use]
pub fn simulated_asset() -> Hex32 {
    Hex32::from_bytes(Sha256::digest(SIMULATED_ASSET_NAME.as_bytes()).into())
}

/// What the codec of a network is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Cluster and program.
    pub domain: Domain,
    /// Whose grace applies after `settleBy`.
    pub class: ChainClass,
}

/// The chain behind a network's name; `None` for networks this build cannot settle on.
#[must_use]
pub fn chain_of(network: &Caip2) -> Option<Chain> {
    (network.as_str() == SIMULATED_NETWORK).then_some(Chain {
        domain: Domain::SIMULATED,
        class: ChainClass::Solana,
    })
}

/// An account as the codec carries it; `None` when the address is not 64 lower-case hex digits.
#[must_use]
pub fn account(address: &Address) -> Option<Key32> {
    address
        .as_str()
        .parse::<Hex32>()
        .ok()
        .map(|hex| Key32(hex.as_bytes()))
}

/// How an account is spelled in objects; inverse of [`account`].
#[must_use]
pub fn address_of(account: &Key32) -> Option<Address> {
    Address::new(Hex32::from_bytes(account.0).to_string()).ok()
}
