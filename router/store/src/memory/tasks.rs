//! Tasks in maps: the same answers as the databases give, decided before anything is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use d402_core::ports::{
    CreateOutcome, MoneyEffect, MoneyStep, NewTask, Step, StepOutcome, StoreError, TaskStore,
};
use d402_objects::{Cid, Hex32};

use super::{lock, page};
use crate::fault::Fault;
use crate::tasks::{check_lease, check_outcome, check_step, check_task};

/// Tasks that are gone with the process.
#[derive(Debug, Default)]
pub struct MemoryTasks(Mutex<Tasks>);

#[derive(Debug, Default)]
struct Tasks {
    by_id: BTreeMap<Cid, Task>,
    /// In creation order.
    created: Vec<Cid>,
    by_payment: BTreeMap<Hex32, Cid>,
    by_terms: BTreeMap<Hex32, Cid>,
    by_client_id: BTreeMap<String, Cid>,
    money: BTreeMap<String, Money>,
    /// Keys of money effects, in the order they were planned.
    planned: Vec<String>,
}

#[derive(Debug)]
struct Task {
    records: Vec<Vec<u8>>,
    wake_at_ms: Option<u64>,
    lease: Option<Lease>,
    /// Place among the tasks created.
    ordinal: usize,
}

#[derive(Debug)]
struct Lease {
    owner: String,
    until_ms: u64,
    /// Length of the journal when it was given.
    seq: usize,
}

#[derive(Debug)]
struct Money {
    task_id: Cid,
    body: Vec<u8>,
    /// `None` once final.
    step: Option<MoneyStep>,
}

impl Tasks {
    fn taken(&self, task: &NewTask) -> Option<CreateOutcome> {
        if let Some(holder) = self.by_payment.get(&task.payment_id) {
            return Some(CreateOutcome::SamePayment(*holder));
        }
        if let Some(holder) = self.by_terms.get(&task.terms_hash) {
            return Some(CreateOutcome::TermsTaken(*holder));
        }
        if self.by_id.contains_key(&task.task_id) {
            return Some(CreateOutcome::TermsTaken(task.task_id));
        }
        let holder = task
            .client_id
            .as_ref()
            .and_then(|id| self.by_client_id.get(id));
        holder.map(|holder| CreateOutcome::ClientIdTaken(*holder))
    }

    fn create(&mut self, task: NewTask) -> Result<CreateOutcome, Fault> {
        if let Some(outcome) = self.taken(&task) {
            return Ok(outcome);
        }
        let money: Vec<_> = task
            .money
            .iter()
            .map(|effect| (task.task_id, effect))
            .collect();
        self.check_money(&money)?;
        self.by_payment.insert(task.payment_id, task.task_id);
        self.by_terms.insert(task.terms_hash, task.task_id);
        if let Some(client_id) = task.client_id {
            self.by_client_id.insert(client_id, task.task_id);
        }
        let row = Task {
            records: vec![task.record],
            wake_at_ms: Some(task.wake_at_ms),
            lease: None,
            ordinal: self.created.len(),
        };
        self.by_id.insert(task.task_id, row);
        self.created.push(task.task_id);
        self.plan(task.money);
        Ok(CreateOutcome::Created)
    }

    fn append(&mut self, steps: Vec<Step>) -> Result<Vec<StepOutcome>, Fault> {
        let outcomes = self.decide(&steps)?;
        let stored = || {
            steps
                .iter()
                .zip(&outcomes)
                .filter(|(_, outcome)| **outcome == StepOutcome::Stored)
        };
        let money: Vec<_> = stored()
            .flat_map(|(step, _)| step.money.iter().map(|effect| (step.task_id, effect)))
            .collect();
        self.check_money(&money)?;
        for (step, outcome) in steps.into_iter().zip(&outcomes) {
            if *outcome == StepOutcome::Conflict {
                continue;
            }
            if let Some(task) = self.by_id.get_mut(&step.task_id) {
                task.records.push(step.record);
                task.wake_at_ms = step.wake_at_ms;
            }
            self.plan(step.money);
        }
        Ok(outcomes)
    }

