//! Error codes. They are wire format: one range per topic, append only, nothing is ever renumbered.

use anchor_lang::prelude::*;
use d402_settlement::ledger::{CodecFault, Refusal};
use d402_settlement::{ApprovalFault, NotSettleable, PlanRefusal, RowsFault, SetFault};

/// Why an instruction is refused. Codes on the wire are 6000 and the number here.
#[error_code]
pub enum VaultError {
    // 6000: the ledger's guards
    #[msg("the terms are not those of this vault")]
    WrongTerms = 0,
    #[msg("the vault is settled")]
    AlreadySettled = 1,
    #[msg("the vault is not open")]
    NotOpen = 2,
    #[msg("the vault is not settled")]
    NotSettled = 3,
    #[msg("the mint is not on the allow-list")]
    MintNotAllowed = 4,
    #[msg("the validator set is not published")]
    SetNotPublished = 5,
    #[msg("another signature is needed to send this elsewhere")]
    WrongSigner = 6,
    #[msg("too late")]
    TooLate = 7,
    #[msg("too early")]
    TooEarly = 8,
    #[msg("the signatures are of another validator set")]
    WrongSet = 9,
    #[msg("the signatures are for another receipt")]
    WrongDigest = 10,
    #[msg("not enough signatures for this moment")]
    NotEnoughSignatures = 11,
    #[msg("a payee could never spend what it is paid")]
    BadPayee = 12,
    #[msg("no credit for this payee")]
    NoCredit = 13,
    #[msg("no credits to lapse")]
    NoCredits = 14,
    #[msg("credits are outstanding")]
    CreditsOutstanding = 15,
    #[msg("the vault holds money")]
    NotEmpty = 16,
    #[msg("the account cannot be paid now: retry later")]
    Unpayable = 17,
    #[msg("nothing to sweep")]
    NothingToSweep = 18,
    #[msg("nothing to close")]
    NothingToClose = 19,
    #[msg("this is the vault's own token")]
    OwnMint = 20,
    #[msg("an amount of zero")]
    ZeroAmount = 21,
    #[msg("the token cannot have that many units")]
    TooMuchMoney = 22,
    #[msg("an invariant of the ledger does not hold; nothing was changed")]
    Broken = 23,

    // 6100: terms that can never settle
    #[msg("terms version is unknown")]
    TermsVersion = 100,
    #[msg("the reserved field is not zero")]
    TermsReserved = 101,
    #[msg("onSilence is unknown")]
    TermsOnSilence = 102,
    #[msg("the commission is above 2000 bps")]
    TermsCommissionBps = 103,
    #[msg("the gateway fee is above 2000 bps")]
    TermsGatewayFeeBps = 104,
    #[msg("the commission payee is zero if and only if the commission is")]
    TermsCommissionPayee = 105,
    #[msg("the gateway fee payee is zero if and only if the fee is")]
    TermsGatewayFeePayee = 106,
    #[msg("the budget is zero")]
    TermsNoBudget = 107,
    #[msg("the validator fee cap is more than half of the budget")]
    TermsValidatorFeeCap = 108,
    #[msg("issuedAt is before 1970")]
    TermsIssuedBeforeEpoch = 109,
    #[msg("issuedAt is more than ten minutes ahead of the chain's clock")]
    TermsIssuedInTheFuture = 110,
    #[msg("settleBy is not after issuedAt")]
    TermsSettleBy = 111,
    #[msg("refundAfter is less than ten minutes after settleBy")]
    TermsGraceTooShort = 112,
    #[msg("refundAfter is more than thirty days after issuedAt")]
    TermsLiveTooLong = 113,
    #[msg("the terms name no mint")]
    TermsNoMint = 114,
    #[msg("the terms name no refundTo")]
    TermsNoRefundTo = 115,
    #[msg("the terms name no validator set")]
    TermsNoValidatorSet = 116,
    #[msg("refundTo is the mint or the program")]
    TermsRefundToForbidden = 117,

