//! The validator's three keys: envelope, Ed25519 settlement, EVM settlement.
//!
//! They are different keys on purpose (spec §2.1): the envelope key signs acks and receipts all day, the
//! settlement keys sign only what the journal allowed. No function here signs bytes handed in from outside:
//! signers take typed statements. (A keystore behind a passphrase or an HSM replaces [`Keys::load_or_create`]
//! later; nothing else knows where keys come from.)

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use d402_objects::{
    Ed25519Id, EvmAddress, ObjectError, Payload, SignatureBytes, Signed, SigningKey,
};
use d402_settlement::evm::EvmAccount;
use d402_settlement::{Codec, Key32};
use zeroize::Zeroizing;

/// Why keys could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// File system.
    #[error("key file cannot be read or written")]
    File(#[source] std::io::Error),
    /// A file that is not 64 hex digits of a valid key.
    #[error("key file {name} does not hold a key")]
    NotAKey {
        /// Which file.
        name: &'static str,
    },
    /// Two of the three keys are the same.
    #[error("envelope and settlement key are the same")]
    SameKey,
    /// No randomness.
    #[error("the system gave no random bytes")]
    Entropy,
}

/// The keys of one validator.
pub struct Keys {
    envelope: SigningKey,
    settlement: SigningKey,
    evm: k256::ecdsa::SigningKey,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("validator", &self.validator())
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads the three key files of a directory, making those that are missing (mode 0600).
    ///
    /// # Errors
    /// [`KeyError`]; an unreadable file is never replaced by a new key.
    pub fn load_or_create(dir: &Path) -> Result<Self, KeyError> {
        std::fs::create_dir_all(dir).map_err(KeyError::File)?;
        let envelope = SigningKey::from_bytes(&*secret(dir, "envelope.key")?);
        let settlement = SigningKey::from_bytes(&*secret(dir, "settlement.key")?);
        let evm = k256::ecdsa::SigningKey::from_slice(secret(dir, "evm.key")?.as_slice())
            .map_err(|_| KeyError::NotAKey { name: "evm.key" })?;
        Self::new(envelope, settlement, evm)
    }

    /// Keys from memory, for tests.
    ///
    /// # Errors
    /// [`KeyError::SameKey`].
    pub fn new(
        envelope: SigningKey,
        settlement: SigningKey,
        evm: k256::ecdsa::SigningKey,
    ) -> Result<Self, KeyError> {
        if envelope.verifying_key() == settlement.verifying_key() {
            return Err(KeyError::SameKey);
        }
        Ok(Self {
            envelope,
            settlement,
            evm,
        })
    }

    /// The validator's name: its envelope key.
    #[must_use]
    pub fn validator(&self) -> Ed25519Id {
        Ed25519Id::from(&self.envelope)
    }

    /// Its Ed25519 settlement key.
    #[must_use]
    pub fn settlement(&self) -> Ed25519Id {
        Ed25519Id::from(&self.settlement)
    }

    /// Its EVM settlement address.
    #[must_use]
    pub fn evm(&self) -> EvmAddress {
        d402_objects::signature::evm_address(self.evm.verifying_key())
    }

    /// The key that signs settlements of this codec.
    #[must_use]
    pub fn signer_on(&self, codec: &Codec) -> Key32 {
        match codec {
            Codec::Solana(_) => Key32(self.settlement().as_bytes()),
            Codec::Evm(_) => EvmAccount(self.evm().as_bytes()).to_key(),
        }
    }

    /// Signs an object this validator is the role of.
    ///
    /// # Errors
    /// [`ObjectError`] when the payload is invalid or names another key.
    pub fn sign<T: Payload>(&self, payload: T) -> Result<Signed<T>, ObjectError> {
        Signed::sign(payload, &self.envelope)
    }

    /// Signs a settlement digest the journal allowed. Callers hold an `Allowed` value, which only the
    /// journal's verdict makes.
    #[must_use]
    pub(crate) fn sign_settlement(
        &self,
        codec: &Codec,
        allowed: &crate::case::Allowed,
    ) -> SignatureBytes {
        use ed25519_dalek::Signer as _;
        match codec {
            Codec::Solana(_) => self.settlement.sign(&allowed.digest()).to_bytes().into(),
            Codec::Evm(_) => self.sign_evm(&allowed.digest()).into(),
        }
    }

    /// r ‖ s ‖ v with low s and v 27 or 28: the one spelling the ledger takes (threat #51).
    fn sign_evm(&self, digest: &[u8; 32]) -> [u8; 65] {
        let (signature, recovery) = self.evm.sign_prehash_recoverable(digest);
        let v = recovery.to_byte().saturating_add(27);
        let mut bytes = [0u8; 65];
        let scalars = signature.to_bytes();
        for (slot, byte) in bytes.iter_mut().zip(scalars.iter().chain([&v])) {
            *slot = *byte;
        }
        bytes
    }

    pub(crate) fn settlement_key(&self) -> &SigningKey {
        &self.settlement
    }

    pub(crate) fn evm_key(&self) -> &k256::ecdsa::SigningKey {
        &self.evm
    }
}

/// 32 secret bytes from a file of 64 hex digits, made when it does not exist.
fn secret(dir: &Path, name: &'static str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let path = dir.join(name);
    match std::fs::read_to_string(&path).map(Zeroizing::new) {
        Ok(text) => {
            let mut bytes = Zeroizing::new([0u8; 32]);
            hex::decode_to_slice(text.trim(), bytes.as_mut_slice())
                .map_err(|_| KeyError::NotAKey { name })?;
            Ok(bytes)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(&path),
        Err(error) => Err(KeyError::File(error)),
    }
}

fn create(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| KeyError::Entropy)?;
    let text = Zeroizing::new(hex::encode(bytes.as_slice()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(KeyError::File)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(KeyError::File)?;
    Ok(bytes)
}
