//! Enough signatures of the right set over the right digest: the only thing that lets a vault pay.
//!
//! [`Approvals`] has no constructor but [`Approvals::check`], so a ledger that asks for one cannot be
//! handed unchecked signatures. It remembers which set and which digest it is for; the ledger
//! compares both with the vault. How many are *needed* is the ledger's question, since it depends on
//! the clock.

use crate::ids::{Key32, SetHash};
use crate::set::{MAX_VALIDATORS, ValidatorSet};

/// Verifies one Ed25519 signature by the rules of `verify_strict` (#26): canonical key and R, S below
/// the group order, neither point of small order, and no cofactor.
pub trait Verifier {
    /// True if and only if `signature` is `key`'s over exactly these 32 bytes.
    fn verify(&self, key: &Key32, message: &[u8; 32], signature: &[u8; 64]) -> bool;
}

/// One validator's signature and its place in the set.
pub type IndexedSignature = (u8, [u8; 64]);

/// Distinct validators of one set who signed one digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Approvals {
    set: SetHash,
    digest: [u8; 32],
    m: u8,
    n: u8,
    signers: u16,
}

/// Why signatures are not accepted. Declaration order is check order: the count first, then for each
/// signature in turn its index and then itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "variant names and messages are the documentation"
)]
pub enum ApprovalFault {
    #[error("{got} signatures for a set of {n}")]
    TooMany { got: usize, n: u8 },
    #[error("a signature for set index {index}, the set has {n} members")]
    UnknownSigner { index: u8, n: u8 },
    #[error("set index {index} is not above the one before it")]
    NotAscending { index: u8 },
    #[error("the signature of set index {index} does not verify")]
    BadSignature { index: u8 },
    #[error("set index {index} is a contract, and only its chain can tell whether it signed")]
    ContractSigner { index: u8 },
}

impl Approvals {
    /// Checks signatures over `digest`: set indexes strictly ascending, every signature valid. One
    /// bad signature refuses all, so nobody can pad a receipt with rubbish.
    ///
    /// Fewer than `m` are accepted here; the ledger refuses them.
    ///
    /// # Errors
    /// The first fault.
    pub fn check<V: Verifier>(
        set: &ValidatorSet,
        digest: [u8; 32],
        signatures: &[IndexedSignature],
        verifier: &V,
    ) -> Result<Self, ApprovalFault> {
        Self::collect(
            set,
            set.hash(),
            digest,
            signatures,
            |index, key, signature| {
                if verifier.verify(key, &digest, signature) {
                    Ok(())
                } else {
                    Err(ApprovalFault::BadSignature { index })
                }
            },
        )
    }

    /// [`Approvals::check`] whatever a signature looks like and whatever the set is called.
    pub(crate) fn collect<S>(
        set: &ValidatorSet,
        name: SetHash,
        digest: [u8; 32],
        signatures: &[(u8, S)],
        verify: impl Fn(u8, &Key32, &S) -> Result<(), ApprovalFault>,
    ) -> Result<Self, ApprovalFault> {
        let n = set.n();
        if signatures.len() > usize::from(n) {
            let got = signatures.len();
            return Err(ApprovalFault::TooMany { got, n });
        }
        let mut signers = 0u16;
        let mut previous = None;
        for (index, signature) in signatures {
            let index = *index;
            let key = set
                .key(index)
                .ok_or(ApprovalFault::UnknownSigner { index, n })?;
            if previous >= Some(index) {
                return Err(ApprovalFault::NotAscending { index });
            }
            verify(index, &key, signature)?;
            previous = Some(index);
            signers |= bit(index);
        }
        Ok(Self {
            set: name,
            digest,
            m: set.m(),
            n,
            signers,
        })
    }

    /// The set they are members of.
    #[must_use]
    pub const fn set(&self) -> SetHash {
        self.set
    }

    /// What they signed.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// How many distinct validators signed.
    #[must_use]
    pub fn count(&self) -> u8 {
        // A 16-bit word has at most 16 ones.
        u8::try_from(self.signers.count_ones()).unwrap_or(0)
    }

    /// Bit `i` is set when set index `i` signed.
    #[must_use]
    pub const fn signers(&self) -> u16 {
        self.signers
    }

    /// Threshold and size of the set.
    pub(crate) const fn sizes(&self) -> (u8, u8) {
        (self.m, self.n)
    }
}

// One bit for every member of the largest set.
const _: () = assert!(MAX_VALIDATORS == 16);

fn bit(index: u8) -> u16 {
    1u16.checked_shl(u32::from(index)).unwrap_or(0)
}
