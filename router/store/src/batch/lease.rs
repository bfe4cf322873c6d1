//! Leases: which gateway answers a wake-up.
//!
//! A lease is half-open (valid while `now < lease_until_ms`) and remembers the `seq` it was given for. Until
//! it ends nobody else gets the task, and its holder gets it again only after a step: one wake-up, one lease.
//! Clocks of two gateways may differ; then a task may change hands early, and `seq` still has one winner.

use std::collections::BTreeMap;

use d402_objects::Cid;

use super::append::Held;
use crate::convert::to_cid;
use crate::fault::Fault;
use crate::sql::{RowLock, Transaction, Value, parameters, pieces};

/// Who asks for due tasks, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct LeaseRequest {
    pub(crate) owner: String,
    pub(crate) now_ms: i64,
    pub(crate) until_ms: i64,
    pub(crate) limit: i64,
}

/// Leases due tasks, longest overdue first.
pub(super) async fn due(tx: &mut Transaction, request: &LeaseRequest) -> Result<Vec<Cid>, Fault> {
    let sql = format!(
        "WITH due AS MATERIALIZED (SELECT ordinal AS due_ordinal FROM tasks \
           WHERE wake_at_ms <= $1 AND (lease_owner IS NULL OR lease_until_ms <= $1 \
             OR (lease_owner = $2 AND lease_seq < next_seq)) \
           ORDER BY wake_at_ms, ordinal LIMIT $3{}) \
         UPDATE tasks SET lease_owner = $2, lease_until_ms = $4, lease_seq = next_seq \
           FROM due WHERE tasks.ordinal = due.due_ordinal \
         RETURNING task_id, wake_at_ms, ordinal",
        tx.row_lock(RowLock::Skip),
    );
    let values = vec![
        Value::Int(request.now_ms),
        Value::from(request.owner.as_str()),
        Value::Int(request.limit),
        Value::Int(request.until_ms),
    ];
    let rows = tx.fetch(sql, values).await?;
    let mut leased = rows
        .iter()
        .map(|row| Ok((row.int(1)?, row.int(2)?, to_cid(row.bytes(0)?)?)))
        .collect::<Result<Vec<(i64, i64, Cid)>, Fault>>()?;
    // RETURNING promises no order.
    leased.sort_unstable();
    Ok(leased.into_iter().map(|(_, _, task_id)| task_id).collect())
}

/// Gives back what `owner` holds of `task_ids`.
pub(super) async fn release(
    tx: &mut Transaction,
    held: &BTreeMap<Cid, Held>,
    owner: &str,
    task_ids: &[Cid],
) -> Result<(), Fault> {
    let ordinals: Vec<i64> = task_ids
        .iter()
        .filter_map(|id| held.get(id))
        .map(|task| task.ordinal)
        .collect();
    for piece in pieces(&ordinals) {
        let owner_parameter = piece.len().saturating_add(1);
        let sql = format!(
            "UPDATE tasks SET lease_owner = NULL, lease_until_ms = NULL, lease_seq = NULL \
             WHERE ordinal IN ({}) AND lease_owner = ${owner_parameter}",
            parameters(piece.len()),
        );
        let values = piece
            .iter()
            .copied()
            .map(Value::Int)
            .chain([Value::from(owner)])
            .collect();
        tx.execute(sql, values).await?;
    }
    Ok(())
}

/// Gives back whatever `owner` holds, except what another transaction has locked: that runs out by itself.
pub(super) async fn release_all(tx: &mut Transaction, owner: &str) -> Result<(), Fault> {
    let sql = format!(
        "WITH held AS MATERIALIZED (SELECT ordinal AS held_ordinal FROM tasks \
           WHERE wake_at_ms IS NOT NULL AND lease_owner = $1 ORDER BY task_id{}) \
         UPDATE tasks SET lease_owner = NULL, lease_until_ms = NULL, lease_seq = NULL \
           FROM held WHERE tasks.ordinal = held.held_ordinal",
        tx.row_lock(RowLock::Skip),
    );
    tx.execute(sql, vec![Value::from(owner)]).await?;
    Ok(())
}
