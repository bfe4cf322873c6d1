//! Group commit: writes wait in a lane, and everything that waits goes into one transaction.
//!
//! A caller is answered after the commit. A write that cannot be done never harms those it travelled with:
//! the transaction is undone and each runs alone. A caller that goes away changes nothing: what it asked for
//! is written whole or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::batch::{self, Answer, Op};
use crate::fault::{Busy, Fault};
use crate::limits::{CALL_TIMEOUT, MAX_WAITING_WRITES, MAX_WRITES_PER_COMMIT, TRANSACTION_TIMEOUT};
use crate::sql::Database;

/// Tries of a write that the database undid for another one.
const TRIES: u32 = 4;

enum Message {
    Write(Op, oneshot::Sender<Result<Answer, Fault>>),
    Stop,
}

/// The way in for every write.
#[derive(Debug)]
pub(crate) struct Writer {
    lanes: Vec<mpsc::Sender<Message>>,
    turn: AtomicUsize,
}

impl Writer {
    /// Starts the lanes of `database`; they end on [`Writer::stop`] or when the writer is gone.
    pub(crate) fn start(database: &Arc<Database>) -> (Self, Vec<JoinHandle<()>>) {
        let (lanes, tasks) = (0..database.lanes())
            .map(|_| {
                let (sender, receiver) = mpsc::channel(MAX_WAITING_WRITES);
                (sender, tokio::spawn(lane(Arc::clone(database), receiver)))
            })
            .unzip();
        (
            Self {
                lanes,
                turn: AtomicUsize::new(0),
            },
            tasks,
        )
    }

    /// Writes `op` and waits until it is durable.
    pub(crate) async fn write(&self, op: Op) -> Result<Answer, Fault> {
        let turn = self
            .turn
            .fetch_add(1, Ordering::Relaxed)
            .checked_rem(self.lanes.len());
        let Some(lane) = turn.and_then(|lane| self.lanes.get(lane)) else {
            return Err(Fault::unavailable(Busy::Closed));
        };
        let (reply, answer) = oneshot::channel();
        let written = async {
            lane.send(Message::Write(op, reply))
                .await
                .map_err(|_| Fault::unavailable(Busy::Closed))?;
            answer.await.map_err(|_| Fault::unavailable(Busy::Closed))?
        };
        match timeout(CALL_TIMEOUT, written).await {
            Ok(answered) => answered,
            Err(_) => Err(Fault::unavailable(Busy::TimedOut)),
        }
    }

    /// Ends the lanes after what already waits in them.
    pub(crate) async fn stop(&self) {
        for lane in &self.lanes {
            // A lane that is gone needs no telling.
            let _ = lane.send(Message::Stop).await;
        }
    }
}

async fn lane(database: Arc<Database>, mut messages: mpsc::Receiver<Message>) {
    let mut waiting = Vec::with_capacity(MAX_WRITES_PER_COMMIT);
    while messages
        .recv_many(&mut waiting, MAX_WRITES_PER_COMMIT)
        .await
        > 0
    {
        let mut ops = Vec::with_capacity(waiting.len());
        let mut replies = Vec::with_capacity(waiting.len());
        for message in waiting.drain(..) {
            match message {
                // Whoever gave up before its turn gets nothing written.
                Message::Write(_, reply) if reply.is_closed() => {}
                Message::Write(op, reply) => {
                    ops.push(op);
                    replies.push(reply);
                }
                Message::Stop => messages.close(),
            }
        }
        commit_and_answer(&database, &ops, replies).await;
    }
}

async fn commit_and_answer(
    database: &Database,
    ops: &[Op],
    replies: Vec<oneshot::Sender<Result<Answer, Fault>>>,
) {
    if ops.is_empty() {
        return;
    }
    match attempt(database, ops).await {
        Ok(answers) => {
            for (reply, answer) in replies.into_iter().zip(answers) {
                // The caller may have gone; its write stands.
                let _ = reply.send(Ok(answer));
            }
        }
        Err(fault) if fault.may_succeed_alone() => {
            for (op, reply) in ops.iter().zip(replies) {
                let _ = reply.send(attempt_alone(database, op).await);
            }
        }
        Err(fault) => {
            let why = fault_text(&fault);
            for reply in replies {
                let _ = reply.send(Err(Fault::unavailable(Busy::Shared(why.clone()))));
            }
        }
    }
}

async fn attempt_alone(database: &Database, op: &Op) -> Result<Answer, Fault> {
    let mut tries = 1_u32;
    loop {
        match attempt(database, std::slice::from_ref(op)).await {
            Err(Fault::Contended(_)) if tries < TRIES => tries = tries.saturating_add(1),
            ended => {
                return ended?
                    .into_iter()
                    .next()
                    .ok_or(Fault::Broken("a write has no answer"));
            }
        }
    }
}

async fn attempt(database: &Database, ops: &[Op]) -> Result<Vec<Answer>, Fault> {
    let transaction = async {
        let mut tx = database.begin().await?;
        match batch::run(&mut tx, ops).await {
            Ok(answers) => {
                tx.commit().await?;
                Ok(answers)
            }
            Err(fault) => {
                // Before anybody is answered, so that no lock outlives the answer.
                if let Err(error) = tx.rollback().await {
                    tracing::warn!(%error, "a transaction is undone by closing its connection");
                }
                Err(fault)
            }
        }
    };
    match timeout(TRANSACTION_TIMEOUT, transaction).await {
        Ok(ended) => ended,
        Err(_) => Err(Fault::unavailable(Busy::TimedOut)),
    }
}

/// An error with its causes, for those who shared the transaction and get no error value of their own.
fn fault_text(fault: &Fault) -> String {
    let mut text = fault.to_string();
    let mut cause = std::error::Error::source(fault);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
