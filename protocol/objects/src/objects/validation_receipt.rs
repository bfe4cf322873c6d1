//! Validation receipt: one validator's verdict on one claim.

use serde::{Deserialize, Serialize};

use crate::{
    Bps, Caip2, Cid, Ed25519Id, Hex32, Invalid, Text, UnixMs, ValidationModel,
    payload::{count, payload},
};

/// What a validator found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// The claim is good.
    Accept,
    /// It is not.
    Reject,
}

/// Validation receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidationReceipt {
    /// 1.
    pub object_version: u16,
    /// Who judged, and the signer.
    pub validator: Ed25519Id,
    /// The network of the lease.
    pub network: Caip2,
    /// The task.
    pub task_id: Cid,
    /// The terms.
    pub terms_hash: Hex32,
    /// The claim.
    pub claim_cid: Cid,
    /// What was found.
    pub verdict: Verdict,
    /// How good, 0 to 10,000.
    pub score_bps: Bps,
    /// How it was judged.
    pub model: ValidationModel,
    /// Why, for people.
    pub reasons: Vec<Text>,
    /// Digest of what the validator did.
    pub transcript_digest: Cid,
    /// Opens the sealed verdict.
    pub salt: Hex32,
    /// When.
    pub at_ms: UnixMs,
}

payload!(ValidationReceipt, "validationReceipt", max 16 * 1024,
    signer validator_key, network network);

impl ValidationReceipt {
    fn validator_key(&self) -> Ed25519Id {
        self.validator
    }

    fn rules(&self) -> Result<(), Invalid> {
        count("reasons", self.reasons.len(), 0, 16)
    }
}
