//! What a refusal of the program means for money: never, or not now.

use d402_core::ports::RailError;
use d402_svm::Fault;

use super::sender::SendError;

/// Rule of a payment that can never take effect any more.
pub const EXPIRED: &str = "BlockhashExpired";
/// Rule of a payment that was executed without effect.
pub const FAILED: &str = "PaymentFailed";
/// Where the program's numbers begin (`programs/task-vault/src/error.rs`).
const FIRST: u32 = 6_000;

/// The program's answer to an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A receipt is executed already; whose, the event says.
    AlreadySettled,
    /// What a sweep is for holds already.
    NothingToSweep,
    /// What a close is for holds already.
    NothingToClose,
    /// The rules refuse now, and may not later.
    NotNow(&'static str),
    /// The rules refuse for ever.
    Never(String),
}

/// Reads a failure. `silence_helps` says whether the terms accept fewer signatures later.
pub(super) fn judge(fault: &Fault, silence_helps: bool) -> Verdict {
    let code = match fault {
        Fault::Program { code, .. } => *code,
        // Lock conflicts, an empty fee account, an old blockhash: the runtime's, and of the moment.
        Fault::Runtime(name) => {
            tracing::debug!(name, "transaction fails in the runtime");
            return Verdict::NotNow("Runtime");
        }
    };
    match code.checked_sub(FIRST) {
        Some(1) => Verdict::AlreadySettled,
        Some(18) => Verdict::NothingToSweep,
        Some(19) => Verdict::NothingToClose,
        Some(2) => Verdict::NotNow("NotOpen"),
        Some(5) => Verdict::NotNow("SetNotPublished"),
        Some(8) => Verdict::NotNow("TooEarly"),
        Some(17) => Verdict::NotNow("Unpayable"),
        Some(110) => Verdict::NotNow("IssuedInTheFuture"),
        Some(204) => Verdict::NotNow("Underfunded"),
        Some(11) if silence_helps => Verdict::NotNow("NotEnoughSignatures"),
        // A token account changed between the look and the transaction: the next one names it anew.
        Some(402 | 408 | 410 | 411) => Verdict::NotNow("AccountsChanged"),
        Some(407) => Verdict::NotNow("RentToCannotReceive"),
        Some(7) => never("TooLate"),
        Some(11) => never("NotEnoughSignatures"),
        Some(203) => never("OverBudget"),
        Some(306) => never("BadSignature"),
        Some(number) if number < 1_000 => Verdict::Never(format!("Vault:{number}")),
        // The Ed25519 precompile's numbers are small.
        None if code == 2 => never("BadSignature"),
        Some(_) | None => Verdict::Never(format!("Program:{code}")),
    }
}

fn never(rule: &str) -> Verdict {
    Verdict::Never(rule.to_owned())
}

/// A failure that is no refusal of the program.
pub(super) fn not_sent(error: &SendError) -> RailError {
    let source: &dyn std::error::Error = error;
    match error {
        SendError::Budget { .. } => {
            tracing::error!(error = source, "transaction is not sent");
            retry("LamportBudget")
        }
        SendError::TooLarge(_) => {
            tracing::error!(error = source, "transaction is not sent");
            refused("TooLarge")
        }
        SendError::Book(_) => {
            tracing::error!(error = source, "transaction is not sent");
            RailError::Unknown
        }
        SendError::Unknown(_) | SendError::Waiting | SendError::Failed(_) => {
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

    fn program(code: u32) -> Fault {
        Fault::Program { index: 3, code }
    }

    #[test]
    fn only_what_time_or_money_can_change_is_retried() {
        assert_eq!(
            judge(&program(6_011), true),
            Verdict::NotNow("NotEnoughSignatures")
        );
        assert_eq!(judge(&program(6_011), false), never("NotEnoughSignatures"));
        assert_eq!(judge(&program(6_007), true), never("TooLate"));
        assert_eq!(
            judge(&program(6_204), false),
            Verdict::NotNow("Underfunded")
        );
        assert_eq!(judge(&program(2), true), never("BadSignature"));
        assert_eq!(judge(&program(6_001), true), Verdict::AlreadySettled);
        assert_eq!(judge(&program(6_304), true), never("Vault:304"));
        let runtime = Fault::Runtime("AccountInUse".to_owned());
        assert_eq!(judge(&runtime, false), Verdict::NotNow("Runtime"));
    }
}
