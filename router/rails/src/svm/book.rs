//! The book of signed transactions: which intent is which bytes, durable before anything is sent.
//!
//! One file per key, held exclusively. A row is written and synced before its first broadcast, so after any crash
//! the same intent is found with the same bytes and can only be sent again; it gets new bytes only once the old
//! ones are proven void. The book also knows what the key has spent of late, and which vaults are to be tidied up.

use std::path::Path;
use std::time::Duration;

use d402_objects::Hex32;
use d402_svm::Signature;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

/// Longest wait for a file another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS transactions (
    message    BLOB PRIMARY KEY,
    intent     BLOB NOT NULL,
    attempt    INTEGER NOT NULL,
    signature  BLOB NOT NULL UNIQUE,
    raw        BLOB NOT NULL,
    last_valid INTEGER NOT NULL,
    lamports   INTEGER NOT NULL,
    signed_ms  INTEGER NOT NULL,
    UNIQUE (intent, attempt)
) STRICT;
CREATE INDEX IF NOT EXISTS transactions_by_time ON transactions (signed_ms);
CREATE TABLE IF NOT EXISTS vaults (
    terms      BLOB PRIMARY KEY,
    due_s      INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS vaults_by_due ON vaults (due_s);
CREATE TABLE IF NOT EXISTS approvals (
    digest     BLOB PRIMARY KEY,
    terms      BLOB NOT NULL
) STRICT;
";

/// What is older is forgotten: void long ago, and what it was for is on the chain or past `refundAfter`.
const KEPT_MS: u64 = 60 * 86_400_000;

/// Why the book does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// The database failed, or another process holds it.
    #[error("transaction book")]
    Database(#[from] sqlx::Error),
    /// What is stored is not what was written.
    #[error("transaction book is damaged: {what}")]
    Damaged {
        /// Which part.
        what: &'static str,
    },
}

/// A transaction that may have been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// SHA-256 of the message.
    pub message: Hex32,
    /// What it is for.
    pub intent: Hex32,
    /// Which try, from 0.
    pub attempt: u32,
    /// Its name on the chain.
    pub signature: Signature,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// It is void in every block above this height.
    pub last_valid: u64,
    /// The most it may cost its payer.
    pub lamports: u64,
    /// Wall clock, ms.
    pub signed_ms: u64,
}

/// The book of one key.
#[derive(Debug)]
pub struct TransactionBook {
    database: SqliteConnection,
}

impl TransactionBook {
    /// Opens or makes the book.
    ///
    /// # Errors
    /// [`BookError::Database`] also when another process holds it.
    pub async fn open(path: &Path) -> Result<Self, BookError> {
        let mut database = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(BUSY_TIMEOUT)
            .locking_mode(SqliteLockingMode::Exclusive)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging()
            .connect()
            .await?;
        sqlx::raw_sql(SCHEMA).execute(&mut database).await?;
        Ok(Self { database })
    }

