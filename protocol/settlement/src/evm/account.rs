//! EVM accounts, and their one embedding into the 32 bytes every chain's accounts have in the market.

use core::fmt;

use super::word::Word;
use crate::ids::Key32;

/// Twenty bytes: a wallet or a contract.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvmAccount(pub [u8; 20]);

impl EvmAccount {
    /// The zero address: "none", wherever a field may be empty.
    pub const ZERO: Self = Self([0; 20]);

    /// The account in a [`Key32`]: twelve zero bytes and the address. `None` for any other 32 bytes, so an
    /// account has one embedding.
    #[must_use]
    pub fn from_key(key: &Key32) -> Option<Self> {
        Self::from_word(key.as_bytes())
    }

    /// The account as the market carries it.
    #[must_use]
    pub fn to_key(self) -> Key32 {
        Key32(self.word())
    }

    /// The ABI word.
    #[must_use]
    pub fn word(&self) -> Word {
        let mut word = [0; 32];
        for (slot, byte) in word.iter_mut().skip(12).zip(self.0) {
            *slot = byte;
        }
        word
    }

    /// The account in an ABI word; `None` when an upper bit is set.
    #[must_use]
    pub fn from_word(word: &Word) -> Option<Self> {
        let (high, low) = word.split_first_chunk::<12>()?;
        if high != &[0; 12] {
            return None;
        }
        low.try_into().ok().map(Self)
    }

    /// True for the zero address.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Display for EvmAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EvmAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
