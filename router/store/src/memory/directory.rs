//! The directory in maps.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;

use async_trait::async_trait;
use d402_core::ports::{Directory, DirectoryEntry, DirectoryOutcome, StoreError};
use d402_objects::Cid;

use super::{lock, page};
use crate::convert::to_int;
use crate::directory::check_entry;
use crate::limits::MAX_ENTRIES_PER_SIGNER;

/// A directory that is gone with the process.
#[derive(Debug, Default)]
pub struct MemoryDirectory(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_cid: BTreeMap<Cid, DirectoryEntry>,
    /// Kind, signer and slot to the CID there.
    by_identity: BTreeMap<(String, String, String), Cid>,
    per_signer: BTreeMap<String, u64>,
}

impl Entries {
    fn enter(&mut self, entry: DirectoryEntry) -> DirectoryOutcome {
        let identity = (entry.kind.clone(), entry.signer.clone(), entry.slot.clone());
        let there = self.by_identity.get(&identity).copied();
        let newest = there
            .and_then(|cid| self.by_cid.get(&cid))
            .map(|there| there.seq);
        if newest.is_some_and(|seq| seq >= entry.seq) || self.by_cid.contains_key(&entry.cid) {
            return DirectoryOutcome::NotNewer;
        }
        match there {
            Some(replaced) => {
                self.by_cid.remove(&replaced);
            }
            None => {
                let used = self.per_signer.entry(entry.signer.clone()).or_default();
                if *used >= MAX_ENTRIES_PER_SIGNER {
                    return DirectoryOutcome::QuotaReached;
                }
                *used = used.saturating_add(1);
            }
        }
        self.by_identity.insert(identity, entry.cid);
        self.by_cid.insert(entry.cid, entry);
        DirectoryOutcome::Stored
    }
}

#[async_trait]
impl Directory for MemoryDirectory {
    async fn put(&self, entry: DirectoryEntry) -> Result<DirectoryOutcome, StoreError> {
        check_entry(&entry)?;
        to_int(entry.seq)?;
        to_int(entry.expires_at_ms)?;
        Ok(lock(&self.0).enter(entry))
    }

    async fn get(&self, cid: Cid) -> Result<Option<DirectoryEntry>, StoreError> {
        Ok(lock(&self.0).by_cid.get(&cid).cloned())
    }

    async fn list(
        &self,
        kind: &str,
        now_ms: u64,
        after: Option<Cid>,
        limit: u32,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        let entries = lock(&self.0);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let live = entries
            .by_cid
            .range((from, Bound::Unbounded))
            .map(|(_, entry)| entry)
            .filter(|entry| entry.kind == kind && entry.expires_at_ms > now_ms);
        Ok(live.take(page(limit)).cloned().collect())
    }
}
