//! The terms of one task: what the buyer's money is bound to before anybody has earned it (spec §2.2).
//!
//! Fields are raw on purpose: invalid terms must be representable, because money may already lie at
//! their address and `sweep` has to hash them to give it back (#6). Whether terms may be *settled*
//! is [`settleable`]'s question, asked by nobody else.

mod settleable;

pub use settleable::{
    CREATION_SLACK_S, MAX_LIFE_S, MIN_GRACE_S, NotSettleable, TERMS_VERSION, settleable,
};

use crate::domain::{Domain, sha256, tag};
use crate::ids::{Key32, SetHash, TaskId, TermsHash};
use crate::quantity::{Bps, UnixSeconds};

/// Length of the encoded terms.
pub const TERMS_LEN: usize = 304;

const TERMS_TAG: [u8; 32] = tag("d402/terms/solana/v1");

/// Solana terms, field by field as they lie in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Layout version; only 1 settles.
    pub version: u8,
    /// 0 refund, 1 majority after `settle_by`; see [`OnSilence`].
    pub on_silence: u8,
    /// Creator's share of every worker row, taken out of it.
    pub commission_bps: Bps,
    /// Gateway's share of the worker total, on top of it.
    pub gateway_fee_bps: Bps,
    /// Must be zero to settle.
    pub reserved: u16,
    /// The most that may be paid out, atomic units.
    pub budget: u64,
    /// The most that validators may earn together, atomic units.
    pub validator_fee_cap: u64,
    /// When the terms were made.
    pub issued_at: UnixSeconds,
    /// From here on silence has consequences (see `on_silence`).
    pub settle_by: UnixSeconds,
    /// First second of the refund; settlement is before it.
    pub refund_after: UnixSeconds,
    /// CID of the task intent.
    pub task_id: TaskId,
    /// The token.
    pub mint: Key32,
    /// Who gets everything that is not earned.
    pub refund_to: Key32,
    /// Who may say what was earned.
    pub validator_set: SetHash,
    /// The creator's wallet; zero if and only if the commission is zero.
    pub commission_payee: Key32,
    /// The gateway's wallet; zero if and only if its fee is zero.
    pub gateway_fee_payee: Key32,
    /// Who gets the rent of every account of this vault, whoever paid it (#20).
    pub rent_to: Key32,
    /// Makes two equal orders two vaults.
    pub salt: [u8; 32],
}

/// What the chain does when nobody signs (spec §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnSilence {
    /// Everything goes back at `refund_after`.
    Refund = 0,
    /// From `settle_by` a bare majority is enough; then everything goes back.
    Majority = 1,
}

impl OnSilence {
    /// `None` for a value this version does not know.
    #[must_use]
    pub const fn from_u8(raw: u8) -> Option<Self> {
        match raw {
            0 => Some(Self::Refund),
            1 => Some(Self::Majority),
            _ => None,
        }
    }
}

impl Terms {
    /// The 304 bytes of spec §2.2.
    #[must_use]
    pub fn encode(&self) -> [u8; TERMS_LEN] {
        let mut bytes = [0; TERMS_LEN];
        let parts: [&[u8]; 17] = [
            &[self.version, self.on_silence],
            &self.commission_bps.0.to_le_bytes(),
            &self.gateway_fee_bps.0.to_le_bytes(),
            &self.reserved.to_le_bytes(),
            &self.budget.to_le_bytes(),
            &self.validator_fee_cap.to_le_bytes(),
            &self.issued_at.0.to_le_bytes(),
            &self.settle_by.0.to_le_bytes(),
            &self.refund_after.0.to_le_bytes(),
            self.task_id.as_bytes(),
            self.mint.as_bytes(),
            self.refund_to.as_bytes(),
            self.validator_set.as_bytes(),
            self.commission_payee.as_bytes(),
            self.gateway_fee_payee.as_bytes(),
            self.rent_to.as_bytes(),
            &self.salt,
        ];
        // Part by part: byte by byte costs a program on chain as much as a transfer.
        let mut rest = bytes.as_mut_slice();
        for part in parts {
            // The field widths are 304 together, so every part has its place.
            if let Some(slot) = rest.split_off_mut(..part.len()) {
                slot.copy_from_slice(part);
            }
        }
        bytes
    }

    /// Reads any 304 bytes: every value of every field is representable, so this cannot fail.
    #[must_use]
    pub fn decode(bytes: &[u8; TERMS_LEN]) -> Self {
        let mut reader = Reader(bytes.as_slice());
        Self {
            version: u8::from_le_bytes(reader.take()),
            on_silence: u8::from_le_bytes(reader.take()),
            commission_bps: Bps(u16::from_le_bytes(reader.take())),
            gateway_fee_bps: Bps(u16::from_le_bytes(reader.take())),
            reserved: u16::from_le_bytes(reader.take()),
            budget: u64::from_le_bytes(reader.take()),
            validator_fee_cap: u64::from_le_bytes(reader.take()),
            issued_at: UnixSeconds(i64::from_le_bytes(reader.take())),
            settle_by: UnixSeconds(i64::from_le_bytes(reader.take())),
            refund_after: UnixSeconds(i64::from_le_bytes(reader.take())),
            task_id: TaskId(reader.take()),
            mint: Key32(reader.take()),
            refund_to: Key32(reader.take()),
            validator_set: SetHash(reader.take()),
            commission_payee: Key32(reader.take()),
            gateway_fee_payee: Key32(reader.take()),
            rent_to: Key32(reader.take()),
            salt: reader.take(),
        }
    }

    /// The name of these terms in one domain. Everything the buyer agreed to is under it.
    #[must_use]
    pub fn hash(&self, domain: &Domain) -> TermsHash {
        let encoded = self.encode();
        TermsHash(sha256(&[
            &TERMS_TAG,
            &domain.genesis,
            domain.program.as_bytes(),
            &encoded,
        ]))
    }
}

/// Cursor over bytes whose length the caller's array type already pins.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// The next `N` bytes. Zeros past the end, which the field widths (304 together) never reach.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.0 = rest;
                *head
            }
            None => [0; N],
        }
    }
}
