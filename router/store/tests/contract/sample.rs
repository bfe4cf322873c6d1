//! Tasks, steps and effects to write.

use d402_core::ports::{MoneyEffect, MoneyStep, NewTask, Step, TaskStore};
use d402_objects::{Cid, Hex32};

pub(crate) const WAKE_MS: u64 = 1_000;

pub(crate) fn id(name: &str) -> Cid {
    Cid::of(name.as_bytes())
}

pub(crate) fn hash(name: &str) -> Hex32 {
    Hex32::from_bytes(Cid::of(name.as_bytes()).as_bytes())
}

/// A task whose ids all come from `name`.
pub(crate) fn task(name: &str) -> NewTask {
    NewTask {
        task_id: id(name),
        terms_hash: hash(&format!("terms of {name}")),
        payment_id: hash(&format!("payment of {name}")),
        client_id: None,
        record: format!("opened {name}").into_bytes(),
        wake_at_ms: WAKE_MS,
        money: Vec::new(),
        now_ms: 1,
    }
}

pub(crate) fn step(name: &str, seq: u64) -> Step {
    Step {
        task_id: id(name),
        seq,
        record: format!("{name} {seq}").into_bytes(),
        wake_at_ms: Some(WAKE_MS + seq),
        money: Vec::new(),
        now_ms: 2,
    }
}

pub(crate) fn last_step(name: &str, seq: u64) -> Step {
    Step {
        wake_at_ms: None,
        ..step(name, seq)
    }
}

pub(crate) fn effect(name: &str, key: &str, body: &str) -> MoneyEffect {
    MoneyEffect {
        key: key.to_owned(),
        task_id: id(name),
        body: body.as_bytes().to_vec(),
        step: MoneyStep::Planned,
    }
}

pub(crate) async fn create_all(tasks: &dyn TaskStore, names: &[String]) {
    for name in names {
        assert_eq!(
            tasks.create(task(name)).await.unwrap(),
            d402_core::ports::CreateOutcome::Created
        );
    }
}

pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("task {number}")).collect()
}
