//! Deprecation record: the author withdraws a manifest and may name its successor.

use serde::{Deserialize, Serialize};

use crate::{
    Cid, Ed25519Id, Invalid, Text, UnixMs,
    payload::{fits, payload},
};

/// Deprecation record. Valid only with the manifest whose author signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeprecationRecord {
    /// 1.
    pub object_version: u16,
    /// The manifest's author, and the signer.
    pub author: Ed25519Id,
    /// What is withdrawn.
    pub manifest_cid: Cid,
    /// Why, for people.
    pub reason: Text,
    /// What to use instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<Cid>,
    /// Higher replaces lower.
    pub seq: u64,
    /// When.
    pub at_ms: UnixMs,
}

payload!(DeprecationRecord, "deprecationRecord", max 8 * 1024, signer author_key);

impl DeprecationRecord {
    fn author_key(&self) -> Ed25519Id {
        self.author
    }

    fn rules(&self) -> Result<(), Invalid> {
        fits(
            "successor",
            "another manifest",
            self.successor != Some(self.manifest_cid),
        )
    }
}
