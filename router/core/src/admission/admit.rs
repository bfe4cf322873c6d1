//! From a request to an unsigned intent with its quotes.

use d402_objects::{
    Address, Amount, BlobRef, Caip2, Cid, Ed25519Id, Hex32, Invalid, Label, Mode, Nonce16,
    PaymentOption, Signed, TaskIntent, UnixMs, ValidationPolicy, ValidatorOffer, canonical, cid_of,
};
use d402_settlement::market::{Quote, TaskParts, set_hash_of};

use super::validators::{Chosen, Job, choose};
use super::{Catalogue, Listing, NotAdmitted, Policy, TaskRequest};

/// A rail this gateway sells on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RailOffer {
    /// The rail's name.
    pub rail: Label,
    /// Its network.
    pub network: Caip2,
    /// The token.
    pub asset: Address,
}

/// What must be drawn at random for every intent, and who it is for.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// The gateway's key.
    pub gateway: Ed25519Id,
    /// Wall clock, ms.
    pub now_ms: u64,
    /// Of the intent.
    pub nonce: Nonce16,
    /// Of the payment entries; each entry's own is derived from it.
    pub salt: [u8; 32],
    /// Opens the result when the request brought no `accessHash`.
    pub access_hash: Hex32,
}

/// Why a network is not offered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPayment {
    /// The request names no `refundTo` there.
    #[error("refundTo has no address on this network")]
    NoRefundTo,
    /// The creator takes a commission and has no wallet there (threat #24).
    #[error("the creator has no wallet on this network")]
    NoCreatorWallet,
    /// The validators ask more than half of the budget together.
    #[error("validators ask {fees} together, the budget must be twice that")]
    FeesTooHigh {
        /// Base units.
        fees: Amount,
    },
}

/// One payment entry and what follows from it.
#[derive(Clone, Debug)]
pub struct AdmittedRail {
    /// Place in the intent.
    pub payment_index: u8,
    /// Terms, address, deadlines.
    pub quote: Quote,
}

/// What may be offered to the buyer.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Unsigned.
    pub intent: TaskIntent,
    /// Its CID: the task id.
    pub task_id: Cid,
    /// Canonical bytes of the input.
    pub input: Vec<u8>,
    /// The listing it is under.
    pub listing: Listing,
    /// The validators' offers, in the intent's order.
    pub offers: Vec<Signed<ValidatorOffer>>,
    /// Every way to pay, at least one.
    pub rails: Vec<AdmittedRail>,
}

/// Decides whether the request may be offered, and builds its intent. Pure.
///
/// # Errors
/// [`NotAdmitted`] names the first rule against it.
pub fn admit(
    request: &TaskRequest,
    policy: &Policy,
    catalogue: &Catalogue,
    rails: &[RailOffer],
    draw: &Draw,
) -> Result<Admission, NotAdmitted> {
    let listing = find_listing(request, policy, catalogue)?;
    if !request.waits() && !policy.allow_async {
        return Err(NotAdmitted::AsyncRefused);
    }
    let budget = budget(request, policy, listing)?;
    let usable = usable_rails(request, listing, rails)?;
    let (offers, threshold) =
        validators(request, policy, catalogue, listing, (&usable, draw.now_ms))?;
    let payment = payments(request, policy, &usable, budget, (&offers, threshold, draw))?;
    let input = canonical::to_bytes(&request.input);
    let intent = intent(
        request,
        policy,
        listing,
        draw,
        (&input, payment, &offers, threshold),
    )?;
    let task_id = cid_of(&intent).map_err(NotAdmitted::Encoding)?;
    let parts = TaskParts {
        intent: &intent,
        task_id,
        manifest: &listing.manifest,
        registration: &listing.registration,
        offers: &offers,
    };
    let count = u8::try_from(intent.payment.len()).unwrap_or(u8::MAX);
    let rails = (0..count)
        .map(|payment_index| {
            Ok(AdmittedRail {
                payment_index,
                quote: Quote::of(&parts, payment_index)?,
            })
        })
        .collect::<Result<Vec<_>, NotAdmitted>>()?;
    Ok(Admission {
        task_id,
        input,
        listing: listing.clone(),
        offers,
        rails,
        intent,
    })
}