    /// The newest transaction of an intent.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn find(&mut self, intent: Hex32) -> Result<Option<Entry>, BookError> {
        let row = sqlx::query(
            "SELECT * FROM transactions WHERE intent = ? ORDER BY attempt DESC LIMIT 1",
        )
        .bind(intent.as_bytes().to_vec())
        .fetch_optional(&mut self.database)
        .await?;
        row.as_ref().map(entry).transpose()
    }

    /// Writes a transaction, durable when this returns, and forgets those of two months ago.
    ///
    /// # Errors
    /// [`BookError::Database`] also when the message, or this try of the intent, is there already.
    pub async fn add(&mut self, entry: &Entry) -> Result<(), BookError> {
        let mut writing = self.database.begin().await?;
        sqlx::query("DELETE FROM transactions WHERE signed_ms < ?")
            .bind(signed(entry.signed_ms.saturating_sub(KEPT_MS))?)
            .execute(&mut *writing)
            .await?;
        sqlx::query(
            "INSERT INTO transactions \
             (message, intent, attempt, signature, raw, last_valid, lamports, signed_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(entry.message.as_bytes().to_vec())
        .bind(entry.intent.as_bytes().to_vec())
        .bind(entry.attempt)
        .bind(entry.signature.as_ref().to_vec())
        .bind(&entry.raw)
        .bind(signed(entry.last_valid)?)
        .bind(signed(entry.lamports)?)
        .bind(signed(entry.signed_ms)?)
        .execute(&mut *writing)
        .await?;
        writing.commit().await?;
        Ok(())
    }

    /// The most this key may have spent on what was signed since a moment.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn spent_since(&mut self, since_ms: u64) -> Result<u64, BookError> {
        let (sum,): (i64,) = sqlx::query_as(
            "SELECT COALESCE(SUM(lamports), 0) FROM transactions WHERE signed_ms >= ?",
        )
        .bind(signed(since_ms)?)
        .fetch_one(&mut self.database)
        .await?;
        unsigned(sum, "lamports")
    }

    /// Remembers a vault to be looked at from `due_s` on; a later moment never replaces an earlier one.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn watch(&mut self, terms: &[u8], due_s: i64) -> Result<(), BookError> {
        sqlx::query("INSERT INTO vaults (terms, due_s) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(terms)
            .bind(due_s)
            .execute(&mut self.database)
            .await?;
        Ok(())
    }

    /// Moves the moment of a vault, or forgets it.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn postpone(&mut self, terms: &[u8], due_s: Option<i64>) -> Result<(), BookError> {
        let query = match due_s {
            Some(due_s) => sqlx::query("UPDATE vaults SET due_s = ? WHERE terms = ?")
                .bind(due_s)
                .bind(terms),
            None => {
                sqlx::query("DELETE FROM approvals WHERE terms = ?")
                    .bind(terms)
                    .execute(&mut self.database)
                    .await?;
                sqlx::query("DELETE FROM vaults WHERE terms = ?").bind(terms)
            }
        };
        query.execute(&mut self.database).await?;
        Ok(())
    }

    /// Terms of vaults that are due, longest first, at most `limit`.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn due(&mut self, now_s: i64, limit: u32) -> Result<Vec<Vec<u8>>, BookError> {
        let rows: Vec<(Vec<u8>,)> =
            sqlx::query_as("SELECT terms FROM vaults WHERE due_s <= ? ORDER BY due_s LIMIT ?")
                .bind(now_s)
                .bind(limit)
                .fetch_all(&mut self.database)
                .await?;
        Ok(rows.into_iter().map(|(terms,)| terms).collect())
    }

    /// Remembers that signatures over a digest were put on chain.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn add_approval(&mut self, digest: [u8; 32], terms: &[u8]) -> Result<(), BookError> {
        sqlx::query("INSERT INTO approvals (digest, terms) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(digest.to_vec())
            .bind(terms)
            .execute(&mut self.database)
            .await?;
        Ok(())
    }

    /// Digests whose signatures were put on chain for these terms.
    ///
    /// # Errors
    /// [`BookError`].
    pub async fn approvals(&mut self, terms: &[u8]) -> Result<Vec<[u8; 32]>, BookError> {
        let rows: Vec<(Vec<u8>,)> = sqlx::query_as("SELECT digest FROM approvals WHERE terms = ?")
            .bind(terms)
            .fetch_all(&mut self.database)
            .await?;
        rows.iter()
            .map(|(digest,)| fixed(digest, "digest"))
            .collect()
    }
}

