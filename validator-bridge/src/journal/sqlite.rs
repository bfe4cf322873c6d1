//! The journal on SQLite: one writer connection, every statement of trust in its own `BEGIN IMMEDIATE`
//! transaction with `synchronous = FULL`.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use d402_objects::{Cid, Hex32};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Row as _, Sqlite, Transaction};

use super::schema::{V1, VERSION};
use super::{
    AckRecord, AckVerdict, CaseStore, JournalError, ReadyVerdict, SettlementRecord,
    SettlementVerdict, SignJournal,
};

/// Longest wait for the file lock or a connection.
const BUSY: Duration = Duration::from_secs(5);
/// Most objects kept per task: more than the slots of [`Evidence`](d402_settlement::market::Evidence) hold in
/// the worst case (64 leases and accepts, 128 commits and claims, 2 acks of 16 validators per lease, 3 verdicts
/// of 16 validators per claim, one notice), so that evidence that was admitted is always stored.
pub(super) const MAX_OBJECTS_PER_TASK: u32 = 8_704;

/// The journal file of one validator.
#[derive(Clone, Debug)]
pub struct SqliteJournal {
    pub(super) pool: SqlitePool,
}

impl From<sqlx::Error> for JournalError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error)
    }
}

impl SqliteJournal {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// [`JournalError::Broken`] when the file was written by a newer version.
    pub async fn open(path: &Path) -> Result<Self, JournalError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        // One connection: exclusivity is a property of the file, not of luck.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY)
            .connect_with(options)
            .await?;
        let journal = Self { pool };
        journal.migrate().await?;
        Ok(journal)
    }

    async fn migrate(&self) -> Result<(), JournalError> {
        let version: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&self.pool)
            .await?;
        if version > VERSION {
            return Err(JournalError::Broken {
                what: "journal file is of a newer version",
            });
        }
        if version == VERSION {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        for statement in V1 {
            sqlx::query(*statement).execute(&mut *tx).await?;
        }
        sqlx::query("PRAGMA user_version = 1")
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, JournalError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }
}

fn hex32(row: &sqlx::sqlite::SqliteRow, column: &str) -> Result<Hex32, JournalError> {
    let bytes: Vec<u8> = row.try_get(column)?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| JournalError::Broken {
        what: "stored id is not 32 bytes",
    })?;
    Ok(Hex32::from_bytes(bytes))
}

async fn settlement_of(
    tx: &mut Transaction<'static, Sqlite>,
    record: &SettlementRecord,
) -> Result<Option<Hex32>, JournalError> {
    let row = sqlx::query("SELECT digest FROM settlement WHERE verifier = ? AND terms_hash = ?")
        .bind(&record.verifier)
        .bind(record.terms_hash.as_bytes().to_vec())
        .fetch_optional(&mut **tx)
        .await?;
    row.as_ref().map(|r| hex32(r, "digest")).transpose()
}

