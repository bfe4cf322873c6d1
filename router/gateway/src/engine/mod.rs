//! Drives tasks: commands in, journal records and effects out.
//!
//! One writer takes commands from a bounded queue, applies them to the tasks they are for, stores all steps
//! of a batch in one transaction (group commit), and only then lets their effects run. Effects talk to the
//! network and the chain and come back as commands. Everything an effect does may happen twice.

mod direct;
mod driver;
mod effects;
mod fresh;
mod leases;
mod money;
mod requests;
mod resume;
mod validators;
mod wakes;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use d402_core::ports::{
    BlobStore, Clock, CreateOutcome, Directory, MarketNetwork, MoneyEffect, MoneyStep, NewTask,
    Rail, StoreError, TaskStore, VerifiedPayment,
};
use d402_core::standing::Standings;
use d402_core::{
    Command, Damaged, Effect, Record, Refused, Task,
    market::{Opened, PaymentFacts},
};
use d402_objects::{Cid, Ed25519Id, Hex32, ObjectError, Payload, Signed, SigningKey};
use d402_settlement::market::{Dossier, EvidenceObject};
use d402_wire::RawDossier;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use wakes::Wakes;

/// Commands waiting for the writer.
const QUEUE: usize = 8_192;
/// Effects running at the same time.
const MAX_EFFECTS: usize = 512;
/// Who waits for a task looks again at least this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the engine is connected to.
#[derive(Clone)]
pub struct Ports {
    /// Tasks and money effects.
    pub store: Arc<dyn TaskStore>,
    /// Content.
    pub blobs: Arc<dyn BlobStore>,
    /// Manifests, registrations, offers.
    pub directory: Arc<dyn Directory>,
    /// Ways to pay, by CAIP-2 network and rail name.
    pub rails: Vec<Arc<dyn Rail>>,
    /// The peer-to-peer network.
    pub network: Arc<dyn MarketNetwork>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
}

/// What the engine is told.
#[derive(Clone)]
pub struct EngineConfig {
    /// The gateway's envelope key; all instances of one gateway share it.
    pub key: SigningKey,
    /// Name of this instance, unique among instances on one database.
    pub instance: String,
    /// Whether the workers of one lease set must be in distinct networks (threat #31).
    pub distinct_subnets: bool,
}

