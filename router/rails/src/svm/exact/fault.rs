//! Why a payment is not signed, in x402's spelling where it has one.

use d402_objects::Amount;

/// The first rule a payment breaks; the order of the variants is the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExactFault {
    /// Not `{transaction}` with one whole transaction in base64, or of a version nobody pays with.
    #[error("the transaction cannot be decoded")]
    Undecodable,
    /// Somebody else's first signature, or a fee payer that is not ours.
    #[error("the fee payer is not the one that was offered")]
    FeePayer,
    /// The payer and the fee payer sign, nobody else.
    #[error("{got} signatures are asked for, two are needed")]
    Signers {
        /// In the message's header.
        got: u8,
    },
    /// A table is missing, deactivated, or shorter than the transaction says. Never assumed empty.
    #[error("an address lookup table cannot be resolved")]
    LookupTable,
    /// Three to seven.
    #[error("{got} instructions, three to seven are allowed")]
    InstructionCount {
        /// In the message.
        got: usize,
    },
    /// The first instruction does not set the compute limit.
    #[error("the first instruction does not set the compute limit")]
    ComputeLimit,
    /// Above [`super::FeeCaps::compute_units`].
    #[error("{got} compute units, {limit} are allowed")]
    ComputeLimitTooHigh {
        /// Asked for.
        got: u32,
        /// Allowed.
        limit: u32,
    },
    /// The second instruction does not set the compute price.
    #[error("the second instruction does not set the compute price")]
    ComputePrice,
    /// Above [`super::FeeCaps::price_micro_lamports`], or limit times price above
    /// [`super::FeeCaps::priority_lamports`].
    #[error("the priority fee is above what this gateway pays")]
    ComputePriceTooHigh,
    /// The third instruction is no `TransferChecked` of the mint's token program.
    #[error("the third instruction is no checked transfer")]
    NoTransfer,
    /// Another instruction than Lighthouse's or Memo's after the transfer.
    #[error("instruction {place} is of a program that may not follow the transfer")]
    Unexpected {
        /// Counted from 0.
        place: usize,
    },
    /// The fee payer is in an instruction: as account, authority, source or program.
    #[error("the fee payer takes part in an instruction")]
    FeePayerInvolved,
    /// Another token.
    #[error("the transfer is of another token")]
    Mint,
    /// Another token account.
    #[error("the transfer goes elsewhere")]
    Recipient,
    /// More or less.
    #[error("the transfer is of {got}, {needed} are needed")]
    Amount {
        /// Base units.
        got: u64,
        /// Base units.
        needed: u64,
    },
    /// The owner of the money did not sign, or source and destination are one account.
    #[error("the payer does not pay")]
    Payer,
    /// `extra.memo` is asked for, and there is no memo or more than one.
    #[error("{got} memos, exactly one is asked for")]
    MemoCount {
        /// In the message.
        got: usize,
    },
    /// The memo is not `extra.memo`.
    #[error("the memo is another one")]
    MemoMismatch,
    /// The fee payer's place is not empty: nobody else can have signed for it.
    #[error("the fee payer's signature is not ours to find")]
    FeePayerSigned,
    /// The payer's signature does not verify.
    #[error("the payer's signature does not verify")]
    Signature,
    /// The blockhash is unknown or too old.
    #[error("the blockhash is not recent")]
    Blockhash,
    /// The source is no token account of the payer for this mint.
    #[error("the payer does not own the source account")]
    Source,
    /// Not enough there.
    #[error("the payer has {got}, needs {needed}")]
    Funds {
        /// Units held.
        got: Amount,
        /// Units of the transfer.
        needed: Amount,
    },
    /// A trial run fails.
    #[error("the transaction would not take effect")]
    Simulation,
}

impl ExactFault {
    /// `invalidReason` of the facilitator API.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Undecodable => "invalid_exact_svm_payload_transaction_could_not_be_decoded",
            Self::FeePayer | Self::FeePayerSigned => "invalid_exact_svm_fee_payer_mismatch",
            Self::Signers { .. } => "invalid_exact_svm_payload_excessive_signers",
            Self::LookupTable => "invalid_exact_svm_smart_wallet_alt_resolution_failed",
            Self::InstructionCount { .. } => {
                "invalid_exact_svm_payload_transaction_instructions_length"
            }
            Self::ComputeLimit => {
                "invalid_exact_svm_payload_transaction_instructions_compute_limit_instruction"
            }
            Self::ComputeLimitTooHigh { .. } => {
                "invalid_exact_svm_payload_transaction_instructions_compute_limit_instruction_too_high"
            }
            Self::ComputePrice => {
                "invalid_exact_svm_payload_transaction_instructions_compute_price_instruction"
            }
            Self::ComputePriceTooHigh => {
                "invalid_exact_svm_payload_transaction_instructions_compute_price_instruction_too_high"
            }
            Self::NoTransfer | Self::Payer => "invalid_exact_svm_payload_no_transfer_instruction",
            Self::Unexpected { place } => unexpected(*place),
            Self::FeePayerInvolved => {
                "invalid_exact_svm_payload_transaction_fee_payer_transferring_funds"
            }
            Self::Mint => "invalid_exact_svm_payload_mint_mismatch",
            Self::Recipient => "invalid_exact_svm_payload_recipient_mismatch",
            Self::Amount { .. } => "invalid_exact_svm_payload_amount_mismatch",
            Self::MemoCount { .. } => "invalid_exact_svm_payload_memo_count",
            Self::MemoMismatch => "invalid_exact_svm_payload_memo_mismatch",
            Self::Signature => "invalid_exact_svm_payload_signature_invalid",
            Self::Funds { .. } => "insufficient_funds",
            // What a stock facilitator finds out by its trial run alone.
            Self::Blockhash | Self::Source | Self::Simulation => {
                "invalid_exact_svm_transaction_simulation_failed"
            }
        }
    }
}

const fn unexpected(place: usize) -> &'static str {
    match place {
        3 => "invalid_exact_svm_payload_unknown_fourth_instruction",
        4 => "invalid_exact_svm_payload_unknown_fifth_instruction",
        5 => "invalid_exact_svm_payload_unknown_sixth_instruction",
        6 => "invalid_exact_svm_payload_unknown_seventh_instruction",
        _ => "invalid_exact_svm_payload_unknown_optional_instruction",
    }
}
