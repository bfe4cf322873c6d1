//! The book of opened vaults: a row is written before a vault is opened, so none is ever forgotten.

use std::path::Path;
use std::time::Duration;

use d402_objects::Hex32;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};

/// Longest wait for a file another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
const DAY_MS: u64 = 86_400_000;
/// Most rows of one answer.
const MAX_ROWS: u32 = 256;

/// The vault may be there, and nobody paid.
const UNPAID: i64 = 0;
/// Somebody paid.
const PAID: i64 = 1;
/// It is gone, and its rent came back.
const CLOSED: i64 = 2;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS vaults (
    id        INTEGER PRIMARY KEY,
    terms     BLOB NOT NULL UNIQUE,
    refund_to BLOB NOT NULL,
    subnet    TEXT NOT NULL,
    opened_ms INTEGER NOT NULL,
    lamports  INTEGER NOT NULL,
    state     INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_unpaid_per_refund_to ON vaults (refund_to) WHERE state = 0;
CREATE UNIQUE INDEX IF NOT EXISTS one_unpaid_per_subnet ON vaults (subnet) WHERE state = 0;
CREATE INDEX IF NOT EXISTS by_day ON vaults (opened_ms);
";

/// What strangers may cost (threat #19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpeningCaps {
    /// Unpaid vaults at a time.
    pub unpaid: u32,
    /// Smallest budget, base units: below it, opening and settling cost more than a tenth of it (threat #68).
    pub least_budget: u64,
    /// Fees of openings and closings for nothing in 24 hours, lamports. The rent is lent and comes back; what
    /// buyers paid into is no loss.
    pub lamports_per_day: u64,
    /// Fees of one opening and its closing, lamports.
    pub lamports_each: u64,
}

impl OpeningCaps {
    /// Fifty vaults, $0.10, 0.02 SOL a day: two transactions of one signature each, at most 2,000 times.
    pub const DEFAULT: Self = Self {
        unpaid: 50,
        least_budget: 100_000,
        lamports_per_day: 20_000_000,
        lamports_each: 10_000,
    };
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// Where the money goes back to.
    pub refund_to: Hex32,
    /// The network the request came from, /24 or /48.
    pub subnet: String,
    /// Wall clock, ms.
    pub now_ms: u64,
}

/// Which cap is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This `refundTo` has an unpaid vault.
    #[error("refundTo has an unpaid vault")]
    RefundTo,
    /// Somebody in the same network has one.
    #[error("the network of the request has an unpaid vault")]
    Subnet,
    /// [`OpeningCaps::unpaid`].
    #[error("too many unpaid vaults")]
    TooMany,
    /// [`OpeningCaps::lamports_per_day`].
    #[error("the day's budget for opening vaults is spent")]
    Day,
}

/// Why the book does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// The database failed, or another process holds it.
    #[error("book of opened vaults")]
    Database(#[from] sqlx::Error),
    /// What is stored is not what was written.
    #[error("book of opened vaults is damaged: {what}")]
    Damaged {
        /// Which part.
        what: &'static str,
    },
}

/// The book of one gateway key.
#[derive(Debug)]
pub struct OpeningBook {
    database: SqliteConnection,
    caps: OpeningCaps,
}

impl OpeningBook {
    /// Opens or makes the book; one process holds it, or two could give away one place each.
    ///
    /// # Errors
    /// [`OpeningError::Database`].
    pub async fn open(path: &Path, caps: OpeningCaps) -> Result<Self, OpeningError> {
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
        Ok(Self { database, caps })
    }

    /// The caps.
    #[must_use]
    pub const fn caps(&self) -> &OpeningCaps {
        &self.caps
    }

