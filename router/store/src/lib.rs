//! Durable tasks, content and directory of a node: SQLite embedded by default, PostgreSQL by URL.
//!
//! Responsible for: what [`d402_core::ports`] calls stores, with one meaning on both databases, and their
//! in-memory twins. Not responsible for: what records mean, and when to act on them.
//!
//! Invariants:
//! - A journal is dense from 0, append-only, and has one writer per `seq`.
//! - A step, its wake-up time and its money effects become durable together or not at all.
//! - A payment, terms hash, client id and money key belong to one task for ever; final stays final.
//! - Content that does not hash to its CID is never handed out.

mod batch;
mod blobs;
mod convert;
mod directory;
mod fault;
mod group;
mod limits;
mod memory;
mod open;
mod sql;
mod tasks;

pub use limits::{
    MAX_BLOB_BYTES, MAX_CLIENT_ID_BYTES, MAX_DIRECTORY_OBJECT_BYTES, MAX_ENTRIES_PER_SIGNER,
    MAX_MONEY_BODY_BYTES, MAX_PAGE, MAX_RECORD_BYTES,
};
pub use memory::{MemoryBlobs, MemoryDirectory, MemoryTasks};
pub use open::{OpenError, Store};
