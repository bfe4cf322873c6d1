//! The 32-byte words of the EVM.

use sha3::{Digest, Keccak256};

/// One ABI word, big endian.
pub type Word = [u8; 32];

/// A chain id as `uint256`.
#[must_use]
pub fn chain_word(chain_id: u64) -> Word {
    uint(u128::from(chain_id))
}

pub(super) fn uint(value: u128) -> Word {
    let mut word = [0; 32];
    for (slot, byte) in word.iter_mut().skip(16).zip(value.to_be_bytes()) {
        *slot = byte;
    }
    word
}

/// The number in a word that has at most `bits` of them, of up to 128; `None` when an upper bit is set, which
/// Solidity's decoder refuses too.
pub(super) fn to_uint(word: &Word, bits: u32) -> Option<u128> {
    let (high, low) = word.split_first_chunk::<16>()?;
    if high != &[0; 16] {
        return None;
    }
    let value = u128::from_be_bytes(low.try_into().ok()?);
    match value.checked_shr(bits) {
        Some(0) | None => Some(value),
        Some(_) => None,
    }
}

/// Keccak-256 over the parts, one after the other.
pub(super) fn keccak(parts: &[&[u8]]) -> Word {
    let mut hasher = Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
