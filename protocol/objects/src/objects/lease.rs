//! Lease and lease accept: who does the task, agreed by both sides.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Amount, Caip2, Cid, Ed25519Id, Hex32, Invalid, Payout, UnixMs, canonical,
    payload::{fits, payload, range},
};

/// Lease: the gateway gives one worker the task. Valid with the worker's [`LeaseAccept`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// 1.
    pub object_version: u16,
    /// Who leases, and the signer.
    pub gateway: Ed25519Id,
    /// The network it is paid on.
    pub network: Caip2,
    /// The task.
    pub task_id: Cid,
    /// The terms.
    pub terms_hash: Hex32,
    /// Who works.
    pub worker: Ed25519Id,
    /// The bid it answers.
    pub bid_cid: Cid,
    /// What an accepted claim earns.
    pub price: Amount,
    /// Where it is paid.
    pub payout: Payout,
    /// From 1; at most the intent's `maxAttempts`.
    pub attempt: u8,
    /// From 0, below `lease_count`.
    pub lease_index: u8,
    /// Leases of this attempt.
    pub lease_count: u8,
    /// [`lease_set_root`] of them (spec §5.1).
    pub lease_set_root: Hex32,
    /// When work may start.
    pub start_ms: UnixMs,
    /// When an uncommitted lease is void; half-open.
    pub expires_at_ms: UnixMs,
    /// The voucher that pays for it, on channel rails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voucher_cid: Option<Cid>,
}

payload!(Lease, "lease", max 8 * 1024, signer gateway_key, network network);

impl Lease {
    fn gateway_key(&self) -> Ed25519Id {
        self.gateway
    }

    fn rules(&self) -> Result<(), Invalid> {
        range("attempt", self.attempt, 1, 8)?;
        range("leaseCount", self.lease_count, 1, 8)?;
        fits(
            "leaseIndex",
            "leaseCount",
            self.lease_index < self.lease_count,
        )?;
        fits("price", "a positive amount", !self.price.is_zero())?;
        fits(
            "payout.network",
            "network",
            self.payout.network == self.network,
        )?;
        fits("expiresAtMs", "startMs", self.start_ms < self.expires_at_ms)
    }
}

/// Lease accept: the worker took the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseAccept {
    /// 1.
    pub object_version: u16,
    /// Who took it, and the signer.
    pub worker: Ed25519Id,
    /// The network of the lease.
    pub network: Caip2,
    /// The task.
    pub task_id: Cid,
    /// The lease.
    pub lease_cid: Cid,
    /// When.
    pub at_ms: UnixMs,
}

payload!(LeaseAccept, "leaseAccept", max 4 * 1024, signer worker_key, network network);

impl LeaseAccept {
    fn worker_key(&self) -> Ed25519Id {
        self.worker
    }

    fn rules(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// `SHA256(JCS([{price, worker}…]))` sorted by worker: what every lease of one attempt commits to
/// (spec §5.1). Whether workers are distinct is the market's rule, not this hash's.
#[must_use]
pub fn lease_set_root(leases: &[(Ed25519Id, Amount)]) -> Hex32 {
    let mut sorted = leases.to_vec();
    sorted.sort_unstable();
    let rows = sorted
        .into_iter()
        .map(|(worker, price)| json!({"price": price.to_string(), "worker": worker.to_string()}))
        .collect();
    Hex32::from_bytes(canonical::digest(&Value::Array(rows)))
}