#[async_trait]
impl SignJournal for SqliteJournal {
    async fn ack(&self, record: &AckRecord) -> Result<AckVerdict, JournalError> {
        let mut tx = self.begin().await?;
        let task = record.task_id.as_bytes().to_vec();
        let rows = sqlx::query(
            "SELECT set_root, lease_cid, commitment, rank, at_ms FROM ack WHERE task_id = ? AND attempt = ? ORDER BY rank",
        )
        .bind(task.clone())
        .bind(i64::from(record.attempt))
        .fetch_all(&mut *tx)
        .await?;
        for row in &rows {
            let first = hex32(row, "set_root")?;
            if first != record.set_root {
                return Ok(AckVerdict::OtherSet { first });
            }
            if hex32(row, "lease_cid")?.as_bytes() == record.lease_cid.as_bytes() {
                let first = hex32(row, "commitment")?;
                if first != record.commit {
                    return Ok(AckVerdict::OtherCommit { first });
                }
                let rank: i64 = row.try_get("rank")?;
                let at_ms: i64 = row.try_get("at_ms")?;
                let broken = |_| JournalError::Broken {
                    what: "stored rank or time out of range",
                };
                return Ok(AckVerdict::Sign {
                    rank: u8::try_from(rank).map_err(broken)?,
                    at_ms: u64::try_from(at_ms).map_err(broken)?,
                });
            }
        }
        let rank = u8::try_from(rows.len())
            .ok()
            .and_then(|r| r.checked_add(1))
            .ok_or(JournalError::Broken {
                what: "more acks in one attempt than leases can be",
            })?;
        sqlx::query("INSERT INTO ack (task_id, attempt, set_root, lease_cid, commitment, rank, at_ms) VALUES (?,?,?,?,?,?,?)")
            .bind(task)
            .bind(i64::from(record.attempt))
            .bind(record.set_root.as_bytes().to_vec())
            .bind(record.lease_cid.as_bytes().to_vec())
            .bind(record.commit.as_bytes().to_vec())
            .bind(i64::from(rank))
            .bind(i64::try_from(record.at_ms).unwrap_or(i64::MAX))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(AckVerdict::Sign {
            rank,
            at_ms: record.at_ms,
        })
    }

    async fn ready(
        &self,
        task_id: Cid,
        round: u32,
        digest: Hex32,
        record: &SettlementRecord,
    ) -> Result<ReadyVerdict, JournalError> {
        let mut tx = self.begin().await?;
        if let Some(signed) = settlement_of(&mut tx, record).await?
            && signed != digest
        {
            return Ok(ReadyVerdict::AlreadySigned { digest: signed });
        }
        let row = sqlx::query("SELECT digest FROM ready WHERE task_id = ? AND round = ?")
            .bind(task_id.as_bytes().to_vec())
            .bind(i64::from(round))
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(row) = row {
            let first = hex32(&row, "digest")?;
            return Ok(if first == digest {
                ReadyVerdict::Sign
            } else {
                ReadyVerdict::OtherDigest { digest: first }
            });
        }
        sqlx::query("INSERT INTO ready (task_id, round, digest) VALUES (?,?,?)")
            .bind(task_id.as_bytes().to_vec())
            .bind(i64::from(round))
            .bind(digest.as_bytes().to_vec())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(ReadyVerdict::Sign)
    }

    async fn settlement(
        &self,
        record: &SettlementRecord,
    ) -> Result<SettlementVerdict, JournalError> {
        let mut tx = self.begin().await?;
        if let Some(digest) = settlement_of(&mut tx, record).await? {
            return Ok(if digest == record.digest {
                SettlementVerdict::Sign
            } else {
                SettlementVerdict::AlreadySigned { digest }
            });
        }
        if record.paid {
            let row =
                sqlx::query("SELECT terms_hash FROM settlement WHERE task_id = ? AND paid = 1")
                    .bind(record.task_id.as_bytes().to_vec())
                    .fetch_optional(&mut *tx)
                    .await?;
            if let Some(row) = row {
                return Ok(SettlementVerdict::PaidElsewhere {
                    terms_hash: hex32(&row, "terms_hash")?,
                });
            }
        }
        sqlx::query("INSERT INTO settlement (verifier, terms_hash, task_id, digest, paid) VALUES (?,?,?,?,?)")
            .bind(&record.verifier)
            .bind(record.terms_hash.as_bytes().to_vec())
            .bind(record.task_id.as_bytes().to_vec())
            .bind(record.digest.as_bytes().to_vec())
            .bind(i64::from(record.paid))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(SettlementVerdict::Sign)
    }

    async fn paid_under(&self, task_id: Cid) -> Result<Option<Hex32>, JournalError> {
        let row = sqlx::query("SELECT terms_hash FROM settlement WHERE task_id = ? AND paid = 1")
            .bind(task_id.as_bytes().to_vec())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(|r| hex32(r, "terms_hash")).transpose()
    }
}

