//! The vault of one task: what may happen to its money, and when (spec §3.1).
//!
//! [`apply`] is the whole machine: state, command and clock in; new state and effects, or a refusal,
//! out. A refusal changes nothing. It decides; moving tokens and lamports is the caller's work, from
//! [`Effects`]. It holds no signature check: [`Approvals`](crate::Approvals) can only be built by one.
//!
//! ```text
//!            open                     settle                 close, now >= refundAfter
//!  Absent ----------> Open ------------------------> Settled ------------------------> Absent
//!    ^                 |     now < refundAfter          (tombstone with credits)
//!    +-----------------+
//!      close_unfunded: empty, now >= issuedAt + 120
//!      close:          empty, now >= refundAfter
//! ```
//!
//! In every state: deposits add to the balance, and `sweep` returns `balance - Σ credits` to `refundTo`
//! once the vault is Settled, or `now >= refundAfter`, or the terms can never settle.
//!
//! - The tombstone outlives `refund_after`, so a receipt executes at most once, whatever is closed and
//!   re-opened in between (#1, M2e, M4b): `settle` and `open` are refused from `refund_after` on.
//! - `balance >= Σ credits` always (M1b): only `claim_credit` and `lapse_credits` lower credits, and
//!   nothing else touches the money behind them.

#[cfg(feature = "evm")]
pub mod base;
mod close;
mod codec;
mod command;
mod credits;
mod effects;
mod open;
mod refusal;
mod rent;
mod settle;
mod state;
mod sweep;

pub use codec::{ACCOUNT_MAX_LEN, AccountBytes, CodecFault, OPEN_LEN, TOMBSTONE_LEN};
pub use command::{Command, Unpayable};
pub use effects::{Effects, RentAccount, RentFlow, RentNote, Transfer, TransferKind};
pub use refusal::Refusal;
pub use rent::{RENT_ATA, RENT_OPEN, RENT_TOMBSTONE, rent_lamports};
pub use state::{
    CREDIT_LIFE_S, MAX_CREDITS, OpenVault, Tombstone, UNFUNDED_S, VaultAccount, VaultSite,
    VaultState,
};

use crate::quantity::UnixSeconds;

/// Runs one command against a vault.
///
/// Pure and total: the same arguments always give the same answer. The caller must execute all
/// effects or none, together with storing the state.
///
/// # Errors
/// The first guard that does not hold; nothing has changed then.
#[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
pub fn apply(
    state: &VaultState,
    command: &Command<'_>,
    now: UnixSeconds,
) -> Result<(VaultState, Effects), Refusal> {
    match *command {
        Command::Open {
            terms,
            amount,
            mint_allowed,
            set,
        } => {
            let backing = open::Backing { mint_allowed, set };
            open::open(state, terms, amount, backing, now)
        }
        Command::Deposit { amount } => open::deposit(state, amount),
        Command::Settle {
            settlement,
            approvals,
            unpayable,
        } => settle::settle(state, settlement, approvals, unpayable, now),
        Command::ClaimCredit { payee, payable } => {
            credits::claim(state, payee, credits::canonical(payee, payable), now)
        }
        Command::ClaimCreditTo {
            payee,
            signer,
            to,
            payable,
        } => {
            let target = credits::signed(state, payee, signer, (to, payable))?;
            credits::claim(state, payee, target, now)
        }
        Command::LapseCredits => credits::lapse(state, now),
        Command::Sweep { terms, payable } => {
            let target = credits::canonical(terms.refund_to, payable);
            sweep::sweep(state, terms, target, now)
        }
        Command::SweepTo {
            terms,
            signer,
            to,
            payable,
        } => {
            let target = credits::signed(state, terms.refund_to, signer, (to, payable))?;
            sweep::sweep(state, terms, target, now)
        }
        Command::SweepOther {
            terms,
            mint,
            balance,
            payable,
        } => {
            let target = credits::canonical(terms.refund_to, payable);
            sweep::sweep_other(state, terms, (mint, balance), target, now)
        }
        Command::CloseUnfunded { terms } => close::close_unfunded(state, terms, now),
        Command::Close => close::close(state, now),
    }
}
