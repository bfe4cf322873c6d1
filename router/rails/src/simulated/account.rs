//! A buyer's account on the simulated chain: one Ed25519 key that signs payments.

use std::fmt;

use d402_objects::{Amount, Hex32, SigningKey};
use d402_wire::simchain::Payment;
use ed25519_dalek::Signer as _;

/// What a buyer wants to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentOrder {
    /// Receiver: a vault address, or any account.
    pub pay_to: Hex32,
    /// Asset.
    pub asset: Hex32,
    /// Base units; the chain refuses 0.
    pub units: u64,
    /// Single use per payer; pick it at random and keep it until the payment's fate is known.
    pub nonce: Hex32,
    /// Unix seconds on the chain's clock; void from then on.
    pub valid_before: i64,
}

/// A key that owns an account. The account's address is its public key.
pub struct BuyerAccount {
    key: SigningKey,
}

impl BuyerAccount {
    /// The account of a key.
    #[must_use]
    pub const fn new(key: SigningKey) -> Self {
        Self { key }
    }

    /// The account of a 32-byte Ed25519 secret.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self {
            key: SigningKey::from_bytes(seed),
        }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Hex32 {
        Hex32::from_bytes(self.key.verifying_key().to_bytes())
    }

    /// Signs a payment. Nothing is sent; whoever holds the result may submit it until `valid_before`.
    #[must_use]
    pub fn pay(&self, order: &PaymentOrder) -> Payment {
        let mut payment = Payment {
            from: self.address(),
            pay_to: order.pay_to,
            asset: order.asset,
            amount: Amount::from(order.units),
            nonce: order.nonce,
            valid_before: order.valid_before,
            signature: String::new(),
        };
        // An amount made from a u64 always fits the codec, so there are always bytes to sign.
        let bytes = payment.signed_bytes().unwrap_or_default();
        payment.signature = hex::encode(self.key.sign(&bytes).to_bytes());
        payment
    }
}

impl fmt::Debug for BuyerAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuyerAccount")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_the_address_and_not_the_secret() {
        let account = BuyerAccount::from_seed(&[0xAB; 32]);
        let text = format!("{account:?}");
        assert!(text.contains(&account.address().to_string()));
        assert!(!text.contains(&"ab".repeat(32)) && !text.contains("171, 171"));
    }
}