    fn decide(&self, steps: &[Step]) -> Result<Vec<StepOutcome>, Fault> {
        let mut lost = BTreeSet::new();
        let mut after: BTreeMap<Cid, (u64, bool)> = BTreeMap::new();
        let mut outcomes = Vec::with_capacity(steps.len());
        for step in steps {
            let task = self
                .by_id
                .get(&step.task_id)
                .ok_or(Fault::Broken("step of an unknown task"))?;
            let length = u64::try_from(task.records.len()).unwrap_or(u64::MAX);
            let (next_seq, is_final) = after
                .entry(step.task_id)
                .or_insert((length, task.wake_at_ms.is_none()));
            if lost.contains(&step.task_id) || *next_seq != step.seq {
                lost.insert(step.task_id);
                outcomes.push(StepOutcome::Conflict);
                continue;
            }
            if *is_final && step.wake_at_ms.is_some() {
                return Err(Fault::Broken("step wakes a final task"));
            }
            *next_seq = next_seq.saturating_add(1);
            *is_final = step.wake_at_ms.is_none();
            outcomes.push(StepOutcome::Stored);
        }
        Ok(outcomes)
    }

    fn check_money(&self, planned: &[(Cid, &MoneyEffect)]) -> Result<(), Fault> {
        let mut new: BTreeMap<&str, Cid> = BTreeMap::new();
        for (task_id, effect) in planned {
            let stored = self.money.get(&effect.key).map(|money| money.task_id);
            let earlier = new.insert(&effect.key, *task_id);
            if [Some(effect.task_id), stored, earlier]
                .into_iter()
                .flatten()
                .any(|other| other != *task_id)
            {
                return Err(Fault::Broken("money effect belongs to another task"));
            }
        }
        Ok(())
    }

    fn plan(&mut self, money: Vec<MoneyEffect>) {
        for effect in money {
            if !self.money.contains_key(&effect.key) {
                self.planned.push(effect.key.clone());
                let money = Money {
                    task_id: effect.task_id,
                    body: effect.body,
                    step: Some(effect.step),
                };
                self.money.insert(effect.key, money);
            }
        }
    }

    fn lease_due(&mut self, owner: &str, now_ms: u64, until_ms: u64, limit: usize) -> Vec<Cid> {
        let mut due: Vec<(u64, usize, Cid)> = self
            .by_id
            .iter()
            .filter_map(|(task_id, task)| {
                let wake_at_ms = task.wake_at_ms.filter(|at_ms| *at_ms <= now_ms)?;
                let is_free = task.lease.as_ref().is_none_or(|lease| {
                    lease.until_ms <= now_ms
                        || (lease.owner == owner && lease.seq < task.records.len())
                });
                is_free.then_some((wake_at_ms, task.ordinal, *task_id))
            })
            .collect();
        due.sort_unstable();
        due.truncate(limit);
        for (_, _, task_id) in &due {
            if let Some(task) = self.by_id.get_mut(task_id) {
                task.lease = Some(Lease {
                    owner: owner.to_owned(),
                    until_ms,
                    seq: task.records.len(),
                });
            }
        }
        due.into_iter().map(|(_, _, task_id)| task_id).collect()
    }

    fn move_money(&mut self, key: &str, to: Option<MoneyStep>) -> Result<(), Fault> {
        let money = self
            .money
            .get_mut(key)
            .ok_or(Fault::Broken("unknown money effect"))?;
        if money.step.is_some() {
            money.step = to;
        }
        Ok(())
    }
}

#[async_trait]
impl TaskStore for MemoryTasks {
    async fn create(&self, task: NewTask) -> Result<CreateOutcome, StoreError> {
        check_task(&task)?;
        Ok(lock(&self.0).create(task)?)
    }

