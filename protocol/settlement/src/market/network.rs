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
/// CAIP-2 name of Solana: the first 32 characters of its genesis hash.
pub const SOLANA_NETWORK: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
/// CAIP-2 name of Solana's devnet; a local node takes its genesis hash.
pub const SOLANA_DEVNET_NETWORK: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
/// 100 USD in base units of a 6-decimals dollar: above it `refundAfter` lies further out (spec §3.1).
pub const LARGE_BUDGET_UNITS: u128 = 100_000_000;

/// The ledger contract, at the same address on every EVM chain (deterministic deployment).
pub const LEDGER: EvmAccount = EvmAccount([
    0xaf, 0x6b, 0x7b, 0x20, 0x14, 0x31, 0x0a, 0xb3, 0x57, 0x2e, 0x8c, 0xf9, 0xa9, 0x46, 0x4f, 0x1d,
    0x0d, 0x78, 0x46, 0xa6,
]);

/// Solana: its genesis hash (#44) and the program there.
pub const SOLANA: Domain = Domain {
    genesis: base58(b"5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"),
    program: Key32(base58(b"HSyPcHf1jxE8iYyxsJeMrWNXDncbrLNWbJLn5DhK9Tay")),
};
/// Solana's devnet: its genesis hash (#44) and the program there.
pub const SOLANA_DEVNET: Domain = Domain {
    genesis: base58(b"EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"),
    program: Key32(base58(b"BdVuVjfbYYWNmA4wpaqsEuN5LdtcJsFnzRPTKQZoMKcP")),
};

/// Decoded while this is compiled.
const fn base58(text: &[u8]) -> [u8; 32] {
    bs58::decode(text).into_array_const_unwrap()
}

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
        SIMULATED_NETWORK => Some(solana(Domain::SIMULATED)),
        SOLANA_NETWORK => Some(solana(SOLANA)),
        SOLANA_DEVNET_NETWORK => Some(solana(SOLANA_DEVNET)),
        BASE_NETWORK => Some(base(8_453)),
        BASE_SEPOLIA_NETWORK => Some(base(84_532)),
        _ => None,
    }
}

