//! Views that stay near the store when several gateways share one database.
//!
//! A step of another instance changes the journal and not this instance's memory. Commands notice by a
//! conflict; who only looks would see the old state for ever. A look therefore compares what is in memory
//! with the length of the stored journal, at most once in [`FRESH_MS`] per task, and replays when it grew.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use d402_objects::Cid;

use super::{Cell, Engine, EngineError, lock};

/// How far a look may be behind the store, ms.
const FRESH_MS: u64 = 1_000;

impl Engine {
    /// The cell of a task, not older than [`FRESH_MS`]. Final tasks never change, so they are never compared.
    pub(super) async fn fresh_cell(&self, task_id: Cid) -> Result<Option<Arc<Cell>>, EngineError> {
        let Some(cell) = self.cell(task_id).await? else {
            return Ok(None);
        };
        let (next_seq, ended) = {
            let loaded = lock(&cell.state);
            (loaded.next_seq, loaded.task.ending().is_some())
        };
        let now_ms = self.now_ms();
        let compared_ms = cell.compared_ms.load(Ordering::Relaxed);
        if ended || now_ms.saturating_sub(compared_ms) < FRESH_MS {
            return Ok(Some(cell));
        }
        cell.compared_ms.store(now_ms, Ordering::Relaxed);
        let stored = self.shared.ports.store.journal(task_id).await?.len();
        if u64::try_from(stored).unwrap_or(u64::MAX) <= next_seq {
            return Ok(Some(cell));
        }
        // Another instance, or our own writer this very moment: either way the journal has the truth.
        self.forget(&task_id);
        self.cell(task_id).await
    }
}
