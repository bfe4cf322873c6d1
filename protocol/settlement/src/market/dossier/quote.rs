//! Terms as a pure function of intent, manifest, registration and offers (spec §2.1).
//!
//! The gateway calls it before it signs the intent, the buyer before paying, everybody else when they see
//! the signed objects: same inputs, same vault address, or the same refusal.

use std::collections::BTreeSet;

use d402_objects::{
    Address, Caip2, Cid, Ed25519Id, Manifest, OnSilence, PaymentOption, Registration, Signed,
    TaskIntent, ValidatorOffer,
};

use super::times::{Times, chain};
use super::{DossierError, OfferFault, Party};
use crate::market::network::{self, LARGE_BUDGET_UNITS, account};
use crate::{
    Bps, Domain, Key32, MAX_ROWS, SetHash, TERMS_VERSION, TaskId, Terms, TermsHash, Units,
    ValidatorSet, settleable, vault_address,
};

/// What terms are a function of. The intent may be unsigned yet; its CID is the task id.
#[derive(Clone, Copy, Debug)]
pub struct TaskParts<'a> {
    /// The intent.
    pub intent: &'a TaskIntent,
    /// Its CID, unknown fields included.
    pub task_id: Cid,
    /// The manifest it names.
    pub manifest: &'a Signed<Manifest>,
    /// The registration it names.
    pub registration: &'a Signed<Registration>,
    /// The validator offers it names, in its order.
    pub offers: &'a [Signed<ValidatorOffer>],
}

/// A validator of the task, at its set index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetMember {
    /// Envelope key: signs acks, verdicts, inventories, ready answers.
    pub key: Ed25519Id,
    /// Signs settlements.
    pub settlement_key: Key32,
    /// What it asks for one judged task; 0 is no row.
    pub fee: Units,
    /// Where that goes.
    pub payout: Key32,
    /// Place of its offer in the intent's list.
    pub offer_index: usize,
}

/// Everything that follows from [`TaskParts`] and a choice of payment: terms, address, set, deadlines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Which entry of `intent.payment`.
    pub payment_index: u8,
    /// Cluster and program.
    pub domain: Domain,
    /// The terms.
    pub terms: Terms,
    /// Their hash.
    pub terms_hash: TermsHash,
    /// Where the buyer pays: the vault's address.
    pub pay_to: Key32,
    /// Who must sign.
    pub set: ValidatorSet,
    /// The validators, by set index.
    pub members: Vec<SetMember>,
    /// Every deadline.
    pub times: Times,
}

/// The terms alone.
///
/// # Errors
/// As [`Quote::of`].
pub fn terms_of(parts: &TaskParts<'_>, payment_index: u8) -> Result<Terms, DossierError> {
    Quote::of(parts, payment_index).map(|quote| quote.terms)
}

/// The validator set hash an intent must carry for these offers on this network.
///
/// # Errors
/// [`DossierError::UnknownNetwork`] or [`DossierError::Set`].
pub fn set_hash_of(
    network: &Caip2,
    threshold: u8,
    offers: &[Signed<ValidatorOffer>],
) -> Result<SetHash, DossierError> {
    network::chain_of(network).ok_or_else(|| DossierError::UnknownNetwork(network.clone()))?;
    let mut keys: Vec<Key32> = offers
        .iter()
        .map(|o| Key32(o.payload().settlement_key.ed25519.as_bytes()))
        .collect();
    keys.sort_unstable();
    ValidatorSet::new(threshold, &keys)
        .map(|set| set.hash())
        .map_err(DossierError::Set)
}

impl Quote {
    /// Checks that the parts fit together and computes what follows from them.
    ///
    /// Does not check the input's bytes nor the intent's signature: [`Dossier::check`](super::Dossier::check)
    /// does.
    ///
    /// # Errors
    /// [`DossierError`] names the first broken rule.
    pub fn of(parts: &TaskParts<'_>, payment_index: u8) -> Result<Self, DossierError> {
        let intent = parts.intent;
        let payment =
            intent
                .payment
                .get(usize::from(payment_index))
                .ok_or(DossierError::NoSuchPayment {
                    index: payment_index,
                    count: intent.payment.len(),
                })?;
        let chain = network::chain_of(&payment.network)
            .ok_or_else(|| DossierError::UnknownNetwork(payment.network.clone()))?;
        check_named(parts)?;
        check_registration(parts)?;
        if !parts
            .manifest
            .payload()
            .validation_models
            .contains(&intent.validation.model)
        {
            return Err(DossierError::ModelNotAccepted);
        }
        let members = members(parts, payment)?;
        let keys: Vec<Key32> = members.iter().map(|member| member.settlement_key).collect();
        let set =
            ValidatorSet::new(intent.validation.threshold, &keys).map_err(DossierError::Set)?;
        if set.hash().0 != payment.validator_set.as_bytes() {
            return Err(DossierError::OtherSet);
        }
        let large = payment.budget.get() > LARGE_BUDGET_UNITS;
        let decision_time_s = parts.manifest.payload().decision_time_s;
        let times = Times::of(intent, decision_time_s, chain.class, large)?;
        let terms = terms(parts, payment, &set, &times)?;
        settleable(&terms, &chain.domain, terms.issued_at).map_err(DossierError::NotSettleable)?;
        let terms_hash = terms.hash(&chain.domain);
        let (pay_to, _bump) = vault_address(&terms_hash, &chain.domain.program)
            .ok_or(DossierError::NoVaultAddress)?;
        let quote = Self {
            payment_index,
            domain: chain.domain,
            terms,
            terms_hash,
            pay_to,
            set,
            members,
            times,
        };
        quote.check_payees()?;
        quote.check_row_count(intent)?;
        Ok(quote)
    }

