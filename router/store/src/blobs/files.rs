//! Content as files: `<root>/ab/cdef…`, written beside, synced, then renamed into place.
//!
//! A name that is there has its whole content on disk: the file is synced before it gets its name, and the
//! directory is synced before `put` answers.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use d402_core::ports::{BlobStore, StoreError};
use d402_objects::Cid;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::verified;
use crate::convert::at_most;
use crate::fault::{Busy, Fault};
use crate::limits::{CALL_TIMEOUT, MAX_BLOB_BYTES, MAX_FILE_OPERATIONS};

/// Half-written files, of this process only: it holds the lock of the store.
const UNFINISHED: &str = "unfinished";

/// Content in a directory tree.
#[derive(Debug)]
pub(crate) struct FileBlobs {
    root: PathBuf,
    permits: Arc<Semaphore>,
    next_unfinished: AtomicU64,
}

impl FileBlobs {
    /// Opens or creates the tree and removes what a process that died left unfinished.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let unfinished = root.join(UNFINISHED);
        fs::create_dir_all(&unfinished)?;
        for entry in fs::read_dir(&unfinished)? {
            fs::remove_file(entry?.path())?;
        }
        sync_directory(root)?;
        Ok(Self {
            root: root.to_owned(),
            permits: Arc::new(Semaphore::new(MAX_FILE_OPERATIONS)),
            next_unfinished: AtomicU64::new(0),
        })
    }

    /// Fails when the tree is gone.
    pub(crate) async fn health(&self) -> Result<(), Fault> {
        let unfinished = self.root.join(UNFINISHED);
        self.on_disk(move || fs::metadata(unfinished).map(|_| ()))
            .await
    }

    /// Runs a file operation on a blocking thread, at most [`MAX_FILE_OPERATIONS`] at a time.
    async fn on_disk<T: Send + 'static>(
        &self,
        operation: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let permits = Arc::clone(&self.permits);
        let run = async move {
            let permit = permits
                .acquire_owned()
                .await
                .map_err(|_| Fault::unavailable(Busy::Closed))?;
            let joined = tokio::task::spawn_blocking(move || {
                // Held by the operation, not by the caller: one that gave up still counts until it ends.
                let _permit = permit;
                operation()
            });
            joined
                .await
                .map_err(Fault::unavailable)?
                .map_err(Fault::unavailable)
        };
        match timeout(CALL_TIMEOUT, run).await {
            Ok(ended) => ended,
            Err(_) => Err(Fault::unavailable(Busy::TimedOut)),
        }
    }
}

#[async_trait]
impl BlobStore for FileBlobs {
    async fn put(&self, bytes: &[u8]) -> Result<Cid, StoreError> {
        at_most(bytes.len(), MAX_BLOB_BYTES)?;
        let cid = Cid::of(bytes);
        let place = Place::of(&self.root, cid);
        let number = self.next_unfinished.fetch_add(1, Ordering::Relaxed);
        let unfinished = self
            .root
            .join(UNFINISHED)
            .join(format!("{}.{number}", place.name));
        let (root, bytes) = (self.root.clone(), bytes.to_vec());
        self.on_disk(move || write(&root, &place, &unfinished, &bytes))
            .await?;
        Ok(cid)
    }

    async fn get(&self, cid: Cid) -> Result<Option<Vec<u8>>, StoreError> {
        let place = Place::of(&self.root, cid);
        let bytes = self.on_disk(move || read(&place.file)).await?;
        Ok(bytes.map(|bytes| verified(cid, bytes)).transpose()?)
    }
}

/// Where a CID is kept.
struct Place {
    directory: PathBuf,
    file: PathBuf,
    name: String,
}

impl Place {
    fn of(root: &Path, cid: Cid) -> Self {
        let name = cid.to_hex32().to_string();
        let (first, rest) = name.split_at_checked(2).unwrap_or_default();
        let directory = root.join(first);
        let file = directory.join(rest);
        Self {
            directory,
            file,
            name,
        }
    }
}

fn write(root: &Path, place: &Place, unfinished: &Path, bytes: &[u8]) -> io::Result<()> {
    // A file with other bytes under this name is damaged; the right ones replace it.
    if read(&place.file)?.as_deref() != Some(bytes) {
        if !place.directory.is_dir() {
            fs::create_dir_all(&place.directory)?;
            sync_directory(root)?;
        }
        let written =
            write_synced(unfinished, bytes).and_then(|()| fs::rename(unfinished, &place.file));
        if let Err(error) = written {
            // The next start removes it if this does not.
            let _ = fs::remove_file(unfinished);
            return Err(error);
        }
    }
    // Also when it was there: whoever wrote it may not have come this far.
    sync_directory(&place.directory)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Content of a file, cut after one byte too many; `None` when there is no file.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BLOB_BYTES)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_damaged_file_is_broken_until_the_right_bytes_come_again() {
        let root = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::open(root.path()).unwrap();
        let cid = blobs.put(b"the page").await.unwrap();
        let file = Place::of(root.path(), cid).file;
        fs::write(&file, b"the pagE").unwrap();
        assert!(matches!(
            blobs.get(cid).await,
            Err(StoreError::Broken { .. })
        ));
        blobs.put(b"the page").await.unwrap();
        assert_eq!(blobs.get(cid).await.unwrap().unwrap(), b"the page");
    }

    #[tokio::test]
    async fn what_was_left_unfinished_is_removed_and_never_seen() {
        let root = tempfile::tempdir().unwrap();
        drop(FileBlobs::open(root.path()).unwrap());
        let cid = Cid::of(b"whole");
        let left = root
            .path()
            .join(UNFINISHED)
            .join(format!("{}.0", cid.to_hex32()));
        fs::write(&left, b"who").unwrap();
        let blobs = FileBlobs::open(root.path()).unwrap();
        assert!(!left.exists());
        assert_eq!(blobs.get(cid).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_vanished_tree_is_not_healthy() {
        let root = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::open(&root.path().join("blobs")).unwrap();
        blobs.health().await.unwrap();
        fs::remove_dir_all(root.path().join("blobs")).unwrap();
        assert!(blobs.health().await.is_err());
    }
}
