-- Tasks, their journals, their money effects and the directory.
-- Ids are 32 raw bytes, times are Unix milliseconds, states are checked words. Amounts appear only inside signed bytes.

CREATE TABLE tasks (
    ordinal        INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id        BLOB    NOT NULL UNIQUE CHECK (length(task_id) = 32),
    terms_hash     BLOB    NOT NULL UNIQUE CHECK (length(terms_hash) = 32),
    payment_id     BLOB    NOT NULL UNIQUE CHECK (length(payment_id) = 32),
    -- Bytes of the client's text: no collation, no trouble with NUL.
    client_id      BLOB    UNIQUE CHECK (length(client_id) BETWEEN 1 AND 256),
    next_seq       INTEGER NOT NULL CHECK (next_seq >= 1),
    -- NULL once final.
    wake_at_ms     INTEGER CHECK (wake_at_ms >= 0),
    lease_owner    TEXT    CHECK (length(lease_owner) BETWEEN 1 AND 128),
    lease_until_ms INTEGER CHECK (lease_until_ms >= 0),
    -- next_seq when the lease was given: the wake-up it answers.
    lease_seq      INTEGER CHECK (lease_seq BETWEEN 1 AND next_seq),
    created_at_ms  INTEGER NOT NULL CHECK (created_at_ms >= 0),
    updated_at_ms  INTEGER NOT NULL CHECK (updated_at_ms >= 0),
    CHECK ((lease_owner IS NULL) = (lease_until_ms IS NULL)),
    CHECK ((lease_owner IS NULL) = (lease_seq IS NULL))
) STRICT;

CREATE INDEX tasks_due ON tasks (wake_at_ms, ordinal) WHERE wake_at_ms IS NOT NULL;
CREATE INDEX tasks_open ON tasks (ordinal) WHERE wake_at_ms IS NOT NULL;

CREATE TRIGGER tasks_final_is_final BEFORE UPDATE OF wake_at_ms ON tasks
WHEN OLD.wake_at_ms IS NULL AND NEW.wake_at_ms IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a final task stays final'); END;

CREATE TRIGGER tasks_identity_is_fixed BEFORE UPDATE OF ordinal, task_id, terms_hash, payment_id, client_id ON tasks
BEGIN SELECT RAISE(ABORT, 'a task keeps its identity'); END;

CREATE TRIGGER tasks_are_kept BEFORE DELETE ON tasks
BEGIN SELECT RAISE(ABORT, 'tasks are kept'); END;

CREATE TABLE journal (
    task          INTEGER NOT NULL REFERENCES tasks (ordinal),
    seq           INTEGER NOT NULL CHECK (seq >= 0),
    record        BLOB    NOT NULL CHECK (length(record) BETWEEN 1 AND 16777216),
    stored_at_ms  INTEGER NOT NULL CHECK (stored_at_ms >= 0),
    PRIMARY KEY (task, seq)
) STRICT;

CREATE TRIGGER journal_is_not_rewritten BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER journal_is_kept BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TABLE money (
    ordinal  INTEGER PRIMARY KEY AUTOINCREMENT,
    key      TEXT    NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 256),
    task     INTEGER NOT NULL REFERENCES tasks (ordinal),
    body     BLOB    NOT NULL CHECK (length(body) BETWEEN 1 AND 1048576),
    state    TEXT    NOT NULL CHECK (state IN ('planned', 'submitted', 'final')),
    outcome  TEXT    CHECK (length(outcome) BETWEEN 1 AND 1024),
    CHECK ((state = 'final') = (outcome IS NOT NULL))
) STRICT;

CREATE INDEX money_open ON money (task, ordinal) WHERE state <> 'final';

CREATE TRIGGER money_final_is_final BEFORE UPDATE ON money WHEN OLD.state = 'final'
BEGIN SELECT RAISE(ABORT, 'a final money effect stays final'); END;

CREATE TRIGGER money_bytes_are_fixed BEFORE UPDATE OF ordinal, key, task, body ON money
BEGIN SELECT RAISE(ABORT, 'money bytes are never rebuilt'); END;

CREATE TRIGGER money_is_kept BEFORE DELETE ON money
BEGIN SELECT RAISE(ABORT, 'money effects are kept'); END;

CREATE TABLE directory_signers (
    signer   TEXT    NOT NULL PRIMARY KEY CHECK (length(signer) BETWEEN 1 AND 128),
    entries  INTEGER NOT NULL CHECK (entries BETWEEN 0 AND 1024)
) STRICT;

CREATE TABLE directory (
    kind           TEXT    NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
    signer         TEXT    NOT NULL REFERENCES directory_signers (signer),
    slot           TEXT    NOT NULL CHECK (length(slot) <= 128),
    seq            INTEGER NOT NULL CHECK (seq >= 0),
    cid            BLOB    NOT NULL UNIQUE CHECK (length(cid) = 32),
    expires_at_ms  INTEGER NOT NULL CHECK (expires_at_ms >= 0),
    object         BLOB    NOT NULL CHECK (length(object) BETWEEN 2 AND 1048576),
    PRIMARY KEY (kind, signer, slot)
) STRICT;

CREATE INDEX directory_pages ON directory (kind, cid);
