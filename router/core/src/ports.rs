//! What the market needs from the outside: one trait per need, each with an in-memory twin for tests.
//!
//! The state machine never calls a port; the engine does, with the effects the state machine returned.

mod rail;

use async_trait::async_trait;
use d402_objects::{Cid, Hex32};
use d402_wire::{NodeAddress, RawEnvelope, Request, Response};

pub use rail::*;

/// Milliseconds since the Unix epoch, from whoever owns the clock.
pub trait Clock: Send + Sync + 'static {
    /// Wall clock, ms.
    fn now_ms(&self) -> u64;
}

/// Which of the two lives an outbox row has ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyStep {
    /// Planned: not sent yet, or sent with an unknown answer. Send the same bytes again.
    Planned,
    /// Sent and acknowledged, not final yet.
    Submitted,
}

/// A money effect as a row (design §5): written with the state change that caused it, executed afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoneyEffect {
    /// Unique per effect, e.g. `pay:<paymentId>` or `settle:<termsHash>`; a second insert is the same effect.
    pub key: String,
    /// The task it belongs to.
    pub task_id: Cid,
    /// Exact bytes to submit; never rebuilt.
    pub body: Vec<u8>,
    /// How far it is.
    pub step: MoneyStep,
}

/// A task as it is first stored.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// Its CID.
    pub task_id: Cid,
    /// Terms hash of the paid entry; unique, so that a second payer of one address is refused (threat #38).
    pub terms_hash: Hex32,
    /// Payment id; unique.
    pub payment_id: Hex32,
    /// Client-chosen payment identifier or idempotency key, unique when present.
    pub client_id: Option<String>,
    /// First journal record; it takes `seq` 0.
    pub record: Vec<u8>,
    /// When to look at it again, ms.
    pub wake_at_ms: u64,
    /// Money effect planned with it.
    pub money: Vec<MoneyEffect>,
    /// Wall clock, ms.
    pub now_ms: u64,
}

/// One step of a task: journal record and what follows from it, all or nothing.
#[derive(Clone, Debug)]
pub struct Step {
    /// The task.
    pub task_id: Cid,
    /// Sequence number this record takes; another record there means somebody else was faster.
    pub seq: u64,
    /// The command, encoded.
    pub record: Vec<u8>,
    /// When to look at it again, ms; `None` once final, and nothing makes a final task open again.
    pub wake_at_ms: Option<u64>,
    /// Money effects planned by this step.
    pub money: Vec<MoneyEffect>,
    /// Wall clock, ms.
    pub now_ms: u64,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// Durable.
    Stored,
    /// `seq` is not the next one; reload and decide again. Later steps of the same task in the same call
    /// were decided on this one, so they conflict too.
    Conflict,
}

/// What was found under a payment id, terms hash or client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// New task stored.
    Created,
    /// The same payment is already this task's.
    SamePayment(Cid),
    /// Another payment funded the same terms, or another payment entry of the same intent (threat #38).
    TermsTaken(Cid),
    /// The client id names another task.
    ClientIdTaken(Cid),
}

/// Why the store did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Transient: locked, connection lost, timed out. A write may or may not have happened, so repeat the
    /// same call: it is all or nothing, and `append` answers `Conflict` and `create` `SamePayment` when the
    /// first try did get through.
    #[error("store is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The caller gave more bytes than the store keeps in one value. Nothing was written.
    #[error("{bytes} bytes are more than the {limit} stored in one value")]
    TooLarge {
        /// What was given.
        bytes: usize,
        /// Most that is kept.
        limit: usize,
    },
    /// What is stored contradicts its own constraints: our bug, alert.
    #[error("store is broken: {what}")]
    Broken {
        /// Which invariant.
        what: &'static str,
    },
}

