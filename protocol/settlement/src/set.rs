//! Validator sets and how many of their members must sign (spec §2.2, §4).
//!
//! Any value of [`ValidatorSet`] is valid: `n < 2m <= 2n`, so two quorums always share a member (#7),
//! and no set lets zero signatures settle (#6).

use crate::domain::{sha256, tag};
use crate::ids::{Key32, SetHash};
use crate::quantity::UnixSeconds;
use crate::terms::{OnSilence, Terms};

/// The largest set.
pub const MAX_VALIDATORS: usize = 16;

const SET_TAG: [u8; 32] = tag("d402/vset/ed25519/v1");

/// Up to sixteen Ed25519 keys, of which `m` must sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValidatorSet {
    m: u8,
    n: u8,
    keys: [Key32; MAX_VALIDATORS],
}

/// Why keys and a threshold are no validator set. Declaration order is check order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "variant names and messages are the documentation"
)]
pub enum SetFault {
    #[error("{got} validators, allowed are 1 to 16")]
    Size { got: usize },
    #[error("a threshold of {m} of {n}: more than half and at most all must sign")]
    Threshold { m: u8, n: u8 },
    #[error("validator {index} has the zero key")]
    ZeroKey { index: u8 },
    #[error("validator {index} is not above the one before it")]
    NotAscending { index: u8 },
}

impl ValidatorSet {
    /// The set of `keys`, in the order given, which must be strictly ascending.
    ///
    /// # Errors
    /// The first broken rule.
    pub fn new(m: u8, keys: &[Key32]) -> Result<Self, SetFault> {
        let size_fault = SetFault::Size { got: keys.len() };
        let n = u8::try_from(keys.len()).map_err(|_| size_fault)?;
        if keys.is_empty() || keys.len() > MAX_VALIDATORS {
            return Err(size_fault);
        }
        if u16::from(n) >= doubled(m) || m > n {
            return Err(SetFault::Threshold { m, n });
        }
        let mut members = [Key32::ZERO; MAX_VALIDATORS];
        let mut previous = Key32::ZERO;
        for ((index, key), slot) in (0..n).zip(keys).zip(&mut members) {
            if key.is_zero() {
                return Err(SetFault::ZeroKey { index });
            }
            if *key <= previous {
                return Err(SetFault::NotAscending { index });
            }
            *slot = *key;
            previous = *key;
        }
        Ok(Self {
            m,
            n,
            keys: members,
        })
    }

    /// How many must sign.
    #[must_use]
    pub const fn m(&self) -> u8 {
        self.m
    }

    /// How many there are.
    #[must_use]
    pub const fn n(&self) -> u8 {
        self.n
    }

    /// The keys, strictly ascending.
    #[must_use]
    pub fn keys(&self) -> &[Key32] {
        self.keys.get(..usize::from(self.n)).unwrap_or(&[])
    }

    /// The key at a set index.
    #[must_use]
    pub fn key(&self, index: u8) -> Option<Key32> {
        self.keys().get(usize::from(index)).copied()
    }

    /// The set index of a key.
    #[must_use]
    pub fn index_of(&self, key: &Key32) -> Option<u8> {
        let position = self.keys().binary_search(key).ok()?;
        u8::try_from(position).ok()
    }

    /// The set's name, as terms carry it.
    #[must_use]
    pub fn hash(&self) -> SetHash {
        let sizes = [self.m, self.n];
        let mut parts: [&[u8]; MAX_VALIDATORS + 2] = [&[]; MAX_VALIDATORS + 2];
        let head = [SET_TAG.as_slice(), sizes.as_slice()];
        let members = self.keys().iter().map(|key| key.as_bytes().as_slice());
        for (slot, part) in parts.iter_mut().zip(head.into_iter().chain(members)) {
            *slot = part;
        }
        SetHash(sha256(&parts))
    }
}

const fn doubled(m: u8) -> u16 {
    (m as u16) << 1
}

/// How many signatures settle at `now`: `m`, or a bare majority of the set when the terms say so
/// and `settle_by` has passed.
///
/// M8b: twice the answer is above `n` at every time, for every valid set.
#[must_use]
pub fn need(terms: &Terms, set: &ValidatorSet, now: UnixSeconds) -> u8 {
    match OnSilence::from_u8(terms.on_silence) {
        Some(silence) => need_at(silence, terms.settle_by, (set.m, set.n), now),
        None => set.m,
    }
}

/// [`need`] from the fields a stored vault holds; the last pair is `(m, n)`.
pub(crate) fn need_at(
    silence: OnSilence,
    settle_by: UnixSeconds,
    (m, n): (u8, u8),
    now: UnixSeconds,
) -> u8 {
    match silence {
        OnSilence::Majority if now >= settle_by => (n >> 1).saturating_add(1),
        OnSilence::Majority | OnSilence::Refund => m,
    }
}
