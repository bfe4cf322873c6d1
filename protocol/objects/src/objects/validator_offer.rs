//! Validator offer: who judges what, for which fee, with which three keys.
//!
//! The envelope key signs the offer. The settlement key signs the envelope key and the EVM
//! address, the EVM key signs both others, so nobody can pair a stranger's key with a trusted
//! name (threat #50). All three bytes strings start with 0xFF and are longer than 32 bytes.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};

use crate::{
    Address, Amount, Caip2, CapabilityId, Ed25519Id, EvmAddress, Invalid, Multiaddr, NodeId,
    SignatureBytes, UnixMs, ValidationModel,
    objects::node_offer::{MAX_ADDRESSES, MAX_NETWORKS},
    payload::{count, distinct, fits, payload},
    preimage::length_prefixed,
    signature,
};

/// The keys that sign settlements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettlementKey {
    /// For Solana and simulated digests.
    pub ed25519: Ed25519Id,
    /// For EIP-712 digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evm: Option<EvmAddress>,
}

/// Each settlement key names the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CrossSignatures {
    /// By the Ed25519 settlement key.
    pub settlement_signs_envelope: SignatureBytes,
    /// By the EVM key (EIP-191); present iff there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evm_signs_settlement: Option<SignatureBytes>,
}

/// What a validator asks for one judged task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fee {
    /// The network.
    pub network: Caip2,
    /// The token on it.
    pub asset: Address,
    /// Base units per task.
    pub fee: Amount,
}

/// Validator offer; intents pin its CID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidatorOffer {
    /// 1.
    pub object_version: u16,
    /// The envelope key, and the signer. Never a settlement key.
    pub validator: Ed25519Id,
    /// Its node.
    pub node_id: NodeId,
    /// Where workers and validators reach it.
    pub addresses: Vec<Multiaddr>,
    /// Capabilities it judges.
    pub families: Vec<CapabilityId>,
    /// Models it judges by.
    pub models: Vec<ValidationModel>,
    /// Fees, one per network and asset.
    pub fees: Vec<Fee>,
    /// The keys that sign settlements.
    pub settlement_key: SettlementKey,
    /// Proof that they belong together.
    pub cross_signatures: CrossSignatures,
    /// Where it is paid, per network.
    pub payouts: BTreeMap<Caip2, Address>,
    /// Higher replaces lower.
    pub seq: u64,
    /// Half-open validity.
    pub expires_at_ms: UnixMs,
}

payload!(ValidatorOffer, "validatorOffer", max 32 * 1024, signer validator_key);

impl ValidatorOffer {
    fn validator_key(&self) -> Ed25519Id {
        self.validator
    }

    fn rules(&self) -> Result<(), Invalid> {
        count("addresses", self.addresses.len(), 0, MAX_ADDRESSES)?;
        count("families", self.families.len(), 1, 64)?;
        distinct("families", &self.families)?;
        count("models", self.models.len(), 1, 4)?;
        distinct("models", &self.models)?;
        count("fees", self.fees.len(), 1, MAX_NETWORKS)?;
        distinct("fees", self.fees.iter().map(|f| (&f.network, &f.asset)))?;
        count("payouts", self.payouts.len(), 1, MAX_NETWORKS)?;
        let keys = &self.settlement_key;
        fits("settlementKey", "validator", keys.ed25519 != self.validator)?;
        self.check_settlement_signature()?;
        match (&keys.evm, &self.cross_signatures.evm_signs_settlement) {
            (None, None) => Ok(()),
            (Some(evm), Some(signature)) => self.check_evm_signature(evm, signature),
            (Some(_), None) | (None, Some(_)) => Err(Invalid::Mismatch {
                what: "evmSignsSettlement",
                with: "settlementKey.evm",
            }),
        }
    }

    fn check_settlement_signature(&self) -> Result<(), Invalid> {
        let message = settlement_cross_message(&self.validator, &self.settlement_key);
        let signature = &self.cross_signatures.settlement_signs_envelope;
        signature
            .to_array()
            .and_then(|bytes| self.settlement_key.ed25519.verify(&message, &bytes))
            .map_err(|source| Invalid::Signature {
                what: "settlementSignsEnvelope",
                source,
            })
    }

    fn check_evm_signature(
        &self,
        evm: &EvmAddress,
        signature: &SignatureBytes,
    ) -> Result<(), Invalid> {
        let message = evm_cross_message(&self.validator, &self.settlement_key);
        signature
            .to_array()
            .and_then(|bytes| signature::eip191_verify(evm, &message, &bytes))
            .map_err(|source| Invalid::Signature {
                what: "evmSignsSettlement",
                source,
            })
    }
}

/// What the Ed25519 settlement key signs: "these belong together".
fn settlement_cross_message(validator: &Ed25519Id, keys: &SettlementKey) -> Vec<u8> {
    cross_message(b"\xffd402xs1\x01", validator, keys)
}

/// What the EVM key signs.
fn evm_cross_message(validator: &Ed25519Id, keys: &SettlementKey) -> Vec<u8> {
    cross_message(b"\xffd402xs2\x01", validator, keys)
}

/// `magic ‖ envelope key ‖ settlement key ‖ lp(evm address or "")`.
fn cross_message(magic: &[u8; 9], validator: &Ed25519Id, keys: &SettlementKey) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    message.extend_from_slice(magic);
    message.extend_from_slice(&validator.as_bytes());
    message.extend_from_slice(&keys.ed25519.as_bytes());
    let evm = keys.evm.map_or_else(String::new, |evm| evm.to_string());
    length_prefixed(&mut message, &[&evm]);
    message
}

/// The settlement key's half of the pairing: names the envelope key and the EVM address.
#[must_use]
pub fn cross_sign(
    settlement: &SigningKey,
    validator: &Ed25519Id,
    evm: Option<EvmAddress>,
) -> SignatureBytes {
    let keys = SettlementKey {
        ed25519: settlement.into(),
        evm,
    };
    let message = settlement_cross_message(validator, &keys);
    settlement.sign(&message).to_bytes().into()
}

/// The EVM key's half of the pairing: names the envelope key and the settlement key.
#[cfg(feature = "eip191")]
#[must_use]
pub fn cross_sign_evm(
    evm: &k256::ecdsa::SigningKey,
    validator: &Ed25519Id,
    settlement: Ed25519Id,
) -> SignatureBytes {
    let keys = SettlementKey {
        ed25519: settlement,
        evm: Some(signature::evm_address(evm.verifying_key())),
    };
    signature::eip191_sign(evm, &evm_cross_message(validator, &keys)).into()
}
