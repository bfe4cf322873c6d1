//! Content ids: `sha256:<64 lower hex>` of canonical bytes.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use crate::{Hex32, Invalid, fixed_bytes, text::serde_as_str};

/// SHA-256 of some bytes, printed `sha256:<64 lower hex>`. For objects, of JCS(payload).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid([u8; 32]);

impl Cid {
    const PREFIX: &'static str = "sha256:";

    /// The CID of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The CID whose digest is `digest`; for codecs that carry only the 32 bytes.
    #[must_use]
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> [u8; 32] {
        self.0
    }

    /// The digest without its prefix.
    #[must_use]
    pub const fn to_hex32(&self) -> Hex32 {
        Hex32::from_bytes(self.0)
    }
}

impl FromStr for Cid {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = text.strip_prefix(Self::PREFIX).ok_or(Invalid::Prefix {
            what: "cid",
            want: Self::PREFIX,
        })?;
        fixed_bytes::decode("cid", digits).map(Self)
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.to_hex32())
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_str!(Cid);
