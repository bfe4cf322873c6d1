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
use crate::evm::EvmAccount;
use crate::market::network::{self, LARGE_BUDGET_UNITS};
use crate::{
    Bps, Codec, EncodedTerms, Key32, MAX_ROWS, SetHash, TERMS_VERSION, TaskId, Terms, TermsHash,
    Units, ValidatorSet,
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
    /// Signs settlements: its Ed25519 settlement key, or on an EVM chain its EVM account.
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
    /// The network's bytes, chain and verifier.
    pub codec: Codec,
    /// The terms.
    pub terms: Terms,
    /// The same in the bytes of the network.
    pub terms_bytes: EncodedTerms,
    /// Their hash.
    pub terms_hash: TermsHash,
    /// Where the buyer pays: the vault's address, or on a direct rail the worker's account.
    pub pay_to: Key32,
    /// Who must sign.
    pub set: ValidatorSet,
    /// The validators, by set index.
    pub members: Vec<SetMember>,
    /// Every deadline.
    pub times: Times,
    /// Whether [`Quote::pay_to`] is the chosen worker's own account, and nothing is held by anybody.
    pub is_direct: bool,
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
/// [`DossierError::UnknownNetwork`], [`OfferFault::NoEvmKey`] or [`DossierError::Set`].
pub fn set_hash_of(
    network: &Caip2,
    threshold: u8,
    offers: &[Signed<ValidatorOffer>],
) -> Result<SetHash, DossierError> {
    let chain =
        network::chain_of(network).ok_or_else(|| DossierError::UnknownNetwork(network.clone()))?;
    let mut keys = offers
        .iter()
        .map(|offer| settlement_key(&chain.codec, offer.payload()))
        .collect::<Result<Vec<Key32>, _>>()?;
    keys.sort_unstable();
    let set = ValidatorSet::new(threshold, &keys).map_err(DossierError::Set)?;
    chain.codec.set_hash(&set).map_err(DossierError::Signers)
}

/// The key a validator signs settlements with on this network.
fn settlement_key(codec: &Codec, offer: &ValidatorOffer) -> Result<Key32, DossierError> {
    match codec {
        Codec::Solana(_) => Ok(Key32(offer.settlement_key.ed25519.as_bytes())),
        Codec::Evm(_) => offer
            .settlement_key
            .evm
            .map(|evm| EvmAccount(evm.as_bytes()).to_key())
            .ok_or(DossierError::Offer {
                validator: offer.validator,
                source: OfferFault::NoEvmKey,
            }),
    }
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
        let codec = match &payment.direct {
            Some(_) => chain
                .codec
                .bound_to(&account(&chain.codec, &payment.asset, Party::Asset)?),
            None => chain.codec,
        };
        let members = members(parts, payment, &codec)?;
        let keys: Vec<Key32> = members.iter().map(|member| member.settlement_key).collect();
        let set =
            ValidatorSet::new(intent.validation.threshold, &keys).map_err(DossierError::Set)?;
        let set_hash = codec.set_hash(&set).map_err(DossierError::Signers)?;
        if set_hash.0 != payment.validator_set.as_bytes() {
            return Err(DossierError::OtherSet);
        }
        let large = payment.budget.get() > LARGE_BUDGET_UNITS;
        let decision_time_s = parts.manifest.payload().decision_time_s;
        let times = Times::of(intent, decision_time_s, chain.class, large)?;
        let terms = Draft {
            parts,
            payment,
            codec: &codec,
        }
        .terms(set_hash, &times)?;
        let terms_bytes = codec.encode_terms(&terms).map_err(DossierError::Terms)?;
        codec
            .settleable(&terms, terms.issued_at)
            .map_err(DossierError::NotSettleable)?;
        let terms_hash = codec.terms_hash(&terms).map_err(DossierError::Terms)?;
        let pay_to = match &payment.direct {
            Some(direct) => account(&codec, &direct.pay_to, Party::Worker)?,
            None => codec
                .pay_to(&terms_hash)
                .ok_or(DossierError::NoVaultAddress)?,
        };
        let quote = Self {
            payment_index,
            codec,
            terms,
            terms_bytes,
            terms_hash,
            pay_to,
            set,
            members,
            times,
            is_direct: payment.direct.is_some(),
        };
        quote.check_direct()?;
        quote.check_payees()?;
        quote.check_row_count(intent)?;
        Ok(quote)
    }

    /// [`Quote::pay_to`] as the network spells it. An address of this codec always has a spelling.
    #[must_use]
    pub fn pay_to_address(&self) -> Option<Address> {
        self.codec.address_of(&self.pay_to)
    }

    /// Whether no row of this task may pay the account: the zero account, the vault itself, the asset, the
    /// program (threat #58).
    #[must_use]
    pub fn is_forbidden_payee(&self, account: &Key32) -> bool {
        account.is_zero()
            || (!self.is_direct && *account == self.pay_to)
            || *account == self.terms.mint
            || *account == self.codec.verifier()
    }

    /// What is paid straight is paid whole: the worker's transfer has one receiver. The intent's own rules keep
    /// fees out; a commission comes from the registration.
    fn check_direct(&self) -> Result<(), DossierError> {
        if !self.is_direct {
            return Ok(());
        }
        if !self.terms.commission_payee.is_zero() {
            return Err(DossierError::DirectSplit);
        }
        let taken = self.is_forbidden_payee(&self.pay_to)
            || self.pay_to == self.terms.refund_to
            || self.members.iter().any(|m| m.payout == self.pay_to);
        if taken {
            return Err(DossierError::ForbiddenParty {
                what: Party::Worker,
            });
        }
        Ok(())
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
fn members(
    parts: &TaskParts<'_>,
    payment: &PaymentOption,
    codec: &Codec,
) -> Result<Vec<SetMember>, DossierError> {
    let draft = Draft {
        parts,
        payment,
        codec,
    };
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
        let member = draft.member(offer, offer_index)?;
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

/// One way to pay, on its way to terms.
struct Draft<'a> {
    parts: &'a TaskParts<'a>,
    payment: &'a PaymentOption,
    codec: &'a Codec,
}

impl Draft<'_> {
    /// A validator fit for this task.
    fn member(
        &self,
        offer: &ValidatorOffer,
        offer_index: usize,
    ) -> Result<SetMember, DossierError> {
        let refuse = |source| DossierError::Offer {
            validator: offer.validator,
            source,
        };
        let (intent, network) = (self.parts.intent, &self.payment.network);
        let issued = intent.issued_at_ms;
        if offer.expires_at_ms <= issued {
            return Err(refuse(OfferFault::Expired {
                expires: offer.expires_at_ms,
                issued,
            }));
        }
        if !offer.models.contains(&intent.validation.model) {
            return Err(refuse(OfferFault::Model));
        }
        let capability = &self.parts.manifest.payload().capability_id;
        if !offer.families.contains(capability) {
            return Err(refuse(OfferFault::Family));
        }
        let fee = offer
            .fees
            .iter()
            .find(|fee| fee.network == *network && fee.asset == self.payment.asset)
            .ok_or(refuse(OfferFault::NoFee))?
            .fee;
        let fee = Units::new(fee.get())
            .filter(|fee| fee.to_u64().is_some())
            .ok_or(DossierError::AmountTooLarge(fee))?;
        let payout = offer
            .payouts
            .get(network)
            .ok_or(refuse(OfferFault::NoPayout))?;
        Ok(SetMember {
            key: offer.validator,
            settlement_key: settlement_key(self.codec, offer)?,
            fee,
            payout: self.party(payout, Party::Validator)?,
            offer_index,
        })
    }

    fn terms(&self, validator_set: SetHash, times: &Times) -> Result<Terms, DossierError> {
        let (parts, payment) = (self.parts, self.payment);
        let commission = &parts.registration.payload().commission;
        let commission_payee = if commission.bps.get() == 0 {
            Key32::ZERO
        } else {
            let wallet = commission
                .wallets
                .get(&payment.network)
                .ok_or(DossierError::NoCommissionWallet)?;
            self.party(wallet, Party::Creator)?
        };
        let gateway_fee_payee = match &payment.gateway_fee_payee {
            Some(payee) => self.party(payee, Party::GatewayFeePayee)?,
            None => Key32::ZERO,
        };
        let refund_to = self.party(&payment.refund_to, Party::RefundTo)?;
        Ok(Terms {
            version: TERMS_VERSION,
            on_silence: on_silence_byte(parts.intent.on_silence),
            commission_bps: Bps(commission.bps.get()),
            gateway_fee_bps: Bps(payment.gateway_fee_bps.get()),
            reserved: 0,
            budget: amount(payment.budget)?,
            validator_fee_cap: amount(payment.validator_fee_cap)?,
            issued_at: chain(parts.intent.issued_at_ms.get() / 1_000)?,
            settle_by: times.settle_by_s,
            refund_after: times.refund_after_s,
            task_id: TaskId(parts.task_id.as_bytes()),
            mint: self.party(&payment.asset, Party::Asset)?,
            refund_to,
            validator_set,
            commission_payee,
            gateway_fee_payee,
            rent_to: self.rent_to(refund_to)?,
            salt: payment.salt.as_bytes(),
        })
    }

    /// Who gets the rent back; zero where no account costs any. A `rentTo` there is refused by the codec: the
    /// terms have no place for it, so nobody would be bound by it.
    fn rent_to(&self, refund_to: Key32) -> Result<Key32, DossierError> {
        match (&self.payment.rent_to, self.codec) {
            (Some(rent_to), Codec::Solana(_) | Codec::Evm(_)) => self.party(rent_to, Party::RentTo),
            (None, Codec::Solana(_)) => Ok(refund_to),
            (None, Codec::Evm(_)) => Ok(Key32::ZERO),
        }
    }

    fn party(&self, address: &Address, what: Party) -> Result<Key32, DossierError> {
        account(self.codec, address, what)
    }
}

fn account(codec: &Codec, address: &Address, what: Party) -> Result<Key32, DossierError> {
    codec
        .account(address)
        .ok_or(DossierError::BadAddress { what })
}

const fn on_silence_byte(on_silence: OnSilence) -> u8 {
    match on_silence {
        OnSilence::Refund => crate::OnSilence::Refund as u8,
        OnSilence::Majority => crate::OnSilence::Majority as u8,
    }
}

fn amount(amount: d402_objects::Amount) -> Result<u64, DossierError> {
    u64::try_from(amount.get()).map_err(|_| DossierError::AmountTooLarge(amount))
}
