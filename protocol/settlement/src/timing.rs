//! Deadlines of a task as functions of its terms (spec §3.1 constants, §5.3, §5.6).
//!
//! All deadlines are half-open: `now < x` is before. Milliseconds are wall clock of the market, seconds are
//! chain clock; conversions round so that the chain never closes before the market does.

/// Longest time a 402 stays payable, ms.
pub const CHALLENGE_TTL_MS: u64 = 120_000;
/// A deposit must be there this long before the deadline, ms.
pub const FUND_MARGIN_MS: u64 = 5_000;
/// Shortest time between issue and deadline, ms.
pub const MIN_DEADLINE_MS: u64 = 10_000;
/// Default time between `fundBy` and the deadline, ms.
pub const DEFAULT_WORK_MS: u64 = 30_000;
/// Longest time between issue and deadline, ms.
pub const MAX_DEADLINE_MS: u64 = 24 * 3_600_000;
/// Commits close this long before the deadline, ms, when the deadline leaves at least [`SHORT_TASK_MS`].
pub const COMMIT_MARGIN_MS: u64 = 4_000;
/// Below this window the commit margin is a fifth of it.
pub const SHORT_TASK_MS: u64 = 20_000;
/// Smallest commit margin, ms.
pub const MIN_COMMIT_MARGIN_MS: u64 = 1_000;
/// Reveals without a strong certificate start this long after commits closed, ms.
pub const REVEAL_GAP_MS: u64 = 2_000;
/// Least time validators have to judge, s.
pub const MIN_DECISION_S: u64 = 60;
/// Most, s.
pub const MAX_DECISION_S: u64 = 3_600;
/// The slow path starts this long before `settleBy`, s.
pub const DECIDE_BEFORE_SETTLE_BY_S: u64 = 20;

/// Which chain's grace between `settleBy` and `refundAfter` applies (threat #35).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainClass {
    /// Solana and everything that runs its codec.
    Solana,
    /// Base.
    Base,
}

/// First moment at which a deposit is late, ms.
#[must_use]
pub const fn fund_by_ms(issued_at_ms: u64, deadline_ms: u64) -> u64 {
    let by_ttl = issued_at_ms.saturating_add(CHALLENGE_TTL_MS);
    let by_deadline = deadline_ms.saturating_sub(FUND_MARGIN_MS);
    if by_ttl < by_deadline {
        by_ttl
    } else {
        by_deadline
    }
}

/// First moment at which no commit is acked any more, ms (spec §5.3). The time left is counted from
/// `issuedAt`, so that it is one number for everybody.
#[must_use]
pub const fn commit_by_ms(issued_at_ms: u64, deadline_ms: u64) -> u64 {
    let window = deadline_ms.saturating_sub(issued_at_ms);
    let margin = if window >= SHORT_TASK_MS {
        COMMIT_MARGIN_MS
    } else {
        match window.checked_div(5) {
            Some(fifth) if fifth > MIN_COMMIT_MARGIN_MS => fifth,
            Some(_) | None => MIN_COMMIT_MARGIN_MS,
        }
    };
    deadline_ms.saturating_sub(margin)
}

/// From here on a claim may be revealed with m acks, ms (spec §5.5).
#[must_use]
pub const fn reveal_from_ms(commit_by_ms: u64) -> u64 {
    commit_by_ms.saturating_add(REVEAL_GAP_MS)
}

/// `settleBy`, unix seconds: the deadline rounded up and the time to judge.
#[must_use]
pub const fn settle_by_s(deadline_ms: u64, decision_time_s: u64) -> u64 {
    let decision = if decision_time_s < MIN_DECISION_S {
        MIN_DECISION_S
    } else if decision_time_s > MAX_DECISION_S {
        MAX_DECISION_S
    } else {
        decision_time_s
    };
    deadline_ms.div_ceil(1_000).saturating_add(decision)
}

/// Start of the slow path, ms (spec §5.6).
#[must_use]
pub const fn decide_at_ms(settle_by_s: u64) -> u64 {
    settle_by_s
        .saturating_sub(DECIDE_BEFORE_SETTLE_BY_S)
        .saturating_mul(1_000)
}

/// `refundAfter`, unix seconds. `large` is a budget above 100 USD.
#[must_use]
pub const fn refund_after_s(class: ChainClass, settle_by_s: u64, large: bool) -> u64 {
    let grace = match (class, large) {
        (ChainClass::Solana, false) => 900,
        (ChainClass::Base, false) => 1_800,
        (ChainClass::Solana, true) => 2 * 3_600,
        (ChainClass::Base, true) => 13 * 3_600,
    };
    settle_by_s.saturating_add(grace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_task_keeps_a_fifth_of_its_window_for_reveal_and_never_less_than_a_second() {
        assert_eq!(commit_by_ms(0, 15_000), 12_000);
        assert_eq!(commit_by_ms(0, 19_999), 16_000);
        assert_eq!(commit_by_ms(0, 20_000), 16_000);
        assert_eq!(commit_by_ms(0, 3_000), 2_000);
        assert_eq!(commit_by_ms(0, 86_400_000), 86_396_000);
    }

    #[test]
    fn funding_closes_before_the_deadline_and_within_the_challenges_life() {
        assert_eq!(fund_by_ms(1_000, 16_000), 11_000);
        assert_eq!(fund_by_ms(1_000, 1_000_000), 121_000);
    }

    #[test]
    fn settle_by_rounds_the_deadline_up_and_bounds_the_time_to_judge() {
        assert_eq!(settle_by_s(15_001, 0), 76);
        assert_eq!(settle_by_s(15_000, 90), 105);
        assert_eq!(settle_by_s(15_000, 1_000_000), 3_615);
        assert_eq!(decide_at_ms(75), 55_000);
    }

    #[test]
    fn grace_grows_with_the_chain_and_the_amount() {
        assert_eq!(refund_after_s(ChainClass::Solana, 100, false), 1_000);
        assert_eq!(refund_after_s(ChainClass::Base, 100, false), 1_900);
        assert_eq!(refund_after_s(ChainClass::Solana, 100, true), 7_300);
        assert_eq!(refund_after_s(ChainClass::Base, 100, true), 46_900);
    }
}
