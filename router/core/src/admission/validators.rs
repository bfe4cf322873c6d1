//! Choosing the validators of a task (threat #4).

use std::collections::BTreeSet;

use d402_objects::{
    Caip2, CapabilityId, Ed25519Id, EvmAddress, Signed, ValidationModel, ValidatorOffer,
};
use d402_settlement::Codec;
use d402_settlement::market::chain_of;

use super::{Catalogue, NotAdmitted, Policy, RailOffer, RequestedValidation};

/// What the chosen validators must be able to do.
pub(super) struct Job<'a> {
    pub(super) capability: &'a CapabilityId,
    pub(super) model: ValidationModel,
    pub(super) rails: &'a [&'a RailOffer],
    pub(super) now_ms: u64,
}

/// Offers in the order of the intent, and the threshold.
pub(super) type Chosen = (Vec<Signed<ValidatorOffer>>, u8);

/// The buyer's validators when it names some, else the policy's.
pub(super) fn choose(
    requested: Option<&RequestedValidation>,
    policy: &Policy,
    catalogue: &Catalogue,
    job: &Job<'_>,
) -> Result<Chosen, NotAdmitted> {
    match requested {
        Some(requested) => named(requested, policy, catalogue, job),
        None => by_policy(policy, catalogue, job),
    }
}

fn named(
    requested: &RequestedValidation,
    policy: &Policy,
    catalogue: &Catalogue,
    job: &Job<'_>,
) -> Result<Chosen, NotAdmitted> {
    let offers = requested
        .offer_cids
        .iter()
        .map(|cid| {
            catalogue
                .offer(cid)
                .filter(|o| job.now_ms < o.payload().expires_at_ms.get())
                .filter(|o| {
                    policy.allow_other_validators
                        || policy.trusted_validators.contains(&o.payload().validator)
                })
                .cloned()
                .ok_or(NotAdmitted::UnusableOffer(*cid))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok((offers, requested.threshold))
}

fn by_policy(policy: &Policy, catalogue: &Catalogue, job: &Job<'_>) -> Result<Chosen, NotAdmitted> {
    let trusted = &policy.trusted_validators;
    let rank = |offer: &Signed<ValidatorOffer>| {
        trusted
            .iter()
            .position(|key| *key == offer.payload().validator)
    };
    let mut candidates: Vec<&Signed<ValidatorOffer>> = catalogue
        .judges(job.capability)
        .filter(|offer| trusted.is_empty() || rank(offer).is_some())
        .filter(|offer| can_judge(offer.payload(), job))
        .collect();
    candidates.sort_by_key(|offer| (rank(offer), total_fee(offer.payload(), job), offer.cid()));
    let want = usize::from(policy.validator_set_size);
    let mut chosen = Vec::with_capacity(want);
    let mut taken = Taken::default();
    for offer in candidates {
        if chosen.len() == want {
            break;
        }
        if taken.take(offer.payload()) {
            chosen.push(offer.clone());
        }
    }
    if chosen.len() < want {
        return Err(NotAdmitted::TooFewValidators {
            got: chosen.len(),
            want,
        });
    }
    Ok((chosen, policy.validator_threshold))
}

fn can_judge(offer: &ValidatorOffer, job: &Job<'_>) -> bool {
    job.now_ms < offer.expires_at_ms.get()
        && offer.models.contains(&job.model)
        && job.rails.iter().all(|rail| {
            offer.payouts.contains_key(&rail.network)
                && can_sign_on(offer, &rail.network)
                && offer
                    .fees
                    .iter()
                    .any(|f| f.network == rail.network && f.asset == rail.asset)
        })
}

/// On EVM chains a validator without an EVM key is in no set.
fn can_sign_on(offer: &ValidatorOffer, network: &Caip2) -> bool {
    match chain_of(network).map(|chain| chain.codec) {
        Some(Codec::Evm(_)) => offer.settlement_key.evm.is_some(),
        Some(Codec::Solana(_)) => true,
        None => false,
    }
}

fn total_fee(offer: &ValidatorOffer, job: &Job<'_>) -> u128 {
    offer
        .fees
        .iter()
        .filter(|f| {
            job.rails
                .iter()
                .any(|rail| f.network == rail.network && f.asset == rail.asset)
        })
        .fold(0, |sum, f| sum.saturating_add(f.fee.get()))
}

/// Keys and wallets already in the set: one validator under two names would be refused by the terms.
#[derive(Default)]
struct Taken {
    keys: BTreeSet<Ed25519Id>,
    evm_keys: BTreeSet<EvmAddress>,
    wallets: BTreeSet<String>,
}

impl Taken {
    fn take(&mut self, offer: &ValidatorOffer) -> bool {
        let keys = [offer.validator, offer.settlement_key.ed25519];
        let evm_key = offer.settlement_key.evm;
        let wallets: Vec<String> = offer
            .payouts
            .iter()
            .map(|(network, address)| format!("{network}/{address}"))
            .collect();
        if keys.iter().any(|k| self.keys.contains(k))
            || evm_key.is_some_and(|key| self.evm_keys.contains(&key))
            || wallets.iter().any(|w| self.wallets.contains(w))
        {
            return false;
        }
        self.keys.extend(keys);
        self.evm_keys.extend(evm_key);
        self.wallets.extend(wallets);
        true
    }
}
