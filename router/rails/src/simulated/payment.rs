//! What makes a payment message valid, before any balance is looked at.
//!
//! Used by the chain before it moves money and by the rail before it accepts a request, so that the two
//! cannot disagree. Not responsible for: time windows of the market, nonces, balances.

use d402_objects::{Hex32, signature};
use d402_wire::simchain::Payment;
use sha2::{Digest, Sha256};

/// A payment whose form and signature are right; only [`check`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedPayment {
    payment: Payment,
    id: Hex32,
    units: u64,
}

impl CheckedPayment {
    /// The message.
    #[must_use]
    pub const fn payment(&self) -> &Payment {
        &self.payment
    }

    /// SHA-256 of the signed bytes: unique per payer, nonce and everything else that was signed.
    #[must_use]
    pub const fn id(&self) -> Hex32 {
        self.id
    }

    /// Base units, more than 0.
    #[must_use]
    pub const fn units(&self) -> u64 {
        self.units
    }

    /// Whether the payment may take effect at `now` (unix seconds): half-open, void from `validBefore` on.
    #[must_use]
    pub const fn valid_at(&self, now: i64) -> bool {
        now < self.payment.valid_before
    }
}

/// Why bytes are no payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PaymentForm {
    /// Zero, or more than the codec's u64 (threat #62).
    #[error("amount is zero or does not fit 64 bits")]
    Amount,
    /// Not 64 bytes of lower-case hex, or not the payer's strict Ed25519 signature (threat #26).
    #[error("signature does not verify")]
    Signature,
}

/// Checks amount and signature.
///
/// # Errors
/// [`PaymentForm`], amount before signature.
pub fn check(payment: &Payment) -> Result<CheckedPayment, PaymentForm> {
    let units = units_of(payment)?;
    let bytes = payment.signed_bytes().ok_or(PaymentForm::Amount)?;
    let signature = signature_bytes(&payment.signature).ok_or(PaymentForm::Signature)?;
    signature::verify_strict(&payment.from.as_bytes(), &bytes, &signature)
        .map_err(|_| PaymentForm::Signature)?;
    Ok(CheckedPayment {
        payment: payment.clone(),
        id: id_of(&bytes),
        units,
    })
}

/// The payment id without checking anything; `None` when the amount does not fit the codec.
#[must_use]
pub fn payment_id(payment: &Payment) -> Option<Hex32> {
    payment.signed_bytes().map(|bytes| id_of(&bytes))
}

fn units_of(payment: &Payment) -> Result<u64, PaymentForm> {
    match u64::try_from(payment.amount.get()) {
        Ok(units) if units > 0 => Ok(units),
        Ok(_) | Err(_) => Err(PaymentForm::Amount),
    }
}

fn id_of(signed: &[u8]) -> Hex32 {
    Hex32::from_bytes(Sha256::digest(signed).into())
}

/// 64 bytes from exactly 128 lower-case hex digits: one text per signature, so that no relay can make a
/// second form of the same payment.
pub(crate) fn signature_bytes(text: &str) -> Option<[u8; 64]> {
    if text.bytes().any(|digit| digit.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0u8; 64];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "small numbers chosen here")]
    use super::*;
    use crate::simulated::{BuyerAccount, PaymentOrder};
    use d402_objects::Amount;
    use proptest::prelude::*;

    fn order() -> PaymentOrder {
        PaymentOrder {
            pay_to: Hex32::from_bytes([7; 32]),
            asset: crate::simulated::asset(),
            units: 250_000,
            nonce: Hex32::from_bytes([9; 32]),
            valid_before: 1_795_333_000,
        }
    }

    #[test]
    fn a_signed_payment_is_accepted_and_its_id_covers_every_signed_field() {
        let buyer = BuyerAccount::from_seed(&[1; 32]);
        let base = check(&buyer.pay(&order())).unwrap();
        assert_eq!(base.units(), 250_000);
        let others = [
            PaymentOrder {
                pay_to: Hex32::from_bytes([8; 32]),
                ..order()
            },
            PaymentOrder {
                asset: Hex32::from_bytes([8; 32]),
                ..order()
            },
            PaymentOrder {
                units: 250_001,
                ..order()
            },
            PaymentOrder {
                nonce: Hex32::from_bytes([8; 32]),
                ..order()
            },
            PaymentOrder {
                valid_before: 1_795_333_001,
                ..order()
            },
        ];
        for other in others {
            assert_ne!(check(&buyer.pay(&other)).unwrap().id(), base.id());
        }
    }

    #[test]
    fn zero_and_more_than_64_bits_are_refused_before_the_signature_is_read() {
        let buyer = BuyerAccount::from_seed(&[1; 32]);
        let mut payment = buyer.pay(&order());
        payment.amount = Amount::ZERO;
        assert_eq!(check(&payment), Err(PaymentForm::Amount));
        payment.amount = Amount::new(u128::from(u64::MAX) + 1).unwrap();
        assert_eq!(check(&payment), Err(PaymentForm::Amount));
    }

    #[test]
    fn a_signature_in_upper_case_hex_is_refused() {
        let buyer = BuyerAccount::from_seed(&[1; 32]);
        let mut payment = buyer.pay(&order());
        payment.signature = payment.signature.to_uppercase();
        assert_eq!(check(&payment), Err(PaymentForm::Signature));
    }

    #[test]
    fn a_payment_is_void_at_the_very_second_it_names() {
        let checked = check(&BuyerAccount::from_seed(&[1; 32]).pay(&order())).unwrap();
        assert!(checked.valid_at(1_795_332_999));
        assert!(!checked.valid_at(1_795_333_000));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn changing_any_signed_field_voids_the_signature(field in 0usize..6, with in 1u8..=255) {
            let mut payment = BuyerAccount::from_seed(&[1; 32]).pay(&order());
            let flip = |hex: Hex32| { let mut bytes = hex.as_bytes(); bytes[usize::from(with) % 32] ^= with; Hex32::from_bytes(bytes) };
            match field {
                0 => payment.from = flip(payment.from),
                1 => payment.pay_to = flip(payment.pay_to),
                2 => payment.asset = flip(payment.asset),
                3 => payment.nonce = flip(payment.nonce),
                4 => payment.amount = Amount::new(payment.amount.get() + u128::from(with)).unwrap(),
                _ => payment.valid_before += i64::from(with),
            }
            prop_assert_eq!(check(&payment), Err(PaymentForm::Signature));
        }
    }
}
