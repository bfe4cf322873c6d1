//! The task's deadlines as this gateway compares them: wall clock, ms, all half-open.

use d402_objects::{OnSilence, UnixMs};
use d402_settlement::UnixSeconds;
use d402_settlement::market::Dossier;

/// Allowance for the clocks of validators: what they may do from some moment on is asked for this much
/// later, ms.
pub(super) const SKEW_MS: u64 = 1_000;
/// With `onSilence: MAJORITY` validators stop signing this long before `refundAfter`, ms (spec §3.1).
const STOP_BEFORE_REFUND_MS: u64 = 60_000;

/// Deadlines in ms. Chain seconds count as wall time here: the gateway only *starts* things by them, the
/// chain's own clock decides whether they work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    pub(super) fund_by_ms: u64,
    pub(super) commit_by_ms: u64,
    /// A rejection without evidence may be asked for from here on (spec §4.4a).
    pub(super) reject_from_ms: u64,
    /// What is known decides from here on (spec §5.8).
    pub(super) decide_from_ms: u64,
    pub(super) settle_by_ms: u64,
    /// No validator signs from here on (spec §3.1).
    pub(super) sign_until_ms: u64,
    pub(super) refund_after_ms: u64,
}

impl Deadlines {
    pub(super) fn of(dossier: &Dossier) -> Self {
        let times = dossier.times();
        let settle_by_ms = in_ms(times.settle_by_s);
        let refund_after_ms = in_ms(times.refund_after_s);
        Self {
            fund_by_ms: times.fund_by_ms.get(),
            commit_by_ms: times.commit_by_ms.get(),
            reject_from_ms: times.deadline_ms.get().saturating_add(SKEW_MS),
            decide_from_ms: times.decide_at_ms.get().saturating_add(SKEW_MS),
            settle_by_ms,
            sign_until_ms: match dossier.intent().on_silence {
                OnSilence::Refund => settle_by_ms,
                OnSilence::Majority => refund_after_ms
                    .saturating_sub(STOP_BEFORE_REFUND_MS)
                    .max(settle_by_ms),
            },
            refund_after_ms,
        }
    }
}

fn in_ms(seconds: UnixSeconds) -> u64 {
    u64::try_from(seconds.0).unwrap_or(0).saturating_mul(1_000)
}

/// A moment as an object's field; beyond 2^53 − 1 ms (the year 287396) it stays there.
pub(super) fn unix_ms(ms: u64) -> UnixMs {
    UnixMs::default().saturating_add_ms(ms)
}