/// Why the engine did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The store did not answer; nothing changed.
    #[error("store")]
    Store(#[from] StoreError),
    /// The task does not take this command now.
    #[error("refused")]
    Refused(#[from] Refused),
    /// No such task here.
    #[error("unknown task")]
    UnknownTask,
    /// A journal that gives no task: alert.
    #[error("journal of the task is damaged")]
    Damaged(#[from] Damaged),
    /// An object could not be signed or encoded: our bug.
    #[error("object")]
    Object(#[from] ObjectError),
    /// Too many commands are waiting.
    #[error("too busy")]
    Busy,
    /// The engine is shutting down.
    #[error("shutting down")]
    Stopping,
}

/// Drives the tasks of one gateway. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    config: EngineConfig,
    ports: Ports,
    queue: mpsc::Sender<Submission>,
    tasks: Mutex<BTreeMap<Cid, Arc<Cell>>>,
    standings: Mutex<Standings>,
    watchers: Mutex<BTreeSet<(Cid, Watch)>>,
    effects: Arc<tokio::sync::Semaphore>,
    resumption: Mutex<Resumption>,
    wakes: Mutex<Wakes>,
    stop: CancellationToken,
}

/// Long-running looks at the chain, one of each kind per task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Watch {
    Deposit,
    Vault,
    Output,
}

/// A task in memory: the newest stored state and a bell for those who wait for it.
struct Cell {
    state: Mutex<Loaded>,
    /// When the state was last compared with the store, unix ms.
    compared_ms: AtomicU64,
    changed: watch::Sender<u64>,
    /// What was verified for it while it is at work.
    opened: Mutex<Opened>,
}

#[derive(Clone)]
struct Loaded {
    task: Arc<Task>,
    /// Sequence number of the next record.
    next_seq: u64,
}

struct Submission {
    task_id: Cid,
    command: Command,
    done: Option<oneshot::Sender<Result<(), EngineError>>>,
    /// How often a conflict sent it back.
    tries: u32,
}

/// A poisoned lock means a panic elsewhere; the data is still consistent, because every change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub use driver::Driver;
pub use resume::Resumption;

impl Engine {
    /// An engine and its driver: run the driver until the token is cancelled.
    #[must_use]
    pub fn new(config: EngineConfig, ports: Ports, stop: CancellationToken) -> (Self, Driver) {
        let (queue, commands) = mpsc::channel(QUEUE);
        let engine = Self {
            shared: Arc::new(Shared {
                config,
                ports,
                queue,
                tasks: Mutex::new(BTreeMap::new()),
                standings: Mutex::new(Standings::default()),
                watchers: Mutex::new(BTreeSet::new()),
                effects: Arc::new(tokio::sync::Semaphore::new(MAX_EFFECTS)),
                resumption: Mutex::new(Resumption::default()),
                wakes: Mutex::new(Wakes::default()),
                stop,
            }),
        };
        (engine.clone(), Driver::new(engine, commands))
    }

    /// The gateway's key.
    #[must_use]
    pub fn gateway(&self) -> Ed25519Id {
        Ed25519Id::from(&self.shared.config.key)
    }

    /// Ports, for the HTTP side.
    #[must_use]
    pub fn ports(&self) -> &Ports {
        &self.shared.ports
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.shared.ports.clock.now_ms()
    }

    /// Signs an object of this gateway.
    ///
    /// # Errors
    /// [`ObjectError`] when the payload is invalid or names another key.
    pub fn sign<T: Payload>(&self, payload: T) -> Result<Signed<T>, ObjectError> {
        Signed::sign(payload, &self.shared.config.key)
    }

    /// The rail of a task.
    pub(crate) fn rail(&self, dossier: &Dossier) -> Option<Arc<dyn Rail>> {
        let payment = dossier.payment();
        let named = |rail: &&Arc<dyn Rail>| {
            rail.network() == payment.network.as_str() && rail.name() == payment.rail.as_str()
        };
        self.shared.ports.rails.iter().find(named).cloned()
    }

    /// Stores a verified, paid task and starts it. The payment is a money effect of the same transaction.
    ///
    /// # Errors
    /// [`EngineError::Store`]; then nothing was stored and nothing is paid.
    pub async fn create(
        &self,
        dossier: Dossier,
        payment: VerifiedPayment,
        client_id: Option<String>,
    ) -> Result<CreateOutcome, EngineError> {
        let now_ms = self.now_ms();
        let task_id = dossier.task_id();
        let body = String::from_utf8(payment.body.clone()).unwrap_or_default();
        let record = Record::Created {
            dossier: RawDossier::of(&dossier),
            payment_id: payment.payment_id,
            payer: payment.payer.clone(),
            payment_body: body.clone(),
            at_ms: now_ms,
        };
        let terms_hash = dossier.terms_hash();
        let facts = PaymentFacts {
            payment_id: payment.payment_id,
            payer: payment.payer,
            body: body.into(),
        };
        let (task, effects) = Task::create(dossier, facts, now_ms);
        let money = if task.is_direct() {
            // Nothing is submitted before m validators accepted the work.
            Vec::new()
        } else {
            vec![MoneyEffect {
                key: pay_key(payment.payment_id),
                task_id,
                body: payment.body,
                step: MoneyStep::Planned,
            }]
        };
        let outcome = self
            .shared
            .ports
            .store
            .create(NewTask {
                task_id,
                terms_hash,
                payment_id: payment.payment_id,
                client_id,
                record: encode(&record),
                wake_at_ms: task.wake_at_ms().unwrap_or(now_ms),
                money,
                now_ms,
            })
            .await?;
        if outcome == CreateOutcome::Created {
            self.remember(
                task_id,
                Loaded {
                    task: Arc::new(task),
                    next_seq: 1,
                },
            );
            self.run_effects(task_id, effects);
        }
        Ok(outcome)
    }

    /// Applies a command and waits until it is stored.
    ///
    /// # Errors
    /// [`EngineError`]; a refusal changed nothing.
    pub async fn submit(&self, task_id: Cid, command: Command) -> Result<(), EngineError> {
        let (done, answer) = oneshot::channel();
        let submission = Submission {
            task_id,
            command,
            done: Some(done),
            tries: 0,
        };
        self.shared
            .queue
            .send(submission)
            .await
            .map_err(|_| EngineError::Stopping)?;
        answer.await.map_err(|_| EngineError::Stopping)?
    }

    /// Hands a command to the writer without waiting; full queues drop it, and the task's timers make good.
    pub(crate) fn hand_in(&self, task_id: Cid, command: Command) {
        if self
            .shared
            .queue
            .try_send(Submission {
                task_id,
                command,
                done: None,
                tries: 0,
            })
            .is_err()
        {
            tracing::warn!(%task_id, "command queue is full, command dropped");
        }
    }

    /// The newest stored state of a task, at most a second old when other instances work on it too; `None`
    /// when it is not known.
    ///
    /// # Errors
    /// [`EngineError::Store`], [`EngineError::Damaged`].
    pub async fn task(&self, task_id: Cid) -> Result<Option<Arc<Task>>, EngineError> {
        Ok(self
            .fresh_cell(task_id)
            .await?
            .map(|cell| Arc::clone(&lock(&cell.state).task)))
    }

    /// As [`Engine::task`], as this instance knows it.
    async fn known(&self, task_id: Cid) -> Result<Option<Arc<Task>>, EngineError> {
        Ok(self
            .cell(task_id)
            .await?
            .map(|cell| Arc::clone(&lock(&cell.state).task)))
    }

    /// Waits until `done` holds for the task or the time is over; the state then.
    ///
    /// # Errors
    /// As [`Engine::task`], and [`EngineError::UnknownTask`].
    pub async fn wait_for(
        &self,
        task_id: Cid,
        limit: Duration,
        done: impl Fn(&Task) -> bool,
    ) -> Result<Arc<Task>, EngineError> {
        let wait = async {
            loop {
                // Looked up again every time: a conflict with another instance replaces the cell.
                let cell = self
                    .fresh_cell(task_id)
                    .await?
                    .ok_or(EngineError::UnknownTask)?;
                let mut changed = cell.changed.subscribe();
                let task = Arc::clone(&lock(&cell.state).task);
                if done(&task) {
                    return Ok(task);
                }
                let _changed_or_time = tokio::time::timeout(LOOK_AGAIN, changed.changed()).await;
            }
        };
        match tokio::time::timeout(limit, wait).await {
            Ok(outcome) => outcome,
            Err(_over) => self.task(task_id).await?.ok_or(EngineError::UnknownTask),
        }
    }

    /// Number of tasks in memory.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        lock(&self.shared.tasks).len()
    }
}

