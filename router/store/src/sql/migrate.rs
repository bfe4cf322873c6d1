//! Brings a schema up to date: numbered files, each applied once, in a transaction that also notes its number.

use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Connection};

/// The files, in order; the first is version 1. A published file never changes: what changes is a new file.
const SQLITE: &[&str] = &[include_str!("../../migrations/sqlite/0001_market.sql")];
const POSTGRES: &[&str] = &[include_str!("../../migrations/postgres/0001_market.sql")];
const _: () = assert!(
    SQLITE.len() == POSTGRES.len(),
    "both databases have the same versions"
);

const VERSIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY CHECK (version >= 1))";
const SQLITE_VERSIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL PRIMARY KEY CHECK (version >= 1)) STRICT";
const NEWEST: &str = "SELECT COALESCE(MAX(version), 0) FROM schema_version";
const NOTE: &str = "INSERT INTO schema_version (version) VALUES ($1)";

/// Held by the gateway that migrates; the others wait. "d402" as a number.
const ADVISORY_LOCK: i64 = 0x6434_3032;

/// Why a schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MigrateError {
    /// A newer program has been here; this one would misread its data.
    #[error("schema version {found} is newer than {known}, the newest this program knows")]
    Newer {
        /// What the database has.
        found: i64,
        /// What this program has.
        known: i64,
    },
    /// The database refused.
    #[error("schema cannot be brought up to date")]
    Database(#[from] sqlx::Error),
}

/// Migrates a SQLite database.
pub(crate) async fn sqlite(pool: &SqlitePool) -> Result<(), MigrateError> {
    sqlite_to(pool, SQLITE).await
}

async fn sqlite_to(pool: &SqlitePool, files: &[&'static str]) -> Result<(), MigrateError> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(SQLITE_VERSIONS_TABLE)
        .execute(&mut *tx)
        .await?;
    let found: i64 = sqlx::query_scalar(NEWEST).fetch_one(&mut *tx).await?;
    for (version, file) in missing(found, files)? {
        sqlx::raw_sql(AssertSqlSafe(file)).execute(&mut *tx).await?;
        sqlx::query(NOTE).bind(version).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Migrates a PostgreSQL database; several gateways may try at the same time.
pub(crate) async fn postgres(pool: &PgPool) -> Result<(), MigrateError> {
    postgres_to(pool, POSTGRES).await
}

async fn postgres_to(pool: &PgPool, files: &[&'static str]) -> Result<(), MigrateError> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(ADVISORY_LOCK)
        .execute(&mut *tx)
        .await?;
    sqlx::raw_sql(VERSIONS_TABLE).execute(&mut *tx).await?;
    let found: i64 = sqlx::query_scalar(NEWEST).fetch_one(&mut *tx).await?;
    for (version, file) in missing(found, files)? {
        sqlx::raw_sql(AssertSqlSafe(file)).execute(&mut *tx).await?;
        sqlx::query(NOTE).bind(version).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Files above version `found`, with their versions.
fn missing<'f>(
    found: i64,
    files: &'f [&'static str],
) -> Result<Vec<(i64, &'static str)>, MigrateError> {
    let numbered: Vec<(i64, &'f &'static str)> = (1..).zip(files).collect();
    let known = numbered.last().map_or(0, |(version, _)| *version);
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    Ok(numbered
        .into_iter()
        .filter(|(version, _)| *version > found)
        .map(|(version, file)| (version, *file))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn empty() -> SqlitePool {
        sqlx::sqlite::SqlitePoolOptions::new()
            .max_connections(1)
            .connect("sqlite::memory:")
            .await
            .unwrap()
    }

    async fn version(pool: &SqlitePool) -> i64 {
        sqlx::query_scalar(NEWEST).fetch_one(pool).await.unwrap()
    }

    #[tokio::test]
    async fn each_file_is_applied_once() {
        let pool = empty().await;
        sqlite_to(&pool, &["CREATE TABLE a (x)"]).await.unwrap();
        sqlite_to(&pool, &["CREATE TABLE a (x)", "CREATE TABLE b (x)"])
            .await
            .unwrap();
        sqlite_to(&pool, &["CREATE TABLE a (x)", "CREATE TABLE b (x)"])
            .await
            .unwrap();
        assert_eq!(version(&pool).await, 2);
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused() {
        let pool = empty().await;
        sqlite_to(&pool, &["CREATE TABLE a (x)", "CREATE TABLE b (x)"])
            .await
            .unwrap();
        let refused = sqlite_to(&pool, &["CREATE TABLE a (x)"]).await;
        assert!(
            matches!(refused, Err(MigrateError::Newer { found: 2, known: 1 })),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn a_failing_file_leaves_nothing() {
        let pool = empty().await;
        let failed = sqlite_to(
            &pool,
            &[
                "CREATE TABLE a (x)",
                "CREATE TABLE b (x); CREATE TABLE b (x)",
            ],
        )
        .await;
        assert!(
            matches!(failed, Err(MigrateError::Database(_))),
            "{failed:?}"
        );
        sqlite_to(&pool, &["CREATE TABLE a (x)"]).await.unwrap();
        assert_eq!(version(&pool).await, 1);
    }
}
