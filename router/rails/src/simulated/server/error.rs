//! Why the chain did not do or did not say it.

use std::path::PathBuf;

/// The chain cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be opened as a database, or another process holds it.
    #[error("simulated chain cannot open {location:?}")]
    Database {
        /// The file; `None` in memory.
        location: Option<PathBuf>,
        /// Cause.
        #[source]
        source: sqlx::Error,
    },
    /// The file belongs to something else, or to a newer version.
    #[error("file has schema {got}, this chain writes {known}")]
    Schema {
        /// `user_version` of the file.
        got: i64,
        /// What this version writes.
        known: i64,
    },
    /// The address cannot be listened on.
    #[error("simulated chain cannot listen")]
    Listen(#[source] std::io::Error),
}

/// No answer from the chain itself. The client learns HTTP 503 and treats the outcome as unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The database failed; the whole batch was rolled back, or its commit is in doubt.
    #[error("simulated chain's database failed")]
    Storage(#[from] sqlx::Error),
    /// What is stored contradicts its own constraints: our bug.
    #[error("simulated chain's books are broken: {what}")]
    Broken {
        /// Which invariant.
        what: &'static str,
    },
    /// The batch this request was in failed. Whether it took effect is not known.
    #[error("the batch of this request failed")]
    InDoubt,
    /// Too many requests are waiting.
    #[error("simulated chain has too many requests waiting")]
    Busy,
    /// The chain was shut down.
    #[error("simulated chain is closed")]
    Closed,
}

/// A rule said no: nothing of the request happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Name of the rule.
    pub(super) rule: String,
    /// Whether the same bytes may succeed later.
    pub(super) retryable: bool,
}

/// Rules of this chain's accounts, payments and switches. Rules of vaults are `d402-settlement`'s and keep
/// their names from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccountRule {
    /// Amount is zero or has more than 64 bits.
    PaymentAmount,
    /// Payment is not signed by its payer.
    PaymentSignature,
    /// The chain's clock reached `validBefore`.
    PaymentExpired,
    /// The payer used this nonce for another payment.
    NonceUsed,
    /// Payment is for another address than its terms have.
    PayToMismatch,
    /// Payment is in another asset than its terms.
    AssetMismatch,
    /// The account holds too little.
    InsufficientFunds,
    /// The receiver cannot receive.
    Unpayable,
    /// This chain has no faucet.
    NoFaucet,
    /// This chain does not misbehave on demand.
    NoFaults,
    /// This chain's clock is the wall clock.
    ClockIsReal,
    /// Clock or supply would leave their range.
    OutOfRange,
    /// Terms are not 304 bytes of lower-case hex of a known form.
    TermsForm,
    /// Address does not belong to the terms hash.
    AddressMismatch,
    /// Validator set has a bad key, order, size or threshold.
    SetForm,
    /// Rows, outcome or signatures are not well formed.
    SettlementForm,
    /// A signature is of no member, out of order, or does not verify.
    BadSignatures,
}

impl AccountRule {
    /// The name on the wire.
    const fn name(self) -> &'static str {
        match self {
            Self::PaymentAmount => "PaymentAmount",
            Self::PaymentSignature => "PaymentSignature",
            Self::PaymentExpired => "PaymentExpired",
            Self::NonceUsed => "NonceUsed",
            Self::PayToMismatch => "PayToMismatch",
            Self::AssetMismatch => "AssetMismatch",
            Self::InsufficientFunds => "InsufficientFunds",
            Self::Unpayable => "Unpayable",
            Self::NoFaucet => "NoFaucet",
            Self::NoFaults => "NoFaults",
            Self::ClockIsReal => "ClockIsReal",
            Self::OutOfRange => "OutOfRange",
            Self::TermsForm => "TermsForm",
            Self::AddressMismatch => "AddressMismatch",
            Self::SetForm => "SetForm",
            Self::SettlementForm => "SettlementForm",
            Self::BadSignatures => "BadSignatures",
        }
    }

    /// Money may still arrive and an account become payable; nothing else changes its mind about the same
    /// bytes.
    const fn retryable(self) -> bool {
        match self {
            Self::InsufficientFunds | Self::Unpayable => true,
            Self::PaymentAmount
            | Self::PaymentSignature
            | Self::PaymentExpired
            | Self::NonceUsed
            | Self::PayToMismatch
            | Self::AssetMismatch
            | Self::NoFaucet
            | Self::NoFaults
            | Self::ClockIsReal
            | Self::OutOfRange
            | Self::TermsForm
            | Self::AddressMismatch
            | Self::SetForm
            | Self::SettlementForm
            | Self::BadSignatures => false,
        }
    }
}

/// Why a request stops.
#[derive(Debug)]
pub(super) enum Stop {
    /// By a rule: roll this request back and say so.
    Refused(Refusal),
    /// By a failure: roll the whole batch back.
    Failed(ChainError),
}

impl From<AccountRule> for Stop {
    fn from(rule: AccountRule) -> Self {
        Self::Refused(Refusal {
            rule: rule.name().to_owned(),
            retryable: rule.retryable(),
        })
    }
}

impl From<sqlx::Error> for Stop {
    fn from(source: sqlx::Error) -> Self {
        Self::Failed(ChainError::Storage(source))
    }
}

impl From<ChainError> for Stop {
    fn from(source: ChainError) -> Self {
        Self::Failed(source)
    }
}
