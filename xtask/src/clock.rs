//! The one place of this crate that reads a clock; everything else is handed durations.

use std::time::{Duration, Instant};

/// A started stopwatch.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[allow(
        clippy::disallowed_methods,
        reason = "the clock adapter of the build tool"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Prints a duration the way the step list does: `850 ms`, `12.3 s`, `4 min 05 s`.
pub(crate) fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_in_the_largest_fitting_unit() {
        assert_eq!(show(Duration::from_millis(850)), "850 ms");
        assert_eq!(show(Duration::from_millis(12_345)), "12.3 s");
        assert_eq!(show(Duration::from_secs(245)), "4 min 05 s");
    }
}
