//! The nonce book: which intent has which nonce, durable before anything is sent.
//!
//! One file per signer key, held exclusively: two processes with one key would give one nonce to two
//! intents. A row is written and synced before its first broadcast, so after any crash the same intent is
//! found with the same bytes and can only be sent again, never made again.

use std::path::Path;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes};
use d402_objects::Hex32;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

/// Longest wait for a file another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Most versions of one transaction.
pub(super) const MAX_VERSIONS: i64 = 12;

/// A slot is a nonce and what it was given to. An intent has one slot, unless the chain executed it without
/// effect and it was tried again.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS slots (
    signer     BLOB NOT NULL,
    nonce      INTEGER NOT NULL,
    key        BLOB NOT NULL,
    attempt    INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    target     BLOB NOT NULL,
    input      BLOB NOT NULL,
    gas        INTEGER NOT NULL,
    PRIMARY KEY (signer, nonce),
    UNIQUE (signer, key, attempt)
) STRICT;
CREATE TABLE IF NOT EXISTS signed (
    hash       BLOB PRIMARY KEY,
    signer     BLOB NOT NULL,
    nonce      INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    raw        BLOB NOT NULL,
    max_fee    TEXT NOT NULL,
    tip        TEXT NOT NULL,
    sent_ms    INTEGER NOT NULL,
    UNIQUE (signer, nonce, version),
    FOREIGN KEY (signer, nonce) REFERENCES slots (signer, nonce) ON DELETE CASCADE
) STRICT;
";
/// Books of the first form had one row per intent, and lost it when the chain executed it without effect.
const FROM_FIRST_FORM: &str = "
BEGIN IMMEDIATE;
INSERT INTO slots
    SELECT signer, nonce, key, 0, created_ms, target, input, gas FROM intents;
INSERT INTO signed
    SELECT v.hash, i.signer, i.nonce, v.version, v.raw, v.max_fee, v.tip, v.sent_ms
    FROM versions v JOIN intents i ON i.key = v.key;
DROP TABLE versions;
DROP TABLE intents;
COMMIT;
";

/// Why the book does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// The database failed, or another process holds it.
    #[error("nonce book")]
    Database(#[from] sqlx::Error),
    /// What is stored is not what was written.
    #[error("nonce book is damaged: {what}")]
    Damaged {
        /// Which part.
        what: &'static str,
    },
}

/// A nonce given to an intent, and everything that was ever signed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// SHA-256 of the money effect's bytes.
    pub key: Hex32,
    /// How often the intent was given a nonce before.
    pub attempt: u32,
    /// The nonce.
    pub nonce: u64,
    /// Called contract.
    pub target: Address,
    /// Calldata.
    pub input: Bytes,
    /// Gas limit.
    pub gas: u64,
    /// Signed versions, oldest first; all with the same nonce, so at most one is ever executed.
    pub versions: Vec<Version>,
}

/// One signed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Hash.
    pub hash: B256,
    /// Bytes.
    pub raw: Bytes,
    /// Wei per gas.
    pub max_fee: u128,
    /// Wei per gas.
    pub tip: u128,
    /// When it was signed, wall clock, ms.
    pub sent_ms: u64,
}

/// The book of one signer.
#[derive(Debug)]
pub struct NonceBook {
    database: SqliteConnection,
    signer: Address,
}

impl NonceBook {
    /// Opens or makes the book.
    ///
    /// # Errors
    /// [`BookError::Database`] also when another process holds it.
    pub async fn open(path: &Path, signer: Address) -> Result<Self, BookError> {
        let mut database = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .locking_mode(SqliteLockingMode::Exclusive)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging()
            .connect()
            .await?;
        sqlx::raw_sql(SCHEMA).execute(&mut database).await?;
        let (first_form,): (i64,) =
            sqlx::query_as("SELECT COUNT(*) FROM sqlite_master WHERE name = 'intents'")
                .fetch_one(&mut database)
                .await?;
        if first_form != 0 {
            sqlx::raw_sql(FROM_FIRST_FORM)
                .execute(&mut database)
                .await?;
        }
        Ok(Self { database, signer })
    }

