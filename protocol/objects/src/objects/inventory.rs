//! The simple form of signature collection (end of spec §5.8): no more leases, what each
//! validator holds, and who is ready to sign which digest.

use serde::{Deserialize, Serialize};

use crate::{
    Caip2, Cid, Ed25519Id, Hex32, Invalid, UnixMs,
    payload::{count, distinct, payload},
};

/// No more leases: the gateway ends the market of a task early (spec §4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NoMoreLeases {
    /// 1.
    pub object_version: u16,
    /// Who ends it, and the signer.
    pub gateway: Ed25519Id,
    /// The network of the task.
    pub network: Caip2,
    /// The task.
    pub task_id: Cid,
    /// When.
    pub at_ms: UnixMs,
}

payload!(NoMoreLeases, "noMoreLeases", max 4 * 1024, signer gateway_key, network network);

impl NoMoreLeases {
    fn gateway_key(&self) -> Ed25519Id {
        self.gateway
    }

    fn rules(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// Inventory: what a validator holds for one task, by CID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// 1.
    pub object_version: u16,
    /// Who holds it, and the signer.
    pub validator: Ed25519Id,
    /// The network of the task.
    pub network: Caip2,
    /// The task.
    pub task_id: Cid,
    /// The terms.
    pub terms_hash: Hex32,
    /// Commit acks.
    pub acks: Vec<Cid>,
    /// Claim commits.
    pub commits: Vec<Cid>,
    /// Result claims.
    pub claims: Vec<Cid>,
    /// Validation receipts.
    pub receipts: Vec<Cid>,
    /// Leases.
    pub leases: Vec<Cid>,
    /// Whether it saw the deposit only after fundBy.
    pub deposit_late: bool,
    /// When.
    pub at_ms: UnixMs,
    /// Higher replaces lower.
    pub seq: u64,
}

payload!(Inventory, "inventory", max 256 * 1024, signer validator_key, network network);

impl Inventory {
    fn validator_key(&self) -> Ed25519Id {
        self.validator
    }

    fn rules(&self) -> Result<(), Invalid> {
        // 8 attempts of 8 leases, and 16 validators acking or judging each.
        const LEASES: usize = 8 * 8;
        const PER_VALIDATOR: usize = LEASES * 16;
        for (what, cids, max) in [
            ("acks", &self.acks, PER_VALIDATOR),
            ("commits", &self.commits, LEASES * 2),
            ("claims", &self.claims, LEASES * 2),
            ("receipts", &self.receipts, PER_VALIDATOR),
            ("leases", &self.leases, LEASES),
        ] {
            count(what, cids.len(), 0, max)?;
            distinct(what, cids)?;
        }
        Ok(())
    }
}

/// Ready: a validator derived this digest from these inputs and will sign it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// 1.
    pub object_version: u16,
    /// Who is ready, and the signer.
    pub validator: Ed25519Id,
    /// The network of the task.
    pub network: Caip2,
    /// The task.
    pub task_id: Cid,
    /// The terms.
    pub terms_hash: Hex32,
    /// Which proposal of the task.
    pub round: u32,
    /// The settlement digest (spec §2.2, §2.3).
    pub digest: Hex32,
    /// Hash of the inputs it was derived from.
    pub inputs_root: Hex32,
    /// The receipt the digest names.
    pub receipt_cid: Cid,
}

payload!(Ready, "ready", max 4 * 1024, signer validator_key, network network);

impl Ready {
    fn validator_key(&self) -> Ed25519Id {
        self.validator
    }

    fn rules(&self) -> Result<(), Invalid> {
        Ok(())
    }
}
