//! What a refusal of the ledger means for money: never, or not now.

use alloy::primitives::Bytes;
use alloy::sol_types::SolInterface as _;
use d402_core::ports::RailError;
use d402_evm::abi::Ledger::LedgerErrors;

use super::sequencer::SendError;

/// Rule of an authorization that can never take effect any more.
pub const EXPIRED: &str = "AuthorizationExpired";
/// Rule of an authorization that was used or cancelled, and brought nothing here.
pub const SPENT: &str = "AuthorizationSpent";

/// The ledger's answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A receipt is executed already; whose, the event says.
    AlreadySettled,
    /// What a sweep is for holds already.
    NothingToSweep,
    /// The token refused the payment; why, the authorization's state says.
    PaymentRefused,
    /// The rules refuse now, and may not later.
    NotNow(&'static str),
    /// The rules refuse for ever.
    Never(String),
}

/// Reads revert data. `silence_helps` says whether the terms accept fewer signatures later.
pub(super) fn judge(data: &Bytes, silence_helps: bool) -> Verdict {
    let Ok(error) = LedgerErrors::abi_decode(data) else {
        return match data.get(..4) {
            None => Verdict::NotNow("Reverted"),
            Some(selector) => Verdict::Never(format!("Ledger:{}", hex::encode(selector))),
        };
    };
    match error {
        LedgerErrors::AlreadySettled(_) => Verdict::AlreadySettled,
        LedgerErrors::NothingToSweep(_) => Verdict::NothingToSweep,
        LedgerErrors::PaymentRefused(_) => Verdict::PaymentRefused,
        LedgerErrors::TooEarly(_) => Verdict::NotNow("TooEarly"),
        LedgerErrors::Underfunded(_) => Verdict::NotNow("Underfunded"),
        // The token's own state: paused, or refundTo blocked; both can change.
        LedgerErrors::Unpayable(_) => Verdict::NotNow("Unpayable"),
        LedgerErrors::BalanceUnknown(_) => Verdict::NotNow("BalanceUnknown"),
        LedgerErrors::NotEnoughSignatures(_) if silence_helps => {
            Verdict::NotNow("NotEnoughSignatures")
        }
        // `issuedAt` lies ahead of the chain's clock.
        LedgerErrors::NotSettleable(not) if not.reason == ISSUED_IN_THE_FUTURE => {
            Verdict::NotNow("IssuedInTheFuture")
        }
        LedgerErrors::NotSettleable(not) => Verdict::Never(format!("NotSettleable:{}", not.reason)),
        LedgerErrors::TooLate(_) => never("TooLate"),
        LedgerErrors::NotEnoughSignatures(_) => never("NotEnoughSignatures"),
        LedgerErrors::BadSignature(_) => never("BadSignature"),
        LedgerErrors::OverBudget(_) => never("OverBudget"),
        LedgerErrors::PaymentShort(_) => never("PaymentShort"),
        LedgerErrors::NoCredit(_) => never("NoCredit"),
    }
}

/// `Unsettleable.IssuedInTheFuture` of `contracts/src/Types.sol`.
const ISSUED_IN_THE_FUTURE: u8 = 10;

fn never(rule: &str) -> Verdict {
    Verdict::Never(rule.to_owned())
}

/// A failure that is no refusal of the ledger.
pub(super) fn not_sent(error: &SendError) -> RailError {
    let source: &dyn std::error::Error = error;
    match error {
        SendError::GasPrice => {
            tracing::warn!(error = source, "transaction is not sent");
            retry("GasPrice")
        }
        SendError::GasLimit { needed } => {
            tracing::error!(needed, "call needs more gas than the cap");
            retry("GasLimit")
        }
        SendError::Book(_) | SendError::Key(_) => {
            tracing::error!(error = source, "transaction is not sent");
            RailError::Unknown
        }
        SendError::Unknown(_) | SendError::Waiting | SendError::Reverted { .. } => {
            tracing::debug!(error = source, "transaction is not known");
            RailError::Unknown
        }
    }
}

pub(super) fn retry(rule: &str) -> RailError {
    RailError::Retry {
        rule: rule.to_owned(),
    }
}

pub(super) fn refused(rule: &str) -> RailError {
    RailError::Refused {
        rule: rule.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::U256;
    use alloy::sol_types::SolError as _;
    use d402_evm::abi::Ledger;

    #[test]
    fn only_what_time_or_money_can_change_is_retried() {
        let few = Ledger::NotEnoughSignatures {
            got: U256::from(2),
            needed: U256::from(3),
        };
        let data = few.abi_encode().into();
        assert_eq!(judge(&data, true), Verdict::NotNow("NotEnoughSignatures"));
        assert_eq!(judge(&data, false), never("NotEnoughSignatures"));
        let late = Ledger::TooLate {
            nowAt: U256::from(9),
            until: U256::from(9),
        };
        assert_eq!(judge(&late.abi_encode().into(), true), never("TooLate"));
        assert_eq!(judge(&Bytes::new(), true), Verdict::NotNow("Reverted"));
        let other = Bytes::from_static(&[1, 2, 3, 4, 5]);
        assert_eq!(judge(&other, true), never("Ledger:01020304"));
    }
}
