//! `Collecting`: the union of the validators' inventories, and what follows from it (spec §5.8, simple form).

use std::collections::BTreeSet;

use d402_objects::{Inventory, Signed};
use d402_settlement::market::{Decision, EvidenceObject, Facts, decide};
use d402_wire::RawEnvelope;

use super::deadlines::unix_ms;
use super::{Phase, Refused, Task};
use crate::{Command, Effect};

/// Inventories of q validators are enough after this time, ms.
const ENOUGH_MS: u64 = 600;
/// Without q inventories the collection is given up after this time, ms.
const GIVE_UP_MS: u64 = 4_000;
/// Smallest pause before the next collection, ms; it doubles.
const MIN_PAUSE_MS: u64 = 300;
/// Largest pause while time may bring a better answer, ms.
const MAX_PAUSE_MS: u64 = 300_000;
/// Largest pause once what is known decides and only little time to sign is left, ms.
const MAX_LATE_PAUSE_MS: u64 = 2_000;
/// Most objects taken from one inventory.
const MAX_OBJECTS: usize = 1_024;

/// Most objects remembered of a task: what honest inventories of a race hold.
pub(super) const MAX_OPENED: usize = 128;
/// Most bytes of them together: a hostile validator may sign large objects.
const MAX_OPENED_BYTES: usize = 256 * 1024;

/// Objects of one task that were verified while it is at work: inventories repeat each other and what was told
/// before, and a text that is equal to the last byte, signature included, needs no second look.
#[derive(Debug, Default)]
pub struct Opened {
    objects: Vec<EvidenceObject>,
    bytes: usize,
}

impl Opened {
    /// Remembers a verified object, unless there is no room: then it is verified again.
    pub fn note(&mut self, object: impl Into<EvidenceObject>) {
        let object = object.into();
        let text = object.text().get();
        let bytes = self.bytes.saturating_add(text.len());
        let room = self.objects.len() < MAX_OPENED && bytes <= MAX_OPENED_BYTES;
        if room && self.find(text).is_none() {
            self.bytes = bytes;
            self.objects.push(object);
        }
    }

    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn open(&mut self, envelope: &RawEnvelope) -> Option<EvidenceObject> {
        if let Some(object) = self.find(envelope.text()) {
            return Some(object.clone());
        }
        let object = envelope.open_evidence().ok()?;
        self.note(object.clone());
        Some(object)
    }

    fn find(&self, text: &str) -> Option<&EvidenceObject> {
        self.objects
            .iter()
            .find(|object| object.text().get() == text)
    }
}

impl Task {
    pub(super) fn start_collecting(&mut self, now_ms: u64) -> Vec<Effect> {
        self.phase = Phase::Collecting {
            since_ms: now_ms,
            heard: BTreeSet::new(),
        };
        self.ask_inventories()
    }

    /// No lease follows; what the validators hold is asked for now.
    pub(super) fn collect_at_once(&mut self, now_ms: u64) -> Vec<Effect> {
        let mut effects = self.no_more_leases(now_ms);
        effects.extend(self.start_collecting(now_ms));
        effects
    }

    pub(super) fn ask_inventories(&self) -> Vec<Effect> {
        self.validators()
            .map(|set_index| Effect::AskInventory { set_index })
            .collect()
    }

    /// The objects a validator sent with its inventory that verify, at most `MAX_OBJECTS`, without those that are
    /// held to the last byte. What does not verify is the sender's problem, not the task's. Needs no place in the
    /// order of commands, so that the costly part of an inventory runs beside them.
    #[must_use]
    pub fn read_inventory(
        &self,
        objects: &[RawEnvelope],
        opened: &mut Opened,
    ) -> Vec<EvidenceObject> {
        let held = self.evidence.objects();
        let held: BTreeSet<&str> = held.iter().map(|object| object.text().get()).collect();
        objects
            .iter()
            .take(MAX_OBJECTS)
            .filter(|envelope| !held.contains(envelope.text()))
            .filter_map(|envelope| opened.open(envelope))
            .collect()
    }

