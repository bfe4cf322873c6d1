//! The bytes of a money effect on Solana.
//!
//! A body says what is meant, not which transaction to send: it comes back out of a database much later, when
//! another blockhash, another price and other token accounts are right, and can then do nothing but pay, settle or
//! sweep its own terms. The buyer's payment alone is its signed bytes, which nobody can make anew.

use d402_objects::Hex32;
use d402_settlement::TERMS_LEN;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Largest body, bytes: sixteen rows and sixteen signatures stay far below.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// What money is meant to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "effect",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum MoneyBody {
    /// Broadcasts the buyer's own `open_funded`.
    Pay {
        /// 304 bytes.
        #[serde(with = "hex_bytes")]
        terms: Vec<u8>,
        /// The signed transaction, as the network carries it.
        #[serde(with = "hex_bytes")]
        transaction: Vec<u8>,
    },
    /// Signs the buyer's x402 `exact` as its fee payer, and broadcasts it.
    PayExact {
        /// 304 bytes.
        #[serde(with = "hex_bytes")]
        terms: Vec<u8>,
        /// The transaction without our signature, as it came.
        #[serde(with = "hex_bytes")]
        transaction: Vec<u8>,
    },
    /// Executes a receipt.
    Settle {
        /// 304 bytes.
        #[serde(with = "hex_bytes")]
        terms: Vec<u8>,
        /// The receipt.
        receipt: ReceiptBody,
        /// Who may sign.
        set: SetBody,
        /// Place in the set and signature, ascending.
        signatures: Vec<(u8, String)>,
    },
    /// Returns what nobody may earn any more.
    Sweep {
        /// 304 bytes.
        #[serde(with = "hex_bytes")]
        terms: Vec<u8>,
    },
}

/// A receipt as the program takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiptBody {
    /// CID digest.
    pub receipt_cid: Hex32,
    /// 1 paid, 2 rejected.
    pub outcome: u8,
    /// Wallet, role, units; ascending by wallet.
    pub rows: Vec<(Hex32, u8, u64)>,
}

/// A validator set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetBody {
    /// How many must sign.
    pub m: u8,
    /// Ascending.
    pub keys: Vec<Hex32>,
}

/// Why bytes are no body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Longer than [`MAX_BODY_BYTES`].
    #[error("money body is too long")]
    TooLong,
    /// Not one of the effects.
    #[error("money body is not of this rail")]
    Shape(#[source] serde_json::Error),
    /// Terms of another length.
    #[error("money body has no terms of this rail")]
    Terms,
}

impl MoneyBody {
    /// Decodes a body.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        if bytes.len() > MAX_BODY_BYTES {
            return Err(BodyError::TooLong);
        }
        let body: Self = serde_json::from_slice(bytes).map_err(BodyError::Shape)?;
        if body.terms().len() != TERMS_LEN {
            return Err(BodyError::Terms);
        }
        Ok(body)
    }

    /// Encodes a body; the same value gives the same bytes.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn encode(&self) -> Result<Vec<u8>, BodyError> {
        serde_json::to_vec(self).map_err(BodyError::Shape)
    }

    /// The terms' bytes.
    #[must_use]
    pub fn terms(&self) -> &[u8] {
        match self {
            Self::Pay { terms, .. }
            | Self::PayExact { terms, .. }
            | Self::Settle { terms, .. }
            | Self::Sweep { terms } => terms,
        }
    }
}

/// Name of an intent: what it is part of, which step of it, and, for what may be repeated, which time it is.
#[must_use]
pub fn intent_key(body: &[u8], step: &str, round: u32) -> Hex32 {
    let mut hash = Sha256::new();
    hash.update(b"d402/intent/svm/v1");
    hash.update(round.to_be_bytes());
    hash.update(Sha256::digest(step.as_bytes()));
    hash.update(body);
    Hex32::from_bytes(hash.finalize().into())
}

mod hex_bytes {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        hex::decode(text).map_err(|_| D::Error::custom("not hex"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_as_it_was_and_one_without_terms_does_not() {
        let sweep = |len| MoneyBody::Sweep {
            terms: vec![3; len],
        };
        let bytes = sweep(TERMS_LEN).encode().unwrap();
        assert_eq!(MoneyBody::decode(&bytes).unwrap(), sweep(TERMS_LEN));
        let short = sweep(TERMS_LEN - 1).encode().unwrap();
        assert!(matches!(MoneyBody::decode(&short), Err(BodyError::Terms)));
        let long = vec![b' '; MAX_BODY_BYTES + 1];
        assert!(matches!(MoneyBody::decode(&long), Err(BodyError::TooLong)));
    }

    #[test]
    fn no_two_steps_or_rounds_of_one_body_share_an_intent() {
        let keys = [
            intent_key(b"body", "settle", 0),
            intent_key(b"body", "settle", 1),
            intent_key(b"body", "open", 0),
            intent_key(b"bod", "ysettle", 0),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert!(!keys[..place].contains(key), "{place}");
        }
    }
}
