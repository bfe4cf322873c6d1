//! The single writer: batches commands, one transaction per batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use d402_core::ports::{MoneyEffect, MoneyStep, Rail, Step, StepOutcome};
use d402_core::{Effect, Record, Task};
use d402_objects::Cid;
use tokio::sync::mpsc;

use super::{Cell, Engine, EngineError, Loaded, Submission, encode, lock, pay_key};

/// Most commands in one transaction.
const BATCH: usize = 512;
/// Tasks kept in memory; final ones leave first.
pub(super) const MAX_IN_MEMORY: usize = 100_000;
/// A command that met a conflict this often is given up; timers make good.
const MAX_TRIES: u32 = 3;

/// A task while its batch is being built.
struct Draft {
    cell: Arc<Cell>,
    base: Loaded,
    task: Task,
    steps: u64,
    effects: Vec<Effect>,
    submissions: Vec<Submission>,
}

/// Drops final tasks from memory; their journals stay.
pub(super) fn forget_final(tasks: &mut BTreeMap<Cid, Arc<Cell>>) {
    tasks.retain(|_, cell| lock(&cell.state).task.ending().is_none());
}

pub(super) async fn run(engine: Engine, mut commands: mpsc::Receiver<Submission>) {
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            taken = commands.recv_many(&mut batch, BATCH) => {
                if taken == 0 {
                    return;
                }
                engine.write(batch).await;
            }
            () = engine.shared.stop.cancelled() => {
                // What was accepted before the stop is stored; the rest hears `Stopping`.
                commands.close();
                while let Ok(submission) = commands.try_recv() {
                    batch.push(submission);
                }
                engine.write(batch).await;
                return;
            }
        }
    }
}

impl Engine {
    async fn write(&self, batch: Vec<Submission>) {
        let mut drafts: BTreeMap<Cid, Draft> = BTreeMap::new();
        let mut steps = Vec::new();
        let mut owners = Vec::new();
        for submission in batch {
            self.draft(submission, &mut drafts, &mut steps, &mut owners)
                .await;
        }
        if steps.is_empty() {
            return;
        }
        match self.shared.ports.store.append(steps).await {
            Ok(outcomes) => {
                let lost: Vec<Cid> = owners
                    .iter()
                    .zip(&outcomes)
                    .filter(|(_, outcome)| **outcome == StepOutcome::Conflict)
                    .map(|(task_id, _)| *task_id)
                    .collect();
                for (task_id, draft) in drafts {
                    self.finish(task_id, draft, lost.contains(&task_id));
                }
            }
            Err(error) => {
                // It may be stored all the same: forget these tasks, so that the next look replays what is.
                tracing::error!(%error, "batch has no answer");
                for (task_id, draft) in drafts {
                    self.forget(&task_id);
                    for submission in draft.submissions {
                        answer(submission, Err(EngineError::Busy));
                    }
                }
            }
        }
    }

