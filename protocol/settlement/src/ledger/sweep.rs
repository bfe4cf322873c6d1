//! The refund: everything that is not a credit goes to `refundTo`, and nothing can block it for ever.

use super::credits::Target;
use super::effects::{Effects, RentAccount, RentFlow, TransferKind};
use super::refusal::Refusal;
use super::rent::RENT_ATA;
use super::state::{VaultAccount, VaultState};
use crate::ids::Key32;
use crate::quantity::{Units, UnixSeconds};
use crate::terms::{Terms, settleable};

pub(super) fn sweep(
    state: &VaultState,
    terms: &Terms,
    target: Target,
    now: UnixSeconds,
) -> Result<(VaultState, Effects), Refusal> {
    state.expect_terms(terms)?;
    sweepable(state, terms, now)?;
    let balance = state.tokens.ok_or(Refusal::NothingToSweep)?;
    let reserved = credits_of(state);
    let residual = balance.checked_sub(reserved).ok_or(Refusal::Broken)?;
    if residual.is_zero() && !reserved.is_zero() {
        return Err(Refusal::NothingToSweep);
    }
    let left = Some(reserved).filter(|reserved| !reserved.is_zero());
    let rent = left
        .is_none()
        .then_some((RentAccount::Tokens, RentFlow::To(terms.rent_to)));
    refund(state, residual, target, rent, left)
}

/// Another token: no credit is ever in it, so all of it goes and the state stays as it is. The rent
/// goes to the caller, because nobody but the sender of the wrong token could have paid it.
pub(super) fn sweep_other(
    state: &VaultState,
    terms: &Terms,
    (mint, balance): (Key32, Units),
    target: Target,
    now: UnixSeconds,
) -> Result<(VaultState, Effects), Refusal> {
    state.expect_terms(terms)?;
    if mint == terms.mint {
        return Err(Refusal::OwnMint);
    }
    sweepable(state, terms, now)?;
    let rent = Some((RentAccount::OtherTokens, RentFlow::ToCaller));
    refund(state, balance, target, rent, state.tokens)
}

/// Pays `amount` to the refund target, closes the account it came from if `rent` says so, and leaves
/// `tokens` in the vault.
#[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
fn refund(
    state: &VaultState,
    amount: Units,
    target: Target,
    rent: Option<(RentAccount, RentFlow)>,
    tokens: Option<Units>,
) -> Result<(VaultState, Effects), Refusal> {
    // Built in place: on the Solana machine there is no room for a second copy.
    let mut decided = (*state, Effects::default());
    let (next, effects) = &mut decided;
    if !amount.is_zero() {
        target.expect_payable()?;
        effects.pay(target.to, amount, TransferKind::Refund)?;
    }
    if let Some((account, flow)) = rent {
        effects.note_rent(account, RENT_ATA, flow)?;
    }
    next.tokens = tokens;
    Ok(decided)
}

/// `Settled, or now >= refundAfter, or the terms can never settle` (spec §3.1). Disjoint in time from
/// `settle` for a vault that is not settled (M4a). Never asks whether the terms are valid: that is the
/// third way *in* (#6).
#[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
fn sweepable(state: &VaultState, terms: &Terms, now: UnixSeconds) -> Result<(), Refusal> {
    let is_settled = match &state.account {
        VaultAccount::Settled(_) => true,
        VaultAccount::Absent | VaultAccount::Open(_) => false,
    };
    let may_settle = settleable(terms, &state.site.domain, now).is_ok();
    if is_settled || now >= terms.refund_after || !may_settle {
        return Ok(());
    }
    let from = terms.refund_after;
    Err(Refusal::TooEarly { now, from })
}

pub(super) fn credits_of(state: &VaultState) -> Units {
    match &state.account {
        VaultAccount::Settled(tombstone) => tombstone.credit_total(),
        VaultAccount::Absent | VaultAccount::Open(_) => Units::ZERO,
    }
}
