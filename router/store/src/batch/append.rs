//! Steps of existing tasks: lock the tasks, decide which steps fit, write those with what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use d402_core::ports::{Step, StepOutcome};
use d402_objects::Cid;

use super::money::{Planned, plan};
use crate::convert::{to_cid, to_int, to_opt_int};
use crate::fault::Fault;
use crate::sql::{RowLock, Transaction, Value, parameters, pieces, rows_of_parameters};

/// A task row this transaction holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) ordinal: i64,
    next_seq: i64,
    wake_at_ms: Option<i64>,
    /// When the last step of this transaction was taken.
    stepped_at_ms: Option<i64>,
}

/// A journal row to write.
pub(super) struct Record<'s> {
    pub(super) ordinal: i64,
    pub(super) seq: i64,
    pub(super) bytes: &'s [u8],
    pub(super) now_ms: i64,
}

/// Locks tasks, in the order of their ids; unknown ones are left out.
pub(super) async fn hold(
    tx: &mut Transaction,
    task_ids: BTreeSet<Cid>,
) -> Result<BTreeMap<Cid, Held>, Fault> {
    let task_ids: Vec<Cid> = task_ids.into_iter().collect();
    let mut held = BTreeMap::new();
    for piece in pieces(&task_ids) {
        let sql = format!(
            "SELECT task_id, ordinal, next_seq, wake_at_ms FROM tasks WHERE task_id IN ({}) ORDER BY task_id{}",
            parameters(piece.len()),
            tx.row_lock(RowLock::Wait),
        );
        let values = piece
            .iter()
            .map(|task_id| Value::from(task_id.as_bytes()))
            .collect();
        for row in tx.fetch(sql, values).await? {
            let task = Held {
                ordinal: row.int(1)?,
                next_seq: row.int(2)?,
                wake_at_ms: row.opt_int(3)?,
                stepped_at_ms: None,
            };
            held.insert(to_cid(row.bytes(0)?)?, task);
        }
    }
    Ok(held)
}

/// Writes the steps that fit.
pub(super) async fn run(
    tx: &mut Transaction,
    held: &mut BTreeMap<Cid, Held>,
    appends: &[(usize, &[Step])],
) -> Result<Vec<(usize, Vec<StepOutcome>)>, Fault> {
    let mut answers = Vec::with_capacity(appends.len());
    let mut records = Vec::new();
    let mut money = Vec::new();
    for &(place, steps) in appends {
        let outcomes = decide(held, steps)?;
        for (step, outcome) in steps.iter().zip(&outcomes) {
            match outcome {
                StepOutcome::Conflict => {}
                StepOutcome::Stored => {
                    let ordinal = held
                        .get(&step.task_id)
                        .ok_or(Fault::Broken(UNKNOWN))?
                        .ordinal;
                    let now_ms = to_int(step.now_ms)?;
                    records.push(Record {
                        ordinal,
                        seq: to_int(step.seq)?,
                        bytes: &step.record,
                        now_ms,
                    });
                    money.extend(step.money.iter().map(|effect| Planned {
                        ordinal,
                        task_id: step.task_id,
                        effect,
                    }));
                }
            }
        }
        answers.push((place, outcomes));
    }
    insert_records(tx, &records).await?;
    update_tasks(tx, held).await?;
    plan(tx, &money).await?;
    Ok(answers)
}

const UNKNOWN: &str = "step of an unknown task";

/// Which steps of one call fit, and what the tasks are after them.
fn decide(held: &mut BTreeMap<Cid, Held>, steps: &[Step]) -> Result<Vec<StepOutcome>, Fault> {
    let mut lost = BTreeSet::new();
    let mut outcomes = Vec::with_capacity(steps.len());
    for step in steps {
        let task = held.get_mut(&step.task_id).ok_or(Fault::Broken(UNKNOWN))?;
        if lost.contains(&step.task_id) || task.next_seq != to_int(step.seq)? {
            lost.insert(step.task_id);
            outcomes.push(StepOutcome::Conflict);
            continue;
        }
        if task.wake_at_ms.is_none() && step.wake_at_ms.is_some() {
            return Err(Fault::Broken("step wakes a final task"));
        }
        task.next_seq = task
            .next_seq
            .checked_add(1)
            .ok_or(Fault::Broken("journal is full"))?;
        task.wake_at_ms = to_opt_int(step.wake_at_ms)?;
        task.stepped_at_ms = Some(to_int(step.now_ms)?);
        outcomes.push(StepOutcome::Stored);
    }
    Ok(outcomes)
}

