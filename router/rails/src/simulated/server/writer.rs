//! The one writer: takes waiting requests, executes them in order, commits them together.
//!
//! One `BEGIN IMMEDIATE` per batch and one savepoint per request: a refused request leaves no trace, a
//! failed batch none of any. Answers go out only after the commit, so nobody hears of a transaction that a
//! crash could still undo.

use std::sync::Arc;

use d402_core::ports::Clock;
use d402_objects::Hex32;
use d402_wire::simchain::{Fault, Rpc, RpcAnswer};
use sha2::{Digest, Sha256};
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::books::{Block, Stamp};
use super::error::{AccountRule, ChainError, Stop};
use super::execute::{self, Executed};
use super::{ClockMode, Options, faults};

/// Most requests in one commit.
const MAX_BATCH: usize = 64;
/// Tag under which transaction ids are hashed.
const TRANSACTION_TAG: &[u8] = b"d402/simchain/transaction/v1";

/// What leaves the chain for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "lives for one answer, and is nearly always one"
)]
pub enum Delivery {
    /// An answer.
    Answer(RpcAnswer),
    /// The answer is lost on the way; the connection must be cut without one.
    Lost,
}

/// A request waiting for the writer.
pub(super) struct Job {
    /// Exact bytes of the request; they go into the transaction id.
    pub(super) bytes: Vec<u8>,
    /// Their meaning.
    pub(super) rpc: Rpc,
    /// Where the answer goes.
    pub(super) reply: oneshot::Sender<Result<Delivery, ChainError>>,
}

/// The row of table `chain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Number of transactions so far.
    pub(super) height: i64,
    /// Seconds the chain is ahead of the wall clock.
    pub(super) offset_s: i64,
    /// Chain time of the last transaction; the clock never goes below it.
    pub(super) last_at: i64,
}

impl Head {
    pub(super) async fn load(conn: &mut SqliteConnection) -> Result<Self, ChainError> {
        let (height, offset_s, last_at) =
            sqlx::query_as("SELECT height, offset_s, last_at FROM chain WHERE id = 1")
                .fetch_one(conn)
                .await?;
        Ok(Self {
            height,
            offset_s,
            last_at,
        })
    }

    async fn store(self, conn: &mut SqliteConnection) -> Result<(), ChainError> {
        sqlx::query("UPDATE chain SET height = ?, offset_s = ?, last_at = ? WHERE id = 1")
            .bind(self.height)
            .bind(self.offset_s)
            .bind(self.last_at)
            .execute(conn)
            .await?;
        Ok(())
    }

    /// Chain time when the wall clock shows `wall_s`: ahead by the offset, never before what was seen.
    const fn now(self, wall_s: i64) -> i64 {
        let ahead = wall_s.saturating_add(self.offset_s);
        if ahead > self.last_at {
            ahead
        } else {
            self.last_at
        }
    }
}

/// Owner of the connection.
pub(super) struct Writer {
    /// The only connection to the database.
    pub(super) conn: SqliteConnection,
    /// What this chain permits.
    pub(super) options: Options,
    /// Wall clock.
    pub(super) clock: Arc<dyn Clock>,
}

impl Writer {
    /// Executes requests until `stop` resolves (or its sender is dropped) and none is waiting any more,
    /// then closes the database.
    pub(super) async fn run(
        mut self,
        mut jobs: mpsc::Receiver<Job>,
        mut stop: oneshot::Receiver<()>,
    ) -> Result<(), ChainError> {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut stopping = false;
        loop {
            let taken = tokio::select! {
                biased;
                _ = &mut stop, if !stopping => {
                    stopping = true;
                    jobs.close();
                    continue;
                }
                taken = jobs.recv_many(&mut batch, MAX_BATCH) => taken,
            };
            if taken == 0 {
                break;
            }
            self.serve(&mut batch).await;
        }
        self.conn.close().await?;
        Ok(())
    }

