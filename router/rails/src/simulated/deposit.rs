//! What the chain's answers about a payment and its vault mean for a task.

use d402_core::ports::{Deposit, RailError};
use d402_objects::Amount;
use d402_wire::simchain::{PaymentState, VaultView};

/// What the chain's two answers mean. Only deposits the vault shows are money.
pub(super) fn judge_deposit(
    budget: u64,
    state: &PaymentState,
    view: &VaultView,
) -> Result<Deposit, RailError> {
    let mut held = Amount::ZERO;
    let mut covered_at = None;
    for (at, units) in &view.deposits {
        held = held.checked_add(*units).ok_or(RailError::Unknown)?;
        if covered_at.is_none() && held >= Amount::from(budget) {
            covered_at = Some(*at);
        }
    }
    let budget_is_there = view.settled.is_some() || view.balance >= Amount::from(budget);
    if let (Some(at), true) = (covered_at, budget_is_there) {
        let amount = if view.settled.is_some() {
            held
        } else {
            view.balance
        };
        return Ok(Deposit::Funded {
            amount,
            at_ms: milliseconds(at)?,
        });
    }
    if !held.is_zero() {
        return Ok(Deposit::Short {
            amount: view.balance,
        });
    }
    Ok(match state {
        // The vault was asked after the payment: executed but not there means that it went elsewhere.
        PaymentState::Executed { .. } => Deposit::Short {
            amount: view.balance,
        },
        PaymentState::Unseen => Deposit::Pending,
        PaymentState::Impossible => Deposit::Impossible,
    })
}

/// Chain seconds as milliseconds; a time before 1970 is none the chain can have said.
pub(super) fn milliseconds(seconds: i64) -> Result<u64, RailError> {
    u64::try_from(seconds)
        .ok()
        .and_then(|s| s.checked_mul(1000))
        .ok_or(RailError::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use d402_objects::Hex32;
    use d402_wire::simchain::SettledView;

    fn view(balance: u64, deposits: &[(i64, u64)]) -> VaultView {
        VaultView {
            open: true,
            settled: None,
            balance: Amount::from(balance),
            credits: Vec::new(),
            deposits: deposits
                .iter()
                .map(|(at, units)| (*at, Amount::from(*units)))
                .collect(),
        }
    }

    #[test]
    fn the_time_of_funding_is_when_the_budget_was_first_covered() {
        let view = view(130, &[(10, 60), (20, 50), (30, 20)]);
        let judged = judge_deposit(100, &PaymentState::Unseen, &view).unwrap();
        assert_eq!(
            judged,
            Deposit::Funded {
                amount: Amount::from(130u64),
                at_ms: 20_000
            }
        );
    }

    #[test]
    fn money_that_came_and_was_swept_funds_nothing() {
        let judged = judge_deposit(100, &PaymentState::Unseen, &view(0, &[(10, 100)])).unwrap();
        assert_eq!(
            judged,
            Deposit::Short {
                amount: Amount::ZERO
            }
        );
    }

    #[test]
    fn money_that_a_receipt_paid_out_was_there() {
        let mut settled = view(0, &[(10, 100)]);
        settled.settled = Some(SettledView {
            receipt_cid: Hex32::from_bytes([1; 32]),
            transaction: Hex32::from_bytes([2; 32]),
            height: 3,
            at: 40,
            paid: Vec::new(),
            refunded: Amount::ZERO,
        });
        let judged = judge_deposit(100, &PaymentState::Unseen, &settled).unwrap();
        assert_eq!(
            judged,
            Deposit::Funded {
                amount: Amount::from(100u64),
                at_ms: 10_000
            }
        );
    }

    #[test]
    fn an_executed_payment_that_the_vault_does_not_show_is_no_money() {
        let state = PaymentState::Executed {
            transaction: Hex32::from_bytes([2; 32]),
            amount: Amount::from(100u64),
            at: 10,
            height: 3,
        };
        assert_eq!(
            judge_deposit(100, &state, &view(0, &[])).unwrap(),
            Deposit::Short {
                amount: Amount::ZERO
            }
        );
        assert_eq!(
            judge_deposit(100, &PaymentState::Unseen, &view(0, &[])).unwrap(),
            Deposit::Pending
        );
        assert_eq!(
            judge_deposit(100, &PaymentState::Impossible, &view(0, &[])).unwrap(),
            Deposit::Impossible
        );
    }
}
