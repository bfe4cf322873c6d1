//! Why a command is refused.

use crate::arithmetic::PlanRefusal;
use crate::bounded::Full;
use crate::ids::Key32;
use crate::quantity::{Units, UnixSeconds};
use crate::terms::NotSettleable;

/// A guard that does not hold. Within one command the declaration order is the check order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "variant names and messages are the documentation"
)]
pub enum Refusal {
    #[error("the terms are not those of this vault")]
    WrongTerms,
    #[error("the terms can never settle")]
    NotSettleable(#[from] NotSettleable),
    #[error("the vault is settled")]
    AlreadySettled,
    #[error("the vault is not open")]
    NotOpen,
    #[error("the vault is not settled")]
    NotSettled,
    #[error("the mint is not on the allow-list")]
    MintNotAllowed,
    #[error("the validator set is not published")]
    SetNotPublished,
    #[error("only the signature of {needed} can send this elsewhere")]
    WrongSigner { needed: Key32 },
    #[error("only before {until:?}, now is {now:?}")]
    TooLate {
        now: UnixSeconds,
        until: UnixSeconds,
    },
    #[error("only from {from:?} on, now is {now:?}")]
    TooEarly { now: UnixSeconds, from: UnixSeconds },
    #[error("the signatures are of another validator set")]
    WrongSet,
    #[error("the signatures are for another receipt")]
    WrongDigest,
    #[error("{got} signatures, {need} are needed now")]
    NotEnoughSignatures { got: u8, need: u8 },
    #[error("{payee} could never spend what it is paid")]
    BadPayee { payee: Key32 },
    #[error("the rows cannot be paid")]
    Plan(#[from] PlanRefusal),
    #[error("no credit for {payee}")]
    NoCredit { payee: Key32 },
    #[error("no credits to lapse")]
    NoCredits,
    #[error("credits of {total} are outstanding")]
    CreditsOutstanding { total: Units },
    #[error("the vault holds {balance}")]
    NotEmpty { balance: Units },
    #[error("{to} cannot be paid now: retry later")]
    Unpayable { to: Key32 },
    #[error("nothing to sweep")]
    NothingToSweep,
    #[error("nothing to close")]
    NothingToClose,
    #[error("this is the vault's own token: use sweep")]
    OwnMint,
    #[error("an amount of zero")]
    ZeroAmount,
    #[error("the token cannot have that many units")]
    TooMuchMoney,
    #[error("an invariant of this ledger does not hold; nothing was changed")]
    Broken,
}

/// No settlement produces more effects than the lists hold: reaching this is our bug.
impl From<Full> for Refusal {
    fn from(_: Full) -> Self {
        Self::Broken
    }
}