    /// Commits a batch and answers it.
    async fn serve(&mut self, batch: &mut Vec<Job>) {
        let requests: Vec<(Vec<u8>, Rpc)> = batch
            .iter_mut()
            .map(|job| (std::mem::take(&mut job.bytes), job.rpc.clone()))
            .collect();
        match self.commit(&requests).await {
            Ok(deliveries) => {
                for (job, delivery) in batch.drain(..).zip(deliveries) {
                    // A client that went away does not need its answer.
                    let _ = job.reply.send(Ok(delivery));
                }
            }
            Err(cause) => {
                tracing::error!(
                    error = &cause as &dyn std::error::Error,
                    requests = requests.len(),
                    "batch failed"
                );
                for job in batch.drain(..) {
                    let _ = job.reply.send(Err(ChainError::InDoubt));
                }
            }
        }
    }

    async fn commit(&mut self, requests: &[(Vec<u8>, Rpc)]) -> Result<Vec<Delivery>, ChainError> {
        let wall_s =
            i64::try_from(self.clock.now_ms().checked_div(1000).unwrap_or(0)).unwrap_or(i64::MAX);
        let mut batch = self.conn.begin_with("BEGIN IMMEDIATE").await?;
        let before = Head::load(&mut batch).await?;
        let mut step = Step {
            head: before,
            wall_s,
            options: self.options,
        };
        let mut deliveries = Vec::with_capacity(requests.len());
        for (bytes, rpc) in requests {
            deliveries.push(step.deliver(&mut batch, bytes, rpc).await?);
        }
        if step.head != before {
            step.head.store(&mut batch).await?;
        }
        batch.commit().await?;
        Ok(deliveries)
    }
}

/// Execution of the requests of one batch, one after the other.
struct Step {
    head: Head,
    wall_s: i64,
    options: Options,
}

impl Step {
    /// Lets the armed faults act, and executes what they leave.
    async fn deliver(
        &mut self,
        batch: &mut SqliteConnection,
        bytes: &[u8],
        rpc: &Rpc,
    ) -> Result<Delivery, ChainError> {
        let fault = if self.options.allow_faults {
            faults::take(batch, rpc).await?
        } else {
            None
        };
        match fault {
            Some(Fault::LostRequest) => Ok(Delivery::Lost),
            Some(Fault::LyingSuccess) => Ok(Delivery::Answer(done(self.next_stamp(bytes)?)?)),
            Some(Fault::LostAnswer) => {
                self.answer(batch, bytes, rpc, None).await?;
                Ok(Delivery::Lost)
            }
            Some(Fault::LateDeposit | Fault::DoubleDeposit | Fault::ShortDeposit) | None => Ok(
                Delivery::Answer(self.answer(batch, bytes, rpc, fault).await?),
            ),
        }
    }

