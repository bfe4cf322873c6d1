//! Every deadline of one task.

use d402_objects::{TaskIntent, UnixMs};

use super::DossierError;
use crate::UnixSeconds;
use crate::timing::{self, ChainClass};

/// Deadlines of a task, all half-open: `now < x` is before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When the intent was issued.
    pub issued_at_ms: UnixMs,
    /// A deposit from here on is late; no lease unless funded before.
    pub fund_by_ms: UnixMs,
    /// No commit is acked from here on; see [`Times::commit_closes`].
    pub commit_by_ms: UnixMs,
    /// From here on a claim may be revealed with m acks (spec §5.5).
    pub reveal_from_ms: UnixMs,
    /// Results stop counting.
    pub deadline_ms: UnixMs,
    /// The slow path decides from here on (spec §5.8).
    pub decide_at_ms: UnixMs,
    /// Chain clock: silence has consequences from here on.
    pub settle_by_s: UnixSeconds,
    /// Chain clock: from here on everything goes back.
    pub refund_after_s: UnixSeconds,
}

impl Times {
    /// First moment at which a commit under a lease that ends at `lease_expires_at` is not acked any more.
    #[must_use]
    pub fn commit_closes(&self, lease_expires_at: UnixMs) -> UnixMs {
        lease_expires_at.min(self.commit_by_ms)
    }

    pub(super) fn of(
        intent: &TaskIntent,
        decision_time_s: u32,
        class: ChainClass,
        large: bool,
    ) -> Result<Self, DossierError> {
        let (issued, deadline) = (intent.issued_at_ms.get(), intent.deadline_ms.get());
        let commit_by = timing::commit_by_ms(issued, deadline);
        let settle_by = timing::settle_by_s(deadline, u64::from(decision_time_s));
        let refund_after = timing::refund_after_s(class, settle_by, large);
        Ok(Self {
            issued_at_ms: intent.issued_at_ms,
            fund_by_ms: wall(timing::fund_by_ms(issued, deadline))?,
            commit_by_ms: wall(commit_by)?,
            reveal_from_ms: wall(timing::reveal_from_ms(commit_by))?,
            deadline_ms: intent.deadline_ms,
            decide_at_ms: wall(timing::decide_at_ms(settle_by))?,
            settle_by_s: chain(settle_by)?,
            refund_after_s: chain(refund_after)?,
        })
    }
}

fn wall(ms: u64) -> Result<UnixMs, DossierError> {
    UnixMs::new(ms).map_err(|_| DossierError::TimeTooLarge(ms))
}

pub(super) fn chain(seconds: u64) -> Result<UnixSeconds, DossierError> {
    i64::try_from(seconds)
        .map(UnixSeconds)
        .map_err(|_| DossierError::TimeTooLarge(seconds))
}
