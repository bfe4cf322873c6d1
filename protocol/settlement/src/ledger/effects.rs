//! What the caller must now make true: all of it, in one transaction, or nothing.

use crate::arithmetic::{MAX_PAYOUTS, Payout, PayoutRole};
use crate::bounded::{Bounded, Full};
use crate::ids::Key32;
use crate::quantity::Units;

/// Why tokens leave the vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransferKind {
    /// A worker row.
    Worker,
    /// A validator row.
    Validator,
    /// The commission.
    Creator,
    /// The gateway's fee.
    Gateway,
    /// The residual, or a sweep.
    #[default]
    Refund,
    /// A credit of an earlier settlement.
    Credit,
}

impl From<PayoutRole> for TransferKind {
    fn from(role: PayoutRole) -> Self {
        match role {
            PayoutRole::Worker => Self::Worker,
            PayoutRole::Validator => Self::Validator,
            PayoutRole::Creator => Self::Creator,
            PayoutRole::Gateway => Self::Gateway,
        }
    }
}

/// Tokens out of the vault; the amount is never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transfer {
    /// The wallet whose canonical token account is paid; for the `To` commands the account itself.
    pub to: Key32,
    /// Atomic units.
    pub amount: Units,
    /// Why.
    pub kind: TransferKind,
}

/// Which account's rent moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RentAccount {
    /// The vault's state.
    #[default]
    State,
    /// The vault's token account.
    Tokens,
    /// A token account of another mint at the same address.
    OtherTokens,
}

/// Between whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RentFlow {
    /// The caller pays it in.
    #[default]
    FromCaller,
    /// It goes to `rentTo`.
    To(Key32),
    /// It goes to the caller: nobody knows who paid it in.
    ToCaller,
}

/// Lamports that move because an account was made, shrunk or closed; never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RentNote {
    /// Of which account.
    pub account: RentAccount,
    /// How much.
    pub lamports: u64,
    /// From or to whom.
    pub flow: RentFlow,
}

/// Everything one command does outside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Effects {
    /// Tokens the caller pays in.
    pub deposited: Units,
    /// Tokens out, in order: payouts, then the refund.
    pub transfers: Bounded<Transfer, { MAX_PAYOUTS + 1 }>,
    /// Payouts that became credits because the payee cannot be paid now.
    pub credits: Bounded<Payout, MAX_PAYOUTS>,
    /// Lamports in and out.
    pub rent: Bounded<RentNote, 2>,
    /// The terms became public: emit them as an event, so that anybody can refund later (M5b).
    pub terms_published: bool,
    /// Credits that went back to the residual.
    pub lapsed: Units,
}

impl Default for Effects {
    #[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
    fn default() -> Self {
        Self {
            deposited: Units::ZERO,
            transfers: Bounded::new(),
            credits: Bounded::new(),
            rent: Bounded::new(),
            terms_published: false,
            lapsed: Units::ZERO,
        }
    }
}

impl Effects {
    pub(super) fn pay(&mut self, to: Key32, amount: Units, kind: TransferKind) -> Result<(), Full> {
        if amount.is_zero() {
            return Ok(());
        }
        self.transfers.push(Transfer { to, amount, kind })
    }

    pub(super) fn note_rent(
        &mut self,
        account: RentAccount,
        lamports: u64,
        flow: RentFlow,
    ) -> Result<(), Full> {
        if lamports == 0 {
            return Ok(());
        }
        self.rent.push(RentNote {
            account,
            lamports,
            flow,
        })
    }
}