    /// Executes in a savepoint; a refusal rolls back to it.
    async fn answer(
        &mut self,
        batch: &mut SqliteConnection,
        bytes: &[u8],
        rpc: &Rpc,
        fault: Option<Fault>,
    ) -> Result<RpcAnswer, ChainError> {
        let head_before = self.head;
        match self.switch(batch, rpc).await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => {}
            Err(Stop::Refused(refusal)) => {
                return Ok(RpcAnswer::Refused {
                    rule: refusal.rule,
                    retryable: refusal.retryable,
                });
            }
            Err(Stop::Failed(cause)) => return Err(cause),
        }
        let mut savepoint = batch.begin().await?;
        let result = self.transact(&mut savepoint, bytes, rpc, fault).await;
        match result {
            Ok(answer) => {
                savepoint.commit().await?;
                Ok(answer)
            }
            Err(Stop::Refused(refusal)) => {
                savepoint.rollback().await?;
                self.head = head_before;
                Ok(RpcAnswer::Refused {
                    rule: refusal.rule,
                    retryable: refusal.retryable,
                })
            }
            Err(Stop::Failed(cause)) => Err(cause),
        }
    }

    /// Switches of the outside world: no transaction, no height, no event.
    async fn switch(
        &mut self,
        batch: &mut SqliteConnection,
        rpc: &Rpc,
    ) -> Result<Option<RpcAnswer>, Stop> {
        let now = self.head.now(self.wall_s);
        if let Rpc::AdvanceClock { seconds } = rpc {
            if self.options.clock == ClockMode::Real {
                return Err(AccountRule::ClockIsReal.into());
            }
            self.advance_to(
                now.checked_add_unsigned(*seconds)
                    .ok_or(AccountRule::OutOfRange)?,
            )?;
            return Ok(Some(self.clock_answer()?));
        }
        if let Rpc::SetFault { fault, times } = rpc {
            self.misbehaviour_allowed()?;
            faults::arm(batch, *fault, *times).await?;
            return Ok(Some(self.clock_answer()?));
        }
        if let Rpc::SetUnpayable { account, unpayable } = rpc {
            self.misbehaviour_allowed()?;
            let mut block = Block {
                conn: batch,
                stamp: self.stamp_at(now),
            };
            block.set_unpayable(*account, *unpayable).await?;
            return Ok(Some(self.clock_answer()?));
        }
        if let Rpc::Clock = rpc {
            return Ok(Some(self.clock_answer()?));
        }
        Ok(None)
    }

    /// Everything that reads or changes balances and vaults.
    async fn transact(
        &mut self,
        savepoint: &mut SqliteConnection,
        bytes: &[u8],
        rpc: &Rpc,
        fault: Option<Fault>,
    ) -> Result<RpcAnswer, Stop> {
        let stamp = self.next_stamp(bytes)?;
        let mut block = Block {
            conn: savepoint,
            stamp,
        };
        let executed = execute::execute(&mut block, rpc, self.options, fault).await?;
        match executed {
            Executed::New => {
                self.head.height = block.stamp.height;
                // Not the block's stamp: a late deposit is late alone, everybody else's time goes on as before.
                self.head.last_at = stamp.at;
                Ok(done(block.stamp)?)
            }
            Executed::Before(stamp) => Ok(done(stamp)?),
            Executed::View(answer) => Ok(answer),
        }
    }

    /// The stamp the next transaction gets.
    fn next_stamp(&self, bytes: &[u8]) -> Result<Stamp, ChainError> {
        let height = self.head.height.checked_add(1).ok_or(ChainError::Broken {
            what: "height overflows",
        })?;
        let mut hash = Sha256::new();
        hash.update(TRANSACTION_TAG);
        hash.update(height.to_le_bytes());
        hash.update(bytes);
        Ok(Stamp {
            transaction: Hex32::from_bytes(hash.finalize().into()),
            height,
            at: self.head.now(self.wall_s),
        })
    }

    const fn stamp_at(&self, at: i64) -> Stamp {
        Stamp {
            transaction: Hex32::from_bytes([0; 32]),
            height: self.head.height,
            at,
        }
    }

    /// Raises the offset until the chain shows at least `at`.
    fn advance_to(&mut self, at: i64) -> Result<(), Stop> {
        let behind = at.saturating_sub(self.head.now(self.wall_s)).max(0);
        self.head.offset_s = self
            .head
            .offset_s
            .checked_add(behind)
            .ok_or(AccountRule::OutOfRange)?;
        Ok(())
    }

    fn misbehaviour_allowed(&self) -> Result<(), Stop> {
        if self.options.allow_faults {
            Ok(())
        } else {
            Err(AccountRule::NoFaults.into())
        }
    }

    fn clock_answer(&self) -> Result<RpcAnswer, ChainError> {
        Ok(RpcAnswer::Clock {
            now: self.head.now(self.wall_s),
            height: height(self.head.height)?,
        })
    }
}

fn done(stamp: Stamp) -> Result<RpcAnswer, ChainError> {
    Ok(RpcAnswer::Done {
        transaction: stamp.transaction,
        height: height(stamp.height)?,
        at: stamp.at,
    })
}

fn height(height: i64) -> Result<u64, ChainError> {
    u64::try_from(height).map_err(|_| ChainError::Broken {
        what: "height is negative",
    })
}
