//! New tasks: one row each with its first record and money, unless payment, terms, intent or client id is taken.
//!
//! The unique constraints decide, not a look before the insert: two gateways that are paid the same payment
//! at the same time get one task.

use std::collections::BTreeMap;

use d402_core::ports::{CreateOutcome, NewTask};

use super::append::{Record, insert_records};
use super::money::{Planned, plan};
use crate::convert::{to_cid, to_int};
use crate::fault::Fault;
use crate::sql::{Transaction, Value, pieces, rows_of_parameters};

const INSERT: &str = "INSERT INTO tasks (task_id, terms_hash, payment_id, client_id, next_seq, wake_at_ms, created_at_ms, updated_at_ms) VALUES ";
const COLUMNS: usize = 8;
const UNLESS_TAKEN: &str = " ON CONFLICT DO NOTHING RETURNING task_id, ordinal";

/// Whatever is taken, in the order in which it is reported.
const TAKEN: &str = "SELECT task_id, CAST(CASE WHEN payment_id = $1 THEN 0 WHEN terms_hash = $2 THEN 1 WHEN task_id = $3 THEN 2 ELSE 3 END AS BIGINT) \
     FROM tasks WHERE payment_id = $1 OR terms_hash = $2 OR task_id = $3 OR client_id = $4 ORDER BY 2 LIMIT 1";

pub(super) async fn run(
    tx: &mut Transaction,
    tasks: &[(usize, &NewTask)],
) -> Result<Vec<(usize, CreateOutcome)>, Fault> {
    let mut tasks = tasks.to_vec();
    tasks.sort_by_key(|(_, task)| task.payment_id);
    let mut outcomes = Vec::with_capacity(tasks.len());
    let mut records = Vec::new();
    let mut money = Vec::new();
    for piece in pieces(&tasks) {
        let mut created = insert(tx, piece).await?;
        for &(place, task) in piece {
            // A second task of the same id in this piece finds the entry gone: only the first was inserted.
            let Some(ordinal) = created.remove(&task.task_id) else {
                outcomes.push((place, taken(tx, task).await?));
                continue;
            };
            records.push(Record {
                ordinal,
                seq: 0,
                bytes: &task.record,
                now_ms: to_int(task.now_ms)?,
            });
            money.extend(task.money.iter().map(|effect| Planned {
                ordinal,
                task_id: task.task_id,
                effect,
            }));
            outcomes.push((place, CreateOutcome::Created));
        }
    }
    insert_records(tx, &records).await?;
    plan(tx, &money).await?;
    Ok(outcomes)
}

async fn insert(
    tx: &mut Transaction,
    tasks: &[(usize, &NewTask)],
) -> Result<BTreeMap<d402_objects::Cid, i64>, Fault> {
    let mut values = Vec::new();
    for (_, task) in tasks {
        values.extend([
            Value::from(task.task_id.as_bytes()),
            Value::from(task.terms_hash.as_bytes()),
            Value::from(task.payment_id.as_bytes()),
            Value::OptBytes(task.client_id.as_ref().map(|id| id.as_bytes().to_vec())),
            Value::Int(1),
            Value::Int(to_int(task.wake_at_ms)?),
            Value::Int(to_int(task.now_ms)?),
            Value::Int(to_int(task.now_ms)?),
        ]);
    }
    let sql = format!(
        "{INSERT}{}{UNLESS_TAKEN}",
        rows_of_parameters(tasks.len(), COLUMNS)
    );
    let rows = tx.fetch(sql, values).await?;
    rows.iter()
        .map(|row| Ok((to_cid(row.bytes(0)?)?, row.int(1)?)))
        .collect()
}

async fn taken(tx: &mut Transaction, task: &NewTask) -> Result<CreateOutcome, Fault> {
    let values = vec![
        Value::from(task.payment_id.as_bytes()),
        Value::from(task.terms_hash.as_bytes()),
        Value::from(task.task_id.as_bytes()),
        Value::OptBytes(task.client_id.as_ref().map(|id| id.as_bytes().to_vec())),
    ];
    let rows = tx.fetch(TAKEN, values).await?;
    let row = rows
        .first()
        .ok_or(Fault::Broken("a task is refused, yet nothing is taken"))?;
    let holder = to_cid(row.bytes(0)?)?;
    match row.int(1)? {
        0 => Ok(CreateOutcome::SamePayment(holder)),
        1 | 2 => Ok(CreateOutcome::TermsTaken(holder)),
        _ => Ok(CreateOutcome::ClientIdTaken(holder)),
    }
}