    // 6200: rows that cannot be paid
    #[msg("outcome Paid without a worker row")]
    PaidWithoutWorker = 200,
    #[msg("outcome Rejected with a worker row")]
    RejectedWithWorker = 201,
    #[msg("validators would earn more than their cap")]
    ValidatorsOverCap = 202,
    #[msg("more is owed than the budget")]
    OverBudget = 203,
    #[msg("more is owed than the balance: retry after a top-up")]
    Underfunded = 204,
    #[msg("a rate leaves no amount to pay")]
    RateAboveOne = 205,
    #[msg("more than sixteen rows")]
    TooManyRows = 206,
    #[msg("a row pays the zero address")]
    RowZeroPayee = 207,
    #[msg("a row is not above the one before it")]
    RowNotAscending = 208,
    #[msg("a row pays nothing")]
    RowZeroAmount = 209,
    #[msg("an amount has more than 64 bits")]
    AmountTooLarge = 210,
    #[msg("outcome is neither Paid nor Rejected")]
    UnknownOutcome = 211,
    #[msg("a row's role is neither worker nor validator")]
    UnknownRole = 212,

    // 6300: signatures and the precompile
    #[msg("no Ed25519 instruction directly before this one")]
    NoPrecompile = 300,
    #[msg("the Ed25519 instruction does not have the one layout that is read")]
    PrecompileLayout = 301,
    #[msg("only at the top level of a transaction")]
    NotTopLevel = 302,
    #[msg("more signatures than the set has members")]
    TooManySignatures = 303,
    #[msg("a signer is not in the validator set")]
    UnknownSigner = 304,
    #[msg("signers are not strictly ascending")]
    SignersNotAscending = 305,
    #[msg("a signature does not verify")]
    BadSignature = 306,

    // 6400: accounts
    #[msg("the vault is not at the address of these terms")]
    WrongVault = 400,
    #[msg("not a vault account")]
    NotAVault = 401,
    #[msg("not the canonical token account of its owner")]
    NotCanonical = 402,
    #[msg("not the token of these terms")]
    WrongMint = 403,
    #[msg("not a mint of this token program")]
    NotAMint = 404,
    #[msg("not the token program of this mint")]
    WrongTokenProgram = 405,
    #[msg("not the rent account of these terms")]
    WrongRentTo = 406,
    #[msg("the rent account cannot take the lamports")]
    RentToCannotReceive = 407,
    #[msg("not a token account of this mint")]
    NotATokenAccount = 408,
    #[msg("not the approval account of this digest")]
    WrongApproval = 409,
    #[msg("an account of a row or the system program is missing")]
    MissingAccount = 410,
    #[msg("more accounts than the receipt has rows")]
    ExtraAccount = 411,
    #[msg("the source is not the signer's own account")]
    WrongSource = 412,
    #[msg("the approval is still of use")]
    ApprovalInUse = 413,

    // 6500: validator sets
    #[msg("a set has 1 to 16 members")]
    SetSize = 500,
    #[msg("the threshold is not above half and at most all")]
    SetThreshold = 501,
    #[msg("a validator has the zero key")]
    SetZeroKey = 502,
    #[msg("the keys are not strictly ascending")]
    SetNotAscending = 503,
    #[msg("not the address of this validator set")]
    SetWrongAddress = 504,
}

impl From<Refusal> for VaultError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::WrongTerms => Self::WrongTerms,
            Refusal::NotSettleable(why) => why.into(),
            Refusal::AlreadySettled => Self::AlreadySettled,
            Refusal::NotOpen => Self::NotOpen,
            Refusal::NotSettled => Self::NotSettled,
            Refusal::MintNotAllowed => Self::MintNotAllowed,
            Refusal::SetNotPublished => Self::SetNotPublished,
            Refusal::WrongSigner { .. } => Self::WrongSigner,
            Refusal::TooLate { .. } => Self::TooLate,
            Refusal::TooEarly { .. } => Self::TooEarly,
            Refusal::WrongSet => Self::WrongSet,
            Refusal::WrongDigest => Self::WrongDigest,
            Refusal::NotEnoughSignatures { .. } => Self::NotEnoughSignatures,
            Refusal::BadPayee { .. } => Self::BadPayee,
            Refusal::Plan(why) => why.into(),
            Refusal::NoCredit { .. } => Self::NoCredit,
            Refusal::NoCredits => Self::NoCredits,
            Refusal::CreditsOutstanding { .. } => Self::CreditsOutstanding,
            Refusal::NotEmpty { .. } => Self::NotEmpty,
            Refusal::Unpayable { .. } => Self::Unpayable,
            Refusal::NothingToSweep => Self::NothingToSweep,
            Refusal::NothingToClose => Self::NothingToClose,
            Refusal::OwnMint => Self::OwnMint,
            Refusal::ZeroAmount => Self::ZeroAmount,
            Refusal::TooMuchMoney => Self::TooMuchMoney,
            Refusal::Broken => Self::Broken,
        }
    }
}

