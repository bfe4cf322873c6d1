//! The ledger's refusals on the wire: their names, and whether the same bytes may succeed later.

use d402_settlement::ledger::Refusal as LedgerRefusal;
use d402_settlement::{NotSettleable, PlanRefusal};

use super::error::{ChainError, Refusal, Stop};

/// A refusal of the ledger as the chain answers it. `Broken` is no refusal but our bug.
pub(super) fn refused(refusal: LedgerRefusal) -> Stop {
    if refusal == LedgerRefusal::Broken {
        return ChainError::Broken {
            what: "the ledger found an invariant broken",
        }
        .into();
    }
    Stop::Refused(Refusal {
        rule: name(refusal).to_owned(),
        retryable: retryable(refusal),
    })
}

/// The variant's name.
const fn name(refusal: LedgerRefusal) -> &'static str {
    match refusal {
        LedgerRefusal::WrongTerms => "WrongTerms",
        LedgerRefusal::NotSettleable(_) => "NotSettleable",
        LedgerRefusal::AlreadySettled => "AlreadySettled",
        LedgerRefusal::NotOpen => "NotOpen",
        LedgerRefusal::NotSettled => "NotSettled",
        LedgerRefusal::MintNotAllowed => "MintNotAllowed",
        LedgerRefusal::SetNotPublished => "SetNotPublished",
        LedgerRefusal::WrongSigner { .. } => "WrongSigner",
        LedgerRefusal::TooLate { .. } => "TooLate",
        LedgerRefusal::TooEarly { .. } => "TooEarly",
        LedgerRefusal::WrongSet => "WrongSet",
        LedgerRefusal::WrongDigest => "WrongDigest",
        LedgerRefusal::NotEnoughSignatures { .. } => "NotEnoughSignatures",
        LedgerRefusal::BadPayee { .. } => "BadPayee",
        LedgerRefusal::Plan(PlanRefusal::PaidWithoutWorker) => "PaidWithoutWorker",
        LedgerRefusal::Plan(PlanRefusal::RejectedWithWorker) => "RejectedWithWorker",
        LedgerRefusal::Plan(PlanRefusal::ValidatorsOverCap { .. }) => "ValidatorsOverCap",
        LedgerRefusal::Plan(PlanRefusal::OverBudget { .. }) => "OverBudget",
        LedgerRefusal::Plan(PlanRefusal::Underfunded { .. }) => "Underfunded",
        LedgerRefusal::Plan(PlanRefusal::RateAboveOne) => "RateAboveOne",
        LedgerRefusal::NoCredit { .. } => "NoCredit",
        LedgerRefusal::NoCredits => "NoCredits",
        LedgerRefusal::CreditsOutstanding { .. } => "CreditsOutstanding",
        LedgerRefusal::NotEmpty { .. } => "NotEmpty",
        LedgerRefusal::Unpayable { .. } => "Unpayable",
        LedgerRefusal::NothingToSweep => NOTHING_TO_SWEEP,
        LedgerRefusal::NothingToClose => "NothingToClose",
        LedgerRefusal::OwnMint => "OwnMint",
        LedgerRefusal::ZeroAmount => "ZeroAmount",
        LedgerRefusal::TooMuchMoney => "TooMuchMoney",
        LedgerRefusal::Broken => "Broken",
    }
}

/// Rule under which a sweep of an empty vault is refused.
pub(crate) const NOTHING_TO_SWEEP: &str = "NothingToSweep";

/// Time, money, publication and payability change; what was signed and what has happened do not.
const fn retryable(refusal: LedgerRefusal) -> bool {
    match refusal {
        LedgerRefusal::NotSettleable(NotSettleable::IssuedInTheFuture)
        | LedgerRefusal::NotOpen
        | LedgerRefusal::NotSettled
        | LedgerRefusal::SetNotPublished
        | LedgerRefusal::TooEarly { .. }
        // From settleBy on fewer may be needed (MAJORITY).
        | LedgerRefusal::NotEnoughSignatures { .. }
        | LedgerRefusal::Plan(PlanRefusal::Underfunded { .. })
        | LedgerRefusal::CreditsOutstanding { .. }
        | LedgerRefusal::NotEmpty { .. }
        | LedgerRefusal::Unpayable { .. }
        | LedgerRefusal::NothingToSweep
        | LedgerRefusal::NothingToClose => true,
        LedgerRefusal::WrongTerms
        | LedgerRefusal::NotSettleable(_)
        | LedgerRefusal::AlreadySettled
        | LedgerRefusal::MintNotAllowed
        | LedgerRefusal::WrongSigner { .. }
        | LedgerRefusal::TooLate { .. }
        | LedgerRefusal::WrongSet
        | LedgerRefusal::WrongDigest
        | LedgerRefusal::BadPayee { .. }
        | LedgerRefusal::Plan(
            PlanRefusal::PaidWithoutWorker
            | PlanRefusal::RejectedWithWorker
            | PlanRefusal::ValidatorsOverCap { .. }
            | PlanRefusal::OverBudget { .. }
            | PlanRefusal::RateAboveOne,
        )
        | LedgerRefusal::NoCredit { .. }
        | LedgerRefusal::NoCredits
        | LedgerRefusal::OwnMint
        | LedgerRefusal::ZeroAmount
        | LedgerRefusal::TooMuchMoney
        | LedgerRefusal::Broken => false,
    }
}
