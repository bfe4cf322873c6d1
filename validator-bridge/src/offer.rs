//! The validator's offer: what it judges, for how much, and the proof that its three keys are one person's.

use std::collections::BTreeMap;

use d402_objects::{
    Address, Caip2, CapabilityId, CrossSignatures, Fee, Multiaddr, NodeId, SettlementKey, Signed,
    UnixMs, ValidationModel, ValidatorOffer, cross_sign, cross_sign_evm,
};
use d402_settlement::market::{SIMULATED_NETWORK, chain_of, simulated_asset};
use d402_wire::NodeAddress;

use crate::config::{BridgeConfig, ConfigError, RailConfig};
use crate::keys::Keys;

/// Validity of an offer, ms.
const VALID_MS: u64 = 24 * 3_600_000;

/// Signs a fresh offer for the front's address.
///
/// # Errors
/// [`ConfigError::Field`] names the setting that does not fit.
pub fn sign(
    config: &BridgeConfig,
    keys: &Keys,
    front: &NodeAddress,
    now_ms: u64,
) -> Result<Signed<ValidatorOffer>, ConfigError> {
    let field = |field| ConfigError::Field { field };
    let (fees, payouts) = money(&config.rails)?;
    let (validator, settlement, evm) = (keys.validator(), keys.settlement(), keys.evm());
    let cross_signatures = CrossSignatures {
        settlement_signs_envelope: cross_sign(keys.settlement_key(), &validator, Some(evm)),
        evm_signs_settlement: Some(cross_sign_evm(keys.evm_key(), &validator, settlement)),
    };
    let offer = ValidatorOffer {
        object_version: 1,
        validator,
        node_id: front
            .node_id
            .parse::<NodeId>()
            .map_err(|_| field("node id"))?,
        addresses: addresses(front).ok_or(field("addresses"))?,
        families: families(config)?,
        models: vec![
            ValidationModel::Exact,
            ValidationModel::Scored,
            ValidationModel::CanonicalQuorum,
            ValidationModel::SchemaEvidence,
        ],
        fees,
        settlement_key: SettlementKey {
            ed25519: settlement,
            evm: Some(evm),
        },
        cross_signatures,
        payouts,
        seq: now_ms,
        expires_at_ms: UnixMs::default().saturating_add_ms(now_ms.saturating_add(VALID_MS)),
    };
    keys.sign(offer).map_err(|_| field("offer"))
}

/// What every rail asks and where it pays. Spelled as the network spells it, or no task could be made with it.
fn money(rails: &[RailConfig]) -> Result<(Vec<Fee>, BTreeMap<Caip2, Address>), ConfigError> {
    let field = |field| ConfigError::Field { field };
    let mut fees = Vec::with_capacity(rails.len());
    let mut payouts = BTreeMap::new();
    for rail in rails {
        let network: Caip2 = rail.network.parse().map_err(|_| field("rail.network"))?;
        let codec = chain_of(&network).ok_or(field("rail.network"))?.codec;
        let account = |text: &str, name| {
            let address: Address = text.parse().map_err(|_| field(name))?;
            codec.account(&address).map(|_| address).ok_or(field(name))
        };
        let asset = match &rail.asset {
            Some(asset) => account(asset, "rail.asset")?,
            None if rail.network == SIMULATED_NETWORK => {
                account(&simulated_asset().to_string(), "rail.asset")?
            }
            None => return Err(field("rail.asset")),
        };
        let payout = account(&rail.payout, "rail.payout")?;
        if *payouts.entry(network.clone()).or_insert(payout.clone()) != payout {
            return Err(field("rail.payout"));
        }
        fees.push(Fee {
            network,
            asset,
            fee: rail.fee.parse().map_err(|_| field("rail.fee"))?,
        });
    }
    Ok((fees, payouts))
}

fn addresses(front: &NodeAddress) -> Option<Vec<Multiaddr>> {
    front
        .addresses
        .iter()
        .take(8)
        .map(|a| a.parse().ok())
        .collect()
}

