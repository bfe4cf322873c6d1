//! Reputation event: something that speaks for or against a key, with the object that proves it.

use serde::{Deserialize, Serialize};

use crate::{Cid, Ed25519Id, Invalid, UnixMs, payload::payload};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReputationKind {
    /// A worker's claim was rejected.
    ClaimRejected,
    /// A worker let a lease run out.
    LeaseExpired,
    /// A key signed two things that exclude each other.
    Equivocation,
    /// A task was settled with this key's part in it.
    Settled,
    /// A validator judged against the outcome.
    VerdictDissent,
    /// A validator did not answer.
    ValidatorSilent,
}

/// Reputation event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReputationEvent {
    /// 1.
    pub object_version: u16,
    /// Who saw it, and the signer.
    pub observer: Ed25519Id,
    /// Whom it is about.
    pub subject: Ed25519Id,
    /// What happened.
    pub kind: ReputationKind,
    /// In which task.
    pub task_id: Cid,
    /// The object that proves it.
    pub evidence_cid: Cid,
    /// When.
    pub at_ms: UnixMs,
}

payload!(ReputationEvent, "reputationEvent", max 4 * 1024, signer observer_key);

impl ReputationEvent {
    fn observer_key(&self) -> Ed25519Id {
        self.observer
    }

    fn rules(&self) -> Result<(), Invalid> {
        Ok(())
    }
}