fn entry(row: &SqliteRow) -> Result<Entry, BookError> {
    let bytes = |name: &'static str| -> Result<Vec<u8>, BookError> { Ok(row.try_get(name)?) };
    Ok(Entry {
        message: Hex32::from_bytes(fixed(&bytes("message")?, "message")?),
        intent: Hex32::from_bytes(fixed(&bytes("intent")?, "intent")?),
        attempt: row.try_get("attempt")?,
        signature: Signature::from(fixed::<64>(&bytes("signature")?, "signature")?),
        raw: bytes("raw")?,
        last_valid: unsigned(row.try_get("last_valid")?, "last_valid")?,
        lamports: unsigned(row.try_get("lamports")?, "lamports")?,
        signed_ms: unsigned(row.try_get("signed_ms")?, "signed_ms")?,
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

    fn entry(message: u8, intent: u8, attempt: u32) -> Entry {
        Entry {
            message: Hex32::from_bytes([message; 32]),
            intent: Hex32::from_bytes([intent; 32]),
            attempt,
            signature: Signature::from([message; 64]),
            raw: vec![message; 300],
            last_valid: 150,
            lamports: 5_000,
            signed_ms: u64::from(message),
        }
    }

    async fn open(folder: &Path) -> TransactionBook {
        TransactionBook::open(&folder.join("book.sqlite"))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_was_written_is_there_after_a_restart_with_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = open(folder.path()).await;
        book.add(&entry(1, 9, 0)).await.unwrap();
        book.add(&entry(2, 9, 1)).await.unwrap();
        drop(book);
        let mut book = open(folder.path()).await;
        let newest = book.find(Hex32::from_bytes([9; 32])).await.unwrap();
        assert_eq!(newest, Some(entry(2, 9, 1)));
        assert_eq!(book.spent_since(2).await.unwrap(), 5_000);
        assert_eq!(book.spent_since(0).await.unwrap(), 10_000);
    }

    #[tokio::test]
    async fn a_message_or_a_try_is_written_once_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = open(folder.path()).await;
        book.add(&entry(1, 9, 0)).await.unwrap();
        assert!(book.add(&entry(1, 8, 0)).await.is_err(), "message 1");
        assert!(book.add(&entry(2, 9, 0)).await.is_err(), "first try of 9");
    }

    #[tokio::test]
    async fn the_book_forgets_after_two_months_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = open(folder.path()).await;
        let at = |message, signed_ms| Entry {
            signed_ms,
            ..entry(message, message, 0)
        };
        book.add(&at(1, 1_000)).await.unwrap();
        book.add(&at(2, 1_000 + KEPT_MS)).await.unwrap();
        assert!(
            book.find(Hex32::from_bytes([1; 32]))
                .await
                .unwrap()
                .is_some()
        );
        book.add(&at(3, 1_001 + KEPT_MS)).await.unwrap();
        assert_eq!(book.find(Hex32::from_bytes([1; 32])).await.unwrap(), None);
        assert!(
            book.find(Hex32::from_bytes([2; 32]))
                .await
                .unwrap()
                .is_some()
        );
    }

    #[tokio::test]
    async fn two_processes_cannot_hold_one_book() {
        let folder = tempfile::tempdir().unwrap();
        let mut held = open(folder.path()).await;
        held.add(&entry(1, 7, 0)).await.unwrap();
        let other = TransactionBook::open(&folder.path().join("book.sqlite")).await;
        let Ok(mut other) = other else { return };
        assert!(other.spent_since(0).await.is_err(), "a second holder");
    }

    #[tokio::test]
    async fn a_vault_is_due_from_its_moment_on_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = open(folder.path()).await;
        book.watch(b"terms", 100).await.unwrap();
        book.watch(b"terms", 900).await.unwrap();
        assert_eq!(book.due(99, 8).await.unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(book.due(100, 8).await.unwrap(), [b"terms".to_vec()]);
        book.postpone(b"terms", Some(200)).await.unwrap();
        assert_eq!(book.due(199, 8).await.unwrap(), Vec::<Vec<u8>>::new());
        book.postpone(b"terms", None).await.unwrap();
        assert_eq!(book.due(900, 8).await.unwrap(), Vec::<Vec<u8>>::new());
    }
}
