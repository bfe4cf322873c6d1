//! One way to talk to two databases: the same statements with `$n` parameters, one enum per side.
//!
//! Statements are built from constants and parameter lists only; every value is bound.
//! What differs between the two is here: how a transaction begins and what locks rows.

mod migrate;
mod postgres;
mod sqlite;
#[cfg(test)]
pub(crate) mod tests;
mod value;

use std::borrow::Cow;

use crate::fault::{Busy, Fault};
use crate::limits::READ_TIMEOUT;

pub(crate) use migrate::MigrateError;
pub(crate) use postgres::Postgres;
pub(crate) use sqlite::Sqlite;
pub(crate) use value::{Row, Value};

/// A statement: a constant, or constants with parameter lists.
pub(crate) type Sql = Cow<'static, str>;

/// What makes `SELECT` keep its rows for this transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowLock {
    /// Other writers wait for the rows.
    Wait,
    /// Rows that others hold are left out.
    Skip,
}

/// An open database.
#[derive(Debug)]
pub(crate) enum Database {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Database {
    /// Starts a transaction that may write. Dropping it undoes it.
    pub(crate) async fn begin(&self) -> Result<Transaction, Fault> {
        match self {
            Self::Sqlite(sqlite) => Ok(Transaction::Sqlite(sqlite.begin().await?)),
            Self::Postgres(postgres) => Ok(Transaction::Postgres(postgres.begin().await?)),
        }
    }

    /// Runs one `SELECT` outside any transaction.
    pub(crate) async fn read(
        &self,
        sql: impl Into<Sql> + Send,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, Fault> {
        let read = async {
            match self {
                Self::Sqlite(db) => sqlite::fetch(db.readers(), sql.into(), values).await,
                Self::Postgres(db) => postgres::fetch(db.pool(), sql.into(), values).await,
            }
        };
        match tokio::time::timeout(READ_TIMEOUT, read).await {
            Ok(rows) => rows,
            Err(_) => Err(Fault::unavailable(Busy::TimedOut)),
        }
    }

    /// Closes every connection, after what runs on them.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(postgres) => postgres.pool().close().await,
        }
    }

    /// Number of writers that can be at work at a time.
    pub(crate) fn lanes(&self) -> usize {
        match self {
            // The database has one writer.
            Self::Sqlite(_) => 1,
            // While one lane waits for a commit or another gateway's row, the others go on.
            Self::Postgres(_) => 3,
        }
    }
}

/// A write transaction.
#[derive(Debug)]
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Transaction {
    /// Runs a statement; number of rows it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: impl Into<Sql> + Send,
        values: Vec<Value>,
    ) -> Result<u64, Fault> {
        match self {
            Self::Sqlite(tx) => sqlite::execute(&mut **tx, sql.into(), values).await,
            Self::Postgres(tx) => postgres::execute(&mut **tx, sql.into(), values).await,
        }
    }

    /// Runs a statement and reads all it returns.
    pub(crate) async fn fetch(
        &mut self,
        sql: impl Into<Sql> + Send,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, Fault> {
        match self {
            Self::Sqlite(tx) => sqlite::fetch(&mut **tx, sql.into(), values).await,
            Self::Postgres(tx) => postgres::fetch(&mut **tx, sql.into(), values).await,
        }
    }

    /// Makes it durable. After an error nobody knows whether it is.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        let committed = match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        };
        committed.map_err(Fault::unavailable)
    }

    /// Undoes it and waits until its locks are gone.
    pub(crate) async fn rollback(self) -> Result<(), Fault> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await?,
            Self::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }

    /// What to append to a `SELECT` so that it locks its rows.
    pub(crate) fn row_lock(&self, lock: RowLock) -> &'static str {
        match (self, lock) {
            // `BEGIN IMMEDIATE` has locked them all.
            (Self::Sqlite(_), RowLock::Wait | RowLock::Skip) => "",
            (Self::Postgres(_), RowLock::Wait) => " FOR UPDATE",
            (Self::Postgres(_), RowLock::Skip) => " FOR UPDATE SKIP LOCKED",
        }
    }
}

/// Cuts `rows` into pieces of few different lengths, so that few different statements are prepared.
pub(crate) fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    const LENGTHS: [usize; 5] = [256, 64, 16, 4, 1];
    std::iter::from_fn(move || {
        let length = LENGTHS.into_iter().find(|length| *length <= rows.len())?;
        let (piece, rest) = rows.split_at_checked(length)?;
        rows = rest;
        Some(piece)
    })
}

/// `($1,$2),($3,$4)` for two rows of two columns.
pub(crate) fn rows_of_parameters(rows: usize, columns: usize) -> String {
    let mut text = String::new();
    let mut next = 1_usize;
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        push_parameters(&mut text, &mut next, columns);
        text.push(')');
    }
    text
}

/// `$1,$2,$3` for three.
pub(crate) fn parameters(count: usize) -> String {
    let mut text = String::new();
    push_parameters(&mut text, &mut 1, count);
    text
}

fn push_parameters(text: &mut String, next: &mut usize, count: usize) {
    for index in 0..count {
        text.push_str(if index == 0 { "$" } else { ",$" });
        text.push_str(&next.to_string());
        *next = next.saturating_add(1);
    }
}