/// Durable tasks: an append-only journal per task, a wake-up time and money effects.
#[async_trait]
pub trait TaskStore: Send + Sync + 'static {
    /// Stores a task unless its payment, terms or client id are taken.
    async fn create(&self, task: NewTask) -> Result<CreateOutcome, StoreError>;
    /// Stores steps in one transaction (group commit); one outcome per step, in order.
    async fn append(&self, steps: Vec<Step>) -> Result<Vec<StepOutcome>, StoreError>;
    /// All records of a task, by `seq`; empty when unknown.
    async fn journal(&self, task_id: Cid) -> Result<Vec<Vec<u8>>, StoreError>;
    /// What [`TaskStore::journal`] gives for each of `task_ids`, in their order; for resuming many at once.
    async fn journals(&self, task_ids: &[Cid]) -> Result<Vec<Vec<Vec<u8>>>, StoreError> {
        let mut journals = Vec::with_capacity(task_ids.len());
        for task_id in task_ids {
            journals.push(self.journal(*task_id).await?);
        }
        Ok(journals)
    }
    /// Leases up to `limit` tasks whose wake-up time has come to `owner` until `lease_until_ms`, with row
    /// locks: no task goes to two owners at a time, and none twice to one owner for the same wake-up. Its
    /// holder alone gets the next wake-up, as soon as a step moved the journal on.
    async fn lease_due(
        &self,
        owner: &str,
        now_ms: u64,
        lease_until_ms: u64,
        limit: u32,
    ) -> Result<Vec<Cid>, StoreError>;
    /// Gives a lease back.
    async fn release(&self, owner: &str, task_ids: &[Cid]) -> Result<(), StoreError>;
    /// Gives back every lease of `owner`: those of a process of that name that is gone.
    async fn release_all(&self, owner: &str) -> Result<(), StoreError>;
    /// Task of a payment id.
    async fn by_payment(&self, payment_id: Hex32) -> Result<Option<Cid>, StoreError>;
    /// Task of a client id.
    async fn by_client_id(&self, client_id: &str) -> Result<Option<Cid>, StoreError>;
    /// Task of a terms hash.
    async fn by_terms(&self, terms_hash: Hex32) -> Result<Option<Cid>, StoreError>;
    /// Money effects of a task not yet final.
    async fn money(&self, task_id: Cid) -> Result<Vec<MoneyEffect>, StoreError>;
    /// Moves a money effect forward; nothing happens when it is there already or final.
    async fn money_submitted(&self, key: &str) -> Result<(), StoreError>;
    /// Removes a money effect that is final or definitely impossible; its row stays as history, and the
    /// first outcome stands.
    async fn money_final(&self, key: &str, outcome: &str) -> Result<(), StoreError>;
    /// Ids of tasks not final, in creation order, after `after`, at most `limit`.
    async fn open_tasks(&self, after: Option<Cid>, limit: u32) -> Result<Vec<Cid>, StoreError>;
    /// Number of tasks not final.
    async fn open_count(&self) -> Result<u64, StoreError>;
}

/// Content-addressed bytes, verified on read.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Stores bytes under their CID; storing twice is a no-op.
    async fn put(&self, bytes: &[u8]) -> Result<Cid, StoreError>;
    /// Bytes of a CID; `Broken` when what is stored does not hash to it.
    async fn get(&self, cid: Cid) -> Result<Option<Vec<u8>>, StoreError>;
}

/// A signed object of the directory.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectoryEntry {
    /// CID of the payload.
    pub cid: Cid,
    /// `payloadType`.
    pub kind: String,
    /// Who signed; with `kind` and `slot` the identity under which a higher `seq` replaces a lower one.
    pub signer: String,
    /// What the entry is about (manifest CID for registrations, empty for offers).
    pub slot: String,
    /// Sequence number.
    pub seq: u64,
    /// Not served from then on, ms.
    pub expires_at_ms: u64,
    /// The envelope.
    pub object: RawEnvelope,
}

/// What became of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryOutcome {
    /// Stored, in place of a lower `seq` if there was one.
    Stored,
    /// The same or a higher `seq` is there already, or the CID under another identity.
    NotNewer,
    /// The signer holds as many identities as it may, expired ones included: they keep an old `seq` from
    /// coming back.
    QuotaReached,
}

/// Signed manifests, registrations, deprecations and offers.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Stores an entry with a strictly higher `seq` than what is there under its identity.
    async fn put(&self, entry: DirectoryEntry) -> Result<DirectoryOutcome, StoreError>;
    /// One object by CID.
    async fn get(&self, cid: Cid) -> Result<Option<DirectoryEntry>, StoreError>;
    /// Live entries of a kind, ordered by CID, after `after`, at most `limit`.
    async fn list(
        &self,
        kind: &str,
        now_ms: u64,
        after: Option<Cid>,
        limit: u32,
    ) -> Result<Vec<DirectoryEntry>, StoreError>;
}

/// Why a peer gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// No address works, or the peer is gone.
    #[error("peer is not reachable")]
    Unreachable,
    /// It did not answer in time; it may still have acted.
    #[error("peer did not answer in time")]
    TimedOut,
    /// It answered something that is no message.
    #[error("peer answered something else")]
    Malformed,
    /// A bound of our own was hit.
    #[error("too many requests in flight")]
    Busy,
}

/// Gossip topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Registrations with their manifests.
    Registrations,
    /// Deprecation records.
    Deprecations,
    /// Node offers.
    NodeOffers,
    /// Validator offers.
    ValidatorOffers,
    /// Task announcements.
    TaskAnnouncements,
    /// Settlement receipts.
    Receipts,
    /// Reputation events.
    Reputation,
}

/// The peer-to-peer network as the market sees it.
#[async_trait]
pub trait MarketNetwork: Send + Sync + 'static {
    /// Asks one node.
    async fn request(&self, to: &NodeAddress, request: Request) -> Result<Response, NetworkError>;
    /// Tells everybody.
    async fn publish(&self, topic: Topic, object: &RawEnvelope) -> Result<(), NetworkError>;
    /// Where this node is reached.
    fn local(&self) -> NodeAddress;
}
