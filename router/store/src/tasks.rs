//! [`TaskStore`] on a database: writes by group commit, reads beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use d402_core::ports::{
    CreateOutcome, MoneyEffect, NewTask, Step, StepOutcome, StoreError, TaskStore,
};
use d402_objects::{Cid, Hex32};

use crate::batch::{Answer, LeaseRequest, Op};
use crate::convert::{at_most, to_cid, to_int, to_number, word_step};
use crate::fault::Fault;
use crate::group::Writer;
use crate::limits::{
    MAX_CLIENT_ID_BYTES, MAX_MONEY_BODY_BYTES, MAX_MONEY_KEY_BYTES, MAX_OUTCOME_BYTES,
    MAX_OWNER_BYTES, MAX_PAGE, MAX_RECORD_BYTES,
};
use crate::sql::{Database, Row, Value, parameters, pieces};

/// An answer of another kind than the question.
pub(crate) const MISMATCH: Fault = Fault::Broken("a write has the answer of another");

/// Tasks in SQLite or PostgreSQL.
#[derive(Debug)]
pub(crate) struct SqlTasks {
    database: Arc<Database>,
    writer: Arc<Writer>,
}

impl SqlTasks {
    pub(crate) fn new(database: Arc<Database>, writer: Arc<Writer>) -> Self {
        Self { database, writer }
    }

    async fn done(&self, op: Op) -> Result<(), StoreError> {
        match self.writer.write(op).await? {
            Answer::Done => Ok(()),
            Answer::Created(_) | Answer::Appended(_) | Answer::Leased(_) | Answer::Entered(_) => {
                Err(MISMATCH.into())
            }
        }
    }

    async fn task_of(&self, sql: &'static str, value: Value) -> Result<Option<Cid>, StoreError> {
        let rows = self.database.read(sql, vec![value]).await?;
        let task_id = rows.first().map(|row| to_cid(row.bytes(0)?)).transpose()?;
        Ok(task_id)
    }
}

/// Refuses what would break a CHECK, before it travels with other writes.
pub(crate) fn check_task(task: &NewTask) -> Result<(), Fault> {
    check_record(&task.record)?;
    check_money(&task.money)?;
    at_most(
        task.client_id.as_ref().map_or(0, String::len),
        MAX_CLIENT_ID_BYTES,
    )?;
    if task.client_id.as_ref().is_some_and(String::is_empty) {
        return Err(Fault::Broken("client id is empty"));
    }
    Ok(())
}

/// Like [`check_task`], for a step.
pub(crate) fn check_step(step: &Step) -> Result<(), Fault> {
    check_record(&step.record)?;
    check_money(&step.money)
}

fn check_record(record: &[u8]) -> Result<(), Fault> {
    if record.is_empty() {
        return Err(Fault::Broken("record is empty"));
    }
    at_most(record.len(), MAX_RECORD_BYTES)
}

fn check_money(money: &[MoneyEffect]) -> Result<(), Fault> {
    for effect in money {
        if effect.key.is_empty() || effect.body.is_empty() {
            return Err(Fault::Broken("money effect is empty"));
        }
        at_most(effect.key.len(), MAX_MONEY_KEY_BYTES)?;
        at_most(effect.body.len(), MAX_MONEY_BODY_BYTES)?;
    }
    Ok(())
}

/// Refuses an outcome that cannot be kept.
pub(crate) fn check_outcome(outcome: &str) -> Result<(), Fault> {
    if outcome.is_empty() {
        return Err(Fault::Broken("outcome of a money effect is empty"));
    }
    at_most(outcome.len(), MAX_OUTCOME_BYTES)
}

/// Refuses a lease nobody could hold.
pub(crate) fn check_lease(owner: &str, now_ms: u64, until_ms: u64) -> Result<(), Fault> {
    if owner.is_empty() || until_ms <= now_ms {
        return Err(Fault::Broken("lease has no owner or no time"));
    }
    at_most(owner.len(), MAX_OWNER_BYTES)
}

/// Puts rows of (task, seq, record, next seq), ordered by task and seq, together as journals without holes.
fn gather(journals: &mut BTreeMap<Cid, Vec<Vec<u8>>>, rows: Vec<Row>) -> Result<(), Fault> {
    let mut expected: BTreeMap<Cid, u64> = BTreeMap::new();
    for mut row in rows {
        let task_id = to_cid(row.bytes(0)?)?;
        let journal = match expected.insert(task_id, to_number(row.int(3)?)?) {
            // Asked for twice, in two pieces: begin again.
            None => {
                journals.remove(&task_id);
                journals.entry(task_id).or_default()
            }
            Some(_) => journals.entry(task_id).or_default(),
        };
        if u64::try_from(journal.len()).ok() != Some(to_number(row.int(1)?)?) {
            return Err(Fault::Broken("journal has a gap"));
        }
        journal.push(row.take_bytes(2)?);
    }
    for (task_id, next_seq) in expected {
        let length = journals.get(&task_id).map_or(0, Vec::len);
        if u64::try_from(length).ok() != Some(next_seq) {
            return Err(Fault::Broken("journal is shorter than its task says"));
        }
    }
    Ok(())
}

