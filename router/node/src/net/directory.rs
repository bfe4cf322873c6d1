//! The directory every node keeps: manifests, registrations, deprecations and offers, learned by gossip, by
//! sync with peers, and from files.

use std::sync::Arc;

use d402_core::ports::{
    Clock, Directory, DirectoryEntry, DirectoryOutcome, MarketNetwork, StoreError, Topic,
};
use d402_objects::{AnySigned, Cid};
use d402_wire::{NodeAddress, RawEnvelope, Refusal, Request, Response};

/// Objects in one sync page or put.
const PAGE: u32 = 64;
/// Pages asked of one peer in one sync.
const MAX_PAGES: u32 = 64;
/// Kinds of directory objects, as `payloadType`.
pub(super) const KINDS: [&str; 6] = [
    "d402.manifest",
    "d402.registration",
    "d402.namespaceProof",
    "d402.deprecationRecord",
    "d402.nodeOffer",
    "d402.validatorOffer",
];
/// Objects without an expiry of their own are kept this long, ms.
const KEEP_MS: u64 = 365 * 24 * 3_600_000;

/// Why an object is not taken into the directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Import {
    /// It does not verify.
    #[error("object does not verify")]
    Object(#[from] d402_objects::ObjectError),
    /// Not a kind the directory keeps.
    #[error("not a directory object")]
    Kind,
    /// Expired, or not valid yet.
    #[error("object is not valid now")]
    Expired,
    /// Its signer holds as many objects here as it may.
    #[error("too many objects of one signer")]
    Quota,
    /// The store did not answer.
    #[error("directory store")]
    Store(#[from] StoreError),
}

/// A node's directory and how it talks about it.
#[derive(Clone)]
pub struct DirectoryService {
    store: Arc<dyn Directory>,
    network: Arc<dyn MarketNetwork>,
    clock: Arc<dyn Clock>,
}

impl DirectoryService {
    /// A directory over a store.
    #[must_use]
    pub fn new(
        store: Arc<dyn Directory>,
        network: Arc<dyn MarketNetwork>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            network,
            clock,
        }
    }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Directory> {
        &self.store
    }

    /// Verifies an object and keeps it; `true` when it was new.
    ///
    /// # Errors
    /// [`Import`].
    pub async fn import(&self, raw: RawEnvelope) -> Result<bool, Import> {
        let object = raw.open_any()?;
        let entry = self.entry(&object, raw)?;
        match self.store.put(entry).await? {
            DirectoryOutcome::Stored => Ok(true),
            DirectoryOutcome::NotNewer => Ok(false),
            DirectoryOutcome::QuotaReached => Err(Import::Quota),
        }
    }

    fn entry(&self, object: &AnySigned, raw: RawEnvelope) -> Result<DirectoryEntry, Import> {
        let now_ms = self.clock.now_ms();
        let forever = now_ms.saturating_add(KEEP_MS);
        let (kind, slot, seq, expires_at_ms) = match object {
            AnySigned::Manifest(m) => ("d402.manifest", m.cid().to_string(), 0, forever),
            AnySigned::Registration(r) => {
                let p = r.payload();
                let slot = format!("{}/{}", p.manifest_cid, p.namespace);
                ("d402.registration", slot, p.seq, p.valid_until_ms.get())
            }
            AnySigned::DeprecationRecord(d) => (
                "d402.deprecationRecord",
                d.payload().manifest_cid.to_string(),
                d.payload().seq,
                forever,
            ),
            AnySigned::NodeOffer(o) => (
                "d402.nodeOffer",
                String::new(),
                o.payload().seq,
                o.payload().expires_at_ms.get(),
            ),
            AnySigned::ValidatorOffer(o) => (
                "d402.validatorOffer",
                String::new(),
                o.payload().seq,
                o.payload().expires_at_ms.get(),
            ),
            AnySigned::NamespaceProof(p) => {
                let p = p.payload();
                let slot = format!("{}/{}", p.namespace, p.author);
                ("d402.namespaceProof", slot, p.seq, p.valid_until_ms.get())
            }
            AnySigned::ProviderRecord(_)
            | AnySigned::TaskIntent(_)
            | AnySigned::TaskAnnouncement(_)
            | AnySigned::Bid(_)
            | AnySigned::BidAck(_)
            | AnySigned::Lease(_)
            | AnySigned::LeaseAccept(_)
            | AnySigned::ClaimCommit(_)
            | AnySigned::CommitAck(_)
            | AnySigned::ResultClaim(_)
            | AnySigned::ValidationReceipt(_)
            | AnySigned::NoMoreLeases(_)
            | AnySigned::Inventory(_)
            | AnySigned::Ready(_)
            | AnySigned::SettlementProof(_)
            | AnySigned::ReputationEvent(_) => return Err(Import::Kind),
        };
        if expires_at_ms <= now_ms {
            return Err(Import::Expired);
        }
        Ok(DirectoryEntry {
            cid: object.cid(),
            kind: kind.to_owned(),
            signer: object.signer().to_string(),
            slot,
            seq,
            expires_at_ms,
            object: raw,
        })
    }

    /// Keeps an own object and tells everybody.
    ///
    /// # Errors
    /// [`Import`].
    pub async fn publish(&self, raw: RawEnvelope) -> Result<(), Import> {
        let topic = topic_of(&raw).ok_or(Import::Kind)?;
        self.import(raw.clone()).await?;
        if let Err(error) = self.network.publish(topic, &raw).await {
            tracing::debug!(%error, "no peer to tell yet; the next sync does");
        }
        Ok(())
    }

    /// Exchanges directories with a peer: takes what it has and gives what it lacks.
    pub async fn sync_with(&self, peer: &NodeAddress) {
        let mut after = None;
        let mut theirs = std::collections::BTreeSet::new();
        for _ in 0..MAX_PAGES {
            let request = Request::SyncDirectory {
                kinds: Vec::new(),
                after,
            };
            let Ok(Response::Directory { objects, next }) =
                self.network.request(peer, request).await
            else {
                return;
            };
            for object in objects {
                if let Ok(any) = object.open_any() {
                    theirs.insert(any.cid());
                }
                let _refused = self.import(object).await;
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        for page in self
            .missing_at(&theirs)
            .await
            .chunks(usize::try_from(PAGE).unwrap_or(64))
        {
            let _unanswered = self
                .network
                .request(
                    peer,
                    Request::PutDirectory {
                        objects: page.to_vec(),
                    },
                )
                .await;
        }
    }

    async fn missing_at(&self, theirs: &std::collections::BTreeSet<Cid>) -> Vec<RawEnvelope> {
        let mut missing = Vec::new();
        for kind in KINDS {
            if let Ok(entries) = self.store.list(kind, self.clock.now_ms(), None, 512).await {
                missing.extend(
                    entries
                        .into_iter()
                        .filter(|e| !theirs.contains(&e.cid))
                        .map(|e| e.object),
                );
            }
        }
        missing
    }

    /// One page for a peer. The cursor is `kind:cid`.
    pub async fn page(&self, kinds: &[String], after: Option<String>) -> Response {
        let wanted: Vec<&str> = KINDS
            .into_iter()
            .filter(|k| kinds.is_empty() || kinds.iter().any(|w| w == k))
            .collect();
        let (start, mut cursor) = match after.as_deref().and_then(|a| a.split_once(':')) {
            Some((kind, cid)) => (
                wanted
                    .iter()
                    .position(|k| *k == kind)
                    .unwrap_or(wanted.len()),
                cid.parse::<Cid>().ok(),
            ),
            None => (0, None),
        };
        for kind in wanted.iter().skip(start) {
            let Ok(entries) = self
                .store
                .list(kind, self.clock.now_ms(), cursor, PAGE)
                .await
            else {
                return Response::Refused {
                    reason: Refusal::Busy,
                };
            };
            cursor = None;
            if let Some(last) = entries.last() {
                let next = Some(format!("{kind}:{}", last.cid));
                return Response::Directory {
                    objects: entries.into_iter().map(|e| e.object).collect(),
                    next,
                };
            }
        }
        Response::Directory {
            objects: Vec::new(),
            next: None,
        }
    }

    /// Objects a peer puts; those that verify are kept.
    pub async fn put(&self, objects: Vec<RawEnvelope>) -> Response {
        for object in objects
            .into_iter()
            .take(usize::try_from(PAGE).unwrap_or(64))
        {
            let raw = object.clone();
            if let Ok(true) = self.import(object).await
                && let Some(topic) = topic_of(&raw)
            {
                let _no_peers = self.network.publish(topic, &raw).await;
            }
        }
        Response::Accepted
    }
}

/// The gossip topic of a directory object.
fn topic_of(raw: &RawEnvelope) -> Option<Topic> {
    match raw.to_value().ok()?.get("payloadType")?.as_str()? {
        "d402.manifest" | "d402.registration" | "d402.namespaceProof" => Some(Topic::Registrations),
        "d402.deprecationRecord" => Some(Topic::Deprecations),
        "d402.nodeOffer" => Some(Topic::NodeOffers),
        "d402.validatorOffer" => Some(Topic::ValidatorOffers),
        _ => None,
    }
}
