//! Open tasks after a start.
//!
//! A task needs its journal when something happens to it: a timer, a peer, a reader. Whoever comes first has it
//! replayed, so a gateway with many open tasks works at once. What nobody asks for is the effects of a step that
//! was stored just before the process died; therefore every open task is also looked at in the background, oldest
//! first, and its outstanding effects run again. Until then its timers are as good as ever: they are rows.

use std::time::Duration;

use d402_objects::Cid;

use super::{Engine, EngineError, lock};

/// Open tasks read at once.
const PAGE: u32 = 1_000;
/// Journals read at once.
const JOURNALS: usize = 64;
/// Pause after the store did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// How far the resumption is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resumption {
    /// Open tasks looked at since the start.
    pub tasks: usize,
    /// Whether those were all.
    pub done: bool,
}

impl Engine {
    /// How far the background resumption is.
    #[must_use]
    pub fn resumption(&self) -> Resumption {
        *lock(&self.shared.resumption)
    }

    pub(super) async fn open_page(&self, after: Option<Cid>) -> Result<Vec<Cid>, EngineError> {
        Ok(self.shared.ports.store.open_tasks(after, PAGE).await?)
    }

    /// Looks at every open task, beginning with the `page` read at the start.
    pub(super) async fn resume(&self, mut page: Vec<Cid>) {
        while let Some(last) = page.last().copied() {
            for ids in page.chunks(JOURNALS) {
                while let Err(error) = self.resume_some(ids).await {
                    tracing::warn!(%error, "open tasks are not read");
                    if self.stopped_within(PAUSE).await {
                        return;
                    }
                }
                if self.shared.stop.is_cancelled() {
                    return;
                }
                let mut resumption = lock(&self.shared.resumption);
                resumption.tasks = resumption.tasks.saturating_add(ids.len());
            }
            page = loop {
                match self.open_page(Some(last)).await {
                    Ok(page) => break page,
                    Err(error) => tracing::warn!(%error, "open tasks are not read"),
                }
                if self.stopped_within(PAUSE).await {
                    return;
                }
            };
        }
        lock(&self.shared.resumption).done = true;
        tracing::info!(tasks = self.resumption().tasks, "open tasks are resumed");
    }

    /// Replays those that nobody asked for yet.
    async fn resume_some(&self, ids: &[Cid]) -> Result<(), EngineError> {
        let unknown: Vec<Cid> = {
            let tasks = lock(&self.shared.tasks);
            let unknown = ids.iter().filter(|id| !tasks.contains_key(id));
            unknown.copied().collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let journals = self.shared.ports.store.journals(&unknown).await?;
        for (task_id, records) in unknown.into_iter().zip(journals) {
            // Waits behind the effects that wait already: a hundred thousand tasks must not queue all of theirs.
            let place = self.shared.effects.acquire().await;
            drop(place);
            // One damaged task must not keep the others from running.
            if let Err(error) = self.load(task_id, &records) {
                tracing::error!(%task_id, %error, "task cannot be resumed");
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn stopped_within(&self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.shared.stop.cancelled())
            .await
            .is_ok()
    }
}