    /// Applies one command to a working copy and adds its step.
    #[allow(
        clippy::map_entry,
        reason = "the entry cannot be held across the await that loads the task"
    )]
    async fn draft(
        &self,
        submission: Submission,
        drafts: &mut BTreeMap<Cid, Draft>,
        steps: &mut Vec<Step>,
        owners: &mut Vec<Cid>,
    ) {
        let task_id = submission.task_id;
        if !drafts.contains_key(&task_id) {
            let cell = match self.cell(task_id).await {
                Ok(Some(cell)) => cell,
                Ok(None) => return answer(submission, Err(EngineError::UnknownTask)),
                Err(error) => return answer(submission, Err(error)),
            };
            let base = lock(&cell.state).clone();
            let task = (*base.task).clone();
            drafts.insert(
                task_id,
                Draft {
                    cell,
                    base,
                    task,
                    steps: 0,
                    effects: Vec::new(),
                    submissions: Vec::new(),
                },
            );
        }
        let Some(draft) = drafts.get_mut(&task_id) else {
            return;
        };
        let now_ms = self.now_ms();
        // The submission keeps the whole: after a conflict other things are known.
        let command = draft.task.trimmed(&submission.command);
        let effects = match draft.task.apply(command.clone(), now_ms) {
            Ok(effects) => effects,
            Err(refused) => return answer(submission, Err(refused.into())),
        };
        // Only what the task took: strangers may sign whatever they like.
        let shown = command.shown();
        if !shown.is_empty() {
            let mut opened = lock(&draft.cell.opened);
            shown.into_iter().for_each(|object| opened.note(object));
        }
        let record = Record::Applied {
            at_ms: now_ms,
            command,
        };
        steps.push(Step {
            task_id,
            seq: draft.base.next_seq.saturating_add(draft.steps),
            record: encode(&record),
            wake_at_ms: draft.task.wake_at_ms(),
            money: self.planned(&draft.task, &effects),
            now_ms,
        });
        owners.push(task_id);
        draft.steps = draft.steps.saturating_add(1);
        draft.effects.extend(effects);
        draft.submissions.push(submission);
    }

    /// Stored: publish the state and run its effects. Lost against another instance: forget and try again.
    fn finish(&self, task_id: Cid, draft: Draft, lost: bool) {
        if lost {
            self.forget(&task_id);
            for mut submission in draft.submissions {
                submission.tries = submission.tries.saturating_add(1);
                if submission.tries >= MAX_TRIES {
                    answer(submission, Err(EngineError::Busy));
                } else if let Err(full) = self.shared.queue.try_send(submission) {
                    answer(full.into_inner(), Err(EngineError::Busy));
                }
            }
            return;
        }
        if let Some(wake_at_ms) = draft.task.wake_at_ms() {
            lock(&self.shared.wakes).note(wake_at_ms, self.now_ms());
        }
        if draft.task.is_collected() {
            lock(&draft.cell.opened).clear();
        }
        let next_seq = draft.base.next_seq.saturating_add(draft.steps);
        *lock(&draft.cell.state) = Loaded {
            task: Arc::new(draft.task),
            next_seq,
        };
        draft
            .cell
            .changed
            .send_modify(|version| *version = next_seq);
        self.run_effects(task_id, draft.effects);
        for submission in draft.submissions {
            answer(submission, Ok(()));
        }
    }

    /// Money effects of a step, as rows.
    fn planned(&self, task: &Task, effects: &[Effect]) -> Vec<MoneyEffect> {
        let Some(rail) = self.rail(task.dossier()) else {
            return Vec::new();
        };
        effects
            .iter()
            .filter_map(|effect| planned_row(task, rail.as_ref(), effect))
            .collect()
    }
}

fn planned_row(task: &Task, rail: &dyn Rail, effect: &Effect) -> Option<MoneyEffect> {
    let dossier = task.dossier();
    let terms = dossier.terms_bytes();
    if task.is_direct() {
        return planned_payment(task, effect);
    }
    rail.learn_set(dossier.set());
    let (verb, body) = match effect {
        Effect::PlanSettle { receipt } => match rail.settle_body(terms, receipt) {
            Ok(body) => ("settle", body),
            Err(error) => {
                tracing::error!(task = %task.task_id(), %error, "signed receipt gives no transaction");
                return None;
            }
        },
        Effect::PlanSweep => ("sweep", rail.sweep_body(terms)),
        Effect::WatchDeposit
        | Effect::OpenTask { .. }
        | Effect::Announce { .. }
        | Effect::OfferLease { .. }
        | Effect::NotifyNoMoreLeases { .. }
        | Effect::AskInventory { .. }
        | Effect::Propose { .. }
        | Effect::AskSignature { .. }
        | Effect::WatchVault
        | Effect::FetchOutput { .. }
        | Effect::Report { .. }
        | Effect::Finish => return None,
    };
    Some(MoneyEffect {
        key: format!("{verb}:{}", dossier.terms_hash()),
        task_id: task.task_id(),
        body,
        step: MoneyStep::Planned,
    })
}

/// Of a direct task the one effect is the buyer's own authorization, byte for byte as it was verified.
fn planned_payment(task: &Task, effect: &Effect) -> Option<MoneyEffect> {
    matches!(effect, Effect::PlanSettle { .. }).then(|| MoneyEffect {
        key: pay_key(task.payment().payment_id),
        task_id: task.task_id(),
        body: task.payment().body.as_bytes().to_vec(),
        step: MoneyStep::Planned,
    })
}

fn answer(submission: Submission, outcome: Result<(), EngineError>) {
    if let Some(done) = submission.done {
        let _nobody_waits = done.send(outcome);
    }
}