    /// The entries of an intent, oldest first; none when it is new.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn find(&mut self, key: Hex32) -> Result<Vec<Entry>, BookError> {
        let rows = sqlx::query("SELECT * FROM slots WHERE signer = ? AND key = ? ORDER BY attempt")
            .bind(self.signer.to_vec())
            .bind(key.as_bytes().to_vec())
            .fetch_all(&mut self.database)
            .await?;
        self.entries(&rows).await
    }

    /// Entries with a nonce in `[from, below)`, lowest first, at most `limit`.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn between(
        &mut self,
        (from, below): (u64, u64),
        limit: u32,
    ) -> Result<Vec<Entry>, BookError> {
        let rows = sqlx::query(
            "SELECT * FROM slots WHERE signer = ? AND nonce >= ? AND nonce < ? ORDER BY nonce LIMIT ?",
        )
        .bind(self.signer.to_vec())
        .bind(signed(from)?)
        .bind(signed(below)?)
        .bind(limit)
        .fetch_all(&mut self.database)
        .await?;
        self.entries(&rows).await
    }

    /// The lowest nonce this book has not given away.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn next_nonce(&mut self) -> Result<u64, BookError> {
        let (highest,): (Option<i64>,) =
            sqlx::query_as("SELECT MAX(nonce) FROM slots WHERE signer = ?")
                .bind(self.signer.to_vec())
                .fetch_one(&mut self.database)
                .await?;
        match highest {
            Some(highest) => unsigned(highest, "nonce").map(|n| n.saturating_add(1)),
            None => Ok(0),
        }
    }

    /// Writes a new entry with its first version, durable when this returns.
    ///
    /// # Errors
    /// [`BookError::Database`] also when the nonce or this attempt of the intent are taken.
    pub async fn add(&mut self, entry: &Entry) -> Result<(), BookError> {
        let [first] = entry.versions.as_slice() else {
            return Err(BookError::Damaged { what: "versions" });
        };
        let mut transaction = self.database.begin().await?;
        sqlx::query(
            "INSERT INTO slots (signer, nonce, key, attempt, created_ms, target, input, gas) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(self.signer.to_vec())
        .bind(signed(entry.nonce)?)
        .bind(entry.key.as_bytes().to_vec())
        .bind(entry.attempt)
        .bind(signed(first.sent_ms)?)
        .bind(entry.target.to_vec())
        .bind(entry.input.to_vec())
        .bind(signed(entry.gas)?)
        .execute(&mut *transaction)
        .await?;
        insert_version(&mut transaction, (self.signer, entry.nonce), 0, first).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Adds a version with higher fees, durable when this returns.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn add_version(&mut self, entry: &Entry, version: &Version) -> Result<(), BookError> {
        let number = i64::try_from(entry.versions.len())
            .map_err(|_| BookError::Damaged { what: "versions" })?;
        let mut transaction = self.database.begin().await?;
        insert_version(
            &mut transaction,
            (self.signer, entry.nonce),
            number,
            version,
        )
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Forgets who had a nonce. Only for nonces that are final: until then an undone block can leave a gap
    /// that nobody else can fill, and everything behind it waits for ever.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn forget(&mut self, nonce: u64) -> Result<(), BookError> {
        sqlx::query("DELETE FROM slots WHERE signer = ? AND nonce = ?")
            .bind(self.signer.to_vec())
            .bind(signed(nonce)?)
            .execute(&mut self.database)
            .await?;
        Ok(())
    }

    async fn entries(&mut self, rows: &[SqliteRow]) -> Result<Vec<Entry>, BookError> {
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            entries.push(self.entry(row).await?);
        }
        Ok(entries)
    }

    async fn entry(&mut self, row: &SqliteRow) -> Result<Entry, BookError> {
        let key: Vec<u8> = row.try_get("key")?;
        let nonce: i64 = row.try_get("nonce")?;
        let rows =
            sqlx::query("SELECT * FROM signed WHERE signer = ? AND nonce = ? ORDER BY version")
                .bind(self.signer.to_vec())
                .bind(nonce)
                .fetch_all(&mut self.database)
                .await?;
        let versions = rows.iter().map(version).collect::<Result<Vec<_>, _>>()?;
        Ok(Entry {
            key: Hex32::from_bytes(fixed(&key, "key")?),
            attempt: row.try_get("attempt")?,
            nonce: unsigned(nonce, "nonce")?,
            target: Address::from(fixed(&row.try_get::<Vec<u8>, _>("target")?, "target")?),
            input: row.try_get::<Vec<u8>, _>("input")?.into(),
            gas: unsigned(row.try_get("gas")?, "gas")?,
            versions,
        })
    }
}

