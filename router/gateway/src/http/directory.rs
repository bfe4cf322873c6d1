//! The gateway's view of the directory: read every few hundred milliseconds, verified once per object.
//!
//! Unpaid requests read this view and nothing else. Invariant: nothing in it that did not verify.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use d402_core::admission::{Catalogue, Listing};
use d402_core::ports::{Directory, DirectoryEntry, StoreError};
use d402_objects::{
    Cid, DeprecationRecord, Document, Manifest, NamespaceProof, NodeOffer, Payload, Registration,
    Signed, ValidatorOffer,
};
use jsonschema::Validator;

/// A view older than this is read anew, in the background.
const FRESH_MS: u64 = 300;
/// A view older than this is not answered from.
const STALE_MS: u64 = 5_000;
/// Entries per page.
const PAGE: u32 = 500;
/// Most entries of a kind that are looked at.
const MAX_ENTRIES: usize = 20_000;
/// Objects no longer in the directory are remembered this long: a challenge lives 120 s, and an offer that was
/// replaced meanwhile is still what its validator signed.
const REMEMBERED_MS: u64 = 150_000;

/// One reading of the directory.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) catalogue: Catalogue,
    /// Compiled input schemas by manifest; a manifest whose schema does not compile is not in the catalogue.
    schemas: BTreeMap<Cid, Arc<Validator>>,
    read_ms: u64,
}

impl View {
    /// The input schema of a manifest.
    pub(crate) fn input_schema(&self, manifest: &Cid) -> Option<&Validator> {
        self.schemas.get(manifest).map(Arc::as_ref)
    }
}

/// Verified objects by CID, with the moment they were last seen.
#[derive(Default)]
struct Known {
    manifests: Shelf<Manifest>,
    registrations: Shelf<Registration>,
    offers: Shelf<ValidatorOffer>,
    deprecations: Shelf<DeprecationRecord>,
    proofs: Shelf<NamespaceProof>,
    workers: Shelf<NodeOffer>,
    schemas: BTreeMap<Cid, Arc<Validator>>,
}

struct Shelf<T>(BTreeMap<Cid, Seen<T>>);

struct Seen<T> {
    object: Signed<T>,
    seen_ms: u64,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// The cache.
pub(crate) struct DirectoryView {
    directory: Arc<dyn Directory>,
    current: RwLock<Arc<View>>,
    known: Mutex<Known>,
    reading: tokio::sync::Mutex<()>,
    refreshing: AtomicBool,
}

impl DirectoryView {
    pub(crate) fn new(directory: Arc<dyn Directory>) -> Self {
        Self {
            directory,
            current: RwLock::new(Arc::new(View::default())),
            known: Mutex::new(Known::default()),
            reading: tokio::sync::Mutex::new(()),
            refreshing: AtomicBool::new(false),
        }
    }

    /// A view at most [`STALE_MS`] old; one older than [`FRESH_MS`] starts a reading for those who come later.
    ///
    /// # Errors
    /// [`StoreError`] when there is no such view and the directory does not answer.
    pub(crate) async fn view(self: &Arc<Self>, now_ms: u64) -> Result<Arc<View>, StoreError> {
        let current = self.current();
        let age = now_ms.saturating_sub(current.read_ms);
        if age < FRESH_MS && current.read_ms > 0 {
            return Ok(current);
        }
        if age < STALE_MS && current.read_ms > 0 {
            if !self.refreshing.swap(true, Ordering::AcqRel) {
                let this = Arc::clone(self);
                tokio::spawn(async move {
                    if let Err(error) = this.read(now_ms).await {
                        tracing::warn!(%error, "directory is not read");
                    }
                    this.refreshing.store(false, Ordering::Release);
                });
            }
            return Ok(current);
        }
        self.read(now_ms).await
    }