    /// Writes a vault down before anything is sent to open it, if the caps have room for it.
    ///
    /// # Errors
    /// [`OpeningError`].
    pub async fn take(
        &mut self,
        ask: &Requester,
        terms: &[u8],
    ) -> Result<Result<(), Refusal>, OpeningError> {
        let each = self.caps.lamports_each;
        let mut work = self.database.begin().await?;
        let row = sqlx::query(
            "SELECT COUNT(*) FILTER (WHERE state = 0) AS unpaid, \
             COUNT(*) FILTER (WHERE state = 0 AND refund_to = ?1) AS mine, \
             COUNT(*) FILTER (WHERE state = 0 AND subnet = ?2) AS near, \
             COALESCE(SUM(lamports) FILTER (WHERE opened_ms > ?3 AND state != 1), 0) AS spent FROM vaults",
        )
        .bind(ask.refund_to.as_bytes().to_vec())
        .bind(&ask.subnet)
        .bind(signed(ask.now_ms.saturating_sub(DAY_MS))?)
        .fetch_one(&mut *work)
        .await?;
        if let Some(refusal) = refusal(&row, &self.caps)? {
            return Ok(Err(refusal));
        }
        sqlx::query(
            "INSERT INTO vaults (terms, refund_to, subnet, opened_ms, lamports, state) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(terms)
        .bind(ask.refund_to.as_bytes().to_vec())
        .bind(&ask.subnet)
        .bind(signed(ask.now_ms)?)
        .bind(signed(each)?)
        .bind(UNPAID)
        .execute(&mut *work)
        .await?;
        work.commit().await?;
        Ok(Ok(()))
    }

    /// Somebody paid: the vault is not in anybody's way any more.
    ///
    /// # Errors
    /// [`OpeningError`].
    pub async fn paid(&mut self, terms: &[u8]) -> Result<(), OpeningError> {
        self.end(terms, PAID).await
    }

    /// It is gone without having been paid.
    ///
    /// # Errors
    /// [`OpeningError`].
    pub async fn closed(&mut self, terms: &[u8]) -> Result<(), OpeningError> {
        self.end(terms, CLOSED).await
    }

    async fn end(&mut self, terms: &[u8], state: i64) -> Result<(), OpeningError> {
        sqlx::query("UPDATE vaults SET state = ? WHERE terms = ? AND state = ?")
            .bind(state)
            .bind(terms)
            .bind(UNPAID)
            .execute(&mut self.database)
            .await?;
        Ok(())
    }

    /// Terms of vaults nobody paid into, oldest first.
    ///
    /// # Errors
    /// [`OpeningError`].
    pub async fn unpaid(&mut self) -> Result<Vec<Vec<u8>>, OpeningError> {
        let rows: Vec<(Vec<u8>,)> =
            sqlx::query_as("SELECT terms FROM vaults WHERE state = ? ORDER BY id LIMIT ?")
                .bind(UNPAID)
                .bind(MAX_ROWS)
                .fetch_all(&mut self.database)
                .await?;
        Ok(rows.into_iter().map(|(terms,)| terms).collect())
    }
}

/// The first cap that is reached.
fn refusal(row: &SqliteRow, caps: &OpeningCaps) -> Result<Option<Refusal>, OpeningError> {
    let number = |name| -> Result<u64, OpeningError> { unsigned(row.try_get(name)?, name) };
    let after = number("spent")?.saturating_add(caps.lamports_each);
    Ok(if number("mine")? > 0 {
        Some(Refusal::RefundTo)
    } else if number("near")? > 0 {
        Some(Refusal::Subnet)
    } else if number("unpaid")? >= u64::from(caps.unpaid) {
        Some(Refusal::TooMany)
    } else if after > caps.lamports_per_day {
        Some(Refusal::Day)
    } else {
        None
    })
}

fn signed(number: u64) -> Result<i64, OpeningError> {
    i64::try_from(number).map_err(|_| OpeningError::Damaged { what: "number" })
}

fn unsigned(number: i64, what: &'static str) -> Result<u64, OpeningError> {
    u64::try_from(number).map_err(|_| OpeningError::Damaged { what })
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::arithmetic_side_effects,
        reason = "test code"
    )]
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn ask(refund_to: u8, subnet: u8, now_ms: u64) -> Requester {
        Requester {
            refund_to: Hex32::from_bytes([refund_to; 32]),
            subnet: format!("10.0.{subnet}.0/24"),
            now_ms,
        }
    }

    fn vault(number: u8) -> [u8; 304] {
        [number; 304]
    }

    async fn book(caps: OpeningCaps) -> (tempfile::TempDir, OpeningBook) {
        let folder = tempfile::tempdir().unwrap();
        let book = OpeningBook::open(&folder.path().join("opened.sqlite"), caps)
            .await
            .unwrap();
        (folder, book)
    }

    async fn open(book: &mut OpeningBook, number: u8, now_ms: u64) -> Result<(), Refusal> {
        let ask = ask(number, number, now_ms);
        book.take(&ask, &vault(number)).await.unwrap()
    }

    #[tokio::test]
    async fn threat_19_one_unpaid_vault_per_refund_to_and_per_network() {
        let (_folder, mut book) = book(OpeningCaps::DEFAULT).await;
        open(&mut book, 1, NOW).await.unwrap();
        let same = book.take(&ask(1, 2, NOW), &vault(2)).await.unwrap();
        assert_eq!(same, Err(Refusal::RefundTo));
        let near = book.take(&ask(2, 1, NOW), &vault(2)).await.unwrap();
        assert_eq!(near, Err(Refusal::Subnet));
        book.paid(&vault(1)).await.unwrap();
        let next = book.take(&ask(1, 1, NOW), &vault(2)).await.unwrap();
        assert_eq!(next, Ok(()));
    }

    #[tokio::test]
    async fn threat_19_there_are_at_most_so_many_unpaid_vaults() {
        let caps = OpeningCaps {
            unpaid: 3,
            ..OpeningCaps::DEFAULT
        };
        let (_folder, mut book) = book(caps).await;
        for number in 1..=3 {
            open(&mut book, number, NOW).await.unwrap();
        }
        assert_eq!(open(&mut book, 4, NOW).await, Err(Refusal::TooMany));
        book.closed(&vault(2)).await.unwrap();
        open(&mut book, 4, NOW).await.unwrap();
    }

    #[tokio::test]
    async fn threat_19_a_day_costs_at_most_so_much_also_when_all_vaults_are_closed_again() {
        let caps = OpeningCaps {
            lamports_per_day: 25_000,
            ..OpeningCaps::DEFAULT
        };
        let (_folder, mut book) = book(caps).await;
        for number in 1..=2 {
            open(&mut book, number, NOW).await.unwrap();
            book.closed(&vault(number)).await.unwrap();
        }
        let within = NOW + DAY_MS - 1;
        assert_eq!(open(&mut book, 3, NOW).await, Err(Refusal::Day));
        assert_eq!(open(&mut book, 3, within).await, Err(Refusal::Day));
        open(&mut book, 3, NOW + DAY_MS).await.unwrap();
    }

    #[tokio::test]
    async fn an_opened_vault_is_known_after_a_restart_until_it_is_paid_or_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("opened.sqlite");
        let caps = OpeningCaps::DEFAULT;
        let mut book = OpeningBook::open(&path, caps).await.unwrap();
        for number in 1..=3 {
            open(&mut book, number, NOW).await.unwrap();
        }
        drop(book);
        let mut book = OpeningBook::open(&path, caps).await.unwrap();
        assert_eq!(book.unpaid().await.unwrap(), [vault(1), vault(2), vault(3)]);
        book.paid(&vault(1)).await.unwrap();
        book.closed(&vault(2)).await.unwrap();
        assert_eq!(book.unpaid().await.unwrap(), [vault(3)]);
        // The network of a vault that ended is free again, whatever ends it a second time.
        book.closed(&vault(1)).await.unwrap();
        book.paid(&vault(2)).await.unwrap();
        assert_eq!(book.unpaid().await.unwrap(), [vault(3)]);
    }
}
