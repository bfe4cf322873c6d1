//! Settlement proof: somebody saw a receipt executed on its network. Kept apart from the receipt
//! because no validator signed the transaction (threat #28).

use serde::{Deserialize, Serialize};

use crate::{
    Address, Amount, Caip2, Cid, Ed25519Id, Invalid, UnixMs,
    payload::{count, payload},
};

/// How sure the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Finality {
    /// Seen, may still be reorganised.
    Confirmed,
    /// Will not be undone.
    Finalized,
}

/// Why a row was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PaidKind {
    /// To a worker, commission already taken off.
    Worker,
    /// To a validator.
    Validator,
    /// The creator's commission.
    Creator,
    /// The gateway's fee.
    Gateway,
    /// A payee that could not be paid; it can claim later (M6).
    Credit,
}

/// One payment that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaidRow {
    /// To whom.
    pub payee: Address,
    /// How much.
    pub amount: Amount,
    /// Why.
    pub kind: PaidKind,
}

/// Settlement proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettlementProof {
    /// 1.
    pub object_version: u16,
    /// Who saw it, and the signer.
    pub observer: Ed25519Id,
    /// The receipt.
    pub receipt_cid: Cid,
    /// The network.
    pub network: Caip2,
    /// The transaction, in the network's spelling.
    pub transaction: Address,
    /// Its block or slot.
    pub block_or_slot: u64,
    /// Its log, on networks that have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_index: Option<u32>,
    /// How sure.
    pub finality: Finality,
    /// What was paid.
    pub paid: Vec<PaidRow>,
    /// What went back.
    pub residual: Amount,
    /// When it was seen.
    pub at_ms: UnixMs,
}

payload!(SettlementProof, "settlementProof", max 16 * 1024, signer observer_key, network network);

impl SettlementProof {
    fn observer_key(&self) -> Ed25519Id {
        self.observer
    }

    fn rules(&self) -> Result<(), Invalid> {
        // 16 receipt rows, commission, fee, and a credit for each.
        count("paid", self.paid.len(), 0, 36)
    }
}