#[async_trait]
impl CaseStore for SqliteJournal {
    async fn put_dossier(
        &self,
        task_id: Cid,
        bytes: &[u8],
        keep_until_ms: u64,
    ) -> Result<(), JournalError> {
        sqlx::query("INSERT INTO dossier (task_id, bytes, keep_until_ms) VALUES (?,?,?) ON CONFLICT DO NOTHING")
            .bind(task_id.as_bytes().to_vec())
            .bind(bytes.to_vec())
            .bind(i64::try_from(keep_until_ms).unwrap_or(i64::MAX))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn dossier(&self, task_id: Cid) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(
            sqlx::query_scalar("SELECT bytes FROM dossier WHERE task_id = ?")
                .bind(task_id.as_bytes().to_vec())
                .fetch_optional(&self.pool)
                .await?,
        )
    }

    async fn put_object(&self, task_id: Cid, cid: Cid, bytes: &[u8]) -> Result<(), JournalError> {
        let done = sqlx::query(
            "INSERT INTO object (task_id, cid, bytes) SELECT ?1, ?2, ?3
             WHERE (SELECT count(*) FROM object WHERE task_id = ?1) < ?4 ON CONFLICT DO NOTHING",
        )
        .bind(task_id.as_bytes().to_vec())
        .bind(cid.as_bytes().to_vec())
        .bind(bytes.to_vec())
        .bind(i64::from(MAX_OBJECTS_PER_TASK))
        .execute(&self.pool)
        .await?;
        if done.rows_affected() > 0 {
            return Ok(());
        }
        // Nothing was written: it is there already, or there is no place for it.
        let known: Option<i64> =
            sqlx::query_scalar("SELECT seq FROM object WHERE task_id = ? AND cid = ?")
                .bind(task_id.as_bytes().to_vec())
                .bind(cid.as_bytes().to_vec())
                .fetch_optional(&self.pool)
                .await?;
        known.map(|_| ()).ok_or(JournalError::Full {
            task_id,
            max: MAX_OBJECTS_PER_TASK,
        })
    }

    async fn objects(&self, task_id: Cid) -> Result<Vec<Vec<u8>>, JournalError> {
        Ok(
            sqlx::query_scalar("SELECT bytes FROM object WHERE task_id = ? ORDER BY seq")
                .bind(task_id.as_bytes().to_vec())
                .fetch_all(&self.pool)
                .await?,
        )
    }

    async fn put_blob(&self, task_id: Cid, cid: Cid, bytes: &[u8]) -> Result<(), JournalError> {
        sqlx::query("INSERT INTO blob (task_id, cid, bytes) VALUES (?,?,?) ON CONFLICT DO NOTHING")
            .bind(task_id.as_bytes().to_vec())
            .bind(cid.as_bytes().to_vec())
            .bind(bytes.to_vec())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn blob(&self, task_id: Cid, cid: Cid) -> Result<Option<Vec<u8>>, JournalError> {
        let bytes: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT bytes FROM blob WHERE task_id = ? AND cid = ?")
                .bind(task_id.as_bytes().to_vec())
                .bind(cid.as_bytes().to_vec())
                .fetch_optional(&self.pool)
                .await?;
        match bytes {
            Some(bytes) if Cid::of(&bytes) != cid => Err(JournalError::Broken {
                what: "content does not hash to its CID",
            }),
            Some(_) | None => Ok(bytes),
        }
    }

    async fn prune(&self, now_ms: u64) -> Result<u64, JournalError> {
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let mut tx = self.begin().await?;
        for statement in [
            "DELETE FROM object WHERE task_id IN (SELECT task_id FROM dossier WHERE keep_until_ms < ?)",
            "DELETE FROM blob WHERE task_id IN (SELECT task_id FROM dossier WHERE keep_until_ms < ?)",
        ] {
            sqlx::query(statement).bind(now).execute(&mut *tx).await?;
        }
        let done = sqlx::query("DELETE FROM dossier WHERE keep_until_ms < ?")
            .bind(now)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }
}
