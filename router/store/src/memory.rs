//! The same ports in memory, for tests of everything above the store. They pass the same suite.

mod blobs;
mod directory;
mod tasks;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use blobs::MemoryBlobs;
pub use directory::MemoryDirectory;
pub use tasks::MemoryTasks;

/// A panic elsewhere leaves the data as it was between two calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A page length as the machine counts.
fn page(limit: u32) -> usize {
    usize::try_from(limit.min(crate::limits::MAX_PAGE)).unwrap_or(usize::MAX)
}