#[async_trait]
impl TaskStore for SqlTasks {
    async fn create(&self, task: NewTask) -> Result<CreateOutcome, StoreError> {
        check_task(&task)?;
        match self.writer.write(Op::Create(task)).await? {
            Answer::Created(outcome) => Ok(outcome),
            Answer::Done | Answer::Appended(_) | Answer::Leased(_) | Answer::Entered(_) => {
                Err(MISMATCH.into())
            }
        }
    }

    async fn append(&self, steps: Vec<Step>) -> Result<Vec<StepOutcome>, StoreError> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        steps.iter().try_for_each(check_step)?;
        match self.writer.write(Op::Append(steps)).await? {
            Answer::Appended(outcomes) => Ok(outcomes),
            Answer::Done | Answer::Created(_) | Answer::Leased(_) | Answer::Entered(_) => {
                Err(MISMATCH.into())
            }
        }
    }

    async fn journal(&self, task_id: Cid) -> Result<Vec<Vec<u8>>, StoreError> {
        let journals = self.journals(&[task_id]).await?;
        Ok(journals.into_iter().next().unwrap_or_default())
    }

    async fn journals(&self, task_ids: &[Cid]) -> Result<Vec<Vec<Vec<u8>>>, StoreError> {
        let mut journals = BTreeMap::new();
        for piece in pieces(task_ids) {
            let sql = format!(
                "SELECT tasks.task_id, journal.seq, journal.record, tasks.next_seq FROM tasks \
                 LEFT JOIN journal ON journal.task = tasks.ordinal \
                 WHERE tasks.task_id IN ({}) ORDER BY tasks.ordinal, journal.seq",
                parameters(piece.len()),
            );
            let values = piece.iter().map(|task_id| Value::from(task_id.as_bytes()));
            let rows = self.database.read(sql, values.collect()).await?;
            gather(&mut journals, rows)?;
        }
        let taken = task_ids
            .iter()
            .map(|task_id| journals.get(task_id).cloned().unwrap_or_default());
        Ok(taken.collect())
    }

    async fn lease_due(
        &self,
        owner: &str,
        now_ms: u64,
        lease_until_ms: u64,
        limit: u32,
    ) -> Result<Vec<Cid>, StoreError> {
        check_lease(owner, now_ms, lease_until_ms)?;
        let request = LeaseRequest {
            owner: owner.to_owned(),
            now_ms: to_int(now_ms)?,
            until_ms: to_int(lease_until_ms)?,
            limit: i64::from(limit.min(MAX_PAGE)),
        };
        match self.writer.write(Op::LeaseDue(request)).await? {
            Answer::Leased(task_ids) => Ok(task_ids),
            Answer::Done | Answer::Created(_) | Answer::Appended(_) | Answer::Entered(_) => {
                Err(MISMATCH.into())
            }
        }
    }

    async fn release(&self, owner: &str, task_ids: &[Cid]) -> Result<(), StoreError> {
        if task_ids.is_empty() {
            return Ok(());
        }
        self.done(Op::Release {
            owner: owner.to_owned(),
            task_ids: task_ids.to_vec(),
        })
        .await
    }

    async fn release_all(&self, owner: &str) -> Result<(), StoreError> {
        self.done(Op::ReleaseAll {
            owner: owner.to_owned(),
        })
        .await
    }

    async fn by_payment(&self, payment_id: Hex32) -> Result<Option<Cid>, StoreError> {
        self.task_of(
            "SELECT task_id FROM tasks WHERE payment_id = $1",
            Value::from(payment_id.as_bytes()),
        )
        .await
    }

    async fn by_client_id(&self, client_id: &str) -> Result<Option<Cid>, StoreError> {
        let client_id = Value::Bytes(client_id.as_bytes().to_vec());
        self.task_of("SELECT task_id FROM tasks WHERE client_id = $1", client_id)
            .await
    }

    async fn by_terms(&self, terms_hash: Hex32) -> Result<Option<Cid>, StoreError> {
        self.task_of(
            "SELECT task_id FROM tasks WHERE terms_hash = $1",
            Value::from(terms_hash.as_bytes()),
        )
        .await
    }

    async fn money(&self, task_id: Cid) -> Result<Vec<MoneyEffect>, StoreError> {
        let sql = "SELECT money.key, money.body, money.state FROM tasks JOIN money ON money.task = tasks.ordinal \
                   WHERE tasks.task_id = $1 AND money.state <> 'final' ORDER BY money.ordinal";
        let rows = self
            .database
            .read(sql, vec![Value::from(task_id.as_bytes())])
            .await?;
        let effects = rows.into_iter().map(|mut row| {
            Ok(MoneyEffect {
                key: row.text(0)?.to_owned(),
                task_id,
                body: row.take_bytes(1)?,
                step: word_step(row.text(2)?)?,
            })
        });
        Ok(effects.collect::<Result<Vec<_>, Fault>>()?)
    }

    async fn money_submitted(&self, key: &str) -> Result<(), StoreError> {
        self.done(Op::Submitted {
            key: key.to_owned(),
        })
        .await
    }

    async fn money_final(&self, key: &str, outcome: &str) -> Result<(), StoreError> {
        check_outcome(outcome)?;
        self.done(Op::Final {
            key: key.to_owned(),
            outcome: outcome.to_owned(),
        })
        .await
    }

    async fn open_tasks(&self, after: Option<Cid>, limit: u32) -> Result<Vec<Cid>, StoreError> {
        let after = match after {
            None => 0,
            Some(task_id) => {
                let sql = "SELECT ordinal FROM tasks WHERE task_id = $1";
                let rows = self
                    .database
                    .read(sql, vec![Value::from(task_id.as_bytes())])
                    .await?;
                rows.first()
                    .ok_or(Fault::Broken("page starts after an unknown task"))?
                    .int(0)?
            }
        };
        let sql = "SELECT task_id FROM tasks WHERE wake_at_ms IS NOT NULL AND ordinal > $1 ORDER BY ordinal LIMIT $2";
        let values = vec![
            Value::Int(after),
            Value::Int(i64::from(limit.min(MAX_PAGE))),
        ];
        let rows = self.database.read(sql, values).await?;
        Ok(rows
            .iter()
            .map(|row| to_cid(row.bytes(0)?))
            .collect::<Result<Vec<_>, Fault>>()?)
    }

    async fn open_count(&self) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) FROM tasks WHERE wake_at_ms IS NOT NULL";
        let rows = self.database.read(sql, Vec::new()).await?;
        let count = rows
            .first()
            .ok_or(Fault::Broken("a count has no row"))?
            .int(0)?;
        Ok(to_number(count)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Sqlite;

    /// Stores a task of three records, then lets `damage` loose on the database, unguarded.
    async fn damaged(damage: &'static str) -> Result<Vec<Vec<u8>>, StoreError> {
        let home = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(home.path()).await.unwrap();
        let database = Arc::new(Database::Sqlite(sqlite));
        let (writer, _lanes) = Writer::start(&database);
        let tasks = SqlTasks::new(Arc::clone(&database), Arc::new(writer));
        let task_id = Cid::of(b"task");
        let new = NewTask {
            task_id,
            terms_hash: Hex32::from_bytes([1; 32]),
            payment_id: Hex32::from_bytes([2; 32]),
            client_id: None,
            record: vec![0],
            wake_at_ms: 1,
            money: Vec::new(),
            now_ms: 1,
        };
        tasks.create(new).await.unwrap();
        let step = |seq| Step {
            task_id,
            seq,
            record: vec![1],
            wake_at_ms: Some(1),
            money: Vec::new(),
            now_ms: 1,
        };
        tasks.append(vec![step(1), step(2)]).await.unwrap();
        assert_eq!(tasks.journal(task_id).await.unwrap().len(), 3);
        let mut tx = database.begin().await.unwrap();
        for sql in ["DROP TRIGGER journal_is_kept", damage] {
            tx.execute(sql, Vec::new()).await.unwrap();
        }
        tx.commit().await.unwrap();
        tasks.journal(task_id).await
    }

    #[tokio::test]
    async fn a_journal_with_a_hole_is_broken() {
        for damage in [
            "DELETE FROM journal",
            "DELETE FROM journal WHERE seq = 0",
            "DELETE FROM journal WHERE seq = 1",
            "DELETE FROM journal WHERE seq = 2",
        ] {
            let read = damaged(damage).await;
            assert!(
                matches!(read, Err(StoreError::Broken { .. })),
                "{damage}: {read:?}"
            );
        }
    }
}
