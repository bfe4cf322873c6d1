//! Sealed claims: commit, ack, and the result claim that opens the commit (spec §5.2–5.5).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Amount, BlobRef, Caip2, Cid, Ed25519Id, Hex32, Invalid, Label, MediaType, UnixMs, canonical,
    payload::{count, distinct, fits, payload, range},
    preimage::tag,
};

/// Claim commit: a worker fixes its result without showing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimCommit {
    /// 1.
    pub object_version: u16,
    /// Who commits, and the signer.
    pub worker: Ed25519Id,
    /// The network of the lease.
    pub network: Caip2,
    /// The task.
    pub task_id: Cid,
    /// The lease.
    pub lease_cid: Cid,
    /// [`claim_commit`]; in mode single the digest of the claim's CID.
    pub commit: Hex32,
}

payload!(ClaimCommit, "claimCommit", max 4 * 1024, signer worker_key, network network);

impl ClaimCommit {
    fn worker_key(&self) -> Ed25519Id {
        self.worker
    }

    fn rules(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// Commit ack: a validator saw a commit, and as the how-many-th of its attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitAck {
    /// 1.
    pub object_version: u16,
    /// Who saw it, and the signer.
    pub validator: Ed25519Id,
    /// The network of the lease.
    pub network: Caip2,
    /// The task.
    pub task_id: Cid,
    /// The attempt of the lease.
    pub attempt: u8,
    /// The lease.
    pub lease_cid: Cid,
    /// The commit.
    pub commit: Hex32,
    /// 1 + the leases it acked before in this attempt.
    pub rank: u8,
    /// When.
    pub at_ms: UnixMs,
}

payload!(CommitAck, "commitAck", max 4 * 1024, signer validator_key, network network);

impl CommitAck {
    fn validator_key(&self) -> Ed25519Id {
        self.validator
    }

    fn rules(&self) -> Result<(), Invalid> {
        range("attempt", self.attempt, 1, 8)?;
        range("rank", self.rank, 1, 8)
    }
}

/// One named piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The name the manifest asks for.
    pub name: Label,
    /// SHA-256 of the bytes.
    pub cid: Cid,
    /// Their number.
    pub bytes: u64,
    /// How to read them.
    pub media_type: MediaType,
}

/// Result claim: what the worker delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultClaim {
    /// 1.
    pub object_version: u16,
    /// Who claims, and the signer.
    pub worker: Ed25519Id,
    /// The network of the lease.
    pub network: Caip2,
    /// The task.
    pub task_id: Cid,
    /// The terms.
    pub terms_hash: Hex32,
    /// The lease.
    pub lease_cid: Cid,
    /// Opens the commit.
    pub salt: Hex32,
    /// The output.
    pub output: BlobRef,
    /// What supports it.
    pub evidence: Vec<Evidence>,
    /// [`evidence_root`] of it.
    pub evidence_root: Hex32,
    /// What quorum groups by: digest of the canonical output.
    pub canonical_digest: Cid,
    /// Pricing units used.
    pub units: Amount,
    /// The executor that ran.
    pub runtime_digest: Cid,
}

payload!(ResultClaim, "resultClaim", max 64 * 1024, signer worker_key, network network);

impl ResultClaim {
    fn worker_key(&self) -> Ed25519Id {
        self.worker
    }

    /// The commit this claim opens in modes race and quorum.
    #[must_use]
    pub fn commit(&self) -> Hex32 {
        claim_commit(&SealedClaim {
            task_id: self.task_id,
            lease_cid: self.lease_cid,
            worker: self.worker,
            output_cid: self.output.cid,
            evidence_root: self.evidence_root,
            salt: self.salt,
        })
    }

    fn rules(&self) -> Result<(), Invalid> {
        count("evidence", self.evidence.len(), 0, 32)?;
        distinct("evidence", self.evidence.iter().map(|e| &e.name))?;
        fits(
            "evidenceRoot",
            "evidence",
            self.evidence_root == evidence_root(&self.evidence),
        )
    }
}

/// What a claim commit hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedClaim {
    /// The task.
    pub task_id: Cid,
    /// The lease.
    pub lease_cid: Cid,
    /// Who claims.
    pub worker: Ed25519Id,
    /// The output's CID.
    pub output_cid: Cid,
    /// [`evidence_root`].
    pub evidence_root: Hex32,
    /// 32 random bytes, shown at reveal.
    pub salt: Hex32,
}

/// `SHA256(tag("d402/claim-commit/v1") ‖ taskId ‖ leaseCid ‖ workerKey ‖ outputCid ‖ evidenceRoot
/// ‖ salt32)` (spec §5.2). A copier cannot reuse it: lease and worker are inside.
#[must_use]
pub fn claim_commit(sealed: &SealedClaim) -> Hex32 {
    let mut hash = Sha256::new();
    hash.update(tag("d402/claim-commit/v1"));
    hash.update(sealed.task_id.as_bytes());
    hash.update(sealed.lease_cid.as_bytes());
    hash.update(sealed.worker.as_bytes());
    hash.update(sealed.output_cid.as_bytes());
    hash.update(sealed.evidence_root.as_bytes());
    hash.update(sealed.salt.as_bytes());
    Hex32::from_bytes(hash.finalize().into())
}

/// `SHA256(JCS(evidence))`, in the order given.
#[must_use]
pub fn evidence_root(evidence: &[Evidence]) -> Hex32 {
    let rows = evidence
        .iter()
        .map(|e| {
            serde_json::json!({
                "name": e.name.as_str(),
                "cid": e.cid.to_string(),
                "bytes": e.bytes,
                "mediaType": e.media_type.as_str(),
            })
        })
        .collect();
    Hex32::from_bytes(canonical::digest(&serde_json::Value::Array(rows)))
}
