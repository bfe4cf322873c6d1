//! What a network's codec needs: which program or contract holds the money, and how accounts are spelled.
//!
//! A network that is not known here is refused, never guessed.

use d402_objects::{Address, Caip2, EvmAddress, Hex32};
use sha2::{Digest, Sha256};

use crate::evm::{EvmAccount, EvmDomain};
use crate::timing::ChainClass;
use crate::{Codec, Domain, Key32};

/// CAIP-2 name of the simulated rail: the Solana codec with genesis and program id of 32 zero bytes (#73).
pub const SIMULATED_NETWORK: &str = "d402:simulated";
/// What the simulated asset's address is the SHA-256 of.
pub const SIMULATED_ASSET_NAME: &str = "d402/simulated-usd/v1";
/// CAIP-2 name of Base.
pub const BASE_NETWORK: &str = "eip155:8453";
/// CAIP-2 name of Base Sepolia.
pub const BASE_SEPOLIA_NETWORK: &str = "eip155:84532";
/// 100 USD in base units of a 6-decimals dollar: above it `refundAfter` lies further out (spec §3.1).
pub const LARGE_BUDGET_UNITS: u128 = 100_000_000;

/// The ledger contract, at the same address on every EVM chain (deterministic deployment).
pub const LEDGER: EvmAccount = EvmAccount([
    0xaf, 0x6b, 0x7b, 0x20, 0x14, 0x31, 0x0a, 0xb3, 0x57, 0x2e, 0x8c, 0xf9, 0xa9, 0x46, 0x4f, 0x1d,
    0x0d, 0x78, 0x46, 0xa6,
]);

/// The address of the simulated dollar, 6 decimals: 64 lower-case hex digits.
#[must_use]
pub fn simulated_asset() -> Hex32 {
    Hex32::from_bytes(Sha256::digest(SIMULATED_ASSET_NAME.as_bytes()).into())
}

/// What the terms of a network are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The network's bytes, chain and verifier.
    pub codec: Codec,
    /// Whose grace applies after `settleBy`.
    pub class: ChainClass,
}

/// The chain behind a network's name; `None` for networks this build cannot settle on.
#[must_use]
pub fn chain_of(network: &Caip2) -> Option<Chain> {
    match network.as_str() {
        SIMULATED_NETWORK => Some(Chain {
            codec: Codec::Solana(Domain::SIMULATED),
            class: ChainClass::Solana,
        }),
        BASE_NETWORK => Some(base(8_453)),
        BASE_SEPOLIA_NETWORK => Some(base(84_532)),
        _ => None,
    }
}

const fn base(chain_id: u64) -> Chain {
    Chain {
        codec: Codec::Evm(EvmDomain {
            chain_id,
            ledger: LEDGER,
        }),
        class: ChainClass::Base,
    }
}

impl Codec {
    /// An account as terms and rows carry it; `None` when the address is not in the network's one spelling:
    /// 64 lower-case hex digits, or on an EVM chain `0x` and 40 of them. Checksummed mixed case is refused:
    /// the same account in two spellings would be two CIDs of one object.
    #[must_use]
    pub fn account(&self, address: &Address) -> Option<Key32> {
        let text = address.as_str();
        match self {
            Self::Solana(_) => text.parse::<Hex32>().ok().map(|hex| Key32(hex.as_bytes())),
            Self::Evm(_) => text
                .parse::<EvmAddress>()
                .ok()
                .map(|evm| EvmAccount(evm.as_bytes()).to_key()),
        }
    }

    /// How an account is spelled in objects; inverse of [`Codec::account`]. `None` for 32 bytes that are no
    /// account of the network.
    #[must_use]
    pub fn address_of(&self, account: &Key32) -> Option<Address> {
        let text = match self {
            Self::Solana(_) => Hex32::from_bytes(account.0).to_string(),
            Self::Evm(_) => EvmAddress::from_bytes(EvmAccount::from_key(account)?.0).to_string(),
        };
        Address::new(text).ok()
    }
}
