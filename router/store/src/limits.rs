//! Bounds of everything that is stored or waited for. The migrations repeat the sizes as CHECKs.

use std::time::Duration;

/// Largest journal record: one peer message with its wrapping.
pub const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;
const _: () = assert!(
    MAX_RECORD_BYTES > d402_wire::peer::MAX_MESSAGE_BYTES,
    "a command may carry one whole message"
);

/// Largest body of a money effect.
pub const MAX_MONEY_BODY_BYTES: usize = 1024 * 1024;

/// Largest content.
pub const MAX_BLOB_BYTES: usize = 16 * 1024 * 1024;

/// Largest envelope in the directory; the largest kind, a manifest, has 256 KiB.
pub const MAX_DIRECTORY_OBJECT_BYTES: usize = 1024 * 1024;

/// Identities (kind and slot) one signer may hold in the directory, expired ones included.
pub const MAX_ENTRIES_PER_SIGNER: u64 = 1024;

/// Longest client id, in bytes.
pub const MAX_CLIENT_ID_BYTES: usize = 256;

/// Longest key of a money effect, in bytes.
pub(crate) const MAX_MONEY_KEY_BYTES: usize = 256;

/// Longest outcome of a money effect, in bytes.
pub(crate) const MAX_OUTCOME_BYTES: usize = 1024;

/// Longest name of a lease owner, in bytes.
pub(crate) const MAX_OWNER_BYTES: usize = 128;

/// Longest kind, signer and slot of a directory entry, in bytes.
pub(crate) const MAX_KIND_BYTES: usize = 64;
/// See [`MAX_KIND_BYTES`].
pub(crate) const MAX_SIGNER_BYTES: usize = 128;
/// See [`MAX_KIND_BYTES`].
pub(crate) const MAX_SLOT_BYTES: usize = 128;

/// Most rows any page or lease call returns, whatever `limit` says.
pub const MAX_PAGE: u32 = 10_000;

/// Most writes one transaction carries; those behind it wait for the next.
pub(crate) const MAX_WRITES_PER_COMMIT: usize = 512;

/// Writes that may wait for a lane; the next caller waits, and gives up after [`CALL_TIMEOUT`].
pub(crate) const MAX_WAITING_WRITES: usize = 8192;

/// Most a caller waits for one answer.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Most one transaction may take from begin to commit.
pub(crate) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
const _: () = assert!(
    TRANSACTION_TIMEOUT.as_secs() < CALL_TIMEOUT.as_secs(),
    "a caller sees its transaction time out"
);

/// Most one read may take.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Most anybody waits for a connection or a lock.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Most file reads and writes at a time.
pub(crate) const MAX_FILE_OPERATIONS: usize = 16;
