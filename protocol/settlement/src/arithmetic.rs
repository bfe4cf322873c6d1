//! Who gets how much: the one calculation that Rust, Solidity and Anchor share (spec §2.4).
//!
//! A function of terms, rows, outcome and balance only (M3). Every division rounds down; the dust of
//! the commission stays with the worker, the dust of the fee with the residual.

use crate::bounded::Bounded;
use crate::ids::Key32;
use crate::quantity::{Bps, Units};
use crate::receipt::{MAX_ROWS, Outcome, Role, Row, Rows};
use crate::terms::Terms;

/// Every row, the creator and the gateway.
pub const MAX_PAYOUTS: usize = MAX_ROWS + 2;

/// Why an account is paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PayoutRole {
    /// A worker row, commission taken out.
    #[default]
    Worker = 0,
    /// A validator row.
    Validator = 1,
    /// The commissions of all worker rows.
    Creator = 2,
    /// The gateway's fee.
    Gateway = 3,
}

impl PayoutRole {
    /// The byte in a stored credit.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        match self {
            Self::Worker => 0,
            Self::Validator => 1,
            Self::Creator => 2,
            Self::Gateway => 3,
        }
    }

    /// `None` for a value this version does not know.
    #[must_use]
    pub const fn from_u8(raw: u8) -> Option<Self> {
        match raw {
            0 => Some(Self::Worker),
            1 => Some(Self::Validator),
            2 => Some(Self::Creator),
            3 => Some(Self::Gateway),
            _ => None,
        }
    }
}

impl From<Role> for PayoutRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Worker => Self::Worker,
            Role::Validator => Self::Validator,
        }
    }
}

/// One amount owed to one account; never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Payout {
    /// The wallet.
    pub to: Key32,
    /// Atomic units.
    pub amount: Units,
    /// Why.
    pub role: PayoutRole,
}

/// The rules of the terms that decide about money, free of any chain's codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MoneyRules {
    /// Creator's share of every worker row, taken out of it.
    pub commission_bps: Bps,
    /// Gateway's share of the worker total, on top of it.
    pub gateway_fee_bps: Bps,
    /// The most that may be owed.
    pub budget: Units,
    /// The most that validators may earn together.
    pub validator_fee_cap: Units,
    /// The creator's wallet.
    pub commission_payee: Key32,
    /// The gateway's wallet.
    pub gateway_fee_payee: Key32,
}

impl From<&Terms> for MoneyRules {
    fn from(terms: &Terms) -> Self {
        Self {
            commission_bps: terms.commission_bps,
            gateway_fee_bps: terms.gateway_fee_bps,
            budget: Units::from_u64(terms.budget),
            validator_fee_cap: Units::from_u64(terms.validator_fee_cap),
            commission_payee: terms.commission_payee,
            gateway_fee_payee: terms.gateway_fee_payee,
        }
    }
}

/// What a receipt pays. `owed` is the sum of `payouts`; `owed + residual` is the balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayoutPlan {
    /// The rows in their order, then the creator, then the gateway; zero amounts are left out.
    pub payouts: Bounded<Payout, MAX_PAYOUTS>,
    /// Σ worker rows, before the commission.
    pub worker_total: Units,
    /// Σ validator rows.
    pub validator_total: Units,
    /// Σ commissions.
    pub commission: Units,
    /// The gateway's fee.
    pub gateway_fee: Units,
    /// What leaves the vault for work.
    pub owed: Units,
    /// What is left for `refundTo`.
    pub residual: Units,
}

/// Why rows cannot be paid. Declaration order is check order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "variant names and messages are the documentation"
)]
pub enum PlanRefusal {
    #[error("outcome Paid without a worker row")]
    PaidWithoutWorker,
    #[error("outcome Rejected with a worker row")]
    RejectedWithWorker,
    #[error("validators would earn {total}, at most {cap}")]
    ValidatorsOverCap { total: Units, cap: Units },
    #[error("{owed} owed, the budget is {budget}")]
    OverBudget { owed: u128, budget: Units },
    #[error("{owed} owed, the balance is {balance}: retry after a top-up")]
    Underfunded { owed: Units, balance: Units },
    #[error("a rate above 100 % leaves no amount to pay")]
    RateAboveOne,
}

/// Computes what `rows` pay under `terms` out of `balance` (spec §2.4).
///
/// Does not ask whether the terms are settleable, who signed, or whether a payee is forbidden.
///
/// # Errors
/// The first broken rule; `Underfunded` is worth a retry after a top-up.
pub fn plan(
    terms: &Terms,
    rows: &Rows,
    outcome: Outcome,
    balance: Units,
) -> Result<PayoutPlan, PlanRefusal> {
    plan_payouts(&MoneyRules::from(terms), rows, outcome, balance)
}

