//! The terms of one task as an EVM chain has them: seventeen words (spec §2.3).
//!
//! Fields are as wide as on chain, and any chain's id may stand in them: money may already lie at the address
//! of terms nobody can settle, and `sweep` has to hash those too (#6).

use super::account::EvmAccount;
use super::word::{Word, chain_word, keccak, to_uint, uint};
use super::{EvmDomain, typed_digest};
use crate::domain::Domain;
use crate::ids::{Key32, SetHash, TaskId, TermsHash};
use crate::quantity::{Bps, Units, UnixSeconds};
use crate::terms::{NotSettleable, TERMS_VERSION, Terms, settleable};

/// EIP-712 type of the terms.
pub const TERMS_TYPE: &str = "Terms(uint8 version,uint8 onSilence,uint16 commissionBps,uint16 gatewayFeeBps,\
     uint96 budget,uint96 validatorFeeCap,uint64 issuedAt,uint64 settleBy,uint64 refundAfter,uint256 chainId,\
     bytes32 taskId,address asset,address refundTo,bytes32 validatorSet,address commissionPayee,\
     address gatewayFeePayee,bytes32 salt)";

const WORDS: usize = 17;
/// Length of the ABI-encoded terms.
pub const EVM_TERMS_LEN: usize = WORDS * 32;

/// Terms on an EVM chain, field by field as they lie in the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields of `Terms`, see there")]
pub struct EvmTerms {
    pub version: u8,
    pub on_silence: u8,
    pub commission_bps: Bps,
    pub gateway_fee_bps: Bps,
    pub budget: Units,
    pub validator_fee_cap: Units,
    pub issued_at: u64,
    pub settle_by: u64,
    pub refund_after: u64,
    /// `uint256`; only the chain with this id settles them.
    pub chain_id: Word,
    pub task_id: TaskId,
    pub asset: EvmAccount,
    pub refund_to: EvmAccount,
    pub validator_set: SetHash,
    pub commission_payee: EvmAccount,
    pub gateway_fee_payee: EvmAccount,
    pub salt: [u8; 32],
}

/// Why bytes are no terms of a codec, or terms have no bytes in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermsFault {
    /// Another number of bytes than the codec's terms have.
    #[error("{got} bytes, terms of this network have {want}")]
    Length {
        /// Bytes given.
        got: usize,
        /// Bytes of the codec's terms.
        want: usize,
    },
    /// A word has bits above its type's width.
    #[error("word {word} of the terms has bits its type does not have")]
    DirtyWord {
        /// Which, from 0.
        word: usize,
    },
    /// The terms are of another chain.
    #[error("terms of another chain")]
    OtherChain,
    /// The market counts in 64 bits.
    #[error("{field} of the terms is above 64 bits")]
    TooWide {
        /// Which.
        field: &'static str,
    },
    /// A field of the market's terms the network does not have, and which is not zero.
    #[error("{field} is set, terms of this network have no such field")]
    NoSuchField {
        /// Which.
        field: &'static str,
    },
    /// An account that is none of the network.
    #[error("{field} is no account of the network")]
    NotAnAccount {
        /// Which.
        field: &'static str,
    },
    /// A time before 1970.
    #[error("{field} is before 1970")]
    BeforeEpoch {
        /// Which.
        field: &'static str,
    },
}

impl EvmTerms {
    /// The market's terms on a chain.
    ///
    /// # Errors
    /// [`TermsFault`] for a value the words cannot carry. `rent_to` must be zero: there is no rent.
    pub fn of(terms: &Terms, chain_id: u64) -> Result<Self, TermsFault> {
        if terms.reserved != 0 {
            return Err(TermsFault::NoSuchField { field: "reserved" });
        }
        if !terms.rent_to.is_zero() {
            return Err(TermsFault::NoSuchField { field: "rentTo" });
        }
        Ok(Self {
            version: terms.version,
            on_silence: terms.on_silence,
            commission_bps: terms.commission_bps,
            gateway_fee_bps: terms.gateway_fee_bps,
            budget: Units::from_u64(terms.budget),
            validator_fee_cap: Units::from_u64(terms.validator_fee_cap),
            issued_at: seconds(terms.issued_at, "issuedAt")?,
            settle_by: seconds(terms.settle_by, "settleBy")?,
            refund_after: seconds(terms.refund_after, "refundAfter")?,
            chain_id: chain_word(chain_id),
            task_id: terms.task_id,
            asset: account(&terms.mint, "asset")?,
            refund_to: account(&terms.refund_to, "refundTo")?,
            validator_set: terms.validator_set,
            commission_payee: account(&terms.commission_payee, "commissionPayee")?,
            gateway_fee_payee: account(&terms.gateway_fee_payee, "gatewayFeePayee")?,
            salt: terms.salt,
        })
    }