pub(super) async fn insert_records(
    tx: &mut Transaction,
    records: &[Record<'_>],
) -> Result<(), Fault> {
    for piece in pieces(records) {
        let mut values = Vec::new();
        for record in piece {
            values.extend([
                Value::Int(record.ordinal),
                Value::Int(record.seq),
                Value::Bytes(record.bytes.to_vec()),
                Value::Int(record.now_ms),
            ]);
        }
        let rows = rows_of_parameters(piece.len(), 4);
        tx.execute(
            format!("INSERT INTO journal (task, seq, record, stored_at_ms) VALUES {rows}"),
            values,
        )
        .await?;
    }
    Ok(())
}

/// Writes back the tasks that made a step.
async fn update_tasks(tx: &mut Transaction, held: &BTreeMap<Cid, Held>) -> Result<(), Fault> {
    let stepped: Vec<(Held, i64)> = held
        .values()
        .filter_map(|task| task.stepped_at_ms.map(|at_ms| (*task, at_ms)))
        .collect();
    for piece in pieces(&stepped) {
        let mut values = Vec::new();
        for (task, at_ms) in piece {
            values.extend([
                Value::Int(task.ordinal),
                Value::Int(task.next_seq),
                Value::OptInt(task.wake_at_ms),
                Value::Int(*at_ms),
            ]);
        }
        let sql = format!(
            "UPDATE tasks SET next_seq = v.column2, wake_at_ms = v.column3, updated_at_ms = v.column4 \
             FROM (VALUES {}) AS v WHERE tasks.ordinal = v.column1",
            rows_of_parameters(piece.len(), 4),
        );
        if tx.execute(sql, values).await? != u64::try_from(piece.len()).unwrap_or(u64::MAX) {
            return Err(Fault::Broken("a held task is gone"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;

    fn step(task_id: Cid, seq: u64, wake_at_ms: Option<u64>) -> Step {
        Step {
            task_id,
            seq,
            record: vec![1],
            wake_at_ms,
            money: Vec::new(),
            now_ms: 7,
        }
    }

    fn one_task(next_seq: i64, wake_at_ms: Option<i64>) -> (Cid, BTreeMap<Cid, Held>) {
        let task_id = Cid::of(b"task");
        let task = Held {
            ordinal: 1,
            next_seq,
            wake_at_ms,
            stepped_at_ms: None,
        };
        (task_id, BTreeMap::from([(task_id, task)]))
    }

    #[test]
    fn a_step_behind_a_lost_one_is_lost_even_when_its_seq_is_free() {
        let (task_id, mut held) = one_task(5, Some(1));
        let outcomes = decide(
            &mut held,
            &[step(task_id, 4, Some(1)), step(task_id, 5, Some(1))],
        )
        .unwrap();
        assert_eq!(outcomes, [StepOutcome::Conflict, StepOutcome::Conflict]);
        assert_eq!(held[&task_id].next_seq, 5);
    }

    #[test]
    fn a_step_that_leaves_a_gap_is_a_conflict() {
        let (task_id, mut held) = one_task(2, Some(1));
        assert_eq!(
            decide(&mut held, &[step(task_id, 3, Some(1))]).unwrap(),
            [StepOutcome::Conflict]
        );
    }

    #[test]
    fn a_final_task_takes_steps_but_is_never_woken() {
        let (task_id, mut held) = one_task(2, None);
        assert_eq!(
            decide(&mut held, &[step(task_id, 2, None)]).unwrap(),
            [StepOutcome::Stored]
        );
        assert!(matches!(
            decide(&mut held, &[step(task_id, 3, Some(9))]),
            Err(Fault::Broken(_))
        ));
    }

    #[test]
    fn a_step_of_an_unknown_task_is_broken() {
        let (_, mut held) = one_task(2, Some(1));
        assert!(matches!(
            decide(&mut held, &[step(Cid::of(b"other"), 2, None)]),
            Err(Fault::Broken(UNKNOWN))
        ));
    }
}
