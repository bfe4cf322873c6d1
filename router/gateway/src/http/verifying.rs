//! Verifying a payment by the flow of its rail: into a vault before the work, or straight to a worker after it.

use d402_core::ports::{DirectAsk, PaymentFault, Rail, VerifiedPayment};
use d402_objects::{PaymentOption, Value};
use d402_settlement::ValidatorSet;
use d402_settlement::market::Dossier;

use super::error::HttpError;

/// Time after the deadline in which accepted work is signed for and collected, ms: an authorization that lapses
/// before is not taken.
const COLLECT_MS: u64 = 10_000;

/// What is asked of a payment.
pub(super) struct Asking<'a> {
    pub(super) set: &'a ValidatorSet,
    pub(super) terms: &'a [u8],
    pub(super) payment: &'a PaymentOption,
    pub(super) deadline_ms: u64,
}

impl<'a> Asking<'a> {
    pub(super) fn of(dossier: &'a Dossier) -> Self {
        Self {
            set: dossier.set(),
            terms: dossier.terms_bytes(),
            payment: dossier.payment(),
            deadline_ms: dossier.intent().deadline_ms.get(),
        }
    }
}

/// Changes nothing.
pub(super) async fn verified(
    rail: &dyn Rail,
    payload: &Value,
    asking: &Asking<'_>,
) -> Result<Result<VerifiedPayment, PaymentFault>, HttpError> {
    let payment = asking.payment;
    let Some(straight) = &payment.direct else {
        rail.learn_set(asking.set);
        return Ok(rail.verify(payload, asking.terms).await?);
    };
    let direct = rail.direct().ok_or(HttpError::Internal { what: "rail" })?;
    let ask = DirectAsk {
        pay_to: &straight.pay_to,
        asset: &payment.asset,
        amount: payment.budget,
        hold_until_ms: asking.deadline_ms.saturating_add(COLLECT_MS),
    };
    Ok(direct.verify_direct(payload, &ask).await?)
}
