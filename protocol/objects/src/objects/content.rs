//! References to content that travels apart from the object.

use serde::{Deserialize, Serialize};

use crate::{Cid, MediaType};

/// A blob in the content-addressed store: what its bytes hash to, how many, and how to read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobRef {
    /// SHA-256 of the raw bytes (not of a canonical form).
    pub cid: Cid,
    /// Their number; a reader refuses more before hashing.
    pub bytes: u64,
    /// How to read them.
    pub media_type: MediaType,
}
