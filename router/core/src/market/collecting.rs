//! `Collecting`: the union of the validators' inventories, and what follows from it (spec §5.8, simple form).

use std::collections::BTreeSet;

use d402_objects::{Inventory, Signed, UnixMs};
use d402_settlement::market::{Decision, EvidenceObject, Facts, decide};
use d402_wire::RawEnvelope;

use super::deadlines::unix_ms;
use super::{Phase, Refused, Task};
use crate::Effect;

/// Inventories of q validators are enough after this time, ms.
const ENOUGH_MS: u64 = 600;
/// Without q inventories the collection is given up after this time, ms.
const GIVE_UP_MS: u64 = 4_000;
/// Smallest pause before the next collection, ms; doubles up to [`MAX_PAUSE_MS`].
const MIN_PAUSE_MS: u64 = 300;
/// Largest pause, ms.
const MAX_PAUSE_MS: u64 = 5_000;
/// Most objects taken from one inventory.
const MAX_OBJECTS: usize = 1_024;

impl Task {
    pub(super) fn start_collecting(&mut self, now_ms: u64) -> Vec<Effect> {
        self.phase = Phase::Collecting { since_ms: now_ms, heard: BTreeSet::new() };
        self.ask_inventories()
    }

    pub(super) fn ask_inventories(&self) -> Vec<Effect> {
        self.validators().map(|set_index| Effect::AskInventory { set_index }).collect()
    }

    /// Takes every object that belongs to this task; the rest is dropped. An inventory can only add.
    pub(super) fn inventory_seen(
        &mut self,
        inventory: &Signed<Inventory>,
        objects: Vec<RawEnvelope>,
        now_ms: u64,
    ) -> Result<Vec<Effect>, Refused> {
        if !matches!(self.phase, Phase::Collecting { .. }) {
            return Err(self.wrong_phase());
        }
        let payload = inventory.payload();
        if payload.task_id != self.task_id() || payload.terms_hash != self.dossier.terms_hash() {
            return Err(Refused::OtherTask);
        }
        let set_index = self.dossier.set_index_of(&payload.validator).ok_or(Refused::Stranger)?;
        // What does not verify or does not belong is the sender's problem, not the task's.
        let objects = objects
            .into_iter()
            .take(MAX_OBJECTS)
            .filter_map(|raw| EvidenceObject::from_value(raw.0).ok())
            .collect();
        let _refused = self.evidence.insert_all(objects);
        if let Phase::Collecting { heard, .. } = &mut self.phase {
            heard.insert(set_index);
        }
        Ok(self.collect_on(now_ms))
    }

    /// Decides as soon as enough validators were heard.
    pub(super) fn collect_on(&mut self, now_ms: u64) -> Vec<Effect> {
        let Phase::Collecting { since_ms, heard } = &self.phase else { return Vec::new() };
        let waited = now_ms.saturating_sub(*since_ms);
        let all = heard.len() >= self.validators().len();
        let enough = heard.len() >= self.final_quorum() && waited >= ENOUGH_MS;
        if all || enough {
            return self.derive_and_propose(now_ms);
        }
        if waited >= GIVE_UP_MS {
            return self.collect_later(now_ms, now_ms);
        }
        Vec::new()
    }

    fn derive_and_propose(&mut self, now_ms: u64) -> Vec<Effect> {
        let facts = Facts { now_ms: unix_ms(now_ms), deposit: self.deposit, paid_elsewhere: false };
        match decide(&self.evidence, &facts) {
            Decision::Decided(decided) => self.propose(decided, now_ms),
            Decision::Undecided { not_before_ms, .. } => {
                self.collect_later(not_before_ms.map_or(now_ms, UnixMs::get), now_ms)
            }
        }
    }

    /// Back to work until `not_before_ms`, and never sooner than the growing pause.
    pub(super) fn collect_later(&mut self, not_before_ms: u64, now_ms: u64) -> Vec<Effect> {
        let pause = MIN_PAUSE_MS.checked_shl(self.fruitless.min(8)).unwrap_or(MAX_PAUSE_MS).min(MAX_PAUSE_MS);
        self.fruitless = self.fruitless.saturating_add(1);
        self.collect_not_before_ms = not_before_ms.max(now_ms.saturating_add(pause));
        if now_ms >= self.times().settle_by_ms {
            // No validator signs any more (spec §3.1, onSilence REFUND): what is left is the refund.
            self.collect_not_before_ms = self.times().refund_after_ms;
        }
        self.phase = Phase::Working;
        Vec::new()
    }

    pub(super) fn collect_wake_ms(&self, since_ms: u64) -> u64 {
        let Phase::Collecting { heard, .. } = &self.phase else { return since_ms };
        let wait = if heard.len() >= self.final_quorum() { ENOUGH_MS } else { GIVE_UP_MS };
        since_ms.saturating_add(wait)
    }
}