    /// As the market carries them. The chain's id is left out: the caller compares it.
    ///
    /// # Errors
    /// [`TermsFault::TooWide`] for money or a time above 64 bits, which the market never makes.
    pub fn to_market(&self) -> Result<Terms, TermsFault> {
        Ok(Terms {
            budget: units(self.budget, "budget")?,
            validator_fee_cap: units(self.validator_fee_cap, "validatorFeeCap")?,
            issued_at: time(self.issued_at, "issuedAt")?,
            settle_by: time(self.settle_by, "settleBy")?,
            refund_after: time(self.refund_after, "refundAfter")?,
            ..self.clamped()
        })
    }

    /// With numbers above 64 bits at their end.
    fn clamped(&self) -> Terms {
        let end = |seconds: u64| UnixSeconds(i64::try_from(seconds).unwrap_or(i64::MAX));
        Terms {
            version: self.version,
            on_silence: self.on_silence,
            commission_bps: self.commission_bps,
            gateway_fee_bps: self.gateway_fee_bps,
            reserved: 0,
            budget: self.budget.to_u64().unwrap_or(u64::MAX),
            validator_fee_cap: self.validator_fee_cap.to_u64().unwrap_or(u64::MAX),
            issued_at: end(self.issued_at),
            settle_by: end(self.settle_by),
            refund_after: end(self.refund_after),
            task_id: self.task_id,
            mint: self.asset.to_key(),
            refund_to: self.refund_to.to_key(),
            validator_set: self.validator_set,
            commission_payee: self.commission_payee.to_key(),
            gateway_fee_payee: self.gateway_fee_payee.to_key(),
            rent_to: Key32::ZERO,
            salt: self.salt,
        }
    }

    fn words(&self) -> [Word; WORDS] {
        [
            uint(u128::from(self.version)),
            uint(u128::from(self.on_silence)),
            uint(u128::from(self.commission_bps.0)),
            uint(u128::from(self.gateway_fee_bps.0)),
            uint(self.budget.get()),
            uint(self.validator_fee_cap.get()),
            uint(u128::from(self.issued_at)),
            uint(u128::from(self.settle_by)),
            uint(u128::from(self.refund_after)),
            self.chain_id,
            self.task_id.0,
            self.asset.word(),
            self.refund_to.word(),
            self.validator_set.0,
            self.commission_payee.word(),
            self.gateway_fee_payee.word(),
            self.salt,
        ]
    }

