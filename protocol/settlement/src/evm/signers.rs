//! The validator set of an EVM chain: accounts, each with the way it signs.

use super::account::EvmAccount;
use super::ecdsa::recover;
use super::word::{keccak, uint};
use crate::approvals::{ApprovalFault, Approvals};
use crate::ids::{Key32, SetHash};
use crate::set::{MAX_VALIDATORS, SetFault, ValidatorSet};

/// What a set's hash is over. No EIP-712 domain: a set is the same on every chain.
pub const SET_TYPE: &str = "ValidatorSet(uint8 m,uint8 n,bytes32 members)";

/// An entry of the packed members: address and kind.
const ENTRY_LEN: usize = 21;

/// How a member signs. Declared in the set, never guessed from code at the address: a wallet that delegates
/// by EIP-7702 has code and stays a wallet (#51).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignerKind {
    /// A key: ECDSA, checked anywhere.
    Ecdsa = 0,
    /// A contract: ERC-1271. A live opinion, which only its chain can be asked for.
    Contract = 1,
}

impl SignerKind {
    /// The byte in the set's hash.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        match self {
            Self::Ecdsa => 0,
            Self::Contract => 1,
        }
    }

    /// `None` for a kind this version does not know.
    #[must_use]
    pub const fn from_u8(raw: u8) -> Option<Self> {
        match raw {
            0 => Some(Self::Ecdsa),
            1 => Some(Self::Contract),
            _ => None,
        }
    }
}

/// Why accounts and a threshold are no set of an EVM chain. Declaration order is check order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "variant names and messages are the documentation"
)]
pub enum SignersFault {
    #[error(transparent)]
    Set(#[from] SetFault),
    #[error("validator {index} is no EVM account")]
    NotAnAccount { index: u8 },
}

/// A valid [`ValidatorSet`] of EVM accounts, and who of them is a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EvmSigners {
    set: ValidatorSet,
    /// Bit i: member i is a contract.
    contracts: u16,
}

impl EvmSigners {
    /// The set of these members, strictly ascending by account; two kinds of one account are one member.
    ///
    /// # Errors
    /// The first broken rule.
    pub fn new(m: u8, members: &[(EvmAccount, SignerKind)]) -> Result<Self, SignersFault> {
        let size = SetFault::Size { got: members.len() };
        if members.len() > MAX_VALIDATORS {
            return Err(size.into());
        }
        let mut keys = [Key32::ZERO; MAX_VALIDATORS];
        let mut contracts = 0u16;
        for ((slot, bit), (account, kind)) in keys.iter_mut().zip(0u32..).zip(members) {
            *slot = account.to_key();
            contracts |= match kind {
                SignerKind::Ecdsa => 0,
                SignerKind::Contract => 1u16.checked_shl(bit).unwrap_or(0),
            };
        }
        let set = ValidatorSet::new(m, keys.get(..members.len()).ok_or(size)?)?;
        Ok(Self { set, contracts })
    }

    /// The set whose members all sign by ECDSA: the only kind the market draws, since everybody can check it.
    ///
    /// # Errors
    /// [`SignersFault::NotAnAccount`] for a key that is no EVM account.
    pub fn ecdsa(set: &ValidatorSet) -> Result<Self, SignersFault> {
        for (index, key) in (0u8..).zip(set.keys()) {
            EvmAccount::from_key(key).ok_or(SignersFault::NotAnAccount { index })?;
        }
        Ok(Self {
            set: *set,
            contracts: 0,
        })
    }

    /// Threshold, size and accounts.
    #[must_use]
    pub const fn set(&self) -> &ValidatorSet {
        &self.set
    }

    /// How a member signs; `None` past the end of the set.
    #[must_use]
    pub fn kind(&self, index: u8) -> Option<SignerKind> {
        self.set.key(index)?;
        let bit = self.contracts.checked_shr(u32::from(index)).unwrap_or(0) & 1;
        Some(if bit == 1 {
            SignerKind::Contract
        } else {
            SignerKind::Ecdsa
        })
    }

    /// The set's name, as terms carry it.
    #[must_use]
    pub fn hash(&self) -> SetHash {
        let mut packed = [0u8; MAX_VALIDATORS * ENTRY_LEN];
        let (entries, _) = packed.as_chunks_mut::<ENTRY_LEN>();
        for ((entry, key), index) in entries.iter_mut().zip(self.set.keys()).zip(0u8..) {
            let address = key.as_bytes().iter().skip(12);
            let kind = self.kind(index).map_or(0, SignerKind::as_u8);
            for (slot, byte) in entry.iter_mut().zip(address.chain([&kind])) {
                *slot = *byte;
            }
        }
        let used = usize::from(self.set.n()).saturating_mul(ENTRY_LEN);
        SetHash(keccak(&[
            &keccak(&[SET_TYPE.as_bytes()]),
            &uint(u128::from(self.set.m())),
            &uint(u128::from(self.set.n())),
            &keccak(&[packed.get(..used).unwrap_or(&[])]),
        ]))
    }

    /// Checks signatures over a settlement digest by the rules of [`Approvals::check`].
    ///
    /// # Errors
    /// The first fault; [`ApprovalFault::ContractSigner`] for a member only its chain can answer for.
    pub fn check(
        &self,
        digest: [u8; 32],
        signatures: &[(u8, &[u8])],
    ) -> Result<Approvals, ApprovalFault> {
        Approvals::collect(
            &self.set,
            self.hash(),
            digest,
            signatures,
            |index, key, signature| match self.kind(index) {
                Some(SignerKind::Contract) => Err(ApprovalFault::ContractSigner { index }),
                Some(SignerKind::Ecdsa) if signed_by(key, &digest, signature) => Ok(()),
                Some(SignerKind::Ecdsa) | None => Err(ApprovalFault::BadSignature { index }),
            },
        )
    }
}

/// Whether the account in `key` signed the digest, in the one allowed spelling.
pub(crate) fn signed_by(key: &Key32, digest: &[u8; 32], signature: &[u8]) -> bool {
    let signer = signature
        .try_into()
        .ok()
        .and_then(|signature| recover(digest, signature));
    signer.is_some_and(|signer| signer.to_key() == *key)
}
