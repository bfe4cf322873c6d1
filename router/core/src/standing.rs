//! Local standing of workers: who failed lately bids behind who did not.
//!
//! A heuristic of this gateway only (threat #65 keeps global reputation elsewhere): it orders bids, never
//! decides about money. Penalties decay by half every [`HALF_LIFE_MS`].

use std::collections::BTreeMap;

use d402_objects::Ed25519Id;

/// A penalty halves in this time: ten minutes, long enough to keep a liar out of the next tasks, short
/// enough that one outage is forgotten.
pub const HALF_LIFE_MS: u64 = 600_000;
/// Most workers remembered; beyond it the one with the smallest penalty is forgotten first.
pub const MAX_WORKERS: usize = 4096;

/// A claim that validators rejected.
pub const CLAIM_REJECTED: u32 = 1_000;
/// An accepted lease that expired.
pub const LEASE_EXPIRED: u32 = 300;

/// Penalties by worker.
#[derive(Clone, Debug, Default)]
pub struct Standings {
    by_worker: BTreeMap<Ed25519Id, Penalty>,
}

#[derive(Clone, Copy, Debug)]
struct Penalty {
    points: u32,
    at_ms: u64,
}

impl Penalty {
    fn at(self, now_ms: u64) -> u32 {
        let halvings = now_ms
            .saturating_sub(self.at_ms)
            .checked_div(HALF_LIFE_MS)
            .unwrap_or(0);
        u32::try_from(halvings)
            .ok()
            .and_then(|h| self.points.checked_shr(h))
            .unwrap_or(0)
    }
}

impl Standings {
    /// Adds `points` to a worker's penalty.
    pub fn penalise(&mut self, worker: Ed25519Id, points: u32, now_ms: u64) {
        let current = self.penalty(&worker, now_ms);
        if self.by_worker.len() >= MAX_WORKERS && !self.by_worker.contains_key(&worker) {
            let least = self
                .by_worker
                .iter()
                .min_by_key(|(_, p)| p.at(now_ms))
                .map(|(w, _)| *w);
            if let Some(least) = least {
                self.by_worker.remove(&least);
            }
        }
        self.by_worker.insert(
            worker,
            Penalty {
                points: current.saturating_add(points),
                at_ms: now_ms,
            },
        );
    }

    /// Current penalty; 0 for the unknown.
    #[must_use]
    pub fn penalty(&self, worker: &Ed25519Id, now_ms: u64) -> u32 {
        self.by_worker.get(worker).map_or(0, |p| p.at(now_ms))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

    use d402_settlement::market::testkit::key;

    use super::*;

    fn worker(index: usize) -> Ed25519Id {
        (&key("standing", index)).into()
    }

    #[test]
    fn a_penalty_halves_every_half_life_and_adds_up() {
        let mut standings = Standings::default();
        standings.penalise(worker(0), CLAIM_REJECTED, 0);
        assert_eq!(standings.penalty(&worker(0), HALF_LIFE_MS - 1), 1_000);
        assert_eq!(standings.penalty(&worker(0), HALF_LIFE_MS), 500);
        standings.penalise(worker(0), LEASE_EXPIRED, HALF_LIFE_MS);
        assert_eq!(standings.penalty(&worker(0), HALF_LIFE_MS), 800);
        assert_eq!(standings.penalty(&worker(0), 40 * HALF_LIFE_MS), 0);
        assert_eq!(standings.penalty(&worker(1), 0), 0);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_smallest_penalty_first() {
        let mut standings = Standings::default();
        for index in 0..MAX_WORKERS {
            let points = if index == 7 { 1 } else { 100 };
            standings.penalise(worker(index), points, 0);
        }
        standings.penalise(worker(MAX_WORKERS), 100, 0);
        assert_eq!(standings.by_worker.len(), MAX_WORKERS);
        assert_eq!(standings.penalty(&worker(7), 0), 0);
        assert_eq!(standings.penalty(&worker(0), 0), 100);
    }
}
