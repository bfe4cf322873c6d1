//! Payouts that could not be paid in the settlement, and where money may be sent at all.

use super::effects::{Effects, TransferKind};
use super::refusal::Refusal;
use super::state::{Tombstone, VaultAccount, VaultState};
use crate::ids::Key32;
use crate::quantity::{Units, UnixSeconds};

/// An account to be paid, and whether it can be.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) to: Key32,
    pub(super) payable: bool,
}

impl Target {
    pub(super) fn expect_payable(self) -> Result<(), Refusal> {
        if self.payable {
            Ok(())
        } else {
            Err(Refusal::Unpayable { to: self.to })
        }
    }
}

/// The canonical account of `owner`, to which anybody may trigger a payment.
pub(super) const fn canonical(owner: Key32, payable: bool) -> Target {
    Target { to: owner, payable }
}

/// Any account, because `owner` itself signed for it; still not the vault (the money would stay where
/// it is while the ledger says paid) nor an address that nobody can spend from.
pub(super) fn signed(
    state: &VaultState,
    owner: Key32,
    signer: Key32,
    (to, payable): (Key32, bool),
) -> Result<Target, Refusal> {
    if signer != owner {
        return Err(Refusal::WrongSigner { needed: owner });
    }
    if to.is_zero() || to == state.site.vault || to == state.site.domain.program {
        return Err(Refusal::BadPayee { payee: to });
    }
    Ok(Target { to, payable })
}

#[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
pub(super) fn claim(
    state: &VaultState,
    payee: Key32,
    target: Target,
    now: UnixSeconds,
) -> Result<(VaultState, Effects), Refusal> {
    let mut tombstone = *settled(state)?;
    let until = tombstone.credits_until();
    if now >= until {
        return Err(Refusal::TooLate { now, until });
    }
    let mut amount = Units::ZERO;
    for credit in tombstone.credits.as_mut_slice() {
        if credit.to == payee {
            amount = amount.checked_add(credit.amount).ok_or(Refusal::Broken)?;
            credit.amount = Units::ZERO;
        }
    }
    if amount.is_zero() {
        return Err(Refusal::NoCredit { payee });
    }
    target.expect_payable()?;
    let left = state.balance().checked_sub(amount).ok_or(Refusal::Broken)?;
    let mut effects = Effects::default();
    effects.pay(target.to, amount, TransferKind::Credit)?;
    let next = VaultState {
        site: state.site,
        account: VaultAccount::Settled(tombstone),
        tokens: Some(left),
    };
    Ok((next, effects))
}

#[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
pub(super) fn lapse(
    state: &VaultState,
    now: UnixSeconds,
) -> Result<(VaultState, Effects), Refusal> {
    let tombstone = settled(state)?;
    let from = tombstone.credits_until();
    if now < from {
        return Err(Refusal::TooEarly { now, from });
    }
    let lapsed = tombstone.credit_total();
    if lapsed.is_zero() {
        return Err(Refusal::NoCredits);
    }
    let mut next = *state;
    if let VaultAccount::Settled(tombstone) = &mut next.account {
        for credit in tombstone.credits.as_mut_slice() {
            credit.amount = Units::ZERO;
        }
    }
    Ok((next, lapse_of(lapsed)))
}

#[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
fn lapse_of(lapsed: Units) -> Effects {
    Effects {
        lapsed,
        ..Effects::default()
    }
}

fn settled(state: &VaultState) -> Result<&Tombstone, Refusal> {
    match &state.account {
        VaultAccount::Settled(tombstone) => Ok(tombstone),
        VaultAccount::Absent | VaultAccount::Open(_) => Err(Refusal::NotSettled),
    }
}
