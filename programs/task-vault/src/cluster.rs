//! Which cluster this build is for. A program cannot ask its cluster for the genesis hash, so it is compiled
//! in and enters every terms hash (#44): terms of another cluster have another address here.
//!
//! Program ids differ per cluster and are never used again: a receipt names the program it is for.

use anchor_lang::prelude::*;
use d402_settlement::{Domain, Key32};

#[cfg(all(feature = "devnet", feature = "mainnet"))]
compile_error!("a build is for one cluster: choose `devnet` or `mainnet`");

/// Genesis hash of the cluster. A local node takes devnet's, so that chain identifiers match.
#[cfg(not(feature = "mainnet"))]
const GENESIS: Pubkey = pubkey!("EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG");
/// Genesis hash of the cluster.
#[cfg(feature = "mainnet")]
const GENESIS: Pubkey = pubkey!("5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d");

/// What every hash of this program is bound to.
pub(crate) const DOMAIN: Domain = Domain {
    genesis: GENESIS.to_bytes(),
    program: Key32(crate::ID.to_bytes()),
};