const fn solana(domain: Domain) -> Chain {
    Chain {
        codec: Codec::Solana(domain),
        class: ChainClass::Solana,
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

/// Base58 of 32 bytes is at least and at most this long.
const BASE58_LEN: std::ops::RangeInclusive<usize> = 32..=44;

impl Codec {
    /// An account as terms and rows carry it; `None` when the address is not in the network's one spelling:
    /// base58 of 32 bytes on Solana, 64 lower-case hex digits on the simulated rail, `0x` and 40 of them on an
    /// EVM chain. Checksummed mixed case is refused: the same account in two spellings would be two CIDs of one
    /// object.
    #[must_use]
    pub fn account(&self, address: &Address) -> Option<Key32> {
        let text = address.as_str();
        match self {
            Self::Solana(domain) if is_simulated(domain) => {
                text.parse::<Hex32>().ok().map(|hex| Key32(hex.as_bytes()))
            }
            Self::Solana(_) => from_base58(text),
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
            Self::Solana(domain) if is_simulated(domain) => {
                Hex32::from_bytes(account.0).to_string()
            }
            Self::Solana(_) => bs58::encode(account.0).into_string(),
            Self::Evm(_) => EvmAddress::from_bytes(EvmAccount::from_key(account)?.0).to_string(),
        };
        Address::new(text).ok()
    }
}

/// A spelling belongs to the cluster, whatever on it the terms are bound to: those of a direct payment name the
/// token instead of the program.
fn is_simulated(domain: &Domain) -> bool {
    domain.genesis == Domain::SIMULATED.genesis
}

/// Base58 has one spelling for every 32 bytes: each leading zero byte is one leading `1`.
fn from_base58(text: &str) -> Option<Key32> {
    if !BASE58_LEN.contains(&text.len()) {
        return None;
    }
    let mut bytes = [0; 32];
    let length = bs58::decode(text).onto(&mut bytes).ok()?;
    (length == bytes.len()).then_some(Key32(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn devnet() -> Codec {
        chain_of(&SOLANA_DEVNET_NETWORK.parse().unwrap())
            .unwrap()
            .codec
    }

    fn account(text: &str) -> Option<Key32> {
        devnet().account(&Address::new(text).unwrap())
    }

    /// #44: the name of a Solana network is made of the genesis hash its terms are bound to.
    #[test]
    fn threat_44_a_network_is_named_after_the_genesis_its_terms_are_bound_to() {
        for (network, domain) in [
            (SOLANA_NETWORK, SOLANA),
            (SOLANA_DEVNET_NETWORK, SOLANA_DEVNET),
        ] {
            let genesis = bs58::encode(domain.genesis).into_string();
            assert_eq!(network, format!("solana:{}", &genesis[..32]));
            let chain = chain_of(&network.parse().unwrap()).unwrap();
            assert_eq!(chain.codec, Codec::Solana(domain));
            assert_eq!(chain.class, ChainClass::Solana);
        }
        assert_ne!(SOLANA.genesis, SOLANA_DEVNET.genesis);
        assert_ne!(SOLANA.program, SOLANA_DEVNET.program);
    }

    /// The programs declare the ids the terms are hashed with.
    #[test]
    fn the_program_ids_are_those_the_program_is_built_with() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
        let source =
            std::fs::read_to_string(format!("{root}programs/task-vault/src/lib.rs")).unwrap();
        let anchor = std::fs::read_to_string(format!("{root}Anchor.toml")).unwrap();
        for (section, feature, domain) in [
            ("programs.devnet", "feature = \"devnet\"", SOLANA_DEVNET),
            ("programs.mainnet", "feature = \"mainnet\"", SOLANA),
        ] {
            let id = bs58::encode(domain.program.0).into_string();
            let after = anchor.split(&format!("[{section}]")).nth(1).unwrap();
            let line = after.lines().nth(1).unwrap();
            assert_eq!(line, format!("task_vault = \"{id}\""));
            let declared = source
                .lines()
                .skip_while(|line| {
                    !line.starts_with("#[cfg") || !line.contains(feature) || line.contains("any(")
                })
                .nth(1)
                .unwrap();
            assert_eq!(declared, format!("declare_id!(\"{id}\");"));
        }
    }

    #[test]
    fn an_account_of_solana_is_spelled_in_base58_alone() {
        let good = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU";
        let key = account(good).unwrap();
        assert_eq!(devnet().address_of(&key).unwrap().as_str(), good);
        assert_eq!(account(&"1".repeat(32)), Some(Key32::ZERO));
        let hex = Hex32::from_bytes(key.0).to_string();
        for bad in [
            hex.as_str(),
            &format!("1{good}"),
            &good.replace('4', "0"),
            &"1".repeat(31),
            &"1".repeat(33),
            &"z".repeat(44),
        ] {
            assert_eq!(account(bad), None, "{bad}");
        }
        // And the simulated rail takes hex alone.
        let simulated = Codec::Solana(Domain::SIMULATED);
        assert_eq!(simulated.account(&Address::new(good).unwrap()), None);
        assert_eq!(simulated.account(&Address::new(hex).unwrap()), Some(key));
    }

    #[test]
    fn a_cluster_spells_accounts_alike_whatever_its_terms_are_bound_to() {
        let key = Key32([7; 32]);
        for network in [SIMULATED_NETWORK, SOLANA_DEVNET_NETWORK] {
            let Codec::Solana(domain) = chain_of(&Caip2::new(network).unwrap()).unwrap().codec
            else {
                panic!("{network} is of the Solana kind");
            };
            let bound_to_a_token = Codec::Solana(Domain {
                program: Key32([9; 32]),
                ..domain
            });
            let spelled = Codec::Solana(domain).address_of(&key).unwrap();
            assert_eq!(bound_to_a_token.address_of(&key), Some(spelled.clone()));
            assert_eq!(bound_to_a_token.account(&spelled), Some(key));
        }
    }

    proptest! {
        #[test]
        fn an_account_of_solana_has_one_spelling(bytes in any::<[u8; 32]>(), zeros in 0_usize..33) {
            let mut bytes = bytes;
            bytes.iter_mut().take(zeros).for_each(|byte| *byte = 0);
            let spelled = devnet().address_of(&Key32(bytes)).unwrap();
            prop_assert_eq!(devnet().account(&spelled), Some(Key32(bytes)));
            prop_assert_eq!(account(&format!("1{}", spelled.as_str())), None);
        }
    }
}
