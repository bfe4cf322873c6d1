//! From a bundle's bytes to verified objects.

use std::collections::{BTreeMap, BTreeSet};

use d402_objects::{
    Bid, Cid, Document, Floats, Limits, Payload, Signed, SignedReceipt, TaskIntent, Value,
    canonical, strict,
};

use super::BrokenLink;
use super::file::{BUNDLE_VERSION, File, MAX_BUNDLE_BYTES, MAX_DEPTH};
use crate::market::{Dossier, DossierParts, EvidenceObject};

/// Verified objects of a bundle.
pub(super) struct Parsed {
    pub(super) dossier: Dossier,
    pub(super) evidence: Vec<EvidenceObject>,
    pub(super) bids: Vec<Signed<Bid>>,
    pub(super) signed_receipt: SignedReceipt,
    pub(super) contents: BTreeSet<Cid>,
    /// Envelopes that verified.
    pub(super) objects: usize,
}

impl Parsed {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BrokenLink> {
        let mut file = read_file(bytes)?;
        let mut contents = contents(&file)?;
        let cids = contents.keys().copied().collect();
        let dossier = dossier(&mut file, &mut contents)?;
        let bids: Vec<Signed<Bid>> = ascending(std::mem::take(&mut file.bids))?;
        let signed_receipt =
            SignedReceipt::from_value(file.signed_receipt.take()).map_err(|source| {
                BrokenLink::Object {
                    kind: d402_objects::SettlementReceipt::KIND,
                    index: 0,
                    source: Box::new(source),
                }
            })?;
        let evidence = evidence(file)?;
        // Intent, manifest and registration, then the lists.
        let objects = [3, dossier.parts().offers.len(), evidence.len(), bids.len()]
            .into_iter()
            .fold(0, usize::saturating_add);
        Ok(Self {
            dossier,
            evidence,
            bids,
            signed_receipt,
            contents: cids,
            objects,
        })
    }
}

fn read_file(bytes: &[u8]) -> Result<File, BrokenLink> {
    let limits = Limits {
        max_bytes: MAX_BUNDLE_BYTES,
        max_depth: MAX_DEPTH,
        floats: Floats::Allowed,
    };
    let value = strict::parse(bytes, &limits).map_err(BrokenLink::Strict)?;
    let canonical = canonical::to_bytes(&value);
    if canonical != bytes {
        let same = canonical
            .iter()
            .zip(bytes)
            .take_while(|(a, b)| a == b)
            .count();
        return Err(BrokenLink::NotCanonical { at: same });
    }
    let file: File = serde_json::from_value(value).map_err(BrokenLink::Schema)?;
    if file.bundle_version != BUNDLE_VERSION {
        return Err(BrokenLink::Version {
            got: file.bundle_version,
            known: BUNDLE_VERSION,
        });
    }
    Ok(file)
}

fn contents(file: &File) -> Result<BTreeMap<Cid, Vec<u8>>, BrokenLink> {
    let mut contents = BTreeMap::new();
    let mut last = None;
    for blob in &file.blobs {
        if last >= Some(blob.cid) {
            return Err(BrokenLink::Order { kind: "content" });
        }
        last = Some(blob.cid);
        contents.insert(blob.cid, blob.bytes().ok_or(BrokenLink::Content(blob.cid))?);
    }
    Ok(contents)
}

fn dossier(file: &mut File, contents: &mut BTreeMap<Cid, Vec<u8>>) -> Result<Dossier, BrokenLink> {
    let intent: Signed<TaskIntent> = object(file.intent.take(), 0)?;
    let input_cid = intent.payload().input.cid;
    let parts = DossierParts {
        intent,
        manifest: object(file.manifest.take(), 0)?,
        registration: object(file.registration.take(), 0)?,
        offers: unordered(std::mem::take(&mut file.offers))?,
        input: contents
            .remove(&input_cid)
            .ok_or(BrokenLink::NoInput(input_cid))?,
        payment_index: file.payment_index,
    };
    let dossier = Dossier::check(parts).map_err(|fault| BrokenLink::Dossier(Box::new(fault)))?;
    if *dossier.network() != file.network {
        return Err(BrokenLink::OtherNetwork);
    }
    Ok(dossier)
}

fn evidence(file: File) -> Result<Vec<EvidenceObject>, BrokenLink> {
    let mut evidence: Vec<EvidenceObject> = Vec::new();
    collect(&mut evidence, file.leases, EvidenceObject::Lease)?;
    collect(
        &mut evidence,
        file.lease_accepts,
        EvidenceObject::LeaseAccept,
    )?;
    collect(&mut evidence, file.commits, EvidenceObject::Commit)?;
    collect(&mut evidence, file.acks, EvidenceObject::Ack)?;
    collect(&mut evidence, file.claims, EvidenceObject::Claim)?;
    collect(
        &mut evidence,
        file.validation_receipts,
        EvidenceObject::Receipt,
    )?;
    Ok(evidence)
}

fn collect<T: Payload>(
    evidence: &mut Vec<EvidenceObject>,
    values: Vec<Value>,
    wrap: fn(Signed<T>) -> EvidenceObject,
) -> Result<(), BrokenLink> {
    evidence.extend(ascending(values)?.into_iter().map(wrap));
    Ok(())
}

fn object<T: Payload>(value: Value, index: usize) -> Result<Signed<T>, BrokenLink> {
    Signed::from_value(value).map_err(|source| BrokenLink::Object {
        kind: T::KIND,
        index,
        source: Box::new(source),
    })
}

fn unordered<T: Payload>(values: Vec<Value>) -> Result<Vec<Signed<T>>, BrokenLink> {
    values
        .into_iter()
        .enumerate()
        .map(|(index, value)| object(value, index))
        .collect()
}

fn ascending<T: Payload>(values: Vec<Value>) -> Result<Vec<Signed<T>>, BrokenLink> {
    let objects: Vec<Signed<T>> = unordered(values)?;
    let ordered = objects
        .iter()
        .zip(objects.iter().skip(1))
        .all(|(a, b)| a.cid() < b.cid());
    if !ordered {
        return Err(BrokenLink::Order { kind: T::KIND });
    }
    Ok(objects)
}
