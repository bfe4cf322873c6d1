//! Money effects: planned with a step, moved forward afterwards, kept for ever.
//!
//! A key names one effect of one task. Planning it again changes nothing, whatever bytes come with it: what
//! was planned first is what is submitted, always.

use std::collections::{BTreeMap, BTreeSet};

use d402_core::ports::MoneyEffect;
use d402_objects::Cid;

use crate::convert::step_word;
use crate::fault::Fault;
use crate::sql::{RowLock, Transaction, Value, parameters, pieces, rows_of_parameters};

/// An effect to plan with the row of its task.
#[derive(Clone, Copy)]
pub(super) struct Planned<'e> {
    pub(super) ordinal: i64,
    pub(super) task_id: Cid,
    pub(super) effect: &'e MoneyEffect,
}

/// A move forward: to final when there is an outcome, else to submitted.
#[derive(Clone, Copy)]
pub(super) struct Move<'o> {
    pub(super) key: &'o str,
    pub(super) outcome: Option<&'o str>,
}

const OF_ANOTHER_TASK: &str = "money effect belongs to another task";

/// Inserts effects that are not there yet.
pub(super) async fn plan(tx: &mut Transaction, planned: &[Planned<'_>]) -> Result<(), Fault> {
    let mut tasks: BTreeMap<&str, i64> = BTreeMap::new();
    let mut first = Vec::with_capacity(planned.len());
    for plan in planned {
        if plan.effect.task_id != plan.task_id {
            return Err(Fault::Broken(OF_ANOTHER_TASK));
        }
        match tasks.insert(&plan.effect.key, plan.ordinal) {
            None => first.push(*plan),
            Some(ordinal) if ordinal == plan.ordinal => {}
            Some(_) => return Err(Fault::Broken(OF_ANOTHER_TASK)),
        }
    }
    for piece in pieces(&first) {
        let inserted = insert(tx, piece).await?;
        for plan in piece
            .iter()
            .filter(|plan| !inserted.contains(&plan.effect.key))
        {
            let values = vec![Value::from(plan.effect.key.as_str())];
            let rows = tx
                .fetch("SELECT task FROM money WHERE key = $1", values)
                .await?;
            match rows.first() {
                Some(row) if row.int(0)? == plan.ordinal => {}
                Some(_) | None => return Err(Fault::Broken(OF_ANOTHER_TASK)),
            }
        }
    }
    Ok(())
}

async fn insert(tx: &mut Transaction, planned: &[Planned<'_>]) -> Result<BTreeSet<String>, Fault> {
    let mut values = Vec::new();
    for plan in planned {
        values.extend([
            Value::from(plan.effect.key.as_str()),
            Value::Int(plan.ordinal),
            Value::Bytes(plan.effect.body.clone()),
            Value::from(step_word(plan.effect.step)),
        ]);
    }
    let sql = format!(
        "INSERT INTO money (key, task, body, state) VALUES {} ON CONFLICT (key) DO NOTHING RETURNING key",
        rows_of_parameters(planned.len(), 4),
    );
    let rows = tx.fetch(sql, values).await?;
    rows.iter()
        .map(|row| row.text(0).map(str::to_owned))
        .collect()
}

/// Moves effects forward; a final one stays as it is.
pub(super) async fn run(tx: &mut Transaction, moves: &[Move<'_>]) -> Result<(), Fault> {
    let keys: BTreeSet<&str> = moves.iter().map(|step| step.key).collect();
    let mut final_now = hold(tx, &keys.into_iter().collect::<Vec<_>>()).await?;
    let mut submitted = BTreeSet::new();
    let mut outcomes = BTreeMap::new();
    for step in moves {
        let is_final = final_now
            .get_mut(step.key)
            .ok_or(Fault::Broken("unknown money effect"))?;
        match step.outcome {
            _ if *is_final => {}
            None => {
                submitted.insert(step.key);
            }
            Some(outcome) => {
                *is_final = true;
                submitted.remove(step.key);
                outcomes.insert(step.key, outcome);
            }
        }
    }
    for piece in pieces(&submitted.into_iter().collect::<Vec<_>>()) {
        let sql = format!(
            "UPDATE money SET state = 'submitted' WHERE key IN ({})",
            parameters(piece.len())
        );
        tx.execute(sql, piece.iter().map(|key| Value::from(*key)).collect())
            .await?;
    }
    for piece in pieces(&outcomes.into_iter().collect::<Vec<_>>()) {
        let sql = format!(
            "UPDATE money SET state = 'final', outcome = v.column2 FROM (VALUES {}) AS v WHERE money.key = v.column1",
            rows_of_parameters(piece.len(), 2),
        );
        tx.execute(
            sql,
            piece
                .iter()
                .flat_map(|(key, outcome)| [Value::from(*key), Value::from(*outcome)])
                .collect(),
        )
        .await?;
    }
    Ok(())
}

/// Locks effects; for each whether it is final.
async fn hold(tx: &mut Transaction, keys: &[&str]) -> Result<BTreeMap<String, bool>, Fault> {
    let mut held = BTreeMap::new();
    for piece in pieces(keys) {
        let sql = format!(
            "SELECT key, state FROM money WHERE key IN ({}) ORDER BY key{}",
            parameters(piece.len()),
            tx.row_lock(RowLock::Wait),
        );
        for row in tx
            .fetch(sql, piece.iter().map(|key| Value::from(*key)).collect())
            .await?
        {
            held.insert(row.text(0)?.to_owned(), row.text(1)? == "final");
        }
    }
    Ok(held)
}
