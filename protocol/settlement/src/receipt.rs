//! What validators sign: an outcome and the rows it pays (spec §2.2).
//!
//! Commission, fee and refund are not here: the ledger computes them from terms and rows (M3), and
//! nobody signs how much is left over.

use crate::bounded::Bounded;
use crate::domain::{Domain, sha256, tag};
use crate::ids::{Key32, ReceiptCid, TermsHash};
use crate::quantity::Units;

/// The most rows one receipt may have.
pub const MAX_ROWS: usize = 16;
/// Bytes of one encoded row.
pub const ROW_LEN: usize = 41;

const SETTLE_TAG: [u8; 32] = tag("d402/settle/solana/v1");

/// What the validators decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// At least one claim was accepted.
    Paid = 1,
    /// No claim was; validators may still be paid for having judged (#25).
    Rejected = 2,
}

impl Outcome {
    /// The byte under the signature.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        match self {
            Self::Paid => 1,
            Self::Rejected => 2,
        }
    }

    /// `None` for a value this version does not know.
    #[must_use]
    pub const fn from_u8(raw: u8) -> Option<Self> {
        match raw {
            1 => Some(Self::Paid),
            2 => Some(Self::Rejected),
            _ => None,
        }
    }
}

/// Why a payee is paid. The role is signed, so work cannot be relabelled to dodge the commission (#23).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It did the work.
    #[default]
    Worker = 0,
    /// It judged the work.
    Validator = 1,
}

impl Role {
    /// The byte under the signature.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        match self {
            Self::Worker => 0,
            Self::Validator => 1,
        }
    }

    /// `None` for a value this version does not know.
    #[must_use]
    pub const fn from_u8(raw: u8) -> Option<Self> {
        match raw {
            0 => Some(Self::Worker),
            1 => Some(Self::Validator),
            _ => None,
        }
    }
}

/// One payee and what it earned, before the commission is taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Row {
    /// The wallet (on Solana: the owner of the token account).
    pub payee: Key32,
    /// Why.
    pub role: Role,
    /// How much, atomic units.
    pub amount: Units,
}

impl Row {
    fn encode(&self) -> [u8; ROW_LEN] {
        let mut bytes = [0; ROW_LEN];
        // `Rows` holds 64-bit amounts only, so the saturation is never reached.
        let amount = self.amount.to_u64().unwrap_or(u64::MAX).to_le_bytes();
        let parts = [
            self.payee.as_bytes().as_slice(),
            &[self.role.as_u8()],
            &amount,
        ];
        for (slot, byte) in bytes
            .iter_mut()
            .zip(parts.iter().flat_map(|part| part.iter()))
        {
            *slot = *byte;
        }
        bytes
    }
}

/// Why rows are no rows of a receipt. Declaration order is check order, row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "variant names and messages are the documentation"
)]
pub enum RowsFault {
    #[error("{got} rows, at most 16")]
    TooMany { got: usize },
    #[error("row {index} pays the zero address")]
    ZeroPayee { index: u8 },
    #[error("row {index} is not above the one before it")]
    NotAscending { index: u8 },
    #[error("row {index} pays nothing")]
    ZeroAmount { index: u8 },
    #[error("row {index} pays more than 64 bits can say")]
    AmountTooLarge { index: u8 },
}

/// At most sixteen rows, strictly ascending by payee, each paying something.
///
/// That a payee is not the vault, the mint or the program needs their addresses: `plan` and the
/// ledger check that (#58).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows(Bounded<Row, MAX_ROWS>);

impl Rows {
    /// No rows: the usual receipt of a rejected task.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Takes rows in the order given, which must be strictly ascending by payee.
    ///
    /// # Errors
    /// The first broken rule.
    pub fn new(rows: &[Row]) -> Result<Self, RowsFault> {
        let too_many = RowsFault::TooMany { got: rows.len() };
        if rows.len() > MAX_ROWS {
            return Err(too_many);
        }
        let mut checked = Bounded::new();
        let mut previous = Key32::ZERO;
        for (index, row) in (0u8..).zip(rows) {
            if row.payee.is_zero() {
                return Err(RowsFault::ZeroPayee { index });
            }
            if row.payee <= previous {
                return Err(RowsFault::NotAscending { index });
            }
            if row.amount.is_zero() {
                return Err(RowsFault::ZeroAmount { index });
            }
            if row.amount.to_u64().is_none() {
                return Err(RowsFault::AmountTooLarge { index });
            }
            previous = row.payee;
            checked.push(*row).map_err(|_| too_many)?;
        }
        Ok(Self(checked))
    }

    /// The rows, strictly ascending by payee.
    #[must_use]
    pub fn as_slice(&self) -> &[Row] {
        self.0.as_slice()
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when nobody is paid.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A settlement receipt as the chain sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Names the full receipt, which names the claims and verdicts it follows from.
    pub receipt_cid: ReceiptCid,
    /// What was decided.
    pub outcome: Outcome,
    /// Who is paid.
    pub rows: Rows,
}

/// The 32 bytes every validator signs. They bind the program, and through the terms hash the
/// cluster, the validator set, the task and every money rule; nothing else settles (M7).
#[must_use]
pub fn settlement_digest(
    domain: &Domain,
    terms_hash: &TermsHash,
    settlement: &Settlement,
) -> [u8; 32] {
    let mut rows = [0; MAX_ROWS * ROW_LEN];
    let (slots, _) = rows.as_chunks_mut::<ROW_LEN>();
    for (slot, row) in slots.iter_mut().zip(settlement.rows.as_slice()) {
        *slot = row.encode();
    }
    let used = settlement.rows.len().saturating_mul(ROW_LEN);
    // At most sixteen, so the count always fits its byte.
    let count = u8::try_from(settlement.rows.len()).unwrap_or(u8::MAX);
    sha256(&[
        &SETTLE_TAG,
        domain.program.as_bytes(),
        terms_hash.as_bytes(),
        settlement.receipt_cid.as_bytes(),
        &[settlement.outcome.as_u8(), count],
        rows.get(..used).unwrap_or(&[]),
    ])
}
