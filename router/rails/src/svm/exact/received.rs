//! The bytes of a payment payload.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_objects::Hex32;
use sha2::{Digest as _, Sha256};
use solana_message::VersionedMessage;
use solana_transaction::versioned::VersionedTransaction;

use super::ExactFault;

/// Largest transaction the network carries, bytes.
pub const MAX_TRANSACTION_BYTES: usize = 1_232;
/// The same in base64.
const MAX_TEXT: usize = MAX_TRANSACTION_BYTES.div_ceil(3) * 4;

/// A transaction as it came, decoded from exactly its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub(super) transaction: VersionedTransaction,
    pub(super) message: Vec<u8>,
    raw: Vec<u8>,
}

impl Received {
    /// Decodes a payload `{transaction}`.
    ///
    /// # Errors
    /// [`ExactFault::Undecodable`] for anything else, also for a transaction with bytes behind it, with indices
    /// beyond its accounts, or of a version other than legacy and 0.
    pub fn parse(payload: &serde_json::Value) -> Result<Self, ExactFault> {
        let text = payload
            .get("transaction")
            .and_then(serde_json::Value::as_str)
            .filter(|text| text.len() <= MAX_TEXT)
            .ok_or(ExactFault::Undecodable)?;
        let raw = STANDARD.decode(text).map_err(|_| ExactFault::Undecodable)?;
        Self::decode(raw)
    }

    /// Decodes the bytes of a transaction.
    ///
    /// # Errors
    /// As [`Received::parse`].
    pub fn decode(raw: Vec<u8>) -> Result<Self, ExactFault> {
        if raw.len() > MAX_TRANSACTION_BYTES {
            return Err(ExactFault::Undecodable);
        }
        let transaction: VersionedTransaction =
            wincode::deserialize_exact(&raw).map_err(|_| ExactFault::Undecodable)?;
        if matches!(transaction.message, VersionedMessage::V1(_)) || transaction.sanitize().is_err()
        {
            return Err(ExactFault::Undecodable);
        }
        let message = transaction.message.serialize();
        // One message, one spelling: what is signed and hashed is what came.
        if !raw.ends_with(&message) {
            return Err(ExactFault::Undecodable);
        }
        Ok(Self {
            transaction,
            message,
            raw,
        })
    }

    /// SHA-256 of the message: the payment's id (threat #37). Neither signature is in it, so it is known before
    /// this gateway signs and stays the same whoever broadcasts.
    #[must_use]
    pub fn message_hash(&self) -> Hex32 {
        Hex32::from_bytes(Sha256::digest(&self.message).into())
    }

    /// What the signatures are over.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The transaction as it came.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }
}
