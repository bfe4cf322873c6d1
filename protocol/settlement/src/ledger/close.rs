//! Giving rent back. Never moves tokens.

use super::codec::tombstone_len;
use super::effects::{Effects, RentAccount, RentFlow};
use super::refusal::Refusal;
use super::rent::{RENT_ATA, RENT_OPEN, rent_lamports};
use super::state::{Tombstone, UNFUNDED_S, VaultAccount, VaultState};
use crate::ids::Key32;
use crate::quantity::UnixSeconds;
use crate::terms::Terms;

/// A vault nobody paid into: nothing was settled, so its going replays nothing.
#[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
pub(super) fn close_unfunded(
    state: &VaultState,
    terms: &Terms,
    now: UnixSeconds,
) -> Result<(VaultState, Effects), Refusal> {
    state.expect_terms(terms)?;
    let is_open = match &state.account {
        VaultAccount::Absent => false,
        VaultAccount::Open(_) => true,
        VaultAccount::Settled(_) => return Err(Refusal::AlreadySettled),
    };
    let from = terms.issued_at.saturating_add(UNFUNDED_S);
    if now < from {
        return Err(Refusal::TooEarly { now, from });
    }
    expect_empty(state)?;
    if !is_open && state.tokens.is_none() {
        return Err(Refusal::NothingToClose);
    }
    let flow = RentFlow::To(terms.rent_to);
    let mut effects = Effects::default();
    if state.tokens.is_some() {
        effects.note_rent(RentAccount::Tokens, RENT_ATA, flow)?;
    }
    if is_open {
        effects.note_rent(RentAccount::State, RENT_OPEN, flow)?;
    }
    Ok((VaultState::absent(state.site), effects))
}

/// The end of a vault's state. Not before `refund_after`: the tombstone is the only thing that keeps
/// a receipt from executing twice (#1). Money that is still there stays sweepable for ever, since the
/// address and `refund_to` follow from the terms.
#[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
pub(super) fn close(
    state: &VaultState,
    now: UnixSeconds,
) -> Result<(VaultState, Effects), Refusal> {
    let (from, rent, rent_to) = match &state.account {
        VaultAccount::Absent => return Err(Refusal::NothingToClose),
        VaultAccount::Open(open) => (open.refund_after, RENT_OPEN, open.rent_to),
        VaultAccount::Settled(tombstone) => settled_rent(tombstone),
    };
    if now < from {
        return Err(Refusal::TooEarly { now, from });
    }
    match &state.account {
        VaultAccount::Absent => {}
        VaultAccount::Open(_) => expect_empty(state)?,
        // One unit of dust in the token account must not hold the rent.
        VaultAccount::Settled(tombstone) => expect_no_credits(tombstone)?,
    }
    let mut effects = Effects::default();
    effects.note_rent(RentAccount::State, rent, RentFlow::To(rent_to))?;
    let next = VaultState {
        account: VaultAccount::Absent,
        ..*state
    };
    Ok((next, effects))
}

fn settled_rent(tombstone: &Tombstone) -> (UnixSeconds, u64, Key32) {
    let rent = rent_lamports(tombstone_len(tombstone.credits.len()));
    (tombstone.refund_after, rent, tombstone.rent_to)
}

fn expect_empty(state: &VaultState) -> Result<(), Refusal> {
    let balance = state.balance();
    if balance.is_zero() {
        Ok(())
    } else {
        Err(Refusal::NotEmpty { balance })
    }
}

fn expect_no_credits(tombstone: &Tombstone) -> Result<(), Refusal> {
    let total = tombstone.credit_total();
    if total.is_zero() {
        Ok(())
    } else {
        Err(Refusal::CreditsOutstanding { total })
    }
}
