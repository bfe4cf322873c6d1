//! The embedded database: one file in WAL mode, one writing connection, a few reading ones.
//!
//! One process at a time: a lock file is held while the database is open, so that leases of a process that
//! died can be given back at once.

use std::fs::{File, TryLockError};
use std::path::Path;

use futures::TryStreamExt;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Executor, Row as _, TypeInfo, ValueRef};

use super::value::{Cell, Row, Value};
use super::{MigrateError, Sql, migrate};
use crate::fault::Fault;
use crate::limits::LOCK_TIMEOUT;

/// Connections for reading; WAL lets them read while the writer commits.
const READERS: u32 = 4;

/// Rows a reading connection prepares before they are taken: fewer changes of thread on long journals.
const READ_AHEAD_ROWS: usize = 512;

/// Page cache of the writer, KiB; of each reader a quarter.
const WRITER_CACHE_KIB: u32 = 16 * 1024;

/// Pages of WAL after which the writer moves them into the database, 16 MiB.
const CHECKPOINT_PAGES: u32 = 4096;

/// An open SQLite database.
#[derive(Debug)]
pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Unlocked by `close`, else when the last user of the database is gone.
    lock: File,
}

/// Why the embedded database could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SqliteOpenError {
    /// Another process has it open.
    #[error("another process has it open")]
    InUse,
    /// Files.
    #[error("lock file cannot be used")]
    Lock(#[source] std::io::Error),
    /// The database.
    #[error("database cannot be opened")]
    Database(#[source] sqlx::Error),
    /// Its schema.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
}

impl Sqlite {
    /// Opens or creates `market.sqlite3` in `directory`, brings its schema up to date and gives back every
    /// lease: nobody else can hold one.
    pub(crate) async fn open(directory: &Path) -> Result<Self, SqliteOpenError> {
        let lock = File::create(directory.join("market.lock")).map_err(SqliteOpenError::Lock)?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => SqliteOpenError::InUse,
            TryLockError::Error(e) => SqliteOpenError::Lock(e),
        })?;
        let writing = options(directory).pragma("cache_size", format!("-{WRITER_CACHE_KIB}"));
        let writer = pool(writing, 1).await.map_err(SqliteOpenError::Database)?;
        migrate::sqlite(&writer).await?;
        sqlx::query(
            "UPDATE tasks SET lease_owner = NULL, lease_until_ms = NULL, lease_seq = NULL WHERE lease_owner IS NOT NULL",
        )
        .execute(&writer)
        .await
        .map_err(SqliteOpenError::Database)?;
        let reading = options(directory)
            .row_buffer_size(READ_AHEAD_ROWS)
            .pragma("query_only", "ON")
            .pragma("cache_size", format!("-{}", WRITER_CACHE_KIB / 4));
        let readers = pool(reading, READERS)
            .await
            .map_err(SqliteOpenError::Database)?;
        Ok(Self {
            writer,
            readers,
            lock,
        })
    }

    pub(crate) async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, Fault> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        if let Err(error) = self.lock.unlock() {
            tracing::error!(%error, "lock of a closed store is kept until this process ends");
        }
    }
}

fn options(directory: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(directory.join("market.sqlite3"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit that was answered survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(LOCK_TIMEOUT)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
}

async fn pool(options: SqliteConnectOptions, connections: u32) -> Result<SqlitePool, sqlx::Error> {
    SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(connections)
        .acquire_timeout(LOCK_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options)
        .await
}

pub(crate) async fn execute<'c, E>(on: E, sql: Sql, values: Vec<Value>) -> Result<u64, Fault>
where
    E: Executor<'c, Database = sqlx::Sqlite>,
{
    Ok(bound(sql, values).execute(on).await?.rows_affected())
}

pub(crate) async fn fetch<'c, E>(on: E, sql: Sql, values: Vec<Value>) -> Result<Vec<Row>, Fault>
where
    E: Executor<'c, Database = sqlx::Sqlite>,
{
    bound(sql, values)
        .fetch(on)
        .map_err(Fault::from)
        .and_then(|row| std::future::ready(read(&row)))
        .try_collect()
        .await
}

fn bound(
    sql: Sql,
    values: Vec<Value>,
) -> sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments> {
    let query = sqlx::query(AssertSqlSafe(sql));
    values.into_iter().fold(query, |query, value| match value {
        Value::Bytes(bytes) => query.bind(bytes),
        Value::OptBytes(bytes) => query.bind(bytes),
        Value::Int(int) => query.bind(int),
        Value::OptInt(int) => query.bind(int),
        Value::Text(text) => query.bind(text),
    })
}

fn read(row: &SqliteRow) -> Result<Row, Fault> {
    let cells = row.columns().iter().map(|column| {
        let index = column.ordinal();
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Cell::Null);
        }
        match raw.type_info().name() {
            "BLOB" => Ok(Cell::Bytes(row.try_get(index)?)),
            "INTEGER" => Ok(Cell::Int(row.try_get(index)?)),
            "TEXT" => Ok(Cell::Text(row.try_get(index)?)),
            _ => Err(Fault::Broken("a column has a type we never store")),
        }
    });
    cells.collect::<Result<Vec<_>, Fault>>().map(Row)
}