/// [`plan`] over the bare money rules.
///
/// # Errors
/// As [`plan`].
#[inline(never)] // A frame of its own: the Solana machine has 4 KiB for each call.
pub fn plan_payouts(
    rules: &MoneyRules,
    rows: &Rows,
    outcome: Outcome,
    balance: Units,
) -> Result<PayoutPlan, PlanRefusal> {
    let has_worker = rows.as_slice().iter().any(is_worker);
    match (outcome, has_worker) {
        (Outcome::Paid, false) => return Err(PlanRefusal::PaidWithoutWorker),
        (Outcome::Rejected, true) => return Err(PlanRefusal::RejectedWithWorker),
        (Outcome::Paid, true) | (Outcome::Rejected, false) => {}
    }
    let worker_total = total(rows, is_worker)?;
    let validator_total = total(rows, |row| !is_worker(row))?;
    if validator_total > rules.validator_fee_cap {
        return Err(PlanRefusal::ValidatorsOverCap {
            total: validator_total,
            cap: rules.validator_fee_cap,
        });
    }
    let gateway_fee = worker_total
        .share(rules.gateway_fee_bps)
        .ok_or(PlanRefusal::RateAboveOne)?;
    let owed = owed_within(rules, [worker_total, validator_total, gateway_fee])?;
    let residual = balance
        .checked_sub(owed)
        .ok_or(PlanRefusal::Underfunded { owed, balance })?;
    let (payouts, commission) = split(rules, rows, gateway_fee)?;
    Ok(PayoutPlan {
        payouts,
        worker_total,
        validator_total,
        commission,
        gateway_fee,
        owed,
        residual,
    })
}

fn is_worker(row: &Row) -> bool {
    match row.role {
        Role::Worker => true,
        Role::Validator => false,
    }
}

/// Sixteen 64-bit amounts are far below 2^96, so the sum always exists.
fn total(rows: &Rows, of: impl Fn(&Row) -> bool) -> Result<Units, PlanRefusal> {
    rows.as_slice()
        .iter()
        .filter(|row| of(row))
        .try_fold(Units::ZERO, |sum, row| sum.checked_add(row.amount))
        .ok_or(PlanRefusal::RateAboveOne)
}

fn owed_within(rules: &MoneyRules, parts: [Units; 3]) -> Result<Units, PlanRefusal> {
    // Three 96-bit numbers cannot overflow 128 bits; saturation is never reached.
    let owed = parts
        .iter()
        .fold(0u128, |sum, part| sum.saturating_add(part.get()));
    let budget = rules.budget;
    Units::new(owed)
        .filter(|owed| *owed <= budget)
        .ok_or(PlanRefusal::OverBudget { owed, budget })
}

/// Rows minus commission, then the two computed payees.
fn split(
    rules: &MoneyRules,
    rows: &Rows,
    gateway_fee: Units,
) -> Result<(Bounded<Payout, MAX_PAYOUTS>, Units), PlanRefusal> {
    let mut payouts = Bounded::new();
    let mut commission = Units::ZERO;
    for row in rows.as_slice() {
        let taken = match row.role {
            Role::Worker => row.amount.share(rules.commission_bps),
            Role::Validator => Some(Units::ZERO),
        };
        let taken = taken.ok_or(PlanRefusal::RateAboveOne)?;
        let amount = row
            .amount
            .checked_sub(taken)
            .ok_or(PlanRefusal::RateAboveOne)?;
        commission = commission
            .checked_add(taken)
            .ok_or(PlanRefusal::RateAboveOne)?;
        let role = PayoutRole::from(row.role);
        owe(&mut payouts, row.payee, amount, role)?;
    }
    let creator = rules.commission_payee;
    owe(&mut payouts, creator, commission, PayoutRole::Creator)?;
    let gateway = rules.gateway_fee_payee;
    owe(&mut payouts, gateway, gateway_fee, PayoutRole::Gateway)?;
    Ok((payouts, commission))
}

fn owe(
    payouts: &mut Bounded<Payout, MAX_PAYOUTS>,
    to: Key32,
    amount: Units,
    role: PayoutRole,
) -> Result<(), PlanRefusal> {
    if amount.is_zero() {
        return Ok(());
    }
    // Sixteen rows and two computed payees are the capacity, so this always fits.
    payouts
        .push(Payout { to, amount, role })
        .map_err(|_| PlanRefusal::RateAboveOne)
}