    async fn append(&self, steps: Vec<Step>) -> Result<Vec<StepOutcome>, StoreError> {
        steps.iter().try_for_each(check_step)?;
        Ok(lock(&self.0).append(steps)?)
    }

    async fn journal(&self, task_id: Cid) -> Result<Vec<Vec<u8>>, StoreError> {
        Ok(lock(&self.0)
            .by_id
            .get(&task_id)
            .map(|task| task.records.clone())
            .unwrap_or_default())
    }

    async fn lease_due(
        &self,
        owner: &str,
        now_ms: u64,
        lease_until_ms: u64,
        limit: u32,
    ) -> Result<Vec<Cid>, StoreError> {
        check_lease(owner, now_ms, lease_until_ms)?;
        Ok(lock(&self.0).lease_due(owner, now_ms, lease_until_ms, page(limit)))
    }

    async fn release(&self, owner: &str, task_ids: &[Cid]) -> Result<(), StoreError> {
        let mut tasks = lock(&self.0);
        for task_id in task_ids {
            if let Some(task) = tasks.by_id.get_mut(task_id) {
                task.lease = task.lease.take().filter(|lease| lease.owner != owner);
            }
        }
        Ok(())
    }

    async fn release_all(&self, owner: &str) -> Result<(), StoreError> {
        for task in lock(&self.0).by_id.values_mut() {
            task.lease = task.lease.take().filter(|lease| lease.owner != owner);
        }
        Ok(())
    }

    async fn by_payment(&self, payment_id: Hex32) -> Result<Option<Cid>, StoreError> {
        Ok(lock(&self.0).by_payment.get(&payment_id).copied())
    }

    async fn by_client_id(&self, client_id: &str) -> Result<Option<Cid>, StoreError> {
        Ok(lock(&self.0).by_client_id.get(client_id).copied())
    }

    async fn by_terms(&self, terms_hash: Hex32) -> Result<Option<Cid>, StoreError> {
        Ok(lock(&self.0).by_terms.get(&terms_hash).copied())
    }

    async fn money(&self, task_id: Cid) -> Result<Vec<MoneyEffect>, StoreError> {
        let tasks = lock(&self.0);
        let effects = tasks.planned.iter().filter_map(|key| {
            let money = tasks
                .money
                .get(key)
                .filter(|money| money.task_id == task_id)?;
            let step = money.step?;
            Some(MoneyEffect {
                key: key.clone(),
                task_id,
                body: money.body.clone(),
                step,
            })
        });
        Ok(effects.collect())
    }

    async fn money_submitted(&self, key: &str) -> Result<(), StoreError> {
        Ok(lock(&self.0).move_money(key, Some(MoneyStep::Submitted))?)
    }

    async fn money_final(&self, key: &str, outcome: &str) -> Result<(), StoreError> {
        check_outcome(outcome)?;
        Ok(lock(&self.0).move_money(key, None)?)
    }

    async fn open_tasks(&self, after: Option<Cid>, limit: u32) -> Result<Vec<Cid>, StoreError> {
        let tasks = lock(&self.0);
        let skipped = match after {
            None => 0,
            Some(task_id) => {
                let task = tasks
                    .by_id
                    .get(&task_id)
                    .ok_or(Fault::Broken("page starts after an unknown task"))?;
                task.ordinal.saturating_add(1)
            }
        };
        let open = tasks
            .created
            .iter()
            .skip(skipped)
            .filter(|task_id| tasks.is_open(task_id));
        Ok(open.take(page(limit)).copied().collect())
    }

    async fn open_count(&self) -> Result<u64, StoreError> {
        let tasks = lock(&self.0);
        let open = tasks
            .by_id
            .values()
            .filter(|task| task.wake_at_ms.is_some())
            .count();
        Ok(u64::try_from(open).unwrap_or(u64::MAX))
    }
}

impl Tasks {
    fn is_open(&self, task_id: &Cid) -> bool {
        self.by_id
            .get(task_id)
            .is_some_and(|task| task.wake_at_ms.is_some())
    }
}
