//! The task's deadlines as this gateway compares them: wall clock, ms.

use d402_objects::UnixMs;
use d402_settlement::UnixSeconds;
use d402_settlement::market::Times;

/// Deadlines in ms. Chain seconds count as wall time here: the gateway only *starts* things by them, the
/// chain's own clock decides whether they work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    pub(super) fund_by_ms: u64,
    pub(super) commit_by_ms: u64,
    pub(super) settle_by_ms: u64,
    pub(super) refund_after_ms: u64,
}

impl Deadlines {
    pub(super) fn of(times: &Times) -> Self {
        Self {
            fund_by_ms: times.fund_by_ms.get(),
            commit_by_ms: times.commit_by_ms.get(),
            settle_by_ms: in_ms(times.settle_by_s),
            refund_after_ms: in_ms(times.refund_after_s),
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
