//! Verifying a bundle from its bytes alone; stops at the first broken link.

use std::collections::{BTreeMap, BTreeSet};

use d402_objects::{
    Bid, Cid, Document, Floats, Limits, ObjectError, Outcome, Payload, Signed, SignedReceipt,
    StrictError, Value, canonical, strict,
};

use super::file::{BUNDLE_VERSION, File, MAX_BUNDLE_BYTES, MAX_DEPTH};
use super::{Proof, Proven};
use crate::market::decision::{Decided, Decision, decide_on};
use crate::market::release::check_signatures;
use crate::market::{
    Basis, Dossier, DossierError, DossierParts, Evidence, EvidenceObject, NotAdmitted, ReceiptFault,
};
use crate::{Units, need, plan};

/// The first broken link of a bundle. Declaration order is check order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenLink {
    /// Not strict JSON, or too large.
    #[error("file is not strict JSON")]
    Strict(#[source] StrictError),
    /// The bytes are not the canonical bytes of their content.
    #[error("file is not canonical from byte {at} on")]
    NotCanonical {
        /// First byte that differs.
        at: usize,
    },
    /// A field is missing, unknown or of another type.
    #[error("file does not have the shape of a bundle")]
    Schema(#[source] serde_json::Error),
    /// Another version of the format.
    #[error("bundle version {got}, known is {known}")]
    Version {
        /// In the file.
        got: u16,
        /// Known.
        known: u16,
    },
    /// An object does not verify.
    #[error("{kind} {index} does not verify")]
    Object {
        /// Its kind.
        kind: &'static str,
        /// Its place in its list.
        index: usize,
        /// Why.
        #[source]
        source: ObjectError,
    },
    /// A list does not ascend by CID.
    #[error("the list of {kind} objects is not ascending by CID")]
    Order {
        /// Of what.
        kind: &'static str,
    },
    /// Content is not base64 or does not hash to its CID.
    #[error("content {0} does not match its CID")]
    Content(Cid),
    /// The input is not in the bundle.
    #[error("the input {0} is not in the bundle")]
    NoInput(Cid),
    /// Content that nothing in the bundle calls for.
    #[error("content {0} is not needed")]
    UnneededContent(Cid),
    /// Intent, manifest, registration, offers and input do not belong together.
    #[error("the task's parts do not fit")]
    Dossier(#[source] DossierError),
    /// `network` is not the one paid on.
    #[error("the bundle is not of the network the task was paid on")]
    OtherNetwork,
    /// An object is no evidence of this task.
    #[error("{cid} is no evidence of this task")]
    Evidence {
        /// The object.
        cid: Cid,
        /// Why.
        #[source]
        source: NotAdmitted,
    },
    /// A bid that no lease answers as it was made.
    #[error("bid {0} is not behind a lease")]
    Bid(Cid),
    /// The receipt or its signatures are refused.
    #[error("the settlement receipt is refused")]
    Receipt(#[source] ReceiptFault),
    /// The evidence gives another receipt, or none.
    #[error("the evidence does not give this receipt")]
    OtherOutcome,
    /// Evidence that the decision does not read.
    #[error("the bundle holds evidence the decision does not read")]
    UnneededEvidence,
}

/// Verified objects of a bundle.
struct Parsed {
    dossier: Dossier,
    evidence: Vec<EvidenceObject>,
    bids: Vec<Signed<Bid>>,
    signed_receipt: SignedReceipt,
    contents: BTreeSet<Cid>,
    objects: usize,
}

pub(super) fn verify(bytes: &[u8]) -> Result<Proof, BrokenLink> {
    let parsed = parse(bytes)?;
    let dossier = &parsed.dossier;
    let mut evidence = Evidence::new(dossier);
    if let Some((cid, source)) = evidence.insert_all(parsed.evidence).into_iter().next() {
        return Err(BrokenLink::Evidence { cid, source });
    }
    check_bids(&evidence, &parsed.bids)?;
    let least = dossier.terms().settle_by;
    let checked =
        check_signatures(dossier, &parsed.signed_receipt, least).map_err(BrokenLink::Receipt)?;
    let decided = rederive(&evidence, &parsed.signed_receipt)?;
    if decided.inputs != evidence.cids() {
        return Err(BrokenLink::UnneededEvidence);
    }
    let output = check_contents(&evidence, &decided, &parsed.contents)?;
    let budget = Units::from_u64(dossier.terms().budget);
    let owed = plan(
        dossier.terms(),
        &decided.settlement.rows,
        decided.settlement.outcome,
        budget,
    )
    .map_err(|fault| BrokenLink::Receipt(ReceiptFault::Plan(fault)))?
    .owed;
    let links = vec![
        Proven::CanonicalFile { bytes: bytes.len() },
        Proven::Objects {
            count: parsed.objects,
        },
        Proven::Contents {
            count: parsed.contents.len(),
            output,
        },
        Proven::Terms,
        Proven::LeaseSets {
            sets: evidence.lease_sets().count(),
            leases: evidence.leases().count(),
        },
        Proven::Bids {
            count: parsed.bids.len(),
        },
        Proven::Claims {
            acks: evidence.acks().count(),
            claims: evidence.claims().count(),
        },
        Proven::Verdicts {
            count: evidence.receipts().count(),
        },
        Proven::Arithmetic {
            owed: owed.get(),
            budget: budget.get(),
        },
        Proven::Outcome(decided.basis),
        Proven::Signatures {
            got: checked.approvals.count(),
            need: need(dossier.terms(), dossier.set(), least),
            of: dossier.set().n(),
        },
    ];
    Ok(Proof {
        task_id: dossier.task_id(),
        terms_hash: dossier.terms_hash(),
        pay_to: dossier.pay_to(),
        receipt_cid: decided.receipt_cid,
        outcome: decided.receipt.outcome,
        rows: decided.receipt.rows,
        basis: decided.basis,
        signers: parsed
            .signed_receipt
            .signatures()
            .iter()
            .map(|s| s.set_index)
            .collect(),
        links,
    })
}

fn parse(bytes: &[u8]) -> Result<Parsed, BrokenLink> {
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
    let (mut contents, cids) = contents(&file)?;
    let intent: Signed<d402_objects::TaskIntent> = object(file.intent, 0)?;
    let input_cid = intent.payload().input.cid;
    let parts = DossierParts {
        manifest: object(file.manifest, 0)?,
        registration: object(file.registration, 0)?,
        offers: unordered(file.offers)?,
        input: contents
            .remove(&input_cid)
            .ok_or(BrokenLink::NoInput(input_cid))?,
        payment_index: file.payment_index,
        intent,
    };
    let offers = parts.offers.len();
    let dossier = Dossier::check(parts).map_err(BrokenLink::Dossier)?;
    if *dossier.network() != file.network {
        return Err(BrokenLink::OtherNetwork);
    }
    let mut evidence: Vec<EvidenceObject> = Vec::new();
    evidence.extend(
        ascending(file.leases)?
            .into_iter()
            .map(EvidenceObject::Lease),
    );
    evidence.extend(
        ascending(file.lease_accepts)?
            .into_iter()
            .map(EvidenceObject::LeaseAccept),
    );
    evidence.extend(
        ascending(file.commits)?
            .into_iter()
            .map(EvidenceObject::Commit),
    );
    evidence.extend(ascending(file.acks)?.into_iter().map(EvidenceObject::Ack));
    evidence.extend(
        ascending(file.claims)?
            .into_iter()
            .map(EvidenceObject::Claim),
    );
    evidence.extend(
        ascending(file.validation_receipts)?
            .into_iter()
            .map(EvidenceObject::Receipt),
    );
    evidence.extend(
        ascending(file.no_more_leases)?
            .into_iter()
            .map(EvidenceObject::NoMoreLeases),
    );
    let bids: Vec<Signed<Bid>> = ascending(file.bids)?;
    let kind = d402_objects::SettlementReceipt::KIND;
    let signed_receipt =
        SignedReceipt::from_value(file.signed_receipt).map_err(|source| BrokenLink::Object {
            kind,
            index: 0,
            source,
        })?;
    // Intent, manifest and registration, then the lists.
    let objects = [3, offers, evidence.len(), bids.len()]
        .into_iter()
        .fold(0, usize::saturating_add);
    Ok(Parsed {
        dossier,
        evidence,
        bids,
        signed_receipt,
        contents: cids,
        objects,
    })
}

fn contents(file: &File) -> Result<(BTreeMap<Cid, Vec<u8>>, BTreeSet<Cid>), BrokenLink> {
    let mut contents = BTreeMap::new();
    let mut last = None;
    for blob in &file.blobs {
        if last >= Some(blob.cid) {
            return Err(BrokenLink::Order { kind: "content" });
        }
        last = Some(blob.cid);
        contents.insert(blob.cid, blob.bytes().ok_or(BrokenLink::Content(blob.cid))?);
    }
    let cids = contents.keys().copied().collect();
    Ok((contents, cids))
}

fn object<T: Payload>(value: Value, index: usize) -> Result<Signed<T>, BrokenLink> {
    Signed::from_value(value).map_err(|source| BrokenLink::Object {
        kind: T::KIND,
        index,
        source,
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

/// Every bid is answered by a lease as it was made (threat #67).
fn check_bids(evidence: &Evidence, bids: &[Signed<Bid>]) -> Result<(), BrokenLink> {
    for bid in bids {
        let offered = bid.payload();
        let answered = evidence.leases().map(Signed::payload).any(|lease| {
            lease.bid_cid == bid.cid()
                && lease.worker == offered.worker
                && lease.task_id == offered.task_id
                && lease.terms_hash == offered.terms_hash
                && lease.network == offered.network
                && lease.price == offered.price
                && lease.payout == offered.payout
        });
        if !answered {
            return Err(BrokenLink::Bid(bid.cid()));
        }
    }
    Ok(())
}

/// No clock is under a signature, so each basis is tried; the first that gives the receipt is reported.
fn rederive(evidence: &Evidence, signed: &SignedReceipt) -> Result<Decided, BrokenLink> {
    let tries = [
        (Basis::Fast, false),
        (Basis::Fast, true),
        (Basis::Slow, true),
        (Basis::DepositLate, true),
    ];
    for (basis, deadline_passed) in tries {
        if let Decision::Decided(decided) = decide_on(evidence, basis, deadline_passed)
            && decided.receipt_cid == signed.receipt_cid()
        {
            return Ok(*decided);
        }
    }
    Err(BrokenLink::OtherOutcome)
}

/// Contents are the input, and outputs and evidence of claims that are paid. Returns whether an output is
/// there.
fn check_contents(
    evidence: &Evidence,
    decided: &Decided,
    contents: &BTreeSet<Cid>,
) -> Result<bool, BrokenLink> {
    let mut needed = BTreeSet::from([evidence.dossier().intent().input.cid]);
    let mut outputs = BTreeSet::new();
    if decided.receipt.outcome == Outcome::Paid {
        for claim in decided
            .receipt
            .claim_cids
            .iter()
            .filter_map(|cid| evidence.claim(cid))
        {
            outputs.insert(claim.payload().output.cid);
            needed.extend(claim.payload().evidence.iter().map(|piece| piece.cid));
        }
    }
    needed.extend(&outputs);
    match contents.iter().find(|cid| !needed.contains(cid)) {
        Some(cid) => Err(BrokenLink::UnneededContent(*cid)),
        None => Ok(contents.iter().any(|cid| outputs.contains(cid))),
    }
}
