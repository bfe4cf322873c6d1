//! 32-byte names: what a hash, a key or an address is *of* is part of its type.
//!
//! Text form is 64 lower-case hex digits, one spelling only (#27).

use core::fmt;
use core::str::FromStr;

/// The text is not 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 64 lower-case hex digits")]
pub struct NotHex32;

fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => byte.checked_sub(b'0'),
        b'a'..=b'f' => byte.checked_sub(b'a').and_then(|low| low.checked_add(10)),
        _ => None,
    }
}

fn parse_hex32(text: &str) -> Result<[u8; 32], NotHex32> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return Err(NotHex32);
    }
    let mut bytes = [0; 32];
    for (slot, [high, low]) in bytes.iter_mut().zip(pairs) {
        let high = nibble(*high).ok_or(NotHex32)?;
        let low = nibble(*low).ok_or(NotHex32)?;
        *slot = (high << 4) | low;
    }
    Ok(bytes)
}

fn write_hex32(bytes: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! id32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Thirty-two zero bytes: "none", wherever a field may be empty.
            pub const ZERO: Self = Self([0; 32]);

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// True for thirty-two zero bytes.
            #[must_use]
            pub fn is_zero(&self) -> bool {
                *self == Self::ZERO
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex32(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = NotHex32;

            fn from_str(text: &str) -> Result<Self, NotHex32> {
                parse_hex32(text).map(Self)
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
    };
}

id32! {
    /// A public key or an address on the Solana side: payee, mint, refund target, validator key.
    Key32
}
id32! {
    /// Hash of the terms under one chain and one program (spec §2.2). The vault's address follows from it.
    TermsHash
}
id32! {
    /// Hash of a validator set: threshold, size and keys (spec §2.2).
    SetHash
}
id32! {
    /// CID of the settlement receipt (the SHA-256 inside `sha256:<hex>`), as the chain sees it.
    ReceiptCid
}
id32! {
    /// CID of the task intent (the SHA-256 inside `sha256:<hex>`).
    TaskId
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn an_id_prints_and_parses_in_one_spelling() {
        let id = TermsHash(core::array::from_fn(|i| u8::try_from(i * 7).unwrap()));
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse::<TermsHash>(), Err(NotHex32));
        assert_eq!(text[2..].parse::<TermsHash>(), Err(NotHex32));
        assert_eq!((text.clone() + "0").parse::<TermsHash>(), Err(NotHex32));
        assert_eq!(text.replace("0", "g").parse::<TermsHash>(), Err(NotHex32));
    }
}
