//! Direct entries (design §5): the buyer named one worker, whose own signed offer says account and price.
//!
//! Offered to nobody who did not ask, and then alone: a stock client that sees a direct entry beside an escrow
//! takes the direct one (threat #39).

use d402_objects::{Amount, DirectPayee, NodeOffer, Signed};

use super::{Catalogue, Listing, NoPayment, Policy, RailOffer, TaskRequest};

/// What a buyer pays straight to a worker on one rail.
pub(super) struct DirectTerms {
    pub(super) payee: DirectPayee,
    pub(super) price: Amount,
}

/// Whether the rail's flow is the one this request can be offered.
pub(super) fn check_flow(
    request: &TaskRequest,
    listing: &Listing,
    rail: &RailOffer,
) -> Result<(), NoPayment> {
    match (rail.direct, request.worker.is_some()) {
        (true, false) => Err(NoPayment::NoWorkerNamed),
        (false, true) => Err(NoPayment::WorkerNamed),
        (true, true) if listing.registration.payload().commission.bps.get() > 0 => {
            Err(NoPayment::Shared)
        }
        (true, true) | (false, false) => Ok(()),
    }
}

/// The newest live offer of the named worker, if it takes this work.
pub(super) fn offer_of<'a>(
    request: &TaskRequest,
    catalogue: &'a Catalogue,
    listing: &Listing,
    now_ms: u64,
) -> Option<&'a Signed<NodeOffer>> {
    let offer = catalogue.worker(request.worker.as_ref()?)?;
    let live = now_ms < offer.payload().expires_at_ms.get();
    let sells = offer
        .payload()
        .manifest_cids
        .contains(&listing.manifest.cid());
    (live && sells).then_some(offer)
}

/// Account and price on this rail, with nothing for anybody else: what is paid straight is paid whole.
pub(super) fn terms_on(
    rail: &RailOffer,
    offer: Option<&Signed<NodeOffer>>,
    policy: &Policy,
    (asked, fees): (Option<Amount>, Amount),
) -> Result<DirectTerms, NoPayment> {
    let offer = offer.ok_or(NoPayment::NoWorkerOffer)?.payload();
    let pay_to = offer.payouts.get(&rail.network);
    let price = offer
        .prices
        .iter()
        .find(|p| p.network == rail.network && p.asset == rail.asset);
    let (Some(pay_to), Some(price)) = (pay_to, price) else {
        return Err(NoPayment::NoWorkerOffer);
    };
    let (gateway_fee, _) = policy.fee_on(&rail.network);
    if gateway_fee != d402_objects::Bps::ZERO || !fees.is_zero() {
        return Err(NoPayment::Shared);
    }
    let price = price.price;
    if asked.is_some_and(|most| price > most) {
        return Err(NoPayment::TooDear { price });
    }
    let least = policy.price_floor.max(*rail.budgets.start());
    let most = policy.max_budget.min(*rail.budgets.end());
    if price < least || price > most {
        return Err(NoPayment::Budget { least, most });
    }
    Ok(DirectTerms {
        payee: DirectPayee {
            worker: offer.worker,
            pay_to: pay_to.clone(),
        },
        price,
    })
}
