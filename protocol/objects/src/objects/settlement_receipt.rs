//! Settlement receipt: who is paid what, under which terms. It has no envelope: validators sign
//! the chain digests of spec §2.2 and §2.3, which name the receipt by its CID.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Address, Amount, Caip2, Cid, Hex32, Invalid, ObjectError, SignatureBytes, canonical,
    payload::{Document, check_version, count, decode, distinct, fits, limits, value_of},
    strict::{self, StrictError, StrictValue},
};

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// At least one worker is paid.
    Paid,
    /// No worker is paid.
    Rejected,
}

/// What a row is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RowRole {
    /// Work.
    Worker,
    /// Judging.
    Validator,
}

/// One payment, before commission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptRow {
    /// To whom.
    pub payee: Address,
    /// For what.
    pub role: RowRole,
    /// How much.
    pub amount: Amount,
}

/// Settlement receipt, one per rail. No transaction and no refund: nobody signed those.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettlementReceipt {
    /// 1.
    pub object_version: u16,
    /// The terms.
    pub terms_hash: Hex32,
    /// The network.
    pub network: Caip2,
    /// The program or contract that checks the signatures.
    pub verifier: Address,
    /// The task.
    pub task_id: Cid,
    /// How it ended.
    pub outcome: Outcome,
    /// Who is paid; the network's codec fixes their order.
    pub rows: Vec<ReceiptRow>,
    /// What the chain takes from the worker rows for the creator.
    pub commission: Amount,
    /// What the chain adds for the gateway.
    pub gateway_fee: Amount,
    /// The claims it decides on.
    pub claim_cids: Vec<Cid>,
    /// The verdicts it follows.
    pub validation_receipt_cids: Vec<Cid>,
    /// The lease sets they came from.
    pub lease_set_roots: Vec<Hex32>,
}

/// Most rows of one receipt (spec §2.2).
const MAX_ROWS: usize = 16;
const MAX_BYTES: usize = 64 * 1024;
const CARRIER_FIELDS: usize = 2;

impl Document for SettlementReceipt {
    const KIND: &'static str = "settlementReceipt";
    const VERSION: u16 = 1;
    const MAX_BYTES: usize = MAX_BYTES;

    fn object_version(&self) -> u16 {
        self.object_version
    }

    fn validate(&self) -> Result<(), Invalid> {
        check_version(self)?;
        self.rules()
    }
}

impl SettlementReceipt {
    fn rules(&self) -> Result<(), Invalid> {
        count("rows", self.rows.len(), 0, MAX_ROWS)?;
        distinct("rows", self.rows.iter().map(|row| &row.payee))?;
        fits(
            "rows",
            "positive amounts",
            self.rows.iter().all(|row| !row.amount.is_zero()),
        )?;
        let has_worker = self.rows.iter().any(|row| row.role == RowRole::Worker);
        match self.outcome {
            Outcome::Paid => fits("rows", "outcome paid", has_worker)?,
            Outcome::Rejected => fits(
                "rows",
                "outcome rejected",
                !has_worker && self.commission.is_zero() && self.gateway_fee.is_zero(),
            )?,
        }
        count("claimCids", self.claim_cids.len(), 0, 64)?;
        distinct("claimCids", &self.claim_cids)?;
        let receipts = &self.validation_receipt_cids;
        count("validationReceiptCids", receipts.len(), 0, 256)?;
        distinct("validationReceiptCids", receipts)?;
        count("leaseSetRoots", self.lease_set_roots.len(), 0, 8)?;
        distinct("leaseSetRoots", &self.lease_set_roots)
    }
}

/// One validator's signature over the chain digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndexedSignature {
    /// Its place in the validator set.
    pub set_index: u8,
    /// 64 bytes for Ed25519, 65 for a wallet, more for a contract.
    pub signature: SignatureBytes,
}

/// The closed carrier `{receipt, signatures:[{setIndex, signature}]}`.
///
/// Decoding checks the shape only. Whether the signatures are enough, and over which digest, is
/// checked where the terms and the set are known (settlement crate).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReceipt(Arc<Carrier>);

#[derive(Debug, PartialEq, Eq)]
struct Carrier {
    receipt: SettlementReceipt,
    receipt_cid: Cid,
    signatures: Vec<IndexedSignature>,
    /// Canonical bytes of the carrier.
    bytes: Vec<u8>,
}

