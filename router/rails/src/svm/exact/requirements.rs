//! What a payment must be, from the entry of the 402 and this gateway's own limits.

use d402_svm::Address;

/// Memos.
pub const MEMO_PROGRAM: Address =
    Address::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
/// Assertions that wallets add on their own.
pub const LIGHTHOUSE_PROGRAM: Address =
    Address::from_str_const("L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95");

/// Longest memo a server may ask for, bytes.
pub const MAX_MEMO_BYTES: usize = 256;
/// Price of a signature, lamports.
const LAMPORTS_PER_SIGNATURE: u64 = 5_000;
/// Signatures of a payment: the payer's and ours.
pub(super) const SIGNATURES: u8 = 2;
const MICRO: u64 = 1_000_000;

/// One payment as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// The token.
    pub mint: Address,
    /// The program its mint belongs to: SPL Token or Token-2022.
    pub token_program: Address,
    /// The associated token account of payTo for this mint and program.
    pub destination: Address,
    /// Base units, exactly.
    pub amount: u64,
    /// Who pays the fee: this gateway's key.
    pub fee_payer: Address,
    /// `extra.memo`: exactly one memo, with these bytes. Without it memos are the client's.
    pub memo: Option<String>,
    /// What the fee payer may lose.
    pub caps: FeeCaps,
}

/// Most a payment may cost its fee payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeCaps {
    /// Compute units it may ask for. A stock client asks for 20,000; wallets that add assertions for more.
    pub compute_units: u32,
    /// Millionths of a lamport per unit: the scheme says 5 lamports.
    pub price_micro_lamports: u64,
    /// Limit times price, lamports. The scheme caps the price alone, which with the largest limit is 0.007 SOL
    /// per payment: enough to empty a fee payer with worthless transactions.
    pub priority_lamports: u64,
}

impl FeeCaps {
    /// The limits where nothing else is configured.
    pub const DEFAULT: Self = Self {
        compute_units: 200_000,
        price_micro_lamports: 5 * MICRO,
        priority_lamports: 50_000,
    };

    /// Lamports the fee payer loses at most by one payment.
    #[must_use]
    pub const fn most_lamports(&self) -> u64 {
        LAMPORTS_PER_SIGNATURE
            .saturating_mul(SIGNATURES as u64)
            .saturating_add(self.priority_lamports)
    }
}

/// What a limit at a price costs, lamports, rounded up as the chain does.
pub(super) fn priority_lamports(units: u32, price_micro_lamports: u64) -> u64 {
    let micro = u128::from(units).saturating_mul(u128::from(price_micro_lamports));
    u64::try_from(micro.div_ceil(u128::from(MICRO))).unwrap_or(u64::MAX)
}

/// What a payment with these limits costs its fee payer, lamports.
pub(super) fn fee_lamports(units: u32, price_micro_lamports: u64) -> u64 {
    LAMPORTS_PER_SIGNATURE
        .saturating_mul(u64::from(SIGNATURES))
        .saturating_add(priority_lamports(units, price_micro_lamports))
}
