//! The file format: closed, canonical JSON (threat #28).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use d402_objects::{Caip2, Cid, Value};
use serde::{Deserialize, Serialize};

/// Version of the format.
pub const BUNDLE_VERSION: u16 = 1;
/// Most bytes of a bundle.
pub const MAX_BUNDLE_BYTES: usize = 64 * 1024 * 1024;
/// A manifest's schema nests this deep at most, inside the bundle's own levels.
pub(super) const MAX_DEPTH: usize = 40;

/// What the file holds, not verified.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    pub(super) bundle_version: u16,
    pub(super) network: Caip2,
    pub(super) payment_index: u8,
    pub(super) intent: Value,
    pub(super) manifest: Value,
    pub(super) registration: Value,
    /// In the intent's order; every other list ascends by CID.
    pub(super) offers: Vec<Value>,
    pub(super) leases: Vec<Value>,
    pub(super) lease_accepts: Vec<Value>,
    pub(super) commits: Vec<Value>,
    pub(super) acks: Vec<Value>,
    pub(super) claims: Vec<Value>,
    pub(super) validation_receipts: Vec<Value>,
    pub(super) bids: Vec<Value>,
    pub(super) signed_receipt: Value,
    /// Input, outputs, evidence.
    pub(super) blobs: Vec<FileBlob>,
}

/// Content bytes under their CID.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FileBlob {
    pub(super) cid: Cid,
    /// Without padding and without stray bits: one spelling per content.
    pub(super) base64: String,
}

impl FileBlob {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            cid: Cid::of(bytes),
            base64: STANDARD_NO_PAD.encode(bytes),
        }
    }

    /// The bytes, when they are those of the CID.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        let bytes = STANDARD_NO_PAD.decode(&self.base64).ok()?;
        (Cid::of(&bytes) == self.cid).then_some(bytes)
    }
}
