//! The sign-once journal: what this validator has put its name to, durable before the name is given.
//!
//! One door per kind of statement. Each insert is exclusive and committed (fsync) **before** the caller
//! touches a key. The same statement again is fine and gives the same signature; another one under the same
//! key is refused with the record that stands in its way (spec §6 R2).
//!
//! Keys: an ack per (task, attempt, lease) and its rank per (task, attempt); a ready answer per (task,
//! round); a settlement signature per (verifier, terms hash); `Paid` once per task (threat #10).

mod schema;
mod sqlite;

#[cfg(test)]
mod tests;

pub use sqlite::SqliteJournal;

use async_trait::async_trait;
use d402_objects::{Cid, Hex32};

/// An ack about to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckRecord {
    /// The task.
    pub task_id: Cid,
    /// Attempt of the lease.
    pub attempt: u8,
    /// Root of the lease set; the first one acked under is the only one (threat #33).
    pub set_root: Hex32,
    /// The lease.
    pub lease_cid: Cid,
    /// The commit.
    pub commit: Hex32,
    /// When, ms; part of the ack's bytes, so a repeated ack is the same ack.
    pub at_ms: u64,
}

/// What the journal allows for an ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckVerdict {
    /// Recorded now, or the same as recorded before: sign with this rank and time.
    Sign {
        /// 1 + number of distinct leases acked before in this attempt.
        rank: u8,
        /// Time of the first recording, ms.
        at_ms: u64,
    },
    /// Another lease set was acked under first.
    OtherSet {
        /// Its root.
        first: Hex32,
    },
    /// Another commit of this lease was acked.
    OtherCommit {
        /// That commit.
        first: Hex32,
    },
}

/// A settlement about to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementRecord {
    /// The task.
    pub task_id: Cid,
    /// Program or contract.
    pub verifier: String,
    /// Terms.
    pub terms_hash: Hex32,
    /// Digest to be signed.
    pub digest: Hex32,
    /// Whether it pays workers.
    pub paid: bool,
}

/// What the journal allows for a settlement signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettlementVerdict {
    /// Recorded now, or the same as before: sign.
    Sign,
    /// Another digest was signed for these terms.
    AlreadySigned {
        /// That digest.
        digest: Hex32,
    },
    /// The task is `Paid` under other terms (threat #10).
    PaidElsewhere {
        /// Those terms.
        terms_hash: Hex32,
    },
}

/// What the journal allows for a ready answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyVerdict {
    /// Recorded now, or the same as before: answer.
    Sign,
    /// Another digest was answered in this round.
    OtherDigest {
        /// That digest.
        digest: Hex32,
    },
    /// A settlement was signed already; only its digest may be answered.
    AlreadySigned {
        /// That digest.
        digest: Hex32,
    },
}

/// Why the journal gave no verdict; nothing may be signed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Locked, full, or gone. Nothing was recorded.
    #[error("journal is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The task holds as much as one task may; what it holds stays. Never reached by admitted evidence.
    #[error("task {task_id} holds {max} objects already, this one is not stored")]
    Full {
        /// The task.
        task_id: Cid,
        /// Most objects of one task.
        max: u32,
    },
    /// What is recorded contradicts its own rules.
    #[error("journal is broken: {what}")]
    Broken {
        /// Which rule.
        what: &'static str,
    },
}

/// The door. An implementation commits before it returns.
#[async_trait]
pub trait SignJournal: Send + Sync + 'static {
    /// Before an ack is signed.
    async fn ack(&self, record: &AckRecord) -> Result<AckVerdict, JournalError>;
    /// Before a ready answer is signed.
    async fn ready(
        &self,
        task_id: Cid,
        round: u32,
        digest: Hex32,
        record: &SettlementRecord,
    ) -> Result<ReadyVerdict, JournalError>;
    /// Before the settlement key is used.
    async fn settlement(
        &self,
        record: &SettlementRecord,
    ) -> Result<SettlementVerdict, JournalError>;
    /// Terms under which the task was signed `Paid`, if any.
    async fn paid_under(&self, task_id: Cid) -> Result<Option<Hex32>, JournalError>;
}

/// Everything else a validator must find again after a restart: tasks, objects and content, by task.
#[async_trait]
pub trait CaseStore: Send + Sync + 'static {
    /// Stores a task's dossier; the first one stands.
    async fn put_dossier(
        &self,
        task_id: Cid,
        bytes: &[u8],
        keep_until_ms: u64,
    ) -> Result<(), JournalError>;
    /// The dossier of a task.
    async fn dossier(&self, task_id: Cid) -> Result<Option<Vec<u8>>, JournalError>;
    /// Stores a signed object under its task; twice is a no-op. [`JournalError::Full`] when it was not stored.
    async fn put_object(&self, task_id: Cid, cid: Cid, bytes: &[u8]) -> Result<(), JournalError>;
    /// Objects of a task, in order of arrival.
    async fn objects(&self, task_id: Cid) -> Result<Vec<Vec<u8>>, JournalError>;
    /// Stores content under its task.
    async fn put_blob(&self, task_id: Cid, cid: Cid, bytes: &[u8]) -> Result<(), JournalError>;
    /// Content of a task.
    async fn blob(&self, task_id: Cid, cid: Cid) -> Result<Option<Vec<u8>>, JournalError>;
    /// Forgets tasks whose time is over; journal rows stay.
    async fn prune(&self, now_ms: u64) -> Result<u64, JournalError>;
}
