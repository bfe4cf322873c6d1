//! Keys and wallets that follow from a name and a number.

use d402_objects::{
    Address, Caip2, Cid, CrossSignatures, Ed25519Id, EvmAddress, Fee, Hex32, Manifest,
    SettlementKey, SignatureBytes, Signed, SigningKey, UnixMs, ValidatorOffer, cross_sign,
    cross_sign_evm, signature::evm_address,
};
use ed25519_dalek::Signer as _;

use super::TaskSpec;
use crate::market::{SIMULATED_NETWORK, chain_of, simulated_asset};
use crate::{Codec, Domain};

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

/// The wallet of actor `index` in a role on any network.
#[must_use]
pub fn wallet_on(network: &Caip2, role: &str, index: usize) -> Address {
    match chain_of(network).unwrap().codec {
        Codec::Solana(_) => respelled(network, &wallet(role, index)),
        Codec::Evm(_) => evm_account(&format!("d402/testkit/wallet/{role}/{index}")),
    }
}

/// The EVM key of actor `index` in a role.
#[must_use]
pub fn evm_key(role: &str, index: usize) -> k256::ecdsa::SigningKey {
    let seed = Cid::of(format!("d402/testkit/evm-key/{role}/{index}").as_bytes());
    k256::ecdsa::SigningKey::from_slice(&seed.as_bytes()).unwrap()
}

fn evm_account(name: &str) -> Address {
    let digest = Cid::of(name.as_bytes()).as_bytes();
    let bytes: [u8; 20] = digest[12..].try_into().unwrap();
    Address::new(EvmAddress::from_bytes(bytes).to_string()).unwrap()
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
    /// EVM settlement key.
    pub evm: k256::ecdsa::SigningKey,
    /// Where it is paid.
    pub payout: Address,
}

impl ValidatorActor {
    /// Its name in objects.
    #[must_use]
    pub fn id(&self) -> Ed25519Id {
        (&self.key).into()
    }

    /// Its settlement signature over a digest, in the way of the codec.
    #[must_use]
    pub fn sign_settlement(&self, codec: &Codec, digest: &[u8; 32]) -> SignatureBytes {
        match codec {
            Codec::Solana(_) => self.settlement.sign(digest).to_bytes().into(),
            Codec::Evm(_) => evm_sign(&self.evm, digest).into(),
        }
    }

    /// Its signed offer to judge this capability on the spec's network. Off EVM chains it names no EVM key.
    #[must_use]
    pub fn offer(&self, spec: &TaskSpec, index: usize) -> Signed<ValidatorOffer> {
        let network = spec.network.clone();
        let (ed25519, id) = ((&self.settlement).into(), self.id());
        let (evm, evm_signs_settlement) = match chain_of(&network).unwrap().codec {
            Codec::Solana(_) => (None, None),
            Codec::Evm(_) => (
                Some(evm_address(self.evm.verifying_key())),
                Some(cross_sign_evm(&self.evm, &id, ed25519)),
            ),
        };
        let offer = ValidatorOffer {
            object_version: 1,
            validator: self.id(),
            node_id: format!("validator-{index}").parse().unwrap(),
            addresses: vec!["/ip4/127.0.0.1/tcp/9002".parse().unwrap()],
            families: vec![spec.manifest.capability_id.clone()],
            models: spec.manifest.validation_models.clone(),
            fees: vec![Fee {
                network: network.clone(),
                asset: asset(&network),
                fee: spec.validator_fee.into(),
            }],
            settlement_key: SettlementKey { ed25519, evm },
            cross_signatures: CrossSignatures {
                settlement_signs_envelope: cross_sign(&self.settlement, &id, evm),
                evm_signs_settlement,
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
    /// The actors of a task with `n` validators on the simulated network.
    #[must_use]
    pub fn new(n: usize) -> Self {
        Self::on(&SIMULATED_NETWORK.parse().unwrap(), n)
    }

    /// The actors of a task with `n` validators.
    #[must_use]
    pub fn on(network: &Caip2, n: usize) -> Self {
        Self {
            buyer: key("buyer", 0),
            gateway: key("gateway", 0),
            author: key("author", 0),
            workers: (0..8)
                .map(|i| WorkerActor {
                    key: key("worker", i),
                    payout: wallet_on(network, "worker", i),
                })
                .collect(),
            validators: (0..n)
                .map(|i| ValidatorActor {
                    key: key("validator", i),
                    settlement: key("settlement", i),
                    evm: evm_key("settlement", i),
                    payout: wallet_on(network, "validator", i),
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

/// The dollar of a network.
pub(super) fn asset(network: &Caip2) -> Address {
    match chain_of(network).unwrap().codec {
        Codec::Solana(_) => {
            let asset = Address::new(simulated_asset().to_string()).unwrap();
            respelled(network, &asset)
        }
        Codec::Evm(_) => evm_account("d402/testkit/usd"),
    }
}

/// An account of the simulated network as this one spells it.
fn respelled(network: &Caip2, address: &Address) -> Address {
    let account = Codec::Solana(Domain::SIMULATED).account(address).unwrap();
    chain_of(network)
        .unwrap()
        .codec
        .address_of(&account)
        .unwrap()
}

/// r ‖ s ‖ v over a digest, as a wallet signs it.
fn evm_sign(key: &k256::ecdsa::SigningKey, digest: &[u8; 32]) -> [u8; 65] {
    let (signature, recovery) = key.sign_prehash_recoverable(digest);
    let mut bytes = [27 + recovery.to_byte(); 65];
    bytes[..64].copy_from_slice(&signature.to_bytes());
    bytes
}

/// 32 bytes that follow from a text.
pub(super) fn digest(text: &str) -> Hex32 {
    Cid::of(text.as_bytes()).to_hex32()
}