impl From<NotSettleable> for VaultError {
    fn from(why: NotSettleable) -> Self {
        match why {
            // Solana's terms name no chain (their hash does), so that rule never refuses here.
            NotSettleable::Version { .. } | NotSettleable::OtherChain => Self::TermsVersion,
            NotSettleable::Reserved => Self::TermsReserved,
            NotSettleable::OnSilence { .. } => Self::TermsOnSilence,
            NotSettleable::CommissionBps { .. } => Self::TermsCommissionBps,
            NotSettleable::GatewayFeeBps { .. } => Self::TermsGatewayFeeBps,
            NotSettleable::CommissionPayee => Self::TermsCommissionPayee,
            NotSettleable::GatewayFeePayee => Self::TermsGatewayFeePayee,
            NotSettleable::NoBudget => Self::TermsNoBudget,
            NotSettleable::ValidatorFeeCap { .. } => Self::TermsValidatorFeeCap,
            NotSettleable::IssuedBeforeEpoch => Self::TermsIssuedBeforeEpoch,
            NotSettleable::IssuedInTheFuture => Self::TermsIssuedInTheFuture,
            NotSettleable::SettleBy => Self::TermsSettleBy,
            NotSettleable::GraceTooShort => Self::TermsGraceTooShort,
            NotSettleable::LivesTooLong => Self::TermsLiveTooLong,
            NotSettleable::NoMint => Self::TermsNoMint,
            NotSettleable::NoRefundTo => Self::TermsNoRefundTo,
            NotSettleable::NoValidatorSet => Self::TermsNoValidatorSet,
            NotSettleable::RefundToForbidden => Self::TermsRefundToForbidden,
        }
    }
}

impl From<PlanRefusal> for VaultError {
    fn from(why: PlanRefusal) -> Self {
        match why {
            PlanRefusal::PaidWithoutWorker => Self::PaidWithoutWorker,
            PlanRefusal::RejectedWithWorker => Self::RejectedWithWorker,
            PlanRefusal::ValidatorsOverCap { .. } => Self::ValidatorsOverCap,
            PlanRefusal::OverBudget { .. } => Self::OverBudget,
            PlanRefusal::Underfunded { .. } => Self::Underfunded,
            PlanRefusal::RateAboveOne => Self::RateAboveOne,
        }
    }
}

impl From<RowsFault> for VaultError {
    fn from(fault: RowsFault) -> Self {
        match fault {
            RowsFault::TooMany { .. } => Self::TooManyRows,
            RowsFault::ZeroPayee { .. } => Self::RowZeroPayee,
            RowsFault::NotAscending { .. } => Self::RowNotAscending,
            RowsFault::ZeroAmount { .. } => Self::RowZeroAmount,
            RowsFault::AmountTooLarge { .. } => Self::AmountTooLarge,
        }
    }
}

impl From<ApprovalFault> for VaultError {
    fn from(fault: ApprovalFault) -> Self {
        match fault {
            ApprovalFault::TooMany { .. } => Self::TooManySignatures,
            ApprovalFault::UnknownSigner { .. } => Self::UnknownSigner,
            ApprovalFault::NotAscending { .. } => Self::SignersNotAscending,
            // Keys of this chain are never contracts: the second one is for EVM sets only.
            ApprovalFault::BadSignature { .. } | ApprovalFault::ContractSigner { .. } => {
                Self::BadSignature
            }
        }
    }
}

impl From<SetFault> for VaultError {
    fn from(fault: SetFault) -> Self {
        match fault {
            SetFault::Size { .. } => Self::SetSize,
            SetFault::Threshold { .. } => Self::SetThreshold,
            SetFault::ZeroKey { .. } => Self::SetZeroKey,
            SetFault::NotAscending { .. } => Self::SetNotAscending,
        }
    }
}

impl From<CodecFault> for VaultError {
    fn from(fault: CodecFault) -> Self {
        match fault {
            CodecFault::WrongTerms => Self::WrongTerms,
            CodecFault::AmountTooLarge => Self::AmountTooLarge,
            CodecFault::Length { .. }
            | CodecFault::Discriminator
            | CodecFault::Version { .. }
            | CodecFault::Bump { .. }
            | CodecFault::Status { .. }
            | CodecFault::OnSilence { .. }
            | CodecFault::TooManyCredits { .. }
            | CodecFault::CreditRole { .. } => Self::NotAVault,
        }
    }
}