async fn insert_version(
    database: &mut SqliteConnection,
    (signer, nonce): (Address, u64),
    number: i64,
    version: &Version,
) -> Result<(), BookError> {
    sqlx::query(
        "INSERT INTO signed (hash, signer, nonce, version, raw, max_fee, tip, sent_ms) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(version.hash.to_vec())
    .bind(signer.to_vec())
    .bind(signed(nonce)?)
    .bind(number)
    .bind(version.raw.to_vec())
    .bind(version.max_fee.to_string())
    .bind(version.tip.to_string())
    .bind(signed(version.sent_ms)?)
    .execute(database)
    .await?;
    Ok(())
}

fn version(row: &SqliteRow) -> Result<Version, BookError> {
    let wei = |name: &'static str| -> Result<u128, BookError> {
        let text: String = row.try_get(name)?;
        text.parse().map_err(|_| BookError::Damaged { what: name })
    };
    Ok(Version {
        hash: B256::from(fixed(&row.try_get::<Vec<u8>, _>("hash")?, "hash")?),
        raw: row.try_get::<Vec<u8>, _>("raw")?.into(),
        max_fee: wei("max_fee")?,
        tip: wei("tip")?,
        sent_ms: unsigned(row.try_get("sent_ms")?, "sent_ms")?,
    })
}

fn fixed<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], BookError> {
    bytes.try_into().map_err(|_| BookError::Damaged { what })
}

fn signed(number: u64) -> Result<i64, BookError> {
    i64::try_from(number).map_err(|_| BookError::Damaged { what: "number" })
}

