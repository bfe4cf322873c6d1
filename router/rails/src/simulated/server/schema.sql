-- Schema 1 of the simulated chain. One writer; every row below changes in the transaction that says why.
-- Units are base units: 0 to 2^63 - 1, held by the faucet's limit per asset, so no sum can overflow.

CREATE TABLE chain (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    height   INTEGER NOT NULL CHECK (height >= 0),
    offset_s INTEGER NOT NULL CHECK (offset_s >= 0),
    last_at  INTEGER NOT NULL CHECK (last_at >= 0)
) STRICT;
INSERT INTO chain (id, height, offset_s, last_at) VALUES (1, 0, 0, 0);

CREATE TABLE supply (
    asset  BLOB PRIMARY KEY CHECK (length(asset) = 32),
    minted INTEGER NOT NULL CHECK (minted > 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE balances (
    account BLOB NOT NULL CHECK (length(account) = 32),
    asset   BLOB NOT NULL CHECK (length(asset) = 32),
    units   INTEGER NOT NULL CHECK (units >= 0),
    PRIMARY KEY (account, asset)
) STRICT, WITHOUT ROWID;

-- What has taken effect, by the name of the effect: a second request for the same effect gets this row.
CREATE TABLE effects (
    effect         TEXT PRIMARY KEY,
    transaction_id BLOB NOT NULL CHECK (length(transaction_id) = 32),
    height         INTEGER NOT NULL CHECK (height > 0),
    at             INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE payments (
    payment_id     BLOB PRIMARY KEY CHECK (length(payment_id) = 32),
    payer          BLOB NOT NULL CHECK (length(payer) = 32),
    nonce          BLOB NOT NULL CHECK (length(nonce) = 32),
    units          INTEGER NOT NULL CHECK (units > 0),
    transaction_id BLOB NOT NULL CHECK (length(transaction_id) = 32),
    height         INTEGER NOT NULL CHECK (height > 0),
    at             INTEGER NOT NULL,
    UNIQUE (payer, nonce)
) STRICT, WITHOUT ROWID;

-- Everything that ever arrived anywhere.
CREATE TABLE deposits (
    seq     INTEGER PRIMARY KEY,
    account BLOB NOT NULL CHECK (length(account) = 32),
    asset   BLOB NOT NULL CHECK (length(asset) = 32),
    units   INTEGER NOT NULL CHECK (units > 0),
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX deposits_by_size ON deposits (account, asset, units DESC, seq);

-- Encoded ledger state of each vault with a record on chain (settlement spec 2.2).
CREATE TABLE vaults (
    terms_hash BLOB PRIMARY KEY CHECK (length(terms_hash) = 32),
    state      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Terms that were stored once; never removed, so that anybody can always sweep (M5b).
CREATE TABLE terms (
    terms_hash BLOB PRIMARY KEY CHECK (length(terms_hash) = 32),
    terms      BLOB NOT NULL CHECK (length(terms) = 304)
) STRICT, WITHOUT ROWID;

-- Immutable, never removed.
CREATE TABLE validator_sets (
    set_hash  BLOB PRIMARY KEY CHECK (length(set_hash) = 32),
    threshold INTEGER NOT NULL CHECK (threshold BETWEEN 1 AND 16),
    keys      BLOB NOT NULL CHECK (length(keys) BETWEEN 32 AND 512 AND length(keys) % 32 = 0)
) STRICT, WITHOUT ROWID;

-- History of executed receipts; outlives the vault's record. At most one per terms hash, for ever.
CREATE TABLE settlements (
    terms_hash     BLOB PRIMARY KEY CHECK (length(terms_hash) = 32),
    receipt_cid    BLOB NOT NULL CHECK (length(receipt_cid) = 32),
    refunded       INTEGER NOT NULL CHECK (refunded >= 0),
    transaction_id BLOB NOT NULL CHECK (length(transaction_id) = 32),
    height         INTEGER NOT NULL CHECK (height > 0),
    at             INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE settlement_rows (
    terms_hash BLOB NOT NULL REFERENCES settlements (terms_hash),
    position   INTEGER NOT NULL CHECK (position >= 0),
    payee      BLOB NOT NULL CHECK (length(payee) = 32),
    kind       TEXT NOT NULL CHECK (kind IN ('worker', 'validator', 'creator', 'gateway')),
    units      INTEGER NOT NULL CHECK (units >= 0),
    credited   INTEGER NOT NULL CHECK (credited IN (0, 1)),
    PRIMARY KEY (terms_hash, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    seq            INTEGER PRIMARY KEY,
    at             INTEGER NOT NULL,
    height         INTEGER NOT NULL CHECK (height > 0),
    transaction_id BLOB NOT NULL CHECK (length(transaction_id) = 32),
    body           TEXT NOT NULL
) STRICT;

-- The outside world's misbehaviour.
CREATE TABLE unpayable (
    account BLOB PRIMARY KEY CHECK (length(account) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE faults (
    fault     TEXT PRIMARY KEY,
    remaining INTEGER NOT NULL CHECK (remaining > 0)
) STRICT, WITHOUT ROWID;
