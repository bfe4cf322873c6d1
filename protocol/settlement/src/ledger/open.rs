//! Putting terms on chain and money into the vault.

use super::effects::{Effects, RentAccount, RentFlow};
use super::refusal::Refusal;
use super::rent::{RENT_ATA, RENT_OPEN};
use super::state::{OpenVault, VaultAccount, VaultState};
use crate::quantity::{Units, UnixSeconds};
use crate::set::ValidatorSet;
use crate::terms::{Terms, settleable};

/// What the chain says about the token and the validators of the terms.
pub(super) struct Backing<'a> {
    pub(super) mint_allowed: bool,
    pub(super) set: Option<&'a ValidatorSet>,
}

#[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
pub(super) fn open(
    state: &VaultState,
    terms: &Terms,
    amount: Units,
    backing: Backing<'_>,
    now: UnixSeconds,
) -> Result<(VaultState, Effects), Refusal> {
    state.expect_terms(terms)?;
    settleable(terms, &state.site.domain, now)?;
    let is_open = match &state.account {
        VaultAccount::Absent => false,
        VaultAccount::Open(_) => true,
        VaultAccount::Settled(_) => return Err(Refusal::AlreadySettled),
    };
    if !backing.mint_allowed {
        return Err(Refusal::MintNotAllowed);
    }
    if backing.set.map(ValidatorSet::hash) != Some(terms.validator_set) {
        return Err(Refusal::SetNotPublished);
    }
    // From refund_after on an open would make a fresh vault that an old receipt could settle (#1).
    let until = if amount.is_zero() {
        terms.refund_after
    } else {
        terms.settle_by
    };
    if now >= until {
        return Err(Refusal::TooLate { now, until });
    }
    let mut effects = Effects::default();
    let mut next = receive(state, amount, &mut effects)?;
    if !is_open {
        next.account = VaultAccount::Open(OpenVault::of(terms).ok_or(Refusal::Broken)?);
        effects.note_rent(RentAccount::State, RENT_OPEN, RentFlow::FromCaller)?;
        effects.terms_published = true;
    }
    Ok((next, effects))
}

#[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
pub(super) fn deposit(state: &VaultState, amount: Units) -> Result<(VaultState, Effects), Refusal> {
    if amount.is_zero() {
        return Err(Refusal::ZeroAmount);
    }
    let mut effects = Effects::default();
    let next = receive(state, amount, &mut effects)?;
    Ok((next, effects))
}

/// Makes the token account if it is not there, then adds to it.
fn receive(
    state: &VaultState,
    amount: Units,
    effects: &mut Effects,
) -> Result<VaultState, Refusal> {
    if state.tokens.is_none() {
        effects.note_rent(RentAccount::Tokens, RENT_ATA, RentFlow::FromCaller)?;
    }
    let balance = state
        .balance()
        .checked_add(amount)
        .filter(|balance| balance.to_u64().is_some())
        .ok_or(Refusal::TooMuchMoney)?;
    effects.deposited = amount;
    Ok(VaultState {
        tokens: Some(balance),
        ..*state
    })
}

impl VaultState {
    /// Only the terms that hash to this vault may speak for it.
    #[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
    pub(super) fn expect_terms(&self, terms: &Terms) -> Result<(), Refusal> {
        if terms.hash(&self.site.domain) == self.site.terms_hash {
            Ok(())
        } else {
            Err(Refusal::WrongTerms)
        }
    }
}
