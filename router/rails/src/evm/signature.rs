//! ECDSA signatures of payers and of this gateway's own key.

use std::fmt;
use std::path::Path;

use alloy::consensus::{SignableTransaction as _, TxEip1559};
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::primitives::{Address, B256, Bytes, Signature, U256};
use alloy::signers::SignerSync as _;
use alloy::signers::local::{LocalSigner, PrivateKeySigner};

/// Half the order of secp256k1: a higher `s` is the other form of the same signature (EIP-2).
const HALF_ORDER: U256 = U256::from_limbs([
    0xDFE9_2F46_681B_20A0,
    0x5D57_6E73_57A4_501D,
    0xFFFF_FFFF_FFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
]);

/// Who made an EOA's signature; `None` for any form the token would refuse too: other lengths, `v` not 27
/// or 28, high `s`.
#[must_use]
pub fn recover(digest: &B256, signature: &[u8]) -> Option<Address> {
    let bytes: &[u8; 65] = signature.try_into().ok()?;
    let parity = match bytes.last()? {
        27 => false,
        28 => true,
        _ => return None,
    };
    let r = U256::from_be_slice(bytes.get(..32)?);
    let s = U256::from_be_slice(bytes.get(32..64)?);
    if s > HALF_ORDER {
        return None;
    }
    Signature::new(r, s, parity)
        .recover_address_from_prehash(digest)
        .ok()
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// The keystore cannot be opened: no such file, not version 3, or another password.
    #[error("keystore cannot be opened")]
    Keystore(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The password file cannot be read.
    #[error("keystore password cannot be read")]
    Password(#[source] std::io::Error),
    /// 32 bytes that are no secp256k1 key.
    #[error("not a secp256k1 key")]
    NotAKey,
}

/// A secp256k1 key of this machine.
#[derive(Clone)]
pub struct EvmKey(PrivateKeySigner);

impl fmt::Debug for EvmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvmKey")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl EvmKey {
    /// Opens a version 3 keystore with the password in another file (its last line break is not part of it).
    ///
    /// # Errors
    /// [`KeyFault`].
    pub fn open(keystore: &Path, password: &Path) -> Result<Self, KeyFault> {
        let text = std::fs::read_to_string(password).map_err(KeyFault::Password)?;
        let password = text.strip_suffix('\n').unwrap_or(&text);
        LocalSigner::decrypt_keystore(keystore, password)
            .map(Self)
            .map_err(|e| KeyFault::Keystore(Box::new(e)))
    }

    /// Makes a keystore of a new key.
    ///
    /// # Errors
    /// [`KeyFault::Keystore`] when the file cannot be written, [`KeyFault::NotAKey`] never in practice.
    pub fn create(secret: &[u8; 32], keystore: &Path, password: &str) -> Result<Self, KeyFault> {
        let key = Self::from_secret(secret)?;
        let fault = |e: Box<dyn std::error::Error + Send + Sync>| KeyFault::Keystore(e);
        let (Some(folder), Some(name)) = (keystore.parent(), keystore.file_name()) else {
            return Err(fault("no file name".into()));
        };
        if keystore.exists() {
            return Err(fault("file exists".into()));
        }
        let name = name.to_string_lossy().into_owned();
        LocalSigner::encrypt_keystore(
            folder,
            &mut alloy::signers::k256::elliptic_curve::rand_core::OsRng,
            secret,
            password,
            Some(&name),
        )
        .map_err(|e| fault(Box::new(e)))?;
        Ok(key)
    }

    /// A key from its 32 bytes; tests and development chains.
    ///
    /// # Errors
    /// [`KeyFault::NotAKey`].
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, KeyFault> {
        PrivateKeySigner::from_slice(secret)
            .map(Self)
            .map_err(|_| KeyFault::NotAKey)
    }

    /// Its account.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.0.address()
    }

    /// Signs 32 bytes: `r ‖ s ‖ v`, `v` 27 or 28, low `s`.
    ///
    /// # Errors
    /// [`KeyFault::NotAKey`], never in practice.
    pub fn sign(&self, digest: &B256) -> Result<Bytes, KeyFault> {
        self.0
            .sign_hash_sync(digest)
            .map(|signature| Bytes::from(signature.as_bytes().to_vec()))
            .map_err(|_| KeyFault::NotAKey)
    }

    /// Signs a transaction: its bytes for the network, and its hash.
    ///
    /// # Errors
    /// [`KeyFault::NotAKey`], never in practice.
    pub fn sign_transaction(&self, transaction: TxEip1559) -> Result<(Bytes, B256), KeyFault> {
        let signature = self
            .0
            .sign_hash_sync(&transaction.signature_hash())
            .map_err(|_| KeyFault::NotAKey)?;
        let signed = transaction.into_signed(signature);
        Ok((signed.encoded_2718().into(), *signed.hash()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_canonical_form_of_a_signature_recovers() {
        let key = EvmKey::from_secret(&[7; 32]).unwrap();
        let digest = B256::repeat_byte(9);
        let good = key.sign(&digest).unwrap().to_vec();
        assert_eq!(recover(&digest, &good), Some(key.address()));
        let mut low_v = good.clone();
        low_v[64] -= 27;
        assert_eq!(recover(&digest, &low_v), None);
        assert_eq!(recover(&digest, &good[..64]), None);
        let order = HALF_ORDER * U256::from(2) + U256::from(1);
        let mut high_s = good.clone();
        let s = order - U256::from_be_slice(&good[32..64]);
        high_s[32..64].copy_from_slice(&s.to_be_bytes::<32>());
        high_s[64] = if good[64] == 27 { 28 } else { 27 };
        assert_eq!(recover(&digest, &high_s), None, "high s (EIP-2)");
    }

    #[test]
    fn a_keystore_opens_with_its_password_only_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (store, password) = (folder.path().join("key.json"), folder.path().join("pw"));
        let made = EvmKey::create(&[7; 32], &store, "correct").unwrap();
        std::fs::write(&password, "correct\n").unwrap();
        assert_eq!(
            EvmKey::open(&store, &password).unwrap().address(),
            made.address()
        );
        std::fs::write(&password, "other").unwrap();
        assert!(matches!(
            EvmKey::open(&store, &password),
            Err(KeyFault::Keystore(_))
        ));
        assert!(EvmKey::create(&[8; 32], &store, "correct").is_err());
        assert!(!format!("{made:?}").contains("0707"));
    }
}
