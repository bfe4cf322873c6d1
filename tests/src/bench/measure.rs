//! What is measured: time, CPU time and memory of a process, and the distribution of latencies. All integers.

use std::time::{Duration, Instant};

/// Now.
#[allow(
    clippy::disallowed_methods,
    reason = "measuring time is what this is for"
)]
pub(super) fn instant() -> Instant {
    Instant::now()
}

/// CPU time a process and its threads have used, user and system. Counted in ticks of 10 ms.
pub(super) fn cpu_of(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    // The name in parentheses may hold anything; fields are counted after it.
    let (_, fields) = stat.rsplit_once(") ").expect("a process name");
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("ticks"))
        .sum();
    Duration::from_micros(ticks * 1_000_000 / rustix::param::clock_ticks_per_second())
}

/// CPU time of this process.
pub(super) fn own_cpu() -> Duration {
    cpu_of(std::process::id())
}

/// Resident memory of this process, KiB.
pub(super) fn own_rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("own status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("VmRSS");
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("KiB")
}

/// Latencies, sorted.
#[derive(Debug, Default)]
pub(super) struct Latencies(Vec<u64>);

impl Latencies {
    /// Of durations in any order.
    pub(super) fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut micros: Vec<u64> = durations
            .into_iter()
            .map(|d| u64::try_from(d.as_micros()).unwrap())
            .collect();
        micros.sort_unstable();
        Self(micros)
    }

    /// How many.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap()
    }

    /// The smallest latency that at least `percent` of all do not exceed, µs; 0 of none.
    pub(super) fn percentile_us(&self, percent: u64) -> u64 {
        let rank = (self.len() * percent).div_ceil(100).max(1);
        let index = usize::try_from(rank - 1).unwrap();
        self.0.get(index).copied().unwrap_or(0)
    }
}

/// `count` per second over `time`.
pub(super) fn per_second(count: u64, time: Duration) -> u64 {
    let micros = u64::try_from(time.as_micros()).unwrap().max(1);
    count * 1_000_000 / micros
}

/// µs of `time` for each of `count`.
pub(super) fn micros_each(time: Duration, count: u64) -> u64 {
    u64::try_from(time.as_micros()).unwrap() / count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_latency_that_was_seen() {
        let latencies = Latencies::of((1..=200).rev().map(Duration::from_micros));
        assert_eq!(latencies.percentile_us(50), 100);
        assert_eq!(latencies.percentile_us(99), 198);
        assert_eq!(latencies.percentile_us(100), 200);
        let one = Latencies::of([Duration::from_micros(7)]);
        assert_eq!((one.percentile_us(50), one.percentile_us(99)), (7, 7));
        assert_eq!(Latencies::default().percentile_us(99), 0);
    }

    #[test]
    fn cpu_time_of_this_process_grows_with_work() {
        let before = own_cpu();
        let start = instant();
        let mut sum = 0_u64;
        while own_cpu() < before + Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_add(1));
            assert!(start.elapsed() < Duration::from_secs(60), "{sum}");
        }
        assert!(own_rss_kib() > 500);
    }
}
