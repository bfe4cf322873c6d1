//! The bytes of a payment payload.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_objects::Hex32;
use d402_svm::transaction::{LIMIT, decode};
use d402_svm::{Address, Signature, VersionedMessage, VersionedTransaction};
use sha2::{Digest as _, Sha256};

use super::ExactFault;

/// Most characters of a transaction in base64.
const MAX_TEXT: usize = LIMIT.div_ceil(3) * 4;

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
    /// [`ExactFault::Undecodable`] for anything else.
    pub fn parse(payload: &serde_json::Value) -> Result<Self, ExactFault> {
        let text = payload
            .get("transaction")
            .and_then(serde_json::Value::as_str)
            .filter(|text| text.len() <= MAX_TEXT)
            .ok_or(ExactFault::Undecodable)?;
        Self::decode(STANDARD.decode(text).map_err(|_| ExactFault::Undecodable)?)
    }

    /// Decodes the bytes of a transaction.
    ///
    /// # Errors
    /// [`ExactFault::Undecodable`] for anything but one whole legacy or v0 transaction in its one encoding.
    pub fn decode(raw: Vec<u8>) -> Result<Self, ExactFault> {
        let transaction = decode(&raw).ok_or(ExactFault::Undecodable)?;
        Ok(Self {
            message: transaction.message.serialize(),
            transaction,
            raw,
        })
    }

    /// SHA-256 of the message: the payment's id (threat #37). Neither signature is in it, so it is known before
    /// this gateway signs and stays the same whoever broadcasts.
    #[must_use]
    pub fn message_hash(&self) -> Hex32 {
        Hex32::from_bytes(Sha256::digest(&self.message).into())
    }

    /// The first signer.
    #[must_use]
    pub fn fee_payer(&self) -> Option<Address> {
        let keys = self.transaction.message.static_account_keys();
        keys.first().copied()
    }

    /// The second signature.
    #[must_use]
    pub fn signature_of_payer(&self) -> Option<Signature> {
        self.transaction.signatures.get(1).copied()
    }

    /// The message as it was decoded.
    #[must_use]
    pub const fn versioned(&self) -> &VersionedMessage {
        &self.transaction.message
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
