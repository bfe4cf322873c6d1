//! The bundle: one file from which anyone can check a task, offline, knowing nobody.
//!
//! Responsible for: the file format of `d402 verify`, writing and verifying it. Not responsible for: whether
//! the chain executed the receipt (a settlement proof says that), nor whether evidence was left out before the
//! validators signed (they check that, threat #13).
//!
//! Invariants: file bytes equal their canonical bytes; every leaf is under a signature or a CID, or fixed by
//! one that is; nothing is in it that the decision does not read. So every single-byte change is refused (#28).

mod file;
mod parse;
mod proof;
mod verify;

#[cfg(test)]
mod tests;

pub use file::{BUNDLE_VERSION, MAX_BUNDLE_BYTES};
pub use proof::{Ground, Proof, Proven};
pub use verify::BrokenLink;

use std::collections::BTreeSet;

use d402_objects::{Bid, Cid, Signed, SignedReceipt, Value, canonical};

use crate::market::{AssembleError, Decided, Evidence, EvidenceObject};
use file::{File, FileBlob};

/// What a bundle is written from.
#[derive(Clone, Copy, Debug)]
pub struct BundleContent<'a> {
    /// Holds at least the decision's inputs.
    pub evidence: &'a Evidence,
    /// What was decided.
    pub decided: &'a Decided,
    /// The same receipt with its signatures.
    pub signed_receipt: &'a SignedReceipt,
    /// Bids; those no lease answers are left out.
    pub bids: &'a [Signed<Bid>],
    /// Output and evidence bytes of paid claims, as far as they may be shown; the input comes from the dossier.
    pub contents: &'a [Vec<u8>],
}

/// Why no bundle can be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The evidence does not hold the decision's inputs.
    #[error("evidence is incomplete")]
    Evidence(#[from] AssembleError),
    /// The signed receipt is not the decided one.
    #[error("signed receipt is {got}, decided was {want}")]
    OtherReceipt {
        /// The carrier's.
        got: Cid,
        /// The decision's.
        want: Cid,
    },
    /// The file would be larger than a verifier reads.
    #[error("{got} bytes, a bundle holds {max}")]
    TooLarge {
        /// Bytes.
        got: usize,
        /// Allowed.
        max: usize,
    },
    /// A value has no JSON form.
    #[error("bundle cannot be encoded")]
    Encode(#[source] serde_json::Error),
}

/// The canonical bytes of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle(Vec<u8>);

impl Bundle {
    /// Writes a bundle. Does not verify signatures again; [`Bundle::verify`] does.
    ///
    /// # Errors
    /// [`BundleError`] when the parts do not belong together.
    pub fn build(content: &BundleContent<'_>) -> Result<Self, BundleError> {
        let (got, want) = (
            content.signed_receipt.receipt_cid(),
            content.decided.receipt_cid,
        );
        if got != want {
            return Err(BundleError::OtherReceipt { got, want });
        }
        let evidence = content.evidence.subset(&content.decided.inputs)?;
        let value = serde_json::to_value(file(content, &evidence)).map_err(BundleError::Encode)?;
        let bytes = canonical::to_bytes(&value);
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLarge {
                got: bytes.len(),
                max: MAX_BUNDLE_BYTES,
            });
        }
        Ok(Self(bytes))
    }

    /// Verifies a bundle from its bytes alone.
    ///
    /// # Errors
    /// [`BrokenLink`] names the first broken link.
    pub fn verify(bytes: &[u8]) -> Result<Proof, BrokenLink> {
        verify::verify(bytes)
    }

    /// The file's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The file's bytes, owned.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

fn file(content: &BundleContent<'_>, evidence: &Evidence) -> File {
    let dossier = evidence.dossier();
    let parts = dossier.parts();
    let list = |kind: fn(&EvidenceObject) -> bool| -> Vec<Value> {
        let mut objects: Vec<EvidenceObject> =
            evidence.objects().into_iter().filter(kind).collect();
        objects.sort_by_key(EvidenceObject::cid);
        objects.iter().map(EvidenceObject::to_value).collect()
    };
    File {
        bundle_version: BUNDLE_VERSION,
        network: dossier.network().clone(),
        payment_index: dossier.payment_index(),
        intent: parts.intent.to_value(),
        manifest: parts.manifest.to_value(),
        registration: parts.registration.to_value(),
        offers: parts.offers.iter().map(Signed::to_value).collect(),
        leases: list(|object| matches!(object, EvidenceObject::Lease(_))),
        lease_accepts: list(|object| matches!(object, EvidenceObject::LeaseAccept(_))),
        commits: list(|object| matches!(object, EvidenceObject::Commit(_))),
        acks: list(|object| matches!(object, EvidenceObject::Ack(_))),
        claims: list(|object| matches!(object, EvidenceObject::Claim(_))),
        validation_receipts: list(|object| matches!(object, EvidenceObject::Receipt(_))),
        bids: bids(content.bids, evidence),
        signed_receipt: content.signed_receipt.to_value(),
        blobs: blobs(content, evidence),
    }
}

fn bids(bids: &[Signed<Bid>], evidence: &Evidence) -> Vec<Value> {
    let answered: BTreeSet<Cid> = evidence
        .leases()
        .map(|lease| lease.payload().bid_cid)
        .collect();
    let mut kept: Vec<&Signed<Bid>> = bids
        .iter()
        .filter(|bid| answered.contains(&bid.cid()))
        .collect();
    kept.sort_by_key(|bid| bid.cid());
    kept.dedup_by_key(|bid| bid.cid());
    kept.into_iter().map(Signed::to_value).collect()
}

fn blobs(content: &BundleContent<'_>, evidence: &Evidence) -> Vec<FileBlob> {
    let mut blobs: Vec<FileBlob> = content
        .contents
        .iter()
        .map(|bytes| FileBlob::of(bytes))
        .collect();
    blobs.push(FileBlob::of(evidence.dossier().input()));
    blobs.sort_by_key(|blob| blob.cid);
    blobs.dedup_by_key(|blob| blob.cid);
    blobs
}
