//! May these terms ever be settled? Gates `settle` and `open`; `sweep` uses only its negation, so
//! nothing that is refused here can trap money (#6).

use super::{OnSilence, Terms};
use crate::domain::Domain;
use crate::quantity::{Bps, UnixSeconds};

/// The only layout version there is.
pub const TERMS_VERSION: u8 = 1;
/// How far `issued_at` may lie ahead of the chain's clock.
pub const CREATION_SLACK_S: i64 = 600;
/// The shortest time between `settle_by` and `refund_after` (#35).
pub const MIN_GRACE_S: i64 = 600;
/// The longest time from `issued_at` to `refund_after`: 30 days (#63).
pub const MAX_LIFE_S: i64 = 30 * 86_400;

/// Why terms can never be settled (or not yet: `IssuedInTheFuture`). Declaration order is check
/// order: the first rule that is broken is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "variant names and messages are the documentation"
)]
pub enum NotSettleable {
    #[error("terms version {got}, this ledger settles version 1")]
    Version { got: u8 },
    /// Only on EVM chains: elsewhere terms of another chain have another name altogether.
    #[error("the terms are of another chain")]
    OtherChain,
    #[error("the reserved field is not zero")]
    Reserved,
    #[error("onSilence {got} is neither refund (0) nor majority (1)")]
    OnSilence { got: u8 },
    #[error("a commission of {got} bps, at most 2000")]
    CommissionBps { got: u16 },
    #[error("a gateway fee of {got} bps, at most 2000")]
    GatewayFeeBps { got: u16 },
    #[error("the commission payee is zero if and only if the commission is")]
    CommissionPayee,
    #[error("the gateway fee payee is zero if and only if the fee is")]
    GatewayFeePayee,
    #[error("the budget is zero")]
    NoBudget,
    #[error("a validator fee cap of {cap} is more than half of the budget {budget}")]
    ValidatorFeeCap { cap: u64, budget: u64 },
    #[error("issuedAt is before 1970")]
    IssuedBeforeEpoch,
    #[error("issuedAt is more than ten minutes ahead of the chain's clock")]
    IssuedInTheFuture,
    #[error("settleBy is not after issuedAt")]
    SettleBy,
    #[error("refundAfter is less than ten minutes after settleBy")]
    GraceTooShort,
    #[error("refundAfter is more than thirty days after issuedAt")]
    LivesTooLong,
    #[error("no mint")]
    NoMint,
    #[error("no refundTo")]
    NoRefundTo,
    #[error("no validator set")]
    NoValidatorSet,
    #[error("refundTo is the mint or the program: nobody could spend the refund")]
    RefundToForbidden,
}

/// Checks terms against spec §3. Total: any bytes and any clock give an answer, arithmetic saturates.
///
/// Does not look at the members of the validator set: `settle` and `publish_set` do.
/// That `refund_to` is not the vault itself needs no check: the vault's address is a hash over it.
///
/// # Errors
/// The first broken rule.
pub fn settleable(terms: &Terms, domain: &Domain, now: UnixSeconds) -> Result<(), NotSettleable> {
    shape(terms)?;
    money(terms)?;
    times(terms, now)?;
    parties(terms, domain)
}

fn shape(terms: &Terms) -> Result<(), NotSettleable> {
    if terms.version != TERMS_VERSION {
        return Err(NotSettleable::Version { got: terms.version });
    }
    if terms.reserved != 0 {
        return Err(NotSettleable::Reserved);
    }
    if OnSilence::from_u8(terms.on_silence).is_none() {
        let got = terms.on_silence;
        return Err(NotSettleable::OnSilence { got });
    }
    Ok(())
}

fn money(terms: &Terms) -> Result<(), NotSettleable> {
    if terms.commission_bps > Bps::MAX {
        let got = terms.commission_bps.0;
        return Err(NotSettleable::CommissionBps { got });
    }
    if terms.gateway_fee_bps > Bps::MAX {
        let got = terms.gateway_fee_bps.0;
        return Err(NotSettleable::GatewayFeeBps { got });
    }
    if terms.commission_payee.is_zero() != (terms.commission_bps.0 == 0) {
        return Err(NotSettleable::CommissionPayee);
    }
    if terms.gateway_fee_payee.is_zero() != (terms.gateway_fee_bps.0 == 0) {
        return Err(NotSettleable::GatewayFeePayee);
    }
    if terms.budget == 0 {
        return Err(NotSettleable::NoBudget);
    }
    if terms.validator_fee_cap > terms.budget / 2 {
        return Err(NotSettleable::ValidatorFeeCap {
            cap: terms.validator_fee_cap,
            budget: terms.budget,
        });
    }
    Ok(())
}

fn times(terms: &Terms, now: UnixSeconds) -> Result<(), NotSettleable> {
    if terms.issued_at < UnixSeconds(0) {
        return Err(NotSettleable::IssuedBeforeEpoch);
    }
    if terms.issued_at > now.saturating_add(CREATION_SLACK_S) {
        return Err(NotSettleable::IssuedInTheFuture);
    }
    if terms.issued_at >= terms.settle_by {
        return Err(NotSettleable::SettleBy);
    }
    if terms.settle_by.saturating_add(MIN_GRACE_S) > terms.refund_after {
        return Err(NotSettleable::GraceTooShort);
    }
    if terms.refund_after > terms.issued_at.saturating_add(MAX_LIFE_S) {
        return Err(NotSettleable::LivesTooLong);
    }
    Ok(())
}

fn parties(terms: &Terms, domain: &Domain) -> Result<(), NotSettleable> {
    if terms.mint.is_zero() {
        return Err(NotSettleable::NoMint);
    }
    if terms.refund_to.is_zero() {
        return Err(NotSettleable::NoRefundTo);
    }
    if terms.validator_set.is_zero() {
        return Err(NotSettleable::NoValidatorSet);
    }
    if terms.refund_to == terms.mint || terms.refund_to == domain.program {
        return Err(NotSettleable::RefundToForbidden);
    }
    Ok(())
}
