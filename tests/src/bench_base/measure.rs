//! CPU time of a process and latencies of what it was asked. All integers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Linux counts CPU time of processes in hundredths of a second, whatever the kernel's own tick is.
const TICK: Duration = Duration::from_millis(10);

/// What an operation costs the process that does it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    operations: u64,
    cpu_us: u64,
    p50_us: u64,
    p99_us: u64,
}

impl Cost {
    pub(crate) fn json(&self) -> Value {
        json!({
            "operations": self.operations,
            "cpuUs": self.cpu_us,
            "p50Us": self.p50_us,
            "p99Us": self.p99_us,
        })
    }

    pub(crate) fn text(&self) -> String {
        format!(
            "{} operations, {} us of CPU each, p50 {} us, p99 {} us",
            self.operations, self.cpu_us, self.p50_us, self.p99_us
        )
    }
}

/// Tenths of how many times less CPU `cheap` takes. A process too cheap to be seen counts as one microsecond.
pub(crate) fn ratio_tenths(dear: &Cost, cheap: &Cost) -> u64 {
    dear.cpu_us * 10 / cheap.cpu_us.max(1)
}

/// Measures a process while it is asked.
#[derive(Debug)]
pub(crate) struct Meter {
    pid: u32,
    since: Duration,
    cpu: Duration,
    latencies: Vec<Duration>,
}

impl Meter {
    pub(crate) fn new(pid: u32) -> Self {
        Self {
            pid,
            since: cpu_of(pid),
            cpu: Duration::ZERO,
            latencies: Vec::new(),
        }
    }

    /// Work from here on counts; what was before does not.
    pub(crate) fn restart(&mut self) {
        self.since = cpu_of(self.pid);
    }

    /// Work up to here counts.
    pub(crate) fn stop(&mut self) {
        let now = cpu_of(self.pid);
        self.cpu += now - self.since;
        self.since = now;
    }

    /// Waits for an operation.
    #[allow(
        clippy::disallowed_methods,
        reason = "measuring time is what this is for"
    )]
    pub(crate) async fn time<T>(&mut self, operation: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let done = operation.await;
        self.latencies.push(start.elapsed());
        done
    }

    pub(crate) fn cost(mut self) -> Cost {
        self.latencies.sort_unstable();
        let operations = u64::try_from(self.latencies.len()).expect("small");
        let micros = |d: Duration| u64::try_from(d.as_micros()).expect("small");
        let percentile = |percent: usize| {
            let rank = (self.latencies.len() * percent).div_ceil(100).max(1);
            self.latencies.get(rank - 1).copied().map_or(0, micros)
        };
        Cost {
            operations,
            cpu_us: micros(self.cpu) / operations.max(1),
            p50_us: percentile(50),
            p99_us: percentile(99),
        }
    }
}

/// CPU time a process and its threads have used, user and system.
fn cpu_of(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    // The name in parentheses may hold anything; fields are counted after it.
    let (_, fields) = stat.rsplit_once(") ").expect("a process name");
    let ticks: u32 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u32>().expect("ticks"))
        .sum();
    TICK * ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_latency_that_was_seen_and_cpu_is_per_operation() {
        let meter = Meter {
            pid: std::process::id(),
            since: Duration::ZERO,
            cpu: Duration::from_millis(200),
            latencies: (1..=200).rev().map(Duration::from_micros).collect(),
        };
        let cost = meter.cost();
        assert_eq!((cost.p50_us, cost.p99_us), (100, 198));
        assert_eq!((cost.operations, cost.cpu_us), (200, 1_000));
        let dear = Cost {
            cpu_us: 20_500,
            ..cost
        };
        assert_eq!(ratio_tenths(&dear, &cost), 205);
    }

    #[test]
    fn cpu_time_of_a_process_grows_with_its_work() {
        let before = cpu_of(std::process::id());
        let mut sum = 0_u64;
        while cpu_of(std::process::id()) < before + TICK * 2 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
    }
}
