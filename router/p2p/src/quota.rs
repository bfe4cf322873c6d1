//! A rate for each key, in bounded memory.

use std::{hash::Hash, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

use crate::Rate;

/// Keys whose recent use is remembered. Beyond it everybody waits for the next [`KeyedQuota::prune`]:
/// refusing is safe, forgetting a key would give it a new burst.
const KEYS_MAX: usize = 1 << 16;

/// The wait told to those who meet a full table.
const FULL_TABLE_WAIT: Duration = Duration::from_secs(1);

/// A rate that applies to each key separately.
pub(crate) struct KeyedQuota<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    keys_max: usize,
}

impl<K: Hash + Eq + Clone> KeyedQuota<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        Self::with_keys_max(rate, KEYS_MAX)
    }

    fn with_keys_max(rate: Rate, keys_max: usize) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self {
            limiter: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            keys_max,
        }
    }

    /// Uses one cell of `key`, or says how long until there is one.
    pub(crate) fn take(&self, key: &K) -> Result<(), Duration> {
        if self.limiter.len() >= self.keys_max {
            return Err(FULL_TABLE_WAIT);
        }
        self.limiter
            .check_key(key)
            .map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }

    /// Forgets keys that are back at their full burst. Call it about once a second.
    pub(crate) fn prune(&self) {
        self.limiter.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_out_of_cells_leaves_another_its_own() {
        let quota = KeyedQuota::new(Rate::new(1, 3));
        for _ in 0..3 {
            quota.take(&"a").unwrap();
        }
        let wait = quota.take(&"a").unwrap_err();
        assert!(
            wait > Duration::ZERO && wait <= Duration::from_secs(1),
            "{wait:?}"
        );
        quota.take(&"b").unwrap();
    }

    #[test]
    fn a_full_table_refuses_instead_of_growing() {
        let quota = KeyedQuota::with_keys_max(Rate::new(1, 1), 2);
        quota.take(&1).unwrap();
        quota.take(&2).unwrap();
        assert_eq!(quota.take(&3), Err(FULL_TABLE_WAIT));
        quota.prune();
        assert_eq!(
            quota.take(&3),
            Err(FULL_TABLE_WAIT),
            "keys in use are not forgotten"
        );
    }
}
