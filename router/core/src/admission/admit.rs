//! From a request to an unsigned intent with its quotes.

use d402_objects::{
    Amount, BlobRef, Cid, Document as _, Ed25519Id, Hex32, Invalid, MAX_DIRECT_DEADLINE_MS, Mode,
    NodeOffer, Nonce16, OnSilence, PaymentOption, Signed, TaskIntent, UnixMs, ValidationPolicy,
    ValidatorOffer, canonical,
};
use d402_settlement::market::{Quote, TaskParts};

use super::direct::offer_of;
use super::intent_text::intent_text;
use super::rails::{payments, usable_rails};
use super::validators::{Chosen, Job, choose};
use super::{Catalogue, Listing, NotAdmitted, Policy, RailOffer, TaskRequest};

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
    /// Its canonical JSON.
    pub intent_text: String,
    /// Its CID: the task id.
    pub task_id: Cid,
    /// Canonical bytes of the input.
    pub input: Vec<u8>,
    /// The listing it is under.
    pub listing: Listing,
    /// The validators' offers, in the intent's order.
    pub offers: Vec<Signed<ValidatorOffer>>,
    /// The named worker's offer, from which account and price of direct entries are.
    pub worker: Option<Signed<NodeOffer>>,
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
    let worker = offer_of(request, catalogue, listing, draw.now_ms);
    let payment = payments(
        request,
        policy,
        &usable,
        (budget, worker),
        (&offers, threshold, draw),
    )?;
    let input = canonical::to_bytes(&request.input);
    let intent = intent(
        request,
        policy,
        listing,
        draw,
        (&input, payment, &offers, threshold),
    )?;
    intent.validate()?;
    let intent_text = intent_text(&intent);
    let task_id = Cid::of(intent_text.as_bytes());
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
        intent_text,
        task_id,
        input,
        listing: listing.clone(),
        offers,
        worker: worker.cloned(),
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

fn intent(
    request: &TaskRequest,
    policy: &Policy,
    listing: &Listing,
    draw: &Draw,
    (input, payment, offers, threshold): (&[u8], Vec<PaymentOption>, &[Signed<ValidatorOffer>], u8),
) -> Result<TaskIntent, NotAdmitted> {
    let direct = request.worker.is_some();
    let window = request
        .deadline_ms
        .unwrap_or(default_window(policy, direct));
    if window > policy.max_deadline_ms {
        return Err(NotAdmitted::Deadline {
            got: window,
            max: policy.max_deadline_ms,
        });
    }
    let (default_mode, default_silence, attempts) = if direct {
        (Mode::Single, OnSilence::Refund, 1)
    } else {
        (
            policy.default_mode,
            policy.default_on_silence,
            policy.max_attempts,
        )
    };
    let mode = request.mode.unwrap_or(default_mode);
    let (fanout, quorum) = fan(request, policy, mode);
    let issued_at_ms = UnixMs::new(draw.now_ms)?;
    Ok(TaskIntent {
        object_version: 1,
        nonce: draw.nonce,
        issued_at_ms,
        deadline_ms: issued_at_ms.saturating_add_ms(window),
        max_attempts: if mode == Mode::Single { attempts } else { 1 },
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
        on_silence: request.on_silence.unwrap_or(default_silence),
        access_hash: request.access_hash.unwrap_or(draw.access_hash),
        publish: request.publish,
    })
}

/// The policy's, cut to what a direct payment may wait.
fn default_window(policy: &Policy, direct: bool) -> u64 {
    if direct {
        policy.default_deadline_ms.min(MAX_DIRECT_DEADLINE_MS)
    } else {
        policy.default_deadline_ms
    }
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
