//! Fixed and bounded byte strings, written as lower-case hex without a prefix.

use std::{fmt, str::FromStr};

use crate::{Invalid, SignatureFault, text::serde_as_str};

/// Decodes exactly `N` bytes of lower-case hex.
///
/// # Errors
/// [`Invalid::Hex`] for another length, upper case or another character.
pub(crate) fn decode<const N: usize>(what: &'static str, text: &str) -> Result<[u8; N], Invalid> {
    let refused = Invalid::Hex {
        what,
        want_bytes: N,
    };
    if !is_lower_hex(text) {
        return Err(refused);
    }
    let mut bytes = [0u8; N];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(refused),
    }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

macro_rules! hex_type {
    ($(#[$meta:meta])* $name:ident, $what:literal, $len:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Wraps the bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> [u8; $len] {
                self.0
            }
        }

        impl From<[u8; $len]> for $name {
            fn from(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                decode($what, text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        serde_as_str!($name);
    };
}

hex_type!(
    /// 32 bytes: digests, salts and commits, written as 64 lower hex digits.
    Hex32, "hex32", 32
);
hex_type!(
    /// The 16 random bytes of a task intent, written as 32 lower hex digits.
    Nonce16, "nonce", 16
);

/// The bytes of a signature: 64 for Ed25519, 65 for a wallet; longer ones are contract signatures.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SignatureBytes(Box<[u8]>);

impl SignatureBytes {
    /// The most bytes a signature may have.
    pub const MAX_BYTES: usize = 512;

    /// Wraps the bytes.
    ///
    /// # Errors
    /// [`Invalid::Length`] when empty or longer than [`Self::MAX_BYTES`].
    pub fn new(bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.is_empty() || bytes.len() > Self::MAX_BYTES {
            return Err(Invalid::Length {
                what: "signature",
                got: bytes.len(),
                max: Self::MAX_BYTES,
            });
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as an array.
    ///
    /// # Errors
    /// [`SignatureFault::Length`] when there are not exactly `N`.
    pub fn to_array<const N: usize>(&self) -> Result<[u8; N], SignatureFault> {
        <[u8; N]>::try_from(self.as_slice()).map_err(|_| SignatureFault::Length {
            got: self.0.len(),
            want: N,
        })
    }
}

impl From<[u8; 64]> for SignatureBytes {
    fn from(bytes: [u8; 64]) -> Self {
        Self(Box::new(bytes))
    }
}

impl From<[u8; 65]> for SignatureBytes {
    fn from(bytes: [u8; 65]) -> Self {
        Self(Box::new(bytes))
    }
}

impl FromStr for SignatureBytes {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // Bounded before decoding: two digits a byte.
        if text.len() > Self::MAX_BYTES.saturating_mul(2) || !is_lower_hex(text) {
            return Err(Invalid::Syntax { what: "signature" });
        }
        let bytes = hex::decode(text).map_err(|_| Invalid::Syntax { what: "signature" })?;
        Self::new(&bytes)
    }
}

impl fmt::Display for SignatureBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for SignatureBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_str!(SignatureBytes);
