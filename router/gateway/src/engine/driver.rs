//! What runs all the time: the writer and the timer.

use std::time::Duration;

use d402_core::Command;
use tokio::sync::mpsc;

use super::{Engine, EngineError, Submission, lock, writer};

/// Due tasks taken at once.
const TICK_BATCH: u32 = 256;
/// Batches before the timer looks up again, also when more are due.
const TICK_BATCHES: usize = 16;
/// A leased tick is somebody else's again after this time, ms.
const TICK_LEASE_MS: u64 = 10_000;

/// The part of the engine that runs: writer, timer and resumption.
pub struct Driver {
    engine: Engine,
    commands: mpsc::Receiver<Submission>,
}

impl Driver {
    pub(super) fn new(engine: Engine, commands: mpsc::Receiver<Submission>) -> Self {
        Self { engine, commands }
    }

    /// Writes and ticks until the token is cancelled, and meanwhile resumes open tasks; commands already taken
    /// are stored before it returns.
    ///
    /// # Errors
    /// [`EngineError`] when open tasks cannot be read at the start.
    pub async fn run(self) -> Result<(), EngineError> {
        let engine = self.engine.clone();
        let writer = tokio::spawn(writer::run(self.engine.clone(), self.commands));
        engine.give_up_old_leases().await;
        let first = engine.open_page(None).await?;
        let resuming = tokio::spawn({
            let engine = engine.clone();
            async move { engine.resume(first).await }
        });
        loop {
            tokio::select! {
                () = engine.shared.stop.cancelled() => break,
                () = tokio::time::sleep(engine.pause()) => engine.tick_all_due().await,
            }
        }
        if resuming.await.is_err() {
            tracing::error!("resumption ended badly");
        }
        if writer.await.is_err() {
            tracing::error!("writer ended badly");
        }
        Ok(())
    }
}

impl Engine {
    /// A process of this name that was killed cannot answer the wake-ups it had leased. Without this they would
    /// wait for the end of its leases.
    async fn give_up_old_leases(&self) {
        let instance = &self.shared.config.instance;
        if let Err(error) = self.shared.ports.store.release_all(instance).await {
            tracing::warn!(%error, "leases from before the start are not given up, they run out by themselves");
        }
    }

    fn pause(&self) -> Duration {
        lock(&self.shared.wakes).pause(self.now_ms())
    }

    async fn tick_all_due(&self) {
        for _ in 0..TICK_BATCHES {
            if self.shared.stop.is_cancelled() || !self.tick_due().await {
                return;
            }
        }
    }

    /// Hands a tick to a batch of tasks that are due and leased to this instance; whether more may be due.
    async fn tick_due(&self) -> bool {
        let now_ms = self.now_ms();
        let store = &self.shared.ports.store;
        let lease_until = now_ms.saturating_add(TICK_LEASE_MS);
        let due = match store
            .lease_due(
                &self.shared.config.instance,
                now_ms,
                lease_until,
                TICK_BATCH,
            )
            .await
        {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "due tasks are not known");
                return false;
            }
        };
        if due.is_empty() {
            return false;
        }
        let full = due.len() >= usize::try_from(TICK_BATCH).unwrap_or(usize::MAX);
        let ticks = due
            .iter()
            .map(|task_id| self.submit(*task_id, Command::Tick));
        for outcome in futures::future::join_all(ticks).await {
            match outcome {
                Ok(()) | Err(EngineError::Refused(_) | EngineError::Stopping) => {}
                Err(error) => tracing::warn!(%error, "tick failed"),
            }
        }
        if let Err(error) = store.release(&self.shared.config.instance, &due).await {
            tracing::warn!(%error, "ticks are not released, they run out by themselves");
        }
        full
    }
}