fn unsigned(number: i64, what: &'static str) -> Result<u64, BookError> {
    u64::try_from(number).map_err(|_| BookError::Damaged { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: u8, nonce: u64) -> Entry {
        Entry {
            key: Hex32::from_bytes([key; 32]),
            attempt: 0,
            nonce,
            target: Address::repeat_byte(3),
            input: Bytes::from_static(b"call"),
            gas: 90_000,
            versions: vec![Version {
                hash: B256::repeat_byte(key),
                raw: Bytes::from_static(b"signed"),
                max_fee: u128::MAX,
                tip: 1,
                sent_ms: 5,
            }],
        }
    }

    #[tokio::test]
    async fn what_was_written_is_there_after_a_restart_with_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book.sqlite");
        let signer = Address::repeat_byte(1);
        let mut book = NonceBook::open(&path, signer).await.unwrap();
        let first = entry(1, 7);
        book.add(&first).await.unwrap();
        let bumped = Version {
            hash: B256::repeat_byte(9),
            ..first.versions[0].clone()
        };
        book.add_version(&first, &bumped).await.unwrap();
        drop(book);
        let mut book = NonceBook::open(&path, signer).await.unwrap();
        let found = book.find(first.key).await.unwrap();
        let versions = vec![first.versions[0].clone(), bumped];
        assert_eq!(found, [Entry { versions, ..first }]);
        assert_eq!(book.next_nonce().await.unwrap(), 8);
    }

    #[tokio::test]
    async fn a_nonce_and_an_attempt_are_given_once_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book.sqlite");
        let mut book = NonceBook::open(&path, Address::ZERO).await.unwrap();
        book.add(&entry(1, 7)).await.unwrap();
        assert!(book.add(&entry(2, 7)).await.is_err(), "nonce 7 is taken");
        assert!(book.add(&entry(1, 8)).await.is_err(), "intent 1 is there");
        let mut again = Entry {
            attempt: 1,
            ..entry(1, 9)
        };
        again.versions[0].hash = B256::repeat_byte(7);
        book.add(&again).await.unwrap();
        let found = book.find(again.key).await.unwrap();
        assert_eq!(found, [entry(1, 7), again.clone()]);
        assert_eq!(book.between((0, 9), 9).await.unwrap(), [entry(1, 7)]);
        book.forget(7).await.unwrap();
        assert_eq!(book.between((0, 99), 9).await.unwrap(), [again]);
    }

    #[tokio::test]
    async fn a_book_of_the_first_form_is_read_on_and_nothing_of_it_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book.sqlite");
        let signer = Address::repeat_byte(1);
        let mut old = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .connect()
            .await
            .unwrap();
        sqlx::raw_sql(FIRST_FORM).execute(&mut old).await.unwrap();
        old.close().await.unwrap();
        for _ in 0..2 {
            let mut book = NonceBook::open(&path, signer).await.unwrap();
            let found = book.between((0, 99), 9).await.unwrap();
            assert_eq!(found.len(), 2);
            assert_eq!(found[0], entry(1, 7));
            assert_eq!(found[1].versions.len(), 2, "both versions of nonce 8");
            assert_eq!(book.next_nonce().await.unwrap(), 9);
        }
    }

    /// What a book of the first form holds after two intents, the second sent with higher fees as well.
    const FIRST_FORM: &str = "
CREATE TABLE intents (
    key BLOB PRIMARY KEY, signer BLOB NOT NULL, nonce INTEGER NOT NULL, created_ms INTEGER NOT NULL,
    target BLOB NOT NULL, input BLOB NOT NULL, gas INTEGER NOT NULL, UNIQUE (signer, nonce)
) STRICT;
CREATE TABLE versions (
    hash BLOB PRIMARY KEY, key BLOB NOT NULL REFERENCES intents(key) ON DELETE CASCADE,
    version INTEGER NOT NULL, raw BLOB NOT NULL, max_fee TEXT NOT NULL, tip TEXT NOT NULL,
    sent_ms INTEGER NOT NULL, UNIQUE (key, version)
) STRICT;
WITH i(k, n) AS (VALUES ('01', 7), ('02', 8))
INSERT INTO intents SELECT unhex(replace(hex(zeroblob(32)), '00', k)),
    unhex(replace(hex(zeroblob(20)), '00', '01')), n, 5,
    unhex(replace(hex(zeroblob(20)), '00', '03')), CAST('call' AS BLOB), 90000 FROM i;
WITH v(h, k, n) AS (VALUES ('01', '01', 0), ('02', '02', 0), ('09', '02', 1))
INSERT INTO versions SELECT unhex(replace(hex(zeroblob(32)), '00', h)),
    unhex(replace(hex(zeroblob(32)), '00', k)), n, CAST('signed' AS BLOB),
    '340282366920938463463374607431768211455', '1', 5 FROM v;
";

    #[tokio::test]
    async fn two_processes_cannot_hold_one_book() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book.sqlite");
        let mut held = NonceBook::open(&path, Address::ZERO).await.unwrap();
        held.add(&entry(1, 7)).await.unwrap();
        let mut other = match NonceBook::open(&path, Address::ZERO).await {
            Ok(book) => book,
            Err(BookError::Database(_)) => return,
            Err(error) => panic!("{error}"),
        };
        assert!(other.next_nonce().await.is_err(), "a second holder");
    }
}