    /// `abi.encode` of the terms: 544 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; EVM_TERMS_LEN] {
        let mut bytes = [0; EVM_TERMS_LEN];
        let words = self.words();
        for (slot, byte) in bytes.iter_mut().zip(words.iter().flatten()) {
            *slot = *byte;
        }
        bytes
    }

    /// Reads what Solidity's decoder reads: every value of every type.
    ///
    /// # Errors
    /// [`TermsFault::DirtyWord`] for bits above a type's width.
    pub fn decode(bytes: &[u8; EVM_TERMS_LEN]) -> Result<Self, TermsFault> {
        let mut words = Words { bytes, next: 0 };
        Ok(Self {
            version: words.int(8)?,
            on_silence: words.int(8)?,
            commission_bps: Bps(words.int(16)?),
            gateway_fee_bps: Bps(words.int(16)?),
            budget: words.units()?,
            validator_fee_cap: words.units()?,
            issued_at: words.int(64)?,
            settle_by: words.int(64)?,
            refund_after: words.int(64)?,
            chain_id: words.take(),
            task_id: TaskId(words.take()),
            asset: words.account()?,
            refund_to: words.account()?,
            validator_set: SetHash(words.take()),
            commission_payee: words.account()?,
            gateway_fee_payee: words.account()?,
            salt: words.take(),
        })
    }

    /// The name of these terms under one ledger: an EIP-712 digest whose chain is the terms' own, so that
    /// money sent on a wrong chain has a name there too and can be swept (M5c).
    #[must_use]
    pub fn hash(&self, ledger: &EvmAccount) -> TermsHash {
        let encoded = self.encode();
        let structure = keccak(&[&keccak(&[TERMS_TYPE.as_bytes()]), &encoded]);
        TermsHash(typed_digest(&self.chain_id, ledger, &structure))
    }

    /// May the ledger of `domain` ever settle these terms? As [`settleable`](crate::settleable), and the chain
    /// must be theirs. Numbers above 64 bits are shown clamped in the refusal.
    ///
    /// # Errors
    /// The first broken rule.
    pub fn settleable(&self, domain: &EvmDomain, now: UnixSeconds) -> Result<(), NotSettleable> {
        if self.version == TERMS_VERSION && self.chain_id != chain_word(domain.chain_id) {
            return Err(NotSettleable::OtherChain);
        }
        let mut terms = self.clamped();
        // The rule about the cap compares two wide numbers, so it is asked here. Broken, it stays broken when
        // both are clamped: a cap above half of 2^64 is above 2^63. Clamped times keep their answer too: terms
        // that end after 2^63 live longer than thirty days.
        if self.validator_fee_cap.get() <= self.budget.get() / 2 {
            terms.validator_fee_cap = 0;
        }
        let here = Domain {
            genesis: [0; 32],
            program: domain.ledger.to_key(),
        };
        settleable(&terms, &here, now)
    }
}

fn seconds(time: UnixSeconds, field: &'static str) -> Result<u64, TermsFault> {
    u64::try_from(time.0).map_err(|_| TermsFault::BeforeEpoch { field })
}

fn account(key: &Key32, field: &'static str) -> Result<EvmAccount, TermsFault> {
    EvmAccount::from_key(key).ok_or(TermsFault::NotAnAccount { field })
}

fn units(units: Units, field: &'static str) -> Result<u64, TermsFault> {
    units.to_u64().ok_or(TermsFault::TooWide { field })
}

fn time(seconds: u64, field: &'static str) -> Result<UnixSeconds, TermsFault> {
    i64::try_from(seconds)
        .map(UnixSeconds)
        .map_err(|_| TermsFault::TooWide { field })
}

/// Cursor over the words of bytes whose length the caller's array type pins.
struct Words<'a> {
    bytes: &'a [u8; EVM_TERMS_LEN],
    next: usize,
}

impl Words<'_> {
    /// The next word. Zeros past the end, which seventeen fields never reach.
    fn take(&mut self) -> Word {
        let (words, _) = self.bytes.as_chunks::<32>();
        let word = words.get(self.next).copied().unwrap_or_default();
        self.next = self.next.saturating_add(1);
        word
    }

    fn dirty(&self) -> TermsFault {
        TermsFault::DirtyWord {
            word: self.next.saturating_sub(1),
        }
    }

    fn int<T: TryFrom<u128>>(&mut self, bits: u32) -> Result<T, TermsFault> {
        let word = self.take();
        to_uint(&word, bits)
            .and_then(|value| T::try_from(value).ok())
            .ok_or(self.dirty())
    }

    fn units(&mut self) -> Result<Units, TermsFault> {
        let word = self.take();
        to_uint(&word, 96).and_then(Units::new).ok_or(self.dirty())
    }

    fn account(&mut self) -> Result<EvmAccount, TermsFault> {
        let word = self.take();
        EvmAccount::from_word(&word).ok_or(self.dirty())
    }
}
