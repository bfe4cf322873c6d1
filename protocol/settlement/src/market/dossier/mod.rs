//! The dossier: the signed objects a task's terms are a function of, checked against each other.
//!
//! Responsible for: that intent, manifest, registration, offers and input belong together, and for
//! everything that follows from them (terms, vault address, validator set, deadlines). Not responsible for:
//! whether anybody should take part (prices, trust, admission policy).
//!
//! Invariant: a [`Dossier`] value is a task that may be paid, worked and settled on its network.

mod direct;
mod fault;
mod quote;
mod times;

#[cfg(test)]
mod tests;

pub use fault::{DossierError, OfferFault, Party};
pub use quote::{Quote, SetMember, TaskParts, set_hash_of, terms_of};
pub use times::Times;

use std::sync::Arc;

use d402_objects::{
    Address, Caip2, Cid, DirectPayee, Ed25519Id, Hex32, Manifest, Mode, PaymentOption,
    Registration, Signed, TaskIntent, ValidatorOffer,
};

use crate::derive::ValidatorTerms;
use crate::{Codec, Key32, Terms, ValidatorSet};

/// The parts of a dossier, each already verified as an object of its own.
#[derive(Clone, Debug)]
pub struct DossierParts {
    /// Signed by the buyer, or by the gateway for it.
    pub intent: Signed<TaskIntent>,
    /// The manifest it names.
    pub manifest: Signed<Manifest>,
    /// The registration it names.
    pub registration: Signed<Registration>,
    /// The validator offers it names, in its order.
    pub offers: Vec<Signed<ValidatorOffer>>,
    /// Bytes of `intent.input`.
    pub input: Vec<u8>,
    /// Which entry of `intent.payment` was paid.
    pub payment_index: u8,
}

/// A task whose parts fit together. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Dossier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: DossierParts,
    payment: PaymentOption,
    quote: Quote,
}

impl Dossier {
    /// Checks that the parts belong together.
    ///
    /// # Errors
    /// [`DossierError`] names the first broken rule.
    pub fn check(parts: DossierParts) -> Result<Self, DossierError> {
        let intent = parts.intent.payload();
        let quote = Quote::of(
            &TaskParts {
                intent,
                task_id: parts.intent.cid(),
                manifest: &parts.manifest,
                registration: &parts.registration,
                offers: &parts.offers,
            },
            parts.payment_index,
        )?;
        let payment = intent
            .payment
            .get(usize::from(parts.payment_index))
            .cloned()
            .ok_or(DossierError::NoSuchPayment {
                index: parts.payment_index,
                count: intent.payment.len(),
            })?;
        let input = &intent.input;
        let (got, got_bytes) = (Cid::of(&parts.input), byte_count(&parts.input));
        if got != input.cid || got_bytes != input.bytes {
            return Err(DossierError::OtherInput {
                got,
                got_bytes,
                want: input.cid,
                want_bytes: input.bytes,
            });
        }
        Ok(Self(Arc::new(Inner {
            parts,
            payment,
            quote,
        })))
    }

    /// The parts it was checked from.
    #[must_use]
    pub fn parts(&self) -> &DossierParts {
        &self.0.parts
    }

    /// The intent.
    #[must_use]
    pub fn intent(&self) -> &TaskIntent {
        self.0.parts.intent.payload()
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.0.parts.manifest.payload()
    }

    /// The registration.
    #[must_use]
    pub fn registration(&self) -> &Registration {
        self.0.parts.registration.payload()
    }

