//! When a peer that failed may be tried again.

use std::time::Duration;

/// Doubles the pause with each failure. Times are since the start of the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    failures: u32,
    not_before: Duration,
}

/// The shortest and longest pause.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pauses {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

impl Backoff {
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        now >= self.not_before
    }

    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// The next try is after a pause between half and all of `min · 2^failures`, at most `max`. `random`
    /// spreads nodes that failed at the same moment.
    pub(crate) fn failed(&mut self, now: Duration, pauses: Pauses, random: u64) {
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let pause = pauses.min.saturating_mul(doubled).min(pauses.max);
        let half = pause.checked_div(2).unwrap_or_default();
        let half_ms = u64::try_from(half.as_millis()).unwrap_or(u64::MAX);
        let spread_ms = random.checked_rem(half_ms.saturating_add(1)).unwrap_or(0);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now
            .saturating_add(half)
            .saturating_add(Duration::from_millis(spread_ms));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests may panic")]

    use proptest::prelude::*;

    use super::*;

    const PAUSES: Pauses = Pauses {
        min: Duration::from_millis(100),
        max: Duration::from_millis(5000),
    };

    #[test]
    fn a_new_peer_is_due_and_a_failed_one_is_not() {
        let mut backoff = Backoff::default();
        let now = Duration::from_secs(9);
        assert!(backoff.is_due(now));
        backoff.failed(now, PAUSES, 0);
        assert!(!backoff.is_due(now));
        assert!(backoff.is_due(now + PAUSES.min));
        backoff.succeeded();
        assert!(backoff.is_due(now));
    }

    proptest! {
        #[test]
        fn pauses_stay_between_half_the_doubled_minimum_and_the_maximum(
            randoms in proptest::collection::vec(any::<u64>(), 1..80),
        ) {
            let mut backoff = Backoff::default();
            let now = Duration::from_secs(1);
            for (failure, random) in randoms.into_iter().enumerate() {
                backoff.failed(now, PAUSES, random);
                let doubled = 2_u32.saturating_pow(u32::try_from(failure).unwrap());
                let least = PAUSES.min.saturating_mul(doubled).min(PAUSES.max) / 2;
                prop_assert!(backoff.not_before >= now + least);
                prop_assert!(backoff.not_before <= now + PAUSES.max);
            }
        }
    }
}
