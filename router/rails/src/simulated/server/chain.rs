//! Opening the chain, asking it, closing it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use d402_core::ports::Clock;
use d402_wire::simchain::Rpc;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::error::{ChainError, OpenError};
use super::writer::{Delivery, Job, Writer};

/// Most requests that wait for the writer.
const QUEUE: usize = 1024;
/// What `schema.sql` makes.
const SCHEMA_VERSION: i64 = 1;
/// Longest wait for a file another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the chain lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Gone when the process ends; for tests.
    Memory,
    /// A SQLite file, made when missing. One process at a time.
    File(PathBuf),
}

/// Who moves the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMode {
    /// The wall clock alone.
    Real,
    /// The wall clock plus an offset that anybody may raise by `advanceClock`.
    Virtual,
}

/// What this chain permits besides the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Clock.
    pub clock: ClockMode,
    /// Whether `mint` works.
    pub allow_faucet: bool,
    /// Whether `setFault` and `setUnpayable` work, and armed faults act.
    pub allow_faults: bool,
}

impl Options {
    /// Everything on: tests.
    pub const TEST: Self = Self {
        clock: ClockMode::Virtual,
        allow_faucet: true,
        allow_faults: true,
    };
    /// A faucet and nothing else: the demo.
    pub const DEMO: Self = Self {
        clock: ClockMode::Real,
        allow_faucet: true,
        allow_faults: false,
    };
}

/// A running chain. When it is closed or dropped the writer commits what is waiting, refuses the rest and
/// closes the file; [`SimChain::close`] waits for that.
#[derive(Debug)]
pub struct SimChain {
    handle: SimChainHandle,
    stop: oneshot::Sender<()>,
    writer: JoinHandle<Result<(), ChainError>>,
}

/// Whom to ask; cheap to clone.
#[derive(Clone, Debug)]
pub struct SimChainHandle {
    jobs: mpsc::Sender<Job>,
}

impl SimChain {
    /// Opens the chain, making its tables when it is new, and starts the writer.
    ///
    /// # Errors
    /// [`OpenError`] when the file is not a chain of this version or another process has it.
    pub async fn open(
        location: &Location,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let conn = connect(location).await?;
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let (stop, stopped) = oneshot::channel();
        let writer = tokio::spawn(
            Writer {
                conn,
                options,
                clock,
            }
            .run(waiting, stopped),
        );
        Ok(Self {
            handle: SimChainHandle { jobs },
            stop,
            writer,
        })
    }

    /// Somebody to ask.
    #[must_use]
    pub fn handle(&self) -> SimChainHandle {
        self.handle.clone()
    }

    /// Commits every waiting request, takes no more, closes the file.
    ///
    /// # Errors
    /// [`ChainError`] when closing fails.
    pub async fn close(self) -> Result<(), ChainError> {
        drop(self.stop);
        self.writer.await.map_err(|_| ChainError::Closed)?
    }
}

impl SimChainHandle {
    /// Executes one request. `bytes` are the request as it was sent, `rpc` their meaning.
    ///
    /// # Errors
    /// [`ChainError`] when there is no answer; the request may have taken effect.
    pub async fn call(&self, bytes: Vec<u8>, rpc: Rpc) -> Result<Delivery, ChainError> {
        let (reply, answer) = oneshot::channel();
        self.jobs
            .try_send(Job { bytes, rpc, reply })
            .map_err(|e| match e {
                mpsc::error::TrySendError::Full(_) => ChainError::Busy,
                mpsc::error::TrySendError::Closed(_) => ChainError::Closed,
            })?;
        answer.await.map_err(|_| ChainError::Closed)?
    }
}

async fn connect(location: &Location) -> Result<SqliteConnection, OpenError> {
    let path = match location {
        Location::Memory => None,
        Location::File(path) => Some(path.clone()),
    };
    let failed = |source| OpenError::Database {
        location: path.clone(),
        source,
    };
    let base = SqliteConnectOptions::new()
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true);
    let options = match &path {
        None => base.in_memory(true),
        Some(path) => base
            .filename(path)
            .create_if_missing(true)
            // The head is cached between statements of a batch: nobody else may write.
            .locking_mode(SqliteLockingMode::Exclusive)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full),
    };
    let mut conn = options
        .disable_statement_logging()
        .connect()
        .await
        .map_err(failed)?;
    let version = migrate(&mut conn).await.map_err(failed)?;
    if version != SCHEMA_VERSION {
        return Err(OpenError::Schema {
            got: version,
            known: SCHEMA_VERSION,
        });
    }
    Ok(conn)
}

/// Makes the tables in a new file; says which schema the file has then.
async fn migrate(conn: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let mut transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *transaction)
        .await?;
    if version != 0 {
        return Ok(version);
    }
    sqlx::raw_sql(include_str!("schema.sql"))
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql("PRAGMA user_version = 1")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(SCHEMA_VERSION)
}
