//! Verifying a bundle from its bytes alone; stops at the first broken link.

use std::collections::BTreeSet;

use d402_objects::{Bid, Cid, ObjectError, Outcome, Signed, SignedReceipt, StrictError};

use super::parse::Parsed;
use super::{Ground, Proof, Proven};
use crate::market::decision::{Decided, Decision, decide_on};
use crate::market::release::check_signatures;
use crate::market::{Basis, Dossier, DossierError, Evidence, NotAdmitted, ReceiptFault};
use crate::need;

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
        source: Box<ObjectError>,
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
    Dossier(#[source] Box<DossierError>),
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
        source: Box<NotAdmitted>,
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
}

pub(super) fn verify(bytes: &[u8]) -> Result<Proof, BrokenLink> {
    let parsed = Parsed::read(bytes)?;
    let dossier = &parsed.dossier;
    let mut evidence = Evidence::new(dossier);
    let refused = evidence.insert_all(parsed.evidence.clone());
    if let Some((cid, source)) = refused.into_iter().next() {
        let source = Box::new(source);
        return Err(BrokenLink::Evidence { cid, source });
    }
    check_bids(&evidence, &parsed.bids)?;
    let least = dossier.terms().settle_by;
    check_signatures(dossier, &parsed.signed_receipt, least).map_err(BrokenLink::Receipt)?;
    let decided = rederive(&evidence, &parsed.signed_receipt)?;
    let output = check_contents(&evidence, &decided, &parsed.contents)?;
    let signers: Vec<u8> = parsed
        .signed_receipt
        .signatures()
        .iter()
        .map(|s| s.set_index)
        .collect();
    let pay_to = dossier
        .quote()
        .pay_to_address()
        .ok_or_else(|| BrokenLink::Dossier(Box::new(DossierError::NoVaultAddress)))?;
    let mut links = vec![
        Proven::CanonicalFile { bytes: bytes.len() },
        Proven::Objects {
            count: parsed.objects,
        },
        Proven::Contents {
            count: parsed.contents.len(),
            output,
        },
        Proven::Terms,
    ];
    links.extend(dossier.direct().map(|_| Proven::Direct));
    links.extend(evidence_links(&evidence, &parsed.bids));
    links.extend(receipt_links(dossier, &decided, &signers));
    Ok(Proof {
        task_id: dossier.task_id(),
        capability_id: dossier.manifest().capability_id.clone(),
        mode: dossier.intent().mode,
        network: dossier.network().clone(),
        terms: dossier.quote().terms_bytes,
        terms_hash: dossier.terms_hash(),
        pay_to,
        direct: dossier.direct().is_some(),
        receipt_cid: decided.receipt_cid,
        outcome: decided.receipt.outcome,
        ground: ground(&decided),
        plan: decided.plan,
        rows: decided.receipt.rows,
        signers,
        links,
    })
}

fn evidence_links(evidence: &Evidence, bids: &[Signed<Bid>]) -> [Proven; 4] {
    [
        Proven::LeaseSets {
            sets: evidence.lease_sets().count(),
            leases: evidence.leases().count(),
        },
        Proven::Bids { count: bids.len() },
        Proven::Claims {
            acks: evidence.acks().count(),
            claims: evidence.claims().count(),
        },
        Proven::Verdicts {
            count: evidence.receipts().count(),
        },
    ]
}

fn receipt_links(dossier: &Dossier, decided: &Decided, signers: &[u8]) -> [Proven; 3] {
    [
        Proven::Arithmetic {
            owed: decided.plan.owed.get(),
            budget: u128::from(dossier.terms().budget),
        },
        Proven::Outcome(ground(decided)),
        Proven::Signatures {
            got: signers.len(),
            need: need(dossier.terms(), dossier.set(), dossier.terms().settle_by),
            of: dossier.set().n(),
        },
    ]
}

fn ground(decided: &Decided) -> Ground {
    match decided.basis {
        _ if decided.inputs.is_empty() => Ground::NoEvidence,
        Basis::Slow => Ground::Final,
        Basis::Fast | Basis::DepositLate | Basis::PaidElsewhere => Ground::Early,
    }
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

/// No clock is under a signature, so both paths are tried: after the deadline but before `decideAt`, which
/// decides whatever could be decided earlier, and at `decideAt`. A late deposit or a payment elsewhere gives
/// the receipt of no evidence, so it needs no try of its own.
fn rederive(evidence: &Evidence, signed: &SignedReceipt) -> Result<Decided, BrokenLink> {
    for basis in [Basis::Fast, Basis::Slow] {
        if let Decision::Decided(decided) = decide_on(evidence, basis, true)
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
