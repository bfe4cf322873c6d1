//! When this instance knows that a task will be due, so that its timer is not late by a whole look.
//!
//! Only a hint: timers are rows in the store, and those are looked through at fixed times, whatever is noted here.

use std::collections::BTreeSet;
use std::time::Duration;

/// Due tasks are looked for at least this often.
pub(super) const TICK: Duration = Duration::from_millis(50);
/// Moments are rounded up to this, ms: many tasks share a look, and what is noted stays small.
const GRAIN_MS: u64 = 5;
/// Nothing is noted further ahead, ms.
const HORIZON_MS: u64 = 2_000;

/// Moments at which some task is due, rounded up; never more than the horizon has grains, plus what is past.
#[derive(Debug, Default)]
pub(super) struct Wakes(BTreeSet<u64>);

impl Wakes {
    /// A task of this instance is due at `wake_at_ms`.
    pub(super) fn note(&mut self, wake_at_ms: u64, now_ms: u64) {
        if wake_at_ms > now_ms && wake_at_ms <= now_ms.saturating_add(HORIZON_MS) {
            self.0.insert(wake_at_ms.div_ceil(GRAIN_MS));
        }
    }

    /// How long to wait before the next look, and forgets the moments that are over.
    pub(super) fn pause(&mut self, now_ms: u64) -> Duration {
        let grain = now_ms.checked_div(GRAIN_MS).unwrap_or(now_ms);
        self.0 = self.0.split_off(&grain.saturating_add(1));
        let next = self.0.first().map(|next| {
            let at_ms = next.saturating_mul(GRAIN_MS);
            Duration::from_millis(at_ms.saturating_sub(now_ms))
        });
        next.map_or(TICK, |next| next.min(TICK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_task_that_is_due_soon_is_looked_for_then_and_not_later() {
        let mut wakes = Wakes::default();
        assert_eq!(wakes.pause(1_000), TICK);
        wakes.note(1_021, 1_000);
        wakes.note(1_400, 1_000);
        // Not before it is due, and at most a grain after.
        assert_eq!(wakes.pause(1_000), ms(25));
        assert_eq!(wakes.pause(1_025), TICK);
        assert_eq!(wakes.pause(1_390), ms(10));
        assert_eq!(wakes.pause(1_400), TICK);
    }

    #[test]
    fn what_is_noted_is_bounded() {
        let mut wakes = Wakes::default();
        for at_ms in 0..100_000 {
            wakes.note(at_ms, 0);
        }
        assert_eq!(wakes.0.len(), 400);
        assert_eq!(wakes.pause(50_000), TICK);
        assert!(wakes.0.is_empty());
    }
}
