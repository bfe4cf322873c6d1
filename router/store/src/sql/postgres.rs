//! PostgreSQL: one database shared by several gateways.

use std::str::FromStr;

use futures::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Executor, Row as _, TypeInfo, ValueRef};

use super::value::{Cell, Row, Value};
use super::{MigrateError, Sql, migrate};
use crate::fault::Fault;
use crate::limits::{LOCK_TIMEOUT, TRANSACTION_TIMEOUT};

/// Connections of one gateway: the lanes and as many readers again with room.
const CONNECTIONS: u32 = 8;

/// An open PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Postgres {
    pool: PgPool,
}

/// Why the database could not be opened. Never shows the URL, which carries a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostgresOpenError {
    /// Not a URL of a PostgreSQL database.
    #[error("not a PostgreSQL URL")]
    Url,
    /// No connection.
    #[error("no connection")]
    Connect(#[source] sqlx::Error),
    /// Its schema.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
}

impl Postgres {
    /// Connects and brings the schema up to date. `search_path` in the URL's `options` chooses the schema.
    pub(crate) async fn open(url: &str) -> Result<Self, PostgresOpenError> {
        let options = PgConnectOptions::from_str(url).map_err(|_| PostgresOpenError::Url)?;
        let lock_ms = LOCK_TIMEOUT.as_millis().to_string();
        let statement_ms = TRANSACTION_TIMEOUT.as_millis().to_string();
        let options = options
            .application_name("d402")
            .options([
                ("lock_timeout", lock_ms.as_str()),
                ("statement_timeout", statement_ms.as_str()),
                ("idle_in_transaction_session_timeout", statement_ms.as_str()),
                // A commit that was answered survives a power cut, whatever the server's default is.
                ("synchronous_commit", "on"),
                ("default_transaction_isolation", "read committed"),
            ])
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .min_connections(1)
            .max_connections(CONNECTIONS)
            .acquire_timeout(LOCK_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(PostgresOpenError::Connect)?;
        migrate::postgres(&pool).await?;
        Ok(Self { pool })
    }

    pub(crate) async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, Fault> {
        Ok(self.pool.begin().await?)
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }
}

pub(crate) async fn execute<'c, E>(on: E, sql: Sql, values: Vec<Value>) -> Result<u64, Fault>
where
    E: Executor<'c, Database = sqlx::Postgres>,
{
    Ok(bound(sql, values).execute(on).await?.rows_affected())
}

pub(crate) async fn fetch<'c, E>(on: E, sql: Sql, values: Vec<Value>) -> Result<Vec<Row>, Fault>
where
    E: Executor<'c, Database = sqlx::Postgres>,
{
    bound(sql, values)
        .fetch(on)
        .map_err(Fault::from)
        .and_then(|row| std::future::ready(read(&row)))
        .try_collect()
        .await
}

fn bound(sql: Sql, values: Vec<Value>) -> sqlx::query::Query<'static, sqlx::Postgres, PgArguments> {
    let query = sqlx::query(AssertSqlSafe(sql));
    values.into_iter().fold(query, |query, value| match value {
        Value::Bytes(bytes) => query.bind(bytes),
        Value::OptBytes(bytes) => query.bind(bytes),
        Value::Int(int) => query.bind(int),
        Value::OptInt(int) => query.bind(int),
        Value::Text(text) => query.bind(text),
    })
}

fn read(row: &PgRow) -> Result<Row, Fault> {
    let cells = row.columns().iter().map(|column| {
        let index = column.ordinal();
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Cell::Null);
        }
        match raw.type_info().name() {
            "BYTEA" => Ok(Cell::Bytes(row.try_get(index)?)),
            "INT8" => Ok(Cell::Int(row.try_get(index)?)),
            "TEXT" => Ok(Cell::Text(row.try_get(index)?)),
            _ => Err(Fault::Broken("a column has a type we never store")),
        }
    });
    cells.collect::<Result<Vec<_>, Fault>>().map(Row)
}
