//! Waiting for conditions, with a bound; nothing here waits for time alone.

use std::time::Duration;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Looks until `look` gives something; fails the test after `limit`.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(limit, looking)
        .await
        .unwrap_or_else(|_| panic!("not within {limit:?}: {what}"))
}

/// Wall clock, unix ms.
#[allow(clippy::disallowed_methods, reason = "this is the clock of the tests")]
#[must_use]
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("the clock is after 1970");
    u64::try_from(since.as_millis()).expect("the clock is before the year 500 million")
}