    fn current(&self) -> Arc<View> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn read(&self, now_ms: u64) -> Result<Arc<View>, StoreError> {
        let _one_at_a_time = self.reading.lock().await;
        let current = self.current();
        if current.read_ms > 0 && now_ms.saturating_sub(current.read_ms) < FRESH_MS {
            return Ok(current);
        }
        let manifests = self.list::<Manifest>(now_ms).await?;
        let registrations = self.list::<Registration>(now_ms).await?;
        let offers = self.list::<ValidatorOffer>(now_ms).await?;
        let deprecations = self.list::<DeprecationRecord>(now_ms).await?;
        let proofs = self.list::<NamespaceProof>(now_ms).await?;
        let workers = self.list::<NodeOffer>(now_ms).await?;
        let view = {
            let mut known = lock(&self.known);
            let mut manifests = known.manifests.see(manifests, now_ms);
            manifests.retain(|m| known.compile(m));
            let registrations = known.registrations.see(registrations, now_ms);
            let offers = known.offers.see(offers, now_ms);
            let deprecations = known.deprecations.see(deprecations, now_ms);
            let proofs = known.proofs.see(proofs, now_ms);
            let workers = known.workers.see(workers, now_ms);
            let catalogue = Catalogue::new(&manifests, registrations, now_ms)
                .with_deprecations(deprecations)
                .with_namespace_proofs(&proofs, now_ms)
                .with_offers(offers, now_ms)
                .with_workers(workers, now_ms);
            Arc::new(View {
                catalogue,
                schemas: known.live_schemas(&manifests),
                read_ms: now_ms,
            })
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&view);
        Ok(view)
    }

    async fn list<T: Document>(&self, now_ms: u64) -> Result<Vec<DirectoryEntry>, StoreError> {
        let kind = format!("d402.{}", T::KIND);
        let mut entries: Vec<DirectoryEntry> = Vec::new();
        loop {
            let after = entries.last().map(|e| e.cid);
            let page = self.directory.list(&kind, now_ms, after, PAGE).await?;
            let last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            entries.extend(page);
            if last || entries.len() >= MAX_ENTRIES {
                return Ok(entries);
            }
        }
    }

    /// The listing of a challenge that was made a short while ago.
    pub(crate) fn recent_listing(&self, manifest: &Cid, registration: &Cid) -> Option<Listing> {
        if let Some(listing) = self.current().catalogue.listing(manifest)
            && listing.registration.cid() == *registration
        {
            return Some(listing.clone());
        }
        let known = lock(&self.known);
        Some(Listing {
            manifest: known.manifests.get(manifest)?,
            registration: known.registrations.get(registration)?,
            deprecation: self
                .current()
                .catalogue
                .listing(manifest)
                .and_then(|l| l.deprecation.clone()),
            namespace_proven: self
                .current()
                .catalogue
                .listing(manifest)
                .is_some_and(|l| l.namespace_proven),
        })
    }

    /// The offers of a challenge that was made a short while ago, in their order.
    pub(crate) fn recent_offers(&self, cids: &[Cid]) -> Option<Vec<Signed<ValidatorOffer>>> {
        let known = lock(&self.known);
        cids.iter().map(|cid| known.offers.get(cid)).collect()
    }
}

impl<T: Payload> Shelf<T> {
    /// The live objects; each is verified the first time it is seen, the unverifiable are left out.
    fn see(&mut self, entries: Vec<DirectoryEntry>, now_ms: u64) -> Vec<Signed<T>> {
        let mut live = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(seen) = self.0.get_mut(&entry.cid) {
                seen.seen_ms = now_ms;
                live.push(seen.object.clone());
                continue;
            }
            match entry.object.open::<T>() {
                Ok(object) => {
                    live.push(object.clone());
                    self.0.insert(
                        object.cid(),
                        Seen {
                            object,
                            seen_ms: now_ms,
                        },
                    );
                }
                Err(error) => {
                    tracing::warn!(cid = %entry.cid, %error, "directory holds an object that does not verify")
                }
            }
        }
        self.0
            .retain(|_, seen| now_ms.saturating_sub(seen.seen_ms) < REMEMBERED_MS);
        live
    }
}

impl<T> Shelf<T> {
    fn get(&self, cid: &Cid) -> Option<Signed<T>> {
        self.0.get(cid).map(|seen| seen.object.clone())
    }
}

impl Known {
    /// Whether the manifest's input schema compiles; compiled once.
    fn compile(&mut self, manifest: &Signed<Manifest>) -> bool {
        if self.schemas.contains_key(&manifest.cid()) {
            return true;
        }
        let schema = &manifest.payload().input_schema;
        match jsonschema::options().offline().build(schema) {
            Ok(validator) => {
                self.schemas.insert(manifest.cid(), Arc::new(validator));
                true
            }
            Err(error) => {
                tracing::debug!(cid = %manifest.cid(), %error, "inputSchema does not compile");
                false
            }
        }
    }

    fn live_schemas(&mut self, manifests: &[Signed<Manifest>]) -> BTreeMap<Cid, Arc<Validator>> {
        let manifests: std::collections::BTreeSet<Cid> =
            manifests.iter().map(Signed::cid).collect();
        self.schemas.retain(|cid, _| manifests.contains(cid));
        self.schemas.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
