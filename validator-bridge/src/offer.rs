//! The validator's offer: what it judges, for how much, and the proof that its three keys are one person's.

use d402_objects::{
    Address, Amount, CapabilityId, CrossSignatures, Fee, Multiaddr, NodeId, SettlementKey, Signed,
    UnixMs, ValidationModel, ValidatorOffer, cross_sign, cross_sign_evm,
};
use d402_settlement::market::{SIMULATED_NETWORK, simulated_asset};
use d402_wire::NodeAddress;

use crate::config::{BridgeConfig, ConfigError};
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
    let network: d402_objects::Caip2 = SIMULATED_NETWORK.parse().map_err(|_| field("network"))?;
    let asset: Address = match &config.asset {
        Some(asset) => asset.parse().map_err(|_| field("asset"))?,
        None => simulated_asset()
            .to_string()
            .parse()
            .map_err(|_| field("asset"))?,
    };
    let fee: Amount = config.fee.parse().map_err(|_| field("fee"))?;
    let payout: Address = config.payout.parse().map_err(|_| field("payout"))?;
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
        fees: vec![Fee {
            network: network.clone(),
            asset,
            fee,
        }],
        settlement_key: SettlementKey {
            ed25519: settlement,
            evm: Some(evm),
        },
        cross_signatures,
        payouts: [(network, payout)].into(),
        seq: now_ms,
        expires_at_ms: UnixMs::default().saturating_add_ms(now_ms.saturating_add(VALID_MS)),
    };
    keys.sign(offer).map_err(|_| field("offer"))
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
