//! Namespace proof: the wallet that owns a namespace names the author who may use it.

use serde::{Deserialize, Serialize};

use crate::{Ed25519Id, Invalid, Namespace, SignerId, UnixMs, payload::payload};

/// Namespace proof; the only object a wallet may sign (`eip191:0x…`, spec §2.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceProof {
    /// 1.
    pub object_version: u16,
    /// The namespace.
    pub namespace: Namespace,
    /// The wallet that owns it, and the signer.
    pub wallet: SignerId,
    /// Who may register under it.
    pub author: Ed25519Id,
    /// Higher replaces lower.
    pub seq: u64,
    /// Half-open validity.
    pub valid_until_ms: UnixMs,
}

payload!(NamespaceProof, "namespaceProof", max 4 * 1024, signer wallet_id);

impl NamespaceProof {
    fn wallet_id(&self) -> SignerId {
        self.wallet
    }

    fn rules(&self) -> Result<(), Invalid> {
        Ok(())
    }
}