    /// The command without the objects that are held by now: they would change nothing but the length of the
    /// journal, because inventories overlap.
    #[must_use]
    pub fn trimmed(&self, command: &Command) -> Command {
        let mut command = command.clone();
        if let Command::InventorySeen { objects, .. } = &mut command {
            objects.retain(|object| !self.evidence.contains(&object.cid()));
        }
        command
    }

    /// Takes every object that belongs to this task; the rest is dropped. An inventory can only add.
    pub(super) fn inventory_seen(
        &mut self,
        inventory: &Signed<Inventory>,
        objects: Vec<EvidenceObject>,
        now_ms: u64,
    ) -> Result<Vec<Effect>, Refused> {
        let Phase::Collecting { heard, .. } = &mut self.phase else {
            return Err(self.wrong_phase());
        };
        let payload = inventory.payload();
        if payload.task_id != self.dossier.task_id()
            || payload.terms_hash != self.dossier.terms_hash()
        {
            return Err(Refused::OtherTask);
        }
        let set_index = self
            .dossier
            .set_index_of(&payload.validator)
            .ok_or(Refused::Stranger)?;
        // Once per collection: a validator that repeats itself adds nothing but journal.
        if !heard.insert(set_index) {
            return Err(Refused::Duplicate);
        }
        let _refused = self.evidence.insert_all(objects);
        Ok(self.collect_on(now_ms))
    }

    /// Decides as soon as enough validators were heard.
    pub(super) fn collect_on(&mut self, now_ms: u64) -> Vec<Effect> {
        let Phase::Collecting { since_ms, heard } = &self.phase else {
            return Vec::new();
        };
        let waited = now_ms.saturating_sub(*since_ms);
        let all = heard.len() >= self.validators().len();
        let enough = heard.len() >= self.final_quorum() && waited >= ENOUGH_MS;
        if all || enough {
            return self.derive_and_propose(now_ms);
        }
        if waited >= GIVE_UP_MS {
            return self.collect_later(now_ms);
        }
        Vec::new()
    }

    fn derive_and_propose(&mut self, now_ms: u64) -> Vec<Effect> {
        let facts = Facts {
            now_ms: unix_ms(now_ms),
            deposit: self.deposit,
            paid_elsewhere: false,
        };
        match decide(&self.evidence, &facts) {
            Decision::Decided(decided) => self.propose(decided, now_ms),
            // More evidence may be on its way to those who were heard, so time is not the only thing that
            // can change the answer.
            Decision::Undecided { .. } => self.collect_later(now_ms),
        }
    }

    /// Back to work for a pause that grows, but never past a moment from which the rules allow more.
    pub(super) fn collect_later(&mut self, now_ms: u64) -> Vec<Effect> {
        let times = self.times();
        let longest = if now_ms >= times.decide_from_ms {
            MAX_LATE_PAUSE_MS
        } else {
            MAX_PAUSE_MS
        };
        let pause = MIN_PAUSE_MS
            .checked_shl(self.fruitless.min(16))
            .unwrap_or(longest)
            .min(longest);
        self.fruitless = self.fruitless.saturating_add(1);
        let turns = [times.reject_from_ms, times.decide_from_ms];
        let next_turn = turns
            .into_iter()
            .filter(|at_ms| *at_ms > now_ms)
            .min()
            .unwrap_or(u64::MAX);
        self.collect_not_before_ms = if now_ms >= times.sign_until_ms {
            // No validator signs any more: what is left is the refund.
            u64::MAX
        } else {
            now_ms.saturating_add(pause).min(next_turn)
        };
        self.worked_ms = now_ms;
        self.phase = Phase::Working;
        Vec::new()
    }

    pub(super) fn collect_wake_ms(&self, since_ms: u64) -> u64 {
        let Phase::Collecting { heard, .. } = &self.phase else {
            return since_ms;
        };
        let wait = if heard.len() >= self.final_quorum() {
            ENOUGH_MS
        } else {
            GIVE_UP_MS
        };
        since_ms.saturating_add(wait)
    }
}