/// Whether terms offered a while ago still hold under the policy of now (threat #55): a challenge forged with a
/// leaked key can neither undercut the floor nor bring validators this gateway would not offer.
///
/// # Errors
/// [`NotAdmitted`] names the first rule against it.
pub fn may_still_be_redeemed(
    request: &TaskRequest,
    intent: &TaskIntent,
    listing: &Listing,
    offers: &[Signed<ValidatorOffer>],
    policy: &Policy,
) -> Result<(), NotAdmitted> {
    policy.accepts(listing)?;
    intent
        .payment
        .iter()
        .try_for_each(|payment| check_budget(payment.budget, policy))?;
    let any_may_judge = match &request.validation {
        Some(_) => policy.allow_other_validators || policy.trusted_validators.is_empty(),
        None => policy.trusted_validators.is_empty(),
    };
    match offers
        .iter()
        .find(|o| !any_may_judge && !policy.trusted_validators.contains(&o.payload().validator))
    {
        Some(stranger) => Err(NotAdmitted::UnusableOffer(stranger.cid())),
        None => Ok(()),
    }
}

fn find_listing<'a>(
    request: &TaskRequest,
    policy: &Policy,
    catalogue: &'a Catalogue,
) -> Result<&'a Listing, NotAdmitted> {
    if let Some(cid) = &request.manifest_cid {
        let listing = catalogue
            .listing(cid)
            .ok_or(NotAdmitted::UnknownCapability)?;
        if request
            .capability_id
            .as_ref()
            .is_some_and(|id| *id != listing.manifest.payload().capability_id)
        {
            return Err(NotAdmitted::OtherCapability);
        }
        policy.accepts(listing)?;
        return Ok(listing);
    }
    let capability = request
        .capability_id
        .as_ref()
        .or(policy.default_capability.as_ref())
        .ok_or(NotAdmitted::NoCapability)?;
    let mut accepted = Vec::new();
    let mut refusal = None;
    for listing in catalogue.of_capability(capability) {
        match policy.accepts(listing) {
            Ok(()) => accepted.push(listing),
            Err(reason) => refusal = Some(reason),
        }
    }
    // Of one author the newest; of several authors none, or a lookalike could take over a name.
    accepted.sort_by_key(|l| {
        std::cmp::Reverse((
            l.registration.payload().valid_from_ms,
            l.registration.payload().seq,
            l.manifest.cid(),
        ))
    });
    match (accepted.as_slice(), refusal) {
        ([], Some(reason)) => Err(reason.into()),
        ([], None) => Err(NotAdmitted::UnknownCapability),
        ([first, rest @ ..], _) => {
            let author = first.manifest.payload().author;
            if rest.iter().all(|l| l.manifest.payload().author == author) {
                return Ok(first);
            }
            Err(NotAdmitted::Ambiguous {
                manifests: accepted.iter().take(16).map(|l| l.manifest.cid()).collect(),
            })
        }
    }
}

fn budget(
    request: &TaskRequest,
    policy: &Policy,
    listing: &Listing,
) -> Result<Amount, NotAdmitted> {
    let budget = request
        .budget
        .unwrap_or_else(|| policy.budget_for(&listing.manifest.payload().capability_id));
    check_budget(budget, policy)?;
    Ok(budget)
}

fn check_budget(got: Amount, policy: &Policy) -> Result<(), NotAdmitted> {
    let (min, max) = (policy.price_floor, policy.max_budget);
    if got < min || got > max {
        return Err(NotAdmitted::Budget { got, min, max });
    }
    Ok(())
}

fn usable_rails<'a>(
    request: &TaskRequest,
    listing: &Listing,
    rails: &'a [RailOffer],
) -> Result<Vec<&'a RailOffer>, NotAdmitted> {
    let commission = &listing.registration.payload().commission;
    let mut usable = Vec::new();
    let mut unusable = Vec::new();
    for rail in rails {
        let reason = if !request.refund_to.contains_key(&rail.network) {
            NoPayment::NoRefundTo
        } else if commission.bps.get() > 0 && !commission.wallets.contains_key(&rail.network) {
            NoPayment::NoCreatorWallet
        } else {
            usable.push(rail);
            continue;
        };
        unusable.push((rail.network.clone(), reason));
    }
    if usable.is_empty() {
        return Err(NotAdmitted::NoRail { rails: unusable });
    }
    Ok(usable)
}

fn validators(
    request: &TaskRequest,
    policy: &Policy,
    catalogue: &Catalogue,
    listing: &Listing,
    (rails, now_ms): (&[&RailOffer], u64),
) -> Result<Chosen, NotAdmitted> {
    let manifest = listing.manifest.payload();
    let job = Job {
        capability: &manifest.capability_id,
        model: model(request, listing)?,
        rails,
        now_ms,
    };
    choose(request.validation.as_ref(), policy, catalogue, &job)
}

/// The buyer's model, or the manifest's first: authors list the strictest first.
fn model(
    request: &TaskRequest,
    listing: &Listing,
) -> Result<d402_objects::ValidationModel, NotAdmitted> {
    let models = &listing.manifest.payload().validation_models;
    let asked = request.validation.as_ref().and_then(|v| v.model);
    asked
        .or_else(|| models.first().copied())
        .ok_or(NotAdmitted::Intent(Invalid::NotDistinct {
            what: "validationModels",
        }))
}

