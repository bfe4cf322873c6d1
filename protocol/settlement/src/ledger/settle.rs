//! Executing a receipt: the only way money leaves a vault before `refund_after`.

use super::codec::tombstone_len;
use super::command::Unpayable;
use super::effects::{Effects, RentAccount, RentFlow, TransferKind};
use super::refusal::Refusal;
use super::rent::{RENT_ATA, RENT_OPEN, rent_lamports};
use super::state::{OpenVault, Tombstone, VaultAccount, VaultState};
use crate::approvals::Approvals;
use crate::arithmetic::{MoneyRules, PayoutPlan, plan_payouts};
use crate::ids::Key32;
use crate::quantity::{Units, UnixSeconds};
use crate::receipt::{Rows, Settlement, settlement_digest};
use crate::set::need_at;

pub(super) fn settle(
    state: &VaultState,
    settlement: &Settlement,
    approvals: &Approvals,
    unpayable: &Unpayable,
    now: UnixSeconds,
) -> Result<(VaultState, Effects), Refusal> {
    // An open vault's terms were settleable when it was opened, and time takes nothing away from
    // that: the only rule with a clock is `issued_at <= now + 600`.
    let open = match &state.account {
        VaultAccount::Absent => return Err(Refusal::NotOpen),
        VaultAccount::Settled(_) => return Err(Refusal::AlreadySettled),
        VaultAccount::Open(open) => open,
    };
    if now >= open.refund_after {
        let until = open.refund_after;
        return Err(Refusal::TooLate { now, until });
    }
    let digest = settlement_digest(&state.site.domain, &state.site.terms_hash, settlement);
    let signed = (settlement, digest, approvals);
    settle_open(state, open, signed, unpayable, now)
}

/// Everything of a settlement that no chain does differently; `digest` is what this chain's validators sign.
pub(super) fn settle_open(
    state: &VaultState,
    open: &OpenVault,
    (settlement, digest, approvals): (&Settlement, [u8; 32], &Approvals),
    unpayable: &Unpayable,
    now: UnixSeconds,
) -> Result<(VaultState, Effects), Refusal> {
    approved(open, digest, approvals, now)?;
    spendable(state, open, &settlement.rows)?;
    let rules = MoneyRules::from(open);
    let plan = plan_payouts(
        &rules,
        &settlement.rows,
        settlement.outcome,
        state.balance(),
    )?;
    execute(state, open, &plan, unpayable)
}

/// Enough members of the named set signed exactly this settlement of exactly this vault (M2a, M7a).
fn approved(
    open: &OpenVault,
    digest: [u8; 32],
    approvals: &Approvals,
    now: UnixSeconds,
) -> Result<(), Refusal> {
    if approvals.set() != open.validator_set {
        return Err(Refusal::WrongSet);
    }
    if approvals.digest() != &digest {
        return Err(Refusal::WrongDigest);
    }
    let need = need_at(open.on_silence, open.settle_by, approvals.sizes(), now);
    let got = approvals.count();
    if got < need {
        return Err(Refusal::NotEnoughSignatures { got, need });
    }
    Ok(())
}

/// Nobody is paid who could never spend it (#58); the two computed payees are payees too (M2d).
fn spendable(state: &VaultState, open: &OpenVault, rows: &Rows) -> Result<(), Refusal> {
    let computed = [open.commission_payee, open.gateway_fee_payee];
    let computed = computed.into_iter().filter(|key| !key.is_zero());
    let mut payees = rows.as_slice().iter().map(|row| row.payee).chain(computed);
    match payees.find(|payee| state.site.forbids(payee, &open.mint)) {
        Some(payee) => Err(Refusal::BadPayee { payee }),
        None => Ok(()),
    }
}

/// Pays whom it can, remembers whom it cannot (M6a), refunds the rest, and leaves the tombstone.
fn execute(
    state: &VaultState,
    open: &OpenVault,
    plan: &PayoutPlan,
    unpayable: &Unpayable,
) -> Result<(VaultState, Effects), Refusal> {
    let mut effects = Effects::default();
    let mut left = state.balance();
    for payout in &plan.payouts {
        if unpayable.contains(&payout.to) {
            effects.credits.push(*payout)?;
        } else {
            effects.pay(payout.to, payout.amount, payout.role.into())?;
            left = left.checked_sub(payout.amount).ok_or(Refusal::Broken)?;
        }
    }
    // The residual is not a payout: a refund target that cannot be paid must not block the workers,
    // so the money waits for a sweep (#22).
    if !unpayable.contains(&open.refund_to) {
        effects.pay(open.refund_to, plan.residual, TransferKind::Refund)?;
        left = left.checked_sub(plan.residual).ok_or(Refusal::Broken)?;
    }
    let tombstone = Tombstone {
        refund_after: open.refund_after,
        rent_to: open.rent_to,
        credits: effects.credits,
    };
    if left < tombstone.credit_total() {
        return Err(Refusal::Broken);
    }
    let tokens = close_if_empty(state, left, open.rent_to, &mut effects)?;
    resize_rent(&tombstone, &mut effects)?;
    let next = VaultState {
        site: state.site,
        account: VaultAccount::Settled(tombstone),
        tokens,
    };
    Ok((next, effects))
}

/// An empty token account is closed and its rent returned.
fn close_if_empty(
    state: &VaultState,
    left: Units,
    rent_to: Key32,
    effects: &mut Effects,
) -> Result<Option<Units>, Refusal> {
    if !left.is_zero() || state.tokens.is_none() {
        return Ok(state.tokens.map(|_| left));
    }
    effects.note_rent(RentAccount::Tokens, RENT_ATA, RentFlow::To(rent_to))?;
    Ok(None)
}

/// The state shrinks to the tombstone; from five credits on it grows, and the caller tops up.
fn resize_rent(tombstone: &Tombstone, effects: &mut Effects) -> Result<(), Refusal> {
    let rent = rent_lamports(tombstone_len(tombstone.credits.len()));
    let back = RENT_OPEN.saturating_sub(rent);
    effects.note_rent(RentAccount::State, back, RentFlow::To(tombstone.rent_to))?;
    let more = rent.saturating_sub(RENT_OPEN);
    effects.note_rent(RentAccount::State, more, RentFlow::FromCaller)?;
    Ok(())
}

impl From<&OpenVault> for MoneyRules {
    fn from(open: &OpenVault) -> Self {
        Self {
            commission_bps: open.commission_bps,
            gateway_fee_bps: open.gateway_fee_bps,
            budget: Units::from_u64(open.budget),
            validator_fee_cap: Units::from_u64(open.validator_fee_cap),
            commission_payee: open.commission_payee,
            gateway_fee_payee: open.gateway_fee_payee,
        }
    }
}
