//! What the directory offers, indexed for admission.

use std::collections::BTreeMap;

use d402_objects::{
    CapabilityId, Cid, DeprecationRecord, Ed25519Id, Manifest, NamespaceProof, NodeOffer,
    Registration, Signed, ValidatorOffer,
};

/// A capability as one author registered it.
#[derive(Clone, Debug)]
pub struct Listing {
    /// What it means.
    pub manifest: Signed<Manifest>,
    /// Its author's registration with the highest `seq`.
    pub registration: Signed<Registration>,
    /// Its author withdrew it.
    pub deprecation: Option<Signed<DeprecationRecord>>,
    /// The namespace's wallet named the author.
    pub namespace_proven: bool,
}

/// An immutable view of the directory at one moment.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// By manifest CID.
    listings: BTreeMap<Cid, Listing>,
    by_capability: BTreeMap<CapabilityId, Vec<Cid>>,
    /// The newest offer of each validator.
    offers: BTreeMap<Cid, Signed<ValidatorOffer>>,
    judges: BTreeMap<CapabilityId, Vec<Cid>>,
    /// The newest offer of each worker.
    workers: BTreeMap<Ed25519Id, Signed<NodeOffer>>,
}

impl Catalogue {
    /// Builds the view. Objects that do not belong together are left out: a registration without its manifest
    /// or by another than its author (threat #24), a deprecation by a stranger, an expired object.
    #[must_use]
    pub fn new(
        manifests: &[Signed<Manifest>],
        registrations: Vec<Signed<Registration>>,
        now_ms: u64,
    ) -> Self {
        let known: BTreeMap<Cid, &Signed<Manifest>> =
            manifests.iter().map(|m| (m.cid(), m)).collect();
        let mut catalogue = Self::default();
        for registration in registrations {
            let terms = registration.payload();
            let Some(manifest) = known.get(&terms.manifest_cid) else {
                continue;
            };
            let fits = terms.author == manifest.payload().author
                && terms.capability_id == manifest.payload().capability_id
                && terms.valid_from_ms.get() <= now_ms
                && now_ms < terms.valid_until_ms.get();
            if !fits {
                continue;
            }
            let newer = catalogue
                .listings
                .get(&terms.manifest_cid)
                .is_none_or(|l| l.registration.payload().seq < terms.seq);
            if newer {
                let listing = Listing {
                    manifest: (*manifest).clone(),
                    registration,
                    deprecation: None,
                    namespace_proven: false,
                };
                catalogue.listings.insert(manifest.cid(), listing);
            }
        }
        for (cid, listing) in &catalogue.listings {
            let capability = listing.manifest.payload().capability_id.clone();
            catalogue
                .by_capability
                .entry(capability)
                .or_default()
                .push(*cid);
        }
        catalogue
    }

    /// Adds deprecations; only the author's count.
    #[must_use]
    pub fn with_deprecations(mut self, records: Vec<Signed<DeprecationRecord>>) -> Self {
        for record in records {
            let payload = record.payload();
            if let Some(listing) = self.listings.get_mut(&payload.manifest_cid)
                && listing.manifest.payload().author == payload.author
            {
                listing.deprecation = Some(record);
            }
        }
        self
    }

    /// Adds namespace proofs. A namespace two wallets claim is nobody's: which of them owns it is not known here.
    #[must_use]
    pub fn with_namespace_proofs(mut self, proofs: &[Signed<NamespaceProof>], now_ms: u64) -> Self {
        let live = |p: &&Signed<NamespaceProof>| now_ms < p.payload().valid_until_ms.get();
        for listing in self.listings.values_mut() {
            let registration = listing.registration.payload();
            let mut own = proofs
                .iter()
                .filter(live)
                .filter(|p| p.payload().namespace == registration.namespace);
            let Some(first) = own.next() else { continue };
            let one_wallet = own
                .clone()
                .all(|p| p.payload().wallet == first.payload().wallet);
            let named = std::iter::once(first)
                .chain(own)
                .any(|p| p.payload().author == registration.author);
            listing.namespace_proven = one_wallet && named;
        }
        self
    }

    /// Adds node offers: the newest of each worker, unless expired.
    #[must_use]
    pub fn with_workers(mut self, offers: Vec<Signed<NodeOffer>>, now_ms: u64) -> Self {
        for offer in offers {
            let payload = offer.payload();
            let newer = self
                .workers
                .get(&payload.worker)
                .is_none_or(|o| o.payload().seq < payload.seq);
            if newer && now_ms < payload.expires_at_ms.get() {
                self.workers.insert(payload.worker, offer);
            }
        }
        self
    }

    /// The newest offer of a worker.
    #[must_use]
    pub fn worker(&self, worker: &Ed25519Id) -> Option<&Signed<NodeOffer>> {
        self.workers.get(worker)
    }

    /// The newest offer of every worker, by key.
    pub fn workers(&self) -> impl Iterator<Item = &Signed<NodeOffer>> {
        self.workers.values()
    }

    /// Adds validator offers: the newest of each validator, unless expired.
    #[must_use]
    pub fn with_offers(mut self, offers: Vec<Signed<ValidatorOffer>>, now_ms: u64) -> Self {
        let mut newest: BTreeMap<Ed25519Id, Signed<ValidatorOffer>> = BTreeMap::new();
        for offer in offers {
            let payload = offer.payload();
            let newer = newest
                .get(&payload.validator)
                .is_none_or(|o| o.payload().seq < payload.seq);
            if newer && now_ms < payload.expires_at_ms.get() {
                newest.insert(payload.validator, offer);
            }
        }
        for offer in newest.into_values() {
            for family in &offer.payload().families {
                self.judges
                    .entry(family.clone())
                    .or_default()
                    .push(offer.cid());
            }
            self.offers.insert(offer.cid(), offer);
        }
        self
    }

    /// A listing by its manifest.
    #[must_use]
    pub fn listing(&self, manifest: &Cid) -> Option<&Listing> {
        self.listings.get(manifest)
    }

    /// All listings, by manifest CID.
    pub fn listings(&self) -> impl Iterator<Item = &Listing> {
        self.listings.values()
    }

    /// Listings of a capability id, one per manifest.
    pub fn of_capability(&self, capability: &CapabilityId) -> impl Iterator<Item = &Listing> {
        self.by_capability
            .get(capability)
            .into_iter()
            .flatten()
            .filter_map(|cid| self.listings.get(cid))
    }

    /// A validator's offer.
    #[must_use]
    pub fn offer(&self, cid: &Cid) -> Option<&Signed<ValidatorOffer>> {
        self.offers.get(cid)
    }

    /// Offers to judge a capability, by CID.
    pub fn judges(
        &self,
        capability: &CapabilityId,
    ) -> impl Iterator<Item = &Signed<ValidatorOffer>> {
        self.judges
            .get(capability)
            .into_iter()
            .flatten()
            .filter_map(|cid| self.offers.get(cid))
    }

    /// All validator offers.
    pub fn offers(&self) -> impl Iterator<Item = &Signed<ValidatorOffer>> {
        self.offers.values()
    }
}
