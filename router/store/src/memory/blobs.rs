//! Content in a map.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use d402_core::ports::{BlobStore, StoreError};
use d402_objects::Cid;

use super::lock;
use crate::blobs::verified;
use crate::convert::at_most;
use crate::limits::MAX_BLOB_BYTES;

/// Content that is gone with the process.
#[derive(Debug, Default)]
pub struct MemoryBlobs(Mutex<BTreeMap<Cid, Vec<u8>>>);

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn put(&self, bytes: &[u8]) -> Result<Cid, StoreError> {
        at_most(bytes.len(), MAX_BLOB_BYTES)?;
        let cid = Cid::of(bytes);
        lock(&self.0).insert(cid, bytes.to_vec());
        Ok(cid)
    }

    async fn get(&self, cid: Cid) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = lock(&self.0).get(&cid).cloned();
        Ok(bytes.map(|bytes| verified(cid, bytes)).transpose()?)
    }
}
