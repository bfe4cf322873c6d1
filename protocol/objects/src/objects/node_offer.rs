//! Provider record and node offer: which worker serves what, where, at which price.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Address, Amount, Caip2, Cid, Ed25519Id, Invalid, Multiaddr, NodeId, UnixMs,
    payload::{count, distinct, payload},
};

/// Most addresses of one node.
pub(crate) const MAX_ADDRESSES: usize = 16;
/// Most networks one object names.
pub(crate) const MAX_NETWORKS: usize = 16;

/// Provider record: a directory entry that a worker serves a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderRecord {
    /// 1.
    pub object_version: u16,
    /// The worker, and the signer.
    pub provider: Ed25519Id,
    /// What it serves.
    pub manifest_cid: Cid,
    /// Its node.
    pub node_id: NodeId,
    /// Where the node listens.
    pub addresses: Vec<Multiaddr>,
    /// Higher replaces lower.
    pub seq: u64,
    /// Half-open validity.
    pub expires_at_ms: UnixMs,
}

payload!(ProviderRecord, "providerRecord", max 16 * 1024, signer provider_key);

impl ProviderRecord {
    fn provider_key(&self) -> Ed25519Id {
        self.provider
    }

    fn rules(&self) -> Result<(), Invalid> {
        count("addresses", self.addresses.len(), 0, MAX_ADDRESSES)
    }
}

/// A price per unit in one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// The network.
    pub network: Caip2,
    /// The token on it.
    pub asset: Address,
    /// Base units per pricing unit.
    pub price: Amount,
}

/// Node offer: what a worker would do, for whom and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeOffer {
    /// 1.
    pub object_version: u16,
    /// The worker, and the signer.
    pub worker: Ed25519Id,
    /// Its node.
    pub node_id: NodeId,
    /// Where the node listens.
    pub addresses: Vec<Multiaddr>,
    /// What it serves.
    pub manifest_cids: Vec<Cid>,
    /// At which price.
    pub prices: Vec<Price>,
    /// Tasks at a time.
    pub capacity: u32,
    /// Where it is paid, per network.
    pub payouts: BTreeMap<Caip2, Address>,
    /// Receipts and other objects that speak for it.
    pub trust: Vec<Cid>,
    /// Higher replaces lower.
    pub seq: u64,
    /// Half-open validity.
    pub expires_at_ms: UnixMs,
}

payload!(NodeOffer, "nodeOffer", max 32 * 1024, signer worker_key);

impl NodeOffer {
    fn worker_key(&self) -> Ed25519Id {
        self.worker
    }

    fn rules(&self) -> Result<(), Invalid> {
        count("addresses", self.addresses.len(), 0, MAX_ADDRESSES)?;
        count("manifestCids", self.manifest_cids.len(), 1, 64)?;
        distinct("manifestCids", &self.manifest_cids)?;
        count("prices", self.prices.len(), 1, MAX_NETWORKS)?;
        distinct("prices", self.prices.iter().map(|p| (&p.network, &p.asset)))?;
        count("payouts", self.payouts.len(), 1, MAX_NETWORKS)?;
        count("trust", self.trust.len(), 0, 32)
    }
}