fn payments(
    request: &TaskRequest,
    policy: &Policy,
    rails: &[&RailOffer],
    budget: Amount,
    (offers, threshold, draw): (&[Signed<ValidatorOffer>], u8, &Draw),
) -> Result<Vec<PaymentOption>, NotAdmitted> {
    let mut entries = Vec::with_capacity(rails.len());
    let mut unusable = Vec::new();
    for rail in rails {
        let Some(refund_to) = request.refund_to.get(&rail.network) else {
            continue;
        };
        let fees = fees_on(rail, offers);
        if fees.get().saturating_mul(2) > budget.get() {
            unusable.push((rail.network.clone(), NoPayment::FeesTooHigh { fees }));
            continue;
        }
        let (gateway_fee_bps, payee) = policy.fee_on(&rail.network);
        let set = set_hash_of(&rail.network, threshold, offers)?;
        entries.push(PaymentOption {
            rail: rail.rail.clone(),
            network: rail.network.clone(),
            asset: rail.asset.clone(),
            budget,
            refund_to: refund_to.clone(),
            rent_to: None,
            validator_set: Hex32::from_bytes(set.0),
            gateway_fee_bps,
            gateway_fee_payee: payee.cloned(),
            validator_fee_cap: fees,
            salt: salt_of(draw, rail),
        });
    }
    if entries.is_empty() {
        return Err(NotAdmitted::NoRail { rails: unusable });
    }
    Ok(entries)
}

/// Sum of what the validators ask on a rail; a missing fee is found by the terms later.
fn fees_on(rail: &RailOffer, offers: &[Signed<ValidatorOffer>]) -> Amount {
    offers
        .iter()
        .flat_map(|o| o.payload().fees.iter())
        .filter(|f| f.network == rail.network && f.asset == rail.asset)
        .fold(Amount::ZERO, |sum, f| {
            sum.checked_add(f.fee).unwrap_or(Amount::MAX)
        })
}

fn salt_of(draw: &Draw, rail: &RailOffer) -> Hex32 {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(draw.salt);
    hash.update(rail.rail.as_str());
    hash.update([0]);
    hash.update(rail.network.as_str());
    Hex32::from_bytes(hash.finalize().into())
}

fn intent(
    request: &TaskRequest,
    policy: &Policy,
    listing: &Listing,
    draw: &Draw,
    (input, payment, offers, threshold): (&[u8], Vec<PaymentOption>, &[Signed<ValidatorOffer>], u8),
) -> Result<TaskIntent, NotAdmitted> {
    let window = request.deadline_ms.unwrap_or(policy.default_deadline_ms);
    if window > policy.max_deadline_ms {
        return Err(NotAdmitted::Deadline {
            got: window,
            max: policy.max_deadline_ms,
        });
    }
    let mode = request.mode.unwrap_or(policy.default_mode);
    let (fanout, quorum) = fan(request, policy, mode);
    let issued_at_ms = UnixMs::new(draw.now_ms)?;
    Ok(TaskIntent {
        object_version: 1,
        nonce: draw.nonce,
        issued_at_ms,
        deadline_ms: issued_at_ms.saturating_add_ms(window),
        max_attempts: if mode == Mode::Single {
            policy.max_attempts
        } else {
            1
        },
        gateway: draw.gateway,
        buyer: None,
        manifest_cid: listing.manifest.cid(),
        registration_cid: listing.registration.cid(),
        input: BlobRef {
            cid: Cid::of(input),
            bytes: u64::try_from(input.len()).unwrap_or(u64::MAX),
            media_type: "application/json".parse()?,
        },
        mode,
        fanout,
        quorum,
        validation: ValidationPolicy {
            model: model(request, listing)?,
            offer_cids: offers.iter().map(Signed::cid).collect(),
            threshold,
        },
        payment,
        on_silence: request.on_silence.unwrap_or(policy.default_on_silence),
        access_hash: request.access_hash.unwrap_or(draw.access_hash),
        publish: request.publish,
    })
}

fn fan(request: &TaskRequest, policy: &Policy, mode: Mode) -> (u8, u8) {
    let fanout = || request.fanout.unwrap_or(policy.default_fanout);
    match mode {
        Mode::Single => (request.fanout.unwrap_or(1), request.quorum.unwrap_or(1)),
        Mode::Race => (fanout(), request.quorum.unwrap_or(1)),
        Mode::Quorum => {
            let majority = fanout()
                .checked_div(2)
                .unwrap_or_default()
                .saturating_add(1);
            (
                fanout(),
                request.quorum.or(policy.default_quorum).unwrap_or(majority),
            )
        }
    }
}