impl SignedReceipt {
    /// Joins a receipt and the signatures collected for it, ascending by index.
    ///
    /// # Errors
    /// [`ObjectError`] when a rule of the receipt or of the carrier is broken.
    pub fn new(
        receipt: SettlementReceipt,
        signatures: Vec<IndexedSignature>,
    ) -> Result<Self, ObjectError> {
        let value = value_of(&receipt)?;
        Self::assemble(receipt, &value, signatures)
    }

    /// The same receipt, unknown fields included, with other signatures.
    ///
    /// # Errors
    /// [`ObjectError::Carrier`] when the signatures break a rule of the carrier.
    pub fn with_signatures(&self, signatures: Vec<IndexedSignature>) -> Result<Self, ObjectError> {
        let carrier = self.to_value();
        let value = carrier
            .get("receipt")
            .ok_or(ObjectError::Field { field: "receipt" })?;
        Self::assemble(self.0.receipt.clone(), value, signatures)
    }

    /// Decodes a carrier.
    ///
    /// # Errors
    /// [`ObjectError`] names the first rule that is broken.
    pub fn parse(bytes: &[u8]) -> Result<Self, ObjectError> {
        Self::from_value(strict::parse(bytes, &limits::<SettlementReceipt>())?)
    }

    /// Checks a carrier that was decoded as part of a larger strict document.
    ///
    /// # Errors
    /// As [`SignedReceipt::parse`].
    pub fn from_value(carrier: Value) -> Result<Self, ObjectError> {
        let Value::Object(mut fields) = carrier else {
            return Err(ObjectError::NotAnObject { what: "carrier" });
        };
        if fields.len() > CARRIER_FIELDS {
            return Err(ObjectError::ExtraField {
                got: fields.len(),
                want: CARRIER_FIELDS,
            });
        }
        let mut take = |field| fields.remove(field).ok_or(ObjectError::Field { field });
        let (value, listed) = (take("receipt")?, take("signatures")?);
        let signatures = Vec::deserialize(&listed).map_err(|source| ObjectError::Payload {
            kind: SettlementReceipt::KIND,
            source,
        })?;
        Self::assemble(decode(&value)?, &value, signatures)
    }

    fn assemble(
        receipt: SettlementReceipt,
        value: &Value,
        signatures: Vec<IndexedSignature>,
    ) -> Result<Self, ObjectError> {
        check_signatures(&signatures).map_err(|source| ObjectError::Carrier {
            field: "signatures",
            source,
        })?;
        let listed = serde_json::to_value(&signatures).map_err(|source| ObjectError::Payload {
            kind: SettlementReceipt::KIND,
            source,
        })?;
        let body = canonical::to_bytes(value);
        let receipt_cid = Cid::of(&body);
        let bytes = [
            br#"{"receipt":"#.as_slice(),
            &body,
            br#","signatures":"#,
            &canonical::to_bytes(&listed),
            b"}",
        ]
        .concat();
        if bytes.len() > MAX_BYTES {
            return Err(ObjectError::Strict(StrictError::TooLarge {
                got: bytes.len(),
                max: MAX_BYTES,
            }));
        }
        Ok(Self(Arc::new(Carrier {
            receipt,
            receipt_cid,
            signatures,
            bytes,
        })))
    }

    /// The receipt.
    #[must_use]
    pub fn receipt(&self) -> &SettlementReceipt {
        &self.0.receipt
    }

    /// The CID of the receipt: what the chain digests name.
    #[must_use]
    pub fn receipt_cid(&self) -> Cid {
        self.0.receipt_cid
    }

    /// The signatures, strictly ascending by index.
    #[must_use]
    pub fn signatures(&self) -> &[IndexedSignature] {
        &self.0.signatures
    }

    /// The canonical bytes of the carrier.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The canonical bytes of the carrier, owned.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.bytes.clone()
    }

    /// The carrier as a JSON value, unknown receipt fields included.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // The bytes were written by this module from a strict value, so they always decode.
        serde_json::from_slice(&self.0.bytes).unwrap_or(Value::Null)
    }
}

fn check_signatures(signatures: &[IndexedSignature]) -> Result<(), Invalid> {
    const SET: usize = 16;
    count("signatures", signatures.len(), 0, SET)?;
    let ascending = signatures
        .iter()
        .zip(signatures.iter().skip(1))
        .all(|(a, b)| a.set_index < b.set_index);
    let in_set = signatures.iter().all(|s| usize::from(s.set_index) < SET);
    if ascending && in_set {
        return Ok(());
    }
    Err(Invalid::NotDistinct { what: "setIndex" })
}

impl Serialize for SignedReceipt {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SignedReceipt {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StrictValue(value) = StrictValue::deserialize(deserializer)?;
        Self::from_value(value).map_err(serde::de::Error::custom)
    }
}
