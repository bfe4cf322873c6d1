//! Ways to pay: which networks can be offered, and the intent's payment entries.

use std::ops::RangeInclusive;

use d402_objects::{
    Address, Amount, Bps, Caip2, Hex32, Label, NodeOffer, PaymentOption, Signed, ValidatorOffer,
};
use d402_settlement::SetHash;
use d402_settlement::market::set_hash_of;

use super::direct::{DirectTerms, check_flow, terms_on};
use super::{Draw, Listing, NotAdmitted, Policy, TaskRequest};

/// A rail this gateway sells on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RailOffer {
    /// The rail's name.
    pub rail: Label,
    /// Its network.
    pub network: Caip2,
    /// The token.
    pub asset: Address,
    /// Budgets it is offered for, base units, both ends included: below, the chain costs too much of it
    /// (threat #61); above, a deposit takes longer to be sure than challenges live (threat #36).
    pub budgets: RangeInclusive<Amount>,
    /// Whether payTo is the worker's own account (x402 flow `authorization`).
    pub direct: bool,
    /// Who lends the rent of a vault that is opened before it is paid; on offers for requests that ask for it.
    pub rent_to: Option<Address>,
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
    /// The budget is outside what this rail is offered for.
    #[error("budgets on this network are from {least} to {most}")]
    Budget {
        /// Base units.
        least: Amount,
        /// Base units.
        most: Amount,
    },
    /// A direct rail, and the request names no worker.
    #[error("paid straight to a worker, and the request names none")]
    NoWorkerNamed,
    /// The request names a worker, and this rail pays whoever works.
    #[error("the request names a worker, who is paid on a direct rail")]
    WorkerNamed,
    /// The worker has no live offer for this work with a price and an account there.
    #[error("the worker offers nothing for this on this network")]
    NoWorkerOffer,
    /// The worker's price is above the request's budget.
    #[error("the worker asks {price}")]
    TooDear {
        /// Base units.
        price: Amount,
    },
    /// Creator, gateway or validators ask for a share: that needs an escrow (design §5).
    #[error("others than the worker have a share in it")]
    Shared,
    /// The request asks for an open vault, and none is opened for it now.
    #[error("the gateway opens no vault for this request now")]
    NotOpened,
    /// The validators ask more than half of the budget together.
    #[error("validators ask {fees} together, the budget must be twice that")]
    FeesTooHigh {
        /// Base units.
        fees: Amount,
    },
}

/// Networks on which buyer and creator can be paid.
pub(super) fn usable_rails<'a>(
    request: &TaskRequest,
    listing: &Listing,
    rails: &'a [RailOffer],
) -> Result<Vec<&'a RailOffer>, NotAdmitted> {
    let commission = &listing.registration.payload().commission;
    let mut usable = Vec::new();
    let mut unusable = Vec::new();
    for rail in rails {
        let reason = if let Err(reason) = check_flow(request, listing, rail) {
            reason
        } else if !request.refund_to.contains_key(&rail.network) {
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

/// One entry per rail whose validators the budget can pay.
pub(super) fn payments(
    request: &TaskRequest,
    policy: &Policy,
    rails: &[&RailOffer],
    (budget, worker): (Amount, Option<&Signed<NodeOffer>>),
    (offers, threshold, draw): (&[Signed<ValidatorOffer>], u8, &Draw),
) -> Result<Vec<PaymentOption>, NotAdmitted> {
    let mut entries = Vec::with_capacity(rails.len());
    let mut unusable = Vec::new();
    for rail in rails {
        let Some(refund_to) = request.refund_to.get(&rail.network) else {
            continue;
        };
        if rail.direct {
            let fees = fees_on(rail, offers);
            match terms_on(rail, worker, policy, (request.budget, fees)) {
                Ok(direct) => {
                    let set = set_hash_of(&rail.network, threshold, offers)?;
                    entries.push(direct_entry(rail, direct, (refund_to, set, draw)));
                }
                Err(reason) => unusable.push((rail.network.clone(), reason)),
            }
            continue;
        }
        if !rail.budgets.contains(&budget) {
            let (least, most) = (*rail.budgets.start(), *rail.budgets.end());
            unusable.push((rail.network.clone(), NoPayment::Budget { least, most }));
            continue;
        }
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
            direct: None,
            refund_to: refund_to.clone(),
            rent_to: rail.rent_to.clone(),
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

/// The whole amount goes to the worker.
fn direct_entry(
    rail: &RailOffer,
    direct: DirectTerms,
    (refund_to, set, draw): (&Address, SetHash, &Draw),
) -> PaymentOption {
    PaymentOption {
        rail: rail.rail.clone(),
        network: rail.network.clone(),
        asset: rail.asset.clone(),
        budget: direct.price,
        direct: Some(direct.payee),
        refund_to: refund_to.clone(),
        rent_to: None,
        validator_set: Hex32::from_bytes(set.0),
        gateway_fee_bps: Bps::ZERO,
        gateway_fee_payee: None,
        validator_fee_cap: Amount::ZERO,
        salt: salt_of(draw, rail),
    }
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