/// Name of the effect that pays: one per payment, whenever it is planned.
fn pay_key(payment_id: Hex32) -> String {
    format!("pay:{payment_id}")
}

fn encode(record: &Record) -> Vec<u8> {
    // Records hold only strings, integers and envelopes that came from JSON: they always have a JSON form.
    d402_wire::encode(record).unwrap_or_default()
}

impl Engine {
    async fn cell(&self, task_id: Cid) -> Result<Option<Arc<Cell>>, EngineError> {
        if let Some(cell) = lock(&self.shared.tasks).get(&task_id) {
            return Ok(Some(Arc::clone(cell)));
        }
        let records = self.shared.ports.store.journal(task_id).await?;
        self.load(task_id, &records)
    }

    /// Replays a journal, remembers the task and runs its outstanding effects; `None` when there are no records.
    fn load(&self, task_id: Cid, records: &[Vec<u8>]) -> Result<Option<Arc<Cell>>, EngineError> {
        if records.is_empty() {
            return Ok(None);
        }
        let next_seq = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let task = d402_core::replay(records.iter().map(Vec::as_slice))?;
        let outstanding = if task.ending().is_none() {
            task.resume(self.now_ms())
        } else {
            Vec::new()
        };
        let cell = self.remember(
            task_id,
            Loaded {
                task: Arc::new(task),
                next_seq,
            },
        );
        // Whoever held it before (this process before a crash, another instance, a batch whose answer was
        // lost) may have stored a step and not run its effects.
        self.run_effects(task_id, outstanding);
        Ok(Some(cell))
    }

    fn remember(&self, task_id: Cid, loaded: Loaded) -> Arc<Cell> {
        let mut tasks = lock(&self.shared.tasks);
        if tasks.len() >= writer::MAX_IN_MEMORY {
            writer::forget_final(&mut tasks);
        }
        let cell = tasks.entry(task_id).or_insert_with(|| {
            Arc::new(Cell {
                state: Mutex::new(loaded),
                compared_ms: AtomicU64::new(self.now_ms()),
                changed: watch::Sender::new(0),
                opened: Mutex::new(Opened::default()),
            })
        });
        Arc::clone(cell)
    }

    /// Notes verified objects of a task that is in memory.
    fn note(&self, task_id: Cid, objects: impl IntoIterator<Item = EvidenceObject>) {
        let cell = lock(&self.shared.tasks).get(&task_id).cloned();
        let Some(cell) = cell else { return };
        let mut opened = lock(&cell.opened);
        objects.into_iter().for_each(|object| opened.note(object));
    }

    fn forget(&self, task_id: &Cid) {
        lock(&self.shared.tasks).remove(task_id);
    }

    /// Runs effects in the background, each holding one of a bounded number of places.
    fn run_effects(&self, task_id: Cid, effects: Vec<Effect>) {
        for effect in effects {
            let engine = self.clone();
            tokio::spawn(async move {
                let places = Arc::clone(&engine.shared.effects);
                tokio::select! {
                    () = engine.shared.stop.cancelled() => {}
                    place = places.acquire_owned() => {
                        let Ok(_place) = place else { return };
                        engine.execute(task_id, effect).await;
                    }
                }
            });
        }
    }
}
