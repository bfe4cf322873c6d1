//! What differs where the buyer pays a worker straight (design §5): who verifies, and where the money goes.

use d402_objects::{Address, PaymentOption};

use super::{DossierError, Party, Quote};
use crate::{Codec, Key32, TermsHash};

/// The network's codec; of a direct payment bound to its token (see [`Codec::bound_to`]).
pub(super) fn codec_of(codec: Codec, payment: &PaymentOption) -> Result<Codec, DossierError> {
    if payment.direct.is_none() {
        return Ok(codec);
    }
    let token = account(&codec, &payment.asset, Party::Asset)?;
    Ok(codec.bound_to(&token))
}

/// Where the buyer pays: the vault of the terms, or the chosen worker's account.
pub(super) fn pay_to_of(
    codec: &Codec,
    payment: &PaymentOption,
    terms_hash: &TermsHash,
) -> Result<Key32, DossierError> {
    match &payment.direct {
        Some(direct) => account(codec, &direct.pay_to, Party::Worker),
        None => codec.pay_to(terms_hash).ok_or(DossierError::NoVaultAddress),
    }
}

pub(super) fn account(
    codec: &Codec,
    address: &Address,
    what: Party,
) -> Result<Key32, DossierError> {
    codec
        .account(address)
        .ok_or(DossierError::BadAddress { what })
}

impl Quote {
    /// What is paid straight is paid whole: the worker's transfer has one receiver. The intent's own rules keep
    /// fees out; a commission comes from the registration.
    pub(super) fn check_direct(&self) -> Result<(), DossierError> {
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
}
