//! Names of keys: Ed25519 keys, EVM addresses, and the signer of an envelope.

use std::{fmt, str::FromStr};

use ed25519_dalek::{SigningKey, VerifyingKey};

use crate::{Invalid, SignatureFault, fixed_bytes, signature, text::serde_as_str};

/// An Ed25519 public key, written `ed25519:<64 lower hex>`.
///
/// Any 32 bytes parse; whether they are a canonical point of large order is decided where a
/// signature is checked, so that naming a key never costs a curve operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ed25519Id([u8; 32]);

impl Ed25519Id {
    const PREFIX: &'static str = "ed25519:";

    /// Names the key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key.
    #[must_use]
    pub const fn as_bytes(&self) -> [u8; 32] {
        self.0
    }

    /// The point, for callers that keep it to verify many signatures.
    ///
    /// # Errors
    /// [`SignatureFault::Key`] when the bytes are no canonical point or one of small order.
    pub fn verifying_key(&self) -> Result<VerifyingKey, SignatureFault> {
        signature::verifying_key(&self.0)
    }

    /// Checks `sig` over `message` under the strict rule (threat #26).
    ///
    /// # Errors
    /// [`SignatureFault`] when the key, or the signature under it, is refused.
    pub fn verify(&self, message: &[u8], sig: &[u8; 64]) -> Result<(), SignatureFault> {
        signature::verify_strict(&self.0, message, sig)
    }
}

impl From<&SigningKey> for Ed25519Id {
    fn from(key: &SigningKey) -> Self {
        Self(key.verifying_key().to_bytes())
    }
}

impl From<VerifyingKey> for Ed25519Id {
    fn from(key: VerifyingKey) -> Self {
        Self(key.to_bytes())
    }
}

impl FromStr for Ed25519Id {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = text.strip_prefix(Self::PREFIX).ok_or(Invalid::Prefix {
            what: "ed25519 key",
            want: Self::PREFIX,
        })?;
        fixed_bytes::decode("ed25519 key", digits).map(Self)
    }
}

impl fmt::Display for Ed25519Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, hex::encode(self.0))
    }
}

impl fmt::Debug for Ed25519Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_str!(Ed25519Id);

/// An EVM address, written `0x<40 lower hex>` (no mixed-case checksum: one spelling per address).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvmAddress([u8; 20]);

impl EvmAddress {
    const PREFIX: &'static str = "0x";

    /// Wraps the bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> [u8; 20] {
        self.0
    }
}

impl FromStr for EvmAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = text.strip_prefix(Self::PREFIX).ok_or(Invalid::Prefix {
            what: "evm address",
            want: Self::PREFIX,
        })?;
        fixed_bytes::decode("evm address", digits).map(Self)
    }
}

impl fmt::Display for EvmAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, hex::encode(self.0))
    }
}

impl fmt::Debug for EvmAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_str!(EvmAddress);

/// Who signed an envelope: an Ed25519 key, or (namespace proofs only) a wallet as `eip191:0x…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignerId {
    /// `ed25519:<64 lower hex>`.
    Ed25519(Ed25519Id),
    /// `eip191:0x<40 lower hex>`.
    Eip191(EvmAddress),
}

impl SignerId {
    const EIP191_PREFIX: &'static str = "eip191:";

    /// The Ed25519 key, unless the signer is a wallet.
    #[must_use]
    pub const fn ed25519(&self) -> Option<Ed25519Id> {
        match self {
            Self::Ed25519(key) => Some(*key),
            Self::Eip191(_) => None,
        }
    }
}

impl From<Ed25519Id> for SignerId {
    fn from(key: Ed25519Id) -> Self {
        Self::Ed25519(key)
    }
}

impl FromStr for SignerId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.strip_prefix(Self::EIP191_PREFIX) {
            Some(address) => address.parse().map(Self::Eip191),
            None => text.parse().map(Self::Ed25519),
        }
    }
}

impl fmt::Display for SignerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ed25519(key) => fmt::Display::fmt(key, f),
            Self::Eip191(address) => write!(f, "{}{address}", Self::EIP191_PREFIX),
        }
    }
}

impl fmt::Debug for SignerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_str!(SignerId);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cid, Hex32, Nonce16, SignatureBytes};

    #[test]
    fn ids_have_one_spelling() {
        let hex = "0123456789abcdef".repeat(4);
        for prefix in ["ed25519:", "sha256:", ""] {
            let text = format!("{prefix}{hex}");
            let read = |text: &str| match prefix {
                "ed25519:" => text.parse::<Ed25519Id>().map(|v| v.to_string()),
                "sha256:" => text.parse::<Cid>().map(|v| v.to_string()),
                _ => text.parse::<Hex32>().map(|v| v.to_string()),
            };
            assert_eq!(read(&text), Ok(text.clone()));
            let bad = [
                text.to_uppercase(),
                text.replace('a', "A"),
                format!("{text}00"),
                text[..text.len() - 2].to_owned(),
                text[..text.len() - 1].to_owned(),
                format!(" {text}"),
                format!("0x{text}"),
                format!("x{text}"),
                String::new(),
            ];
            for text in bad {
                assert!(read(&text).is_err(), "{text}");
            }
        }
        assert!("0f".repeat(16).parse::<Nonce16>().is_ok());
        assert!("0f".repeat(17).parse::<Nonce16>().is_err());
    }

    #[test]
    fn signers_are_keys_or_wallets() {
        let wallet = format!("eip191:0x{}", "ab".repeat(20));
        assert_eq!(wallet.parse::<SignerId>().unwrap().to_string(), wallet);
        assert_eq!(wallet.parse::<SignerId>().unwrap().ed25519(), None);
        for text in [
            wallet.to_uppercase(),
            wallet.replace("0x", ""),
            wallet.replace("ab", "aB"),
            format!("eip191:ed25519:{}", "ab".repeat(32)),
            "ab".repeat(32),
        ] {
            assert!(text.parse::<SignerId>().is_err(), "{text}");
        }
    }

    #[test]
    fn signatures_are_bounded_lower_hex() {
        let text = |bytes: usize| "ab".repeat(bytes);
        assert_eq!(
            text(64).parse::<SignatureBytes>().unwrap().to_string(),
            text(64)
        );
        assert!(text(512).parse::<SignatureBytes>().is_ok());
        for text in [
            text(513),
            String::new(),
            "a".into(),
            "AB".into(),
            "QQ==".into(),
            "0xab".into(),
        ] {
            assert!(text.parse::<SignatureBytes>().is_err(), "{text}");
        }
        let short = SignatureBytes::new(&[1; 63]).unwrap();
        assert_eq!(
            short.to_array::<64>(),
            Err(SignatureFault::Length { got: 63, want: 64 })
        );
    }

    #[test]
    fn weak_and_misspelt_keys_are_no_verifying_keys() {
        let mut identity = [0u8; 32];
        identity[0] = 1;
        let mut misspelt = [0xff; 32];
        misspelt[0] = 0xee;
        misspelt[31] = 0x7f;
        for bytes in [[0; 32], identity, misspelt, [2; 32]] {
            assert_eq!(
                Ed25519Id::from_bytes(bytes).verifying_key(),
                Err(SignatureFault::Key)
            );
        }
        let honest = Ed25519Id::from(&SigningKey::from_bytes(&[7; 32]));
        assert!(honest.verifying_key().is_ok());
    }
}