fn families(config: &BridgeConfig) -> Result<Vec<CapabilityId>, ConfigError> {
    let field = |_| ConfigError::Field { field: "families" };
    if config.families.is_empty() {
        return d402_capabilities::capabilities()
            .iter()
            .map(|c| c.manifest().capability_id().parse().map_err(field))
            .collect();
    }
    config
        .families
        .iter()
        .map(|f| f.parse().map_err(field))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use d402_objects::SigningKey;
    use d402_settlement::market::BASE_NETWORK;

    use super::*;

    const WALLET: &str = "0x00000000000000000000000000000000000000aa";
    const DOLLAR: &str = "0x00000000000000000000000000000000000000bb";

    fn rail(network: &str, payout: &str, asset: Option<&str>) -> RailConfig {
        RailConfig {
            network: network.to_owned(),
            rpc: "http://127.0.0.1:1".to_owned(),
            second_rpc: None,
            development: false,
            payout: payout.to_owned(),
            fee: "500".to_owned(),
            asset: asset.map(str::to_owned),
        }
    }

    fn offer(rails: Vec<RailConfig>) -> Result<Signed<ValidatorOffer>, ConfigError> {
        let config = BridgeConfig {
            state_dir: "state".into(),
            socket: "socket".into(),
            rails,
            families: Vec::new(),
            allow_hosts: Vec::new(),
            max_judges: 1,
            executor: None,
            misbehaviour: crate::Misbehaviour::None,
        };
        let evm = k256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let [envelope, settlement] = [[1; 32], [2; 32]].map(|b| SigningKey::from_bytes(&b));
        let keys = Keys::new(envelope, settlement, evm).unwrap();
        let front = NodeAddress {
            node_id: "front".to_owned(),
            addresses: vec!["/ip4/127.0.0.1/tcp/9001".to_owned()],
        };
        sign(&config, &keys, &front, 1_795_000_000_000)
    }

    #[test]
    fn an_offer_names_a_fee_and_a_payout_for_every_rail() {
        let simulated = rail(SIMULATED_NETWORK, &"ab".repeat(32), None);
        let base = rail(BASE_NETWORK, WALLET, Some(DOLLAR));
        let other_asset = rail(BASE_NETWORK, WALLET, Some(&DOLLAR.replace("bb", "cc")));
        let offer = offer(vec![simulated, base, other_asset]).unwrap();
        let offer = offer.payload();
        let fees: Vec<_> = offer
            .fees
            .iter()
            .map(|f| (f.network.as_str(), f.asset.as_str(), f.fee.get()))
            .collect();
        assert_eq!(fees.len(), 3);
        assert_eq!(fees[1], (BASE_NETWORK, DOLLAR, 500));
        let payout = offer.payouts.get(BASE_NETWORK);
        assert_eq!(payout.map(Address::as_str), Some(WALLET));
        assert_eq!(offer.payouts.len(), 2);
        assert!(offer.settlement_key.evm.is_some());
    }

    #[test]
    fn a_rail_that_could_never_pay_is_refused_by_name() {
        let checksummed = "0x00000000000000000000000000000000000000AA";
        for (rails, name) in [
            (vec![rail("eip155:1", WALLET, Some(DOLLAR))], "rail.network"),
            (
                vec![rail(BASE_NETWORK, &"ab".repeat(32), Some(DOLLAR))],
                "rail.payout",
            ),
            (
                vec![rail(BASE_NETWORK, checksummed, Some(DOLLAR))],
                "rail.payout",
            ),
            (vec![rail(BASE_NETWORK, WALLET, None)], "rail.asset"),
            (vec![rail(SIMULATED_NETWORK, WALLET, None)], "rail.payout"),
            (
                vec![
                    rail(BASE_NETWORK, WALLET, Some(DOLLAR)),
                    rail(BASE_NETWORK, DOLLAR, Some(WALLET)),
                ],
                "rail.payout",
            ),
        ] {
            match offer(rails) {
                Err(ConfigError::Field { field }) => assert_eq!(field, name),
                other => assert!(other.is_err(), "{name} was accepted"),
            }
        }
    }
}