    /// Whether no row of this task may pay the account: the zero account, the vault itself, the asset, the
    /// program (threat #58).
    #[must_use]
    pub fn is_forbidden_payee(&self, account: &Key32) -> bool {
        account.is_zero()
            || *account == self.pay_to
            || *account == self.terms.mint
            || *account == self.domain.program
    }

    fn check_payees(&self) -> Result<(), DossierError> {
        let forbidden = |what| Err(DossierError::ForbiddenParty { what });
        if self
            .members
            .iter()
            .any(|member| self.is_forbidden_payee(&member.payout))
        {
            return forbidden(Party::Validator);
        }
        let creator = self.terms.commission_payee;
        if !creator.is_zero() && self.is_forbidden_payee(&creator) {
            return forbidden(Party::Creator);
        }
        let gateway = self.terms.gateway_fee_payee;
        if !gateway.is_zero() && self.is_forbidden_payee(&gateway) {
            return forbidden(Party::GatewayFeePayee);
        }
        Ok(())
    }

    /// A receipt that cannot be encoded would lock honest work out, so such a task is never sold.
    fn check_row_count(&self, intent: &TaskIntent) -> Result<(), DossierError> {
        let paid = self
            .members
            .iter()
            .filter(|member| !member.fee.is_zero())
            .count();
        let (workers, validators) = match intent.mode {
            d402_objects::Mode::Single | d402_objects::Mode::Race => {
                (1, paid.min(usize::from(self.set.m())))
            }
            // Each winner's verdict may have other validators behind it.
            d402_objects::Mode::Quorum => (usize::from(intent.fanout), paid),
        };
        let rows = workers.saturating_add(validators);
        if rows > MAX_ROWS {
            return Err(DossierError::TooManyRows {
                rows,
                max: MAX_ROWS,
            });
        }
        Ok(())
    }
}

fn check_named(parts: &TaskParts<'_>) -> Result<(), DossierError> {
    let intent = parts.intent;
    let (got, want) = (parts.manifest.cid(), intent.manifest_cid);
    if got != want {
        return Err(DossierError::OtherManifest { got, want });
    }
    let (got, want) = (parts.registration.cid(), intent.registration_cid);
    if got != want {
        return Err(DossierError::OtherRegistration { got, want });
    }
    let named = &intent.validation.offer_cids;
    if parts.offers.len() != named.len() {
        return Err(DossierError::OfferCount {
            got: parts.offers.len(),
            want: named.len(),
        });
    }
    for (index, (offer, want)) in parts.offers.iter().zip(named).enumerate() {
        let (got, want) = (offer.cid(), *want);
        if got != want {
            return Err(DossierError::OtherOffer { index, got, want });
        }
    }
    Ok(())
}

fn check_registration(parts: &TaskParts<'_>) -> Result<(), DossierError> {
    let (registration, manifest) = (parts.registration.payload(), parts.manifest.payload());
    if registration.author != manifest.author {
        return Err(DossierError::ForeignRegistration {
            got: registration.author,
            want: manifest.author,
        });
    }
    if registration.manifest_cid != parts.manifest.cid()
        || registration.capability_id != manifest.capability_id
    {
        return Err(DossierError::RegistrationOfOther);
    }
    let issued = parts.intent.issued_at_ms;
    let (from, until) = (registration.valid_from_ms, registration.valid_until_ms);
    if issued < from || issued >= until {
        return Err(DossierError::RegistrationNotValid {
            from,
            until,
            issued,
        });
    }
    Ok(())
}

