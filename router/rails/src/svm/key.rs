//! An Ed25519 key of this machine, in the file form of the Solana tools.

use std::fmt;
use std::path::Path;

use d402_svm::{Address, Signature};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

/// Largest key file, bytes: 64 numbers and their commas stay far below.
const MAX_FILE: u64 = 4 * 1024;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// The file cannot be read.
    #[error("key file cannot be read")]
    File(#[source] std::io::Error),
    /// Not 64 numbers below 256, or two halves that do not belong together.
    #[error("not a Solana key file")]
    NotAKey,
}

/// An Ed25519 key.
#[derive(Clone)]
pub struct SolanaKey(SigningKey);

impl fmt::Debug for SolanaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SolanaKey")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl SolanaKey {
    /// Opens a key file: a JSON array of the 32 secret and the 32 public bytes.
    ///
    /// # Errors
    /// [`KeyFault`].
    pub fn open(path: &Path) -> Result<Self, KeyFault> {
        let length = std::fs::metadata(path).map_err(KeyFault::File)?.len();
        if length > MAX_FILE {
            return Err(KeyFault::NotAKey);
        }
        let text = std::fs::read(path).map_err(KeyFault::File)?;
        let bytes: Vec<u8> = serde_json::from_slice(&text).map_err(|_| KeyFault::NotAKey)?;
        let pair = <&[u8; 64]>::try_from(bytes.as_slice()).map_err(|_| KeyFault::NotAKey)?;
        SigningKey::from_keypair_bytes(pair)
            .map(Self)
            .map_err(|_| KeyFault::NotAKey)
    }

    /// A key from its 32 bytes; tests and development chains.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// Its account.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::new_from_array(self.0.verifying_key().to_bytes())
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::from(self.0.sign(message).to_bytes())
    }
}

/// Whether `signer` signed the message, by the rules of the network: strict, no malleable forms.
#[must_use]
pub fn is_signed_by(signer: &Address, message: &[u8], signature: &Signature) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(signature.as_array());
    VerifyingKey::from_bytes(signer.as_array())
        .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_with_two_halves_of_different_keys_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id.json");
        let key = SigningKey::from_bytes(&[7; 32]);
        let mut pair = key.to_keypair_bytes();
        std::fs::write(&path, serde_json::to_vec(&pair.to_vec()).unwrap()).unwrap();
        let opened = SolanaKey::open(&path).unwrap();
        assert_eq!(opened.address().to_bytes(), key.verifying_key().to_bytes());
        assert!(!format!("{opened:?}").contains("7, 7, 7"));
        pair[40] ^= 1;
        std::fs::write(&path, serde_json::to_vec(&pair.to_vec()).unwrap()).unwrap();
        assert!(matches!(SolanaKey::open(&path), Err(KeyFault::NotAKey)));
    }
}