    /// The input's bytes.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        &self.0.parts.input
    }

    /// CID of the intent.
    #[must_use]
    pub fn task_id(&self) -> Cid {
        self.0.parts.intent.cid()
    }

    /// What follows from the parts.
    #[must_use]
    pub fn quote(&self) -> &Quote {
        &self.0.quote
    }

    /// The terms.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.0.quote.terms
    }

    /// Hash of the terms, as objects spell it.
    #[must_use]
    pub fn terms_hash(&self) -> Hex32 {
        Hex32::from_bytes(self.0.quote.terms_hash.0)
    }

    /// Where the buyer pays: the vault's address, or the chosen worker's account.
    #[must_use]
    pub fn pay_to(&self) -> Key32 {
        self.0.quote.pay_to
    }

    /// Who is paid straight, when nothing is held by anybody until then.
    #[must_use]
    pub fn direct(&self) -> Option<&DirectPayee> {
        self.0.payment.direct.as_ref()
    }

    /// The terms in the bytes of the network.
    #[must_use]
    pub fn terms_bytes(&self) -> &[u8] {
        &self.0.quote.terms_bytes
    }

    /// The network's bytes, chain and verifier.
    #[must_use]
    pub fn codec(&self) -> &Codec {
        &self.0.quote.codec
    }

    /// How an account is spelled on the network; see [`Codec::address_of`].
    #[must_use]
    pub fn address_of(&self, account: &Key32) -> Option<Address> {
        self.codec().address_of(account)
    }

    /// Who must sign.
    #[must_use]
    pub fn set(&self) -> &ValidatorSet {
        &self.0.quote.set
    }

    /// The validators, by set index.
    #[must_use]
    pub fn members(&self) -> &[SetMember] {
        &self.0.quote.members
    }

    /// Every deadline.
    #[must_use]
    pub fn times(&self) -> &Times {
        &self.0.quote.times
    }

    /// The payment entry that was chosen.
    #[must_use]
    pub fn payment(&self) -> &PaymentOption {
        &self.0.payment
    }

    /// Its place in the intent.
    #[must_use]
    pub fn payment_index(&self) -> u8 {
        self.0.quote.payment_index
    }

    /// The network paid on.
    #[must_use]
    pub fn network(&self) -> &Caip2 {
        &self.0.payment.network
    }

    /// The token paid in.
    #[must_use]
    pub fn asset(&self) -> &Address {
        &self.0.payment.asset
    }

    /// Set index of the validator with this envelope key.
    #[must_use]
    pub fn set_index_of(&self, validator: &Ed25519Id) -> Option<u8> {
        let place = self
            .members()
            .iter()
            .position(|member| member.key == *validator)?;
        u8::try_from(place).ok()
    }

    /// The validator at a set index.
    #[must_use]
    pub fn member(&self, set_index: u8) -> Option<&SetMember> {
        self.members().get(usize::from(set_index))
    }

    /// The offer of the validator at a set index.
    #[must_use]
    pub fn offer_by_set_index(&self, set_index: u8) -> Option<&Signed<ValidatorOffer>> {
        self.0.parts.offers.get(self.member(set_index)?.offer_index)
    }

    /// Whether the key is an envelope or settlement key of one of the validators.
    #[must_use]
    pub fn is_validator_key(&self, key: &Ed25519Id) -> bool {
        self.0
            .parts
            .offers
            .iter()
            .map(Signed::payload)
            .any(|offer| offer.validator == *key || offer.settlement_key.ed25519 == *key)
    }

    /// Whether a worker of this task may not be paid to the account: what no row may pay (threat #58), and
    /// whoever is paid by the task in another role, so that a payee has one role and rows stay distinct.
    #[must_use]
    pub fn is_forbidden_worker_payee(&self, account: &Key32) -> bool {
        let terms = self.terms();
        self.quote().is_forbidden_payee(account)
            || *account == terms.refund_to
            || *account == terms.commission_payee
            || *account == terms.gateway_fee_payee
            || self
                .members()
                .iter()
                .any(|member| member.payout == *account)
    }

    /// Highest attempt a lease may have. Race and quorum lease once: their worst case is one lease set
    /// (threat #33), so `maxAttempts` is about single only.
    #[must_use]
    pub fn last_attempt(&self) -> u8 {
        match self.intent().mode {
            Mode::Single => self.intent().max_attempts,
            Mode::Race | Mode::Quorum => 1,
        }
    }

    /// Payee and fee by set index, as [`derive`](crate::derive::derive) takes them.
    pub(crate) fn validator_terms(&self) -> Vec<ValidatorTerms> {
        self.members()
            .iter()
            .map(|m| ValidatorTerms {
                payee: m.payout,
                fee: m.fee,
            })
            .collect()
    }
}

/// Length as objects count it; no address space holds more than 2^64 bytes.
pub(crate) fn byte_count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