/// The validators in set order, each fit for this task.
fn members(parts: &TaskParts<'_>, payment: &PaymentOption) -> Result<Vec<SetMember>, DossierError> {
    let envelope_keys: BTreeSet<Ed25519Id> = parts
        .offers
        .iter()
        .map(|offer| offer.payload().validator)
        .collect();
    let mut seen_keys = BTreeSet::new();
    let mut payouts = BTreeSet::new();
    let mut members = Vec::with_capacity(parts.offers.len());
    for (offer_index, offer) in parts.offers.iter().map(Signed::payload).enumerate() {
        let refuse = |source| DossierError::Offer {
            validator: offer.validator,
            source,
        };
        let member = member(parts, payment, offer, offer_index)?;
        if !seen_keys.insert(member.key) {
            return Err(refuse(OfferFault::EnvelopeKeyTwice));
        }
        if envelope_keys.contains(&offer.settlement_key.ed25519) {
            return Err(refuse(OfferFault::KeyReused));
        }
        if !payouts.insert(member.payout) {
            return Err(refuse(OfferFault::PayoutTwice));
        }
        members.push(member);
    }
    members.sort_by_key(|member| member.settlement_key);
    Ok(members)
}

fn member(
    parts: &TaskParts<'_>,
    payment: &PaymentOption,
    offer: &ValidatorOffer,
    offer_index: usize,
) -> Result<SetMember, DossierError> {
    let refuse = |source| DossierError::Offer {
        validator: offer.validator,
        source,
    };
    let issued = parts.intent.issued_at_ms;
    if offer.expires_at_ms <= issued {
        return Err(refuse(OfferFault::Expired {
            expires: offer.expires_at_ms,
            issued,
        }));
    }
    if !offer.models.contains(&parts.intent.validation.model) {
        return Err(refuse(OfferFault::Model));
    }
    if !offer
        .families
        .contains(&parts.manifest.payload().capability_id)
    {
        return Err(refuse(OfferFault::Family));
    }
    let fee = offer
        .fees
        .iter()
        .find(|fee| fee.network == payment.network && fee.asset == payment.asset)
        .ok_or(refuse(OfferFault::NoFee))?
        .fee;
    let fee = Units::new(fee.get())
        .filter(|fee| fee.to_u64().is_some())
        .ok_or(DossierError::AmountTooLarge(fee))?;
    let payout = offer
        .payouts
        .get(&payment.network)
        .ok_or(refuse(OfferFault::NoPayout))?;
    let payout = account(payout).ok_or(DossierError::BadAddress {
        what: Party::Validator,
    })?;
    let settlement_key = Key32(offer.settlement_key.ed25519.as_bytes());
    Ok(SetMember {
        key: offer.validator,
        settlement_key,
        fee,
        payout,
        offer_index,
    })
}

fn terms(
    parts: &TaskParts<'_>,
    payment: &PaymentOption,
    set: &ValidatorSet,
    times: &Times,
) -> Result<Terms, DossierError> {
    let commission = &parts.registration.payload().commission;
    let commission_payee = if commission.bps.get() == 0 {
        Key32::ZERO
    } else {
        let wallet = commission
            .wallets
            .get(&payment.network)
            .ok_or(DossierError::NoCommissionWallet)?;
        party(wallet, Party::Creator)?
    };
    let gateway_fee_payee = match &payment.gateway_fee_payee {
        Some(payee) => party(payee, Party::GatewayFeePayee)?,
        None => Key32::ZERO,
    };
    let refund_to = party(&payment.refund_to, Party::RefundTo)?;
    let rent_to = match &payment.rent_to {
        Some(rent_to) => party(rent_to, Party::RentTo)?,
        None => refund_to,
    };
    let on_silence = match parts.intent.on_silence {
        OnSilence::Refund => crate::OnSilence::Refund,
        OnSilence::Majority => crate::OnSilence::Majority,
    };
    Ok(Terms {
        version: TERMS_VERSION,
        on_silence: on_silence_byte(on_silence),
        commission_bps: Bps(commission.bps.get()),
        gateway_fee_bps: Bps(payment.gateway_fee_bps.get()),
        reserved: 0,
        budget: amount(payment.budget)?,
        validator_fee_cap: amount(payment.validator_fee_cap)?,
        issued_at: chain(parts.intent.issued_at_ms.get() / 1_000)?,
        settle_by: times.settle_by_s,
        refund_after: times.refund_after_s,
        task_id: TaskId(parts.task_id.as_bytes()),
        mint: party(&payment.asset, Party::Asset)?,
        refund_to,
        validator_set: set.hash(),
        commission_payee,
        gateway_fee_payee,
        rent_to,
        salt: payment.salt.as_bytes(),
    })
}

const fn on_silence_byte(on_silence: crate::OnSilence) -> u8 {
    match on_silence {
        crate::OnSilence::Refund => 0,
        crate::OnSilence::Majority => 1,
    }
}

fn party(address: &Address, what: Party) -> Result<Key32, DossierError> {
    account(address).ok_or(DossierError::BadAddress { what })
}

fn amount(amount: d402_objects::Amount) -> Result<u64, DossierError> {
    u64::try_from(amount.get()).map_err(|_| DossierError::AmountTooLarge(amount))
}
