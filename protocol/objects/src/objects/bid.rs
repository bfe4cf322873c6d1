//! The offer side of one task: announcement, bid, and the gateway's acknowledgement of a bid.

use serde::{Deserialize, Serialize};

use crate::{
    Address, Amount, Caip2, CapabilityId, Cid, Ed25519Id, Hex32, Invalid, Mode, Multiaddr, NodeId,
    UnixMs,
    objects::node_offer::MAX_ADDRESSES,
    payload::{count, fits, payload, range},
};

/// Where a payee is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payout {
    /// The network.
    pub network: Caip2,
    /// The wallet on it.
    pub address: Address,
}

/// Task announcement: a gateway asks for bids on a funded task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskAnnouncement {
    /// 1.
    pub object_version: u16,
    /// The task.
    pub task_id: Cid,
    /// The terms it was paid under.
    pub terms_hash: Hex32,
    /// Who asks, and the signer.
    pub gateway: Ed25519Id,
    /// Its node.
    pub node_id: NodeId,
    /// Where bids go.
    pub addresses: Vec<Multiaddr>,
    /// What work means.
    pub manifest_cid: Cid,
    /// Its capability.
    pub capability_id: CapabilityId,
    /// Single, race or quorum.
    pub mode: Mode,
    /// Leases per attempt.
    pub fanout: u8,
    /// The network it was paid on.
    pub network: Caip2,
    /// The token.
    pub asset: Address,
    /// Most that a bid may ask.
    pub max_price: Amount,
    /// The one worker that may bid, and then at exactly `maxPrice`: the buyer chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Ed25519Id>,
    /// Bids after this are ignored.
    pub bid_until_ms: UnixMs,
    /// The task's deadline.
    pub deadline_ms: UnixMs,
    /// When peers stop relaying this.
    pub expires_at_ms: UnixMs,
}

payload!(TaskAnnouncement, "taskAnnouncement", max 16 * 1024, signer gateway_key, network network);

impl TaskAnnouncement {
    fn gateway_key(&self) -> Ed25519Id {
        self.gateway
    }

    fn rules(&self) -> Result<(), Invalid> {
        count("addresses", self.addresses.len(), 0, MAX_ADDRESSES)?;
        range("fanout", self.fanout, 1, 8)?;
        fits(
            "bidUntilMs",
            "deadlineMs",
            self.bid_until_ms <= self.deadline_ms,
        )
    }
}

/// Bid: a worker's price for one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bid {
    /// 1.
    pub object_version: u16,
    /// Who bids, and the signer.
    pub worker: Ed25519Id,
    /// The task.
    pub task_id: Cid,
    /// The terms the worker accepted.
    pub terms_hash: Hex32,
    /// The network it is paid on.
    pub network: Caip2,
    /// What it asks, in base units.
    pub price: Amount,
    /// Where it is paid.
    pub payout: Payout,
    /// Half-open validity.
    pub valid_until_ms: UnixMs,
    /// Higher replaces lower.
    pub seq: u64,
    /// Its node.
    pub node_id: NodeId,
    /// Where the lease goes.
    pub addresses: Vec<Multiaddr>,
}

payload!(Bid, "bid", max 16 * 1024, signer worker_key, network network);

impl Bid {
    fn worker_key(&self) -> Ed25519Id {
        self.worker
    }

    fn rules(&self) -> Result<(), Invalid> {
        count("addresses", self.addresses.len(), 0, MAX_ADDRESSES)?;
        fits("price", "a positive amount", !self.price.is_zero())?;
        fits(
            "payout.network",
            "network",
            self.payout.network == self.network,
        )
    }
}

/// Bid ack: the gateway saw a bid, so an ignored lower bid can be shown (threat #67).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BidAck {
    /// 1.
    pub object_version: u16,
    /// Who saw it, and the signer.
    pub gateway: Ed25519Id,
    /// The task.
    pub task_id: Cid,
    /// The bid.
    pub bid_cid: Cid,
    /// When it was seen.
    pub at_ms: UnixMs,
}

payload!(BidAck, "bidAck", max 4 * 1024, signer gateway_key);

impl BidAck {
    fn gateway_key(&self) -> Ed25519Id {
        self.gateway
    }

    fn rules(&self) -> Result<(), Invalid> {
        Ok(())
    }
}
