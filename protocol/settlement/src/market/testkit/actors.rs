//! Keys and wallets that follow from a name and a number.

use d402_objects::{
    Address, Cid, CrossSignatures, Ed25519Id, Fee, Hex32, Manifest, SettlementKey, Signed,
    SigningKey, UnixMs, ValidatorOffer, cross_sign,
};

use super::TaskSpec;
use crate::market::{SIMULATED_NETWORK, simulated_asset};

/// The key of actor `index` in a role.
#[must_use]
pub fn key(role: &str, index: usize) -> SigningKey {
    SigningKey::from_bytes(
        &Cid::of(format!("d402/testkit/key/{role}/{index}").as_bytes()).as_bytes(),
    )
}

/// The wallet of actor `index` in a role: an account of the simulated network.
#[must_use]
pub fn wallet(role: &str, index: usize) -> Address {
    let digest = Cid::of(format!("d402/testkit/wallet/{role}/{index}").as_bytes());
    Address::new(digest.to_hex32().to_string()).unwrap()
}

/// A worker.
#[derive(Clone, Debug)]
pub struct WorkerActor {
    /// Envelope key.
    pub key: SigningKey,
    /// Where it is paid.
    pub payout: Address,
}

impl WorkerActor {
    /// Its name in objects.
    #[must_use]
    pub fn id(&self) -> Ed25519Id {
        (&self.key).into()
    }
}

/// A validator.
#[derive(Clone, Debug)]
pub struct ValidatorActor {
    /// Envelope key.
    pub key: SigningKey,
    /// Settlement key.
    pub settlement: SigningKey,
    /// Where it is paid.
    pub payout: Address,
}

impl ValidatorActor {
    /// Its name in objects.
    #[must_use]
    pub fn id(&self) -> Ed25519Id {
        (&self.key).into()
    }

    /// Its signed offer to judge this capability.
    #[must_use]
    pub fn offer(&self, spec: &TaskSpec, index: usize) -> Signed<ValidatorOffer> {
        let network: d402_objects::Caip2 = SIMULATED_NETWORK.parse().unwrap();
        let offer = ValidatorOffer {
            object_version: 1,
            validator: self.id(),
            node_id: format!("validator-{index}").parse().unwrap(),
            addresses: vec!["/ip4/127.0.0.1/tcp/9002".parse().unwrap()],
            families: vec![spec.manifest.capability_id.clone()],
            models: spec.manifest.validation_models.clone(),
            fees: vec![Fee {
                network: network.clone(),
                asset: asset(),
                fee: spec.validator_fee.into(),
            }],
            settlement_key: SettlementKey {
                ed25519: (&self.settlement).into(),
                evm: None,
            },
            cross_signatures: CrossSignatures {
                settlement_signs_envelope: cross_sign(&self.settlement, &self.id(), None),
                evm_signs_settlement: None,
            },
            payouts: [(network, self.payout.clone())].into(),
            seq: 1,
            expires_at_ms: UnixMs::MAX,
        };
        Signed::sign(offer, &self.key).unwrap()
    }
}

/// Everybody in a task.
#[derive(Clone, Debug)]
pub struct Actors {
    /// Pays.
    pub buyer: SigningKey,
    /// Runs the market.
    pub gateway: SigningKey,
    /// Wrote the manifest.
    pub author: SigningKey,
    /// Eight of them.
    pub workers: Vec<WorkerActor>,
    /// n of them, in the intent's order (which is not the set's).
    pub validators: Vec<ValidatorActor>,
}

impl Actors {
    /// The actors of a task with `n` validators.
    #[must_use]
    pub fn new(n: usize) -> Self {
        Self {
            buyer: key("buyer", 0),
            gateway: key("gateway", 0),
            author: key("author", 0),
            workers: (0..8)
                .map(|i| WorkerActor {
                    key: key("worker", i),
                    payout: wallet("worker", i),
                })
                .collect(),
            validators: (0..n)
                .map(|i| ValidatorActor {
                    key: key("validator", i),
                    settlement: key("settlement", i),
                    payout: wallet("validator", i),
                })
                .collect(),
        }
    }

    /// The manifest, signed by its author.
    #[must_use]
    pub fn manifest(&self, manifest: &Manifest) -> Signed<Manifest> {
        Signed::sign(manifest.clone(), &self.author).unwrap()
    }
}

/// The simulated dollar.
pub(super) fn asset() -> Address {
    Address::new(simulated_asset().to_string()).unwrap()
}

/// 32 bytes that follow from a text.
pub(super) fn digest(text: &str) -> Hex32 {
    Cid::of(text.as_bytes()).to_hex32()
}
