//! Tables of the journal; a newer version than ours is refused.

/// Version written into `user_version`.
pub(super) const VERSION: i64 = 1;

/// Statements of version 1.
pub(super) const V1: &[&str] = &[
    "CREATE TABLE ack (
        task_id BLOB NOT NULL CHECK (length(task_id) = 32),
        attempt INTEGER NOT NULL CHECK (attempt BETWEEN 1 AND 255),
        set_root BLOB NOT NULL CHECK (length(set_root) = 32),
        lease_cid BLOB NOT NULL CHECK (length(lease_cid) = 32),
        commitment BLOB NOT NULL CHECK (length(commitment) = 32),
        rank INTEGER NOT NULL CHECK (rank BETWEEN 1 AND 255),
        at_ms INTEGER NOT NULL,
        PRIMARY KEY (task_id, attempt, lease_cid),
        UNIQUE (task_id, attempt, rank)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE ready (
        task_id BLOB NOT NULL CHECK (length(task_id) = 32),
        round INTEGER NOT NULL,
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        PRIMARY KEY (task_id, round)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE settlement (
        verifier TEXT NOT NULL,
        terms_hash BLOB NOT NULL CHECK (length(terms_hash) = 32),
        task_id BLOB NOT NULL CHECK (length(task_id) = 32),
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        paid INTEGER NOT NULL CHECK (paid IN (0, 1)),
        PRIMARY KEY (verifier, terms_hash)
    ) STRICT, WITHOUT ROWID",
    "CREATE UNIQUE INDEX settlement_paid_once ON settlement (task_id) WHERE paid = 1",
    "CREATE TABLE dossier (
        task_id BLOB PRIMARY KEY CHECK (length(task_id) = 32),
        bytes BLOB NOT NULL,
        keep_until_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE object (
        seq INTEGER PRIMARY KEY,
        task_id BLOB NOT NULL CHECK (length(task_id) = 32),
        cid BLOB NOT NULL CHECK (length(cid) = 32),
        bytes BLOB NOT NULL,
        UNIQUE (task_id, cid)
    ) STRICT",
    "CREATE TABLE blob (
        task_id BLOB NOT NULL CHECK (length(task_id) = 32),
        cid BLOB NOT NULL CHECK (length(cid) = 32),
        bytes BLOB NOT NULL,
        PRIMARY KEY (task_id, cid)
    ) STRICT",
];
