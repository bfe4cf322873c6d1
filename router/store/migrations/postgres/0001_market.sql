-- Tasks, their journals, their money effects, the directory and content shared by several gateways.
-- Ids are 32 raw bytes, times are Unix milliseconds, states are checked words. Amounts appear only inside signed bytes.

CREATE TABLE tasks (
    ordinal        BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id        BYTEA   NOT NULL UNIQUE CHECK (octet_length(task_id) = 32),
    terms_hash     BYTEA   NOT NULL UNIQUE CHECK (octet_length(terms_hash) = 32),
    payment_id     BYTEA   NOT NULL UNIQUE CHECK (octet_length(payment_id) = 32),
    -- Bytes of the client's text: no collation, no trouble with NUL.
    client_id      BYTEA   UNIQUE CHECK (octet_length(client_id) BETWEEN 1 AND 256),
    next_seq       BIGINT  NOT NULL CHECK (next_seq >= 1),
    -- NULL once final.
    wake_at_ms     BIGINT  CHECK (wake_at_ms >= 0),
    lease_owner    TEXT    CHECK (length(lease_owner) BETWEEN 1 AND 128),
    lease_until_ms BIGINT  CHECK (lease_until_ms >= 0),
    -- next_seq when the lease was given: the wake-up it answers.
    lease_seq      BIGINT  CHECK (lease_seq BETWEEN 1 AND next_seq),
    created_at_ms  BIGINT  NOT NULL CHECK (created_at_ms >= 0),
    updated_at_ms  BIGINT  NOT NULL CHECK (updated_at_ms >= 0),
    CHECK ((lease_owner IS NULL) = (lease_until_ms IS NULL)),
    CHECK ((lease_owner IS NULL) = (lease_seq IS NULL))
);

CREATE INDEX tasks_due ON tasks (wake_at_ms, ordinal) WHERE wake_at_ms IS NOT NULL;
CREATE INDEX tasks_open ON tasks (ordinal) WHERE wake_at_ms IS NOT NULL;

-- What a trigger refuses is said by its argument.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = TG_ARGV[0];
END $$;

CREATE TRIGGER tasks_final_is_final BEFORE UPDATE OF wake_at_ms ON tasks FOR EACH ROW
WHEN (OLD.wake_at_ms IS NULL AND NEW.wake_at_ms IS NOT NULL)
EXECUTE FUNCTION refuse('a final task stays final');

CREATE TRIGGER tasks_identity_is_fixed BEFORE UPDATE OF task_id, terms_hash, payment_id, client_id ON tasks FOR EACH ROW
EXECUTE FUNCTION refuse('a task keeps its identity');

CREATE TRIGGER tasks_are_kept BEFORE DELETE ON tasks FOR EACH ROW
EXECUTE FUNCTION refuse('tasks are kept');

CREATE TABLE journal (
    task          BIGINT  NOT NULL REFERENCES tasks (ordinal),
    seq           BIGINT  NOT NULL CHECK (seq >= 0),
    record        BYTEA   NOT NULL CHECK (octet_length(record) BETWEEN 1 AND 16777216),
    stored_at_ms  BIGINT  NOT NULL CHECK (stored_at_ms >= 0),
    PRIMARY KEY (task, seq)
);

CREATE TRIGGER journal_is_append_only BEFORE UPDATE OR DELETE ON journal FOR EACH ROW
EXECUTE FUNCTION refuse('the journal is append-only');

CREATE TABLE money (
    ordinal  BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key      TEXT    NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 256),
    task     BIGINT  NOT NULL REFERENCES tasks (ordinal),
    body     BYTEA   NOT NULL CHECK (octet_length(body) BETWEEN 1 AND 1048576),
    state    TEXT    NOT NULL CHECK (state IN ('planned', 'submitted', 'final')),
    outcome  TEXT    CHECK (length(outcome) BETWEEN 1 AND 1024),
    CHECK ((state = 'final') = (outcome IS NOT NULL))
);

CREATE INDEX money_open ON money (task, ordinal) WHERE state <> 'final';

CREATE TRIGGER money_final_is_final BEFORE UPDATE ON money FOR EACH ROW WHEN (OLD.state = 'final')
EXECUTE FUNCTION refuse('a final money effect stays final');

CREATE TRIGGER money_bytes_are_fixed BEFORE UPDATE OF key, task, body ON money FOR EACH ROW
EXECUTE FUNCTION refuse('money bytes are never rebuilt');

CREATE TRIGGER money_is_kept BEFORE DELETE ON money FOR EACH ROW
EXECUTE FUNCTION refuse('money effects are kept');

CREATE TABLE directory_signers (
    signer   TEXT    NOT NULL PRIMARY KEY CHECK (length(signer) BETWEEN 1 AND 128),
    entries  BIGINT  NOT NULL CHECK (entries BETWEEN 0 AND 1024)
);

CREATE TABLE directory (
    kind           TEXT    NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
    signer         TEXT    NOT NULL REFERENCES directory_signers (signer),
    slot           TEXT    NOT NULL CHECK (length(slot) <= 128),
    seq            BIGINT  NOT NULL CHECK (seq >= 0),
    cid            BYTEA   NOT NULL UNIQUE CHECK (octet_length(cid) = 32),
    expires_at_ms  BIGINT  NOT NULL CHECK (expires_at_ms >= 0),
    object         BYTEA   NOT NULL CHECK (octet_length(object) BETWEEN 2 AND 1048576),
    PRIMARY KEY (kind, signer, slot)
);

CREATE INDEX directory_pages ON directory (kind, cid);

CREATE TABLE blobs (
    cid    BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(cid) = 32),
    bytes  BYTEA NOT NULL CHECK (octet_length(bytes) <= 16777216)
);

CREATE TRIGGER blobs_are_kept BEFORE DELETE ON blobs FOR EACH ROW
EXECUTE FUNCTION refuse('content is kept');
