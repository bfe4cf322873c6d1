//! The in-memory store is the model: any sequence of calls gets the same answers from a database.

use d402_core::ports::{MoneyEffect, NewTask, Step, StoreError, TaskStore};
use d402_store::MemoryTasks;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::home::Home;
use crate::sample::{effect, hash, id};

#[derive(Clone, Debug)]
enum Call {
    Create {
        task: u8,
        payment: u8,
        terms: u8,
        client: Option<u8>,
        wake_at_ms: u64,
        money: Option<u8>,
    },
    Append(Vec<(u8, u64, Option<u64>, Option<u8>)>),
    LeaseDue {
        owner: u8,
        now_ms: u64,
        for_ms: u64,
        limit: u32,
    },
    Release {
        owner: u8,
        tasks: Vec<u8>,
    },
    ReleaseAll(u8),
    Submitted(u8),
    Final(u8),
}

fn call() -> impl Strategy<Value = Call> {
    let name = 0..5_u8;
    let key = proptest::option::weighted(0.3, 0..6_u8);
    let create = (
        name.clone(),
        0..6_u8,
        0..6_u8,
        proptest::option::of(0..4_u8),
        0..60_u64,
        key.clone(),
    )
        .prop_map(
            |(task, payment, terms, client, wake_at_ms, money)| Call::Create {
                task,
                payment,
                terms,
                client,
                wake_at_ms,
                money,
            },
        );
    let step = (
        name.clone(),
        0..7_u64,
        proptest::option::weighted(0.85, 0..60_u64),
        key,
    );
    prop_oneof![
        3 => create,
        6 => vec(step, 1..6).prop_map(Call::Append),
        3 => (0..3_u8, 0..60_u64, 1..30_u64, 1..4_u32)
            .prop_map(|(owner, now_ms, for_ms, limit)| Call::LeaseDue { owner, now_ms, for_ms, limit }),
        1 => (0..3_u8, vec(name, 0..3)).prop_map(|(owner, tasks)| Call::Release { owner, tasks }),
        1 => (0..3_u8).prop_map(Call::ReleaseAll),
        1 => (0..6_u8).prop_map(Call::Submitted),
        1 => (0..6_u8).prop_map(Call::Final),
    ]
}

fn money(task: u8, key: Option<u8>) -> Vec<MoneyEffect> {
    key.map(|key| {
        effect(
            &task.to_string(),
            &format!("key {key}"),
            &format!("by {task}"),
        )
    })
    .into_iter()
    .collect()
}

/// The answer as text; what an error says about its cause may differ.
fn told<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(StoreError::Broken { .. }) => "broken".to_owned(),
        Err(other) => panic!("{other:?}"),
    }
}

async fn answer(tasks: &dyn TaskStore, call: &Call, number: usize) -> String {
    match call.clone() {
        Call::Create {
            task,
            payment,
            terms,
            client,
            wake_at_ms,
            money: key,
        } => {
            let new = NewTask {
                task_id: id(&task.to_string()),
                terms_hash: hash(&format!("terms {terms}")),
                payment_id: hash(&format!("payment {payment}")),
                client_id: client.map(|client| format!("client {client}")),
                record: vec![1, number as u8],
                wake_at_ms,
                money: money(task, key),
                now_ms: 1,
            };
            told(tasks.create(new).await)
        }
        Call::Append(steps) => {
            let steps = steps.into_iter().map(|(task, seq, wake_at_ms, key)| Step {
                task_id: id(&task.to_string()),
                seq,
                record: vec![2, number as u8, seq as u8],
                wake_at_ms,
                money: money(task, key),
                now_ms: 2,
            });
            told(tasks.append(steps.collect()).await)
        }
        Call::LeaseDue {
            owner,
            now_ms,
            for_ms,
            limit,
        } => told(
            tasks
                .lease_due(&owner.to_string(), now_ms, now_ms + for_ms, limit)
                .await,
        ),
        Call::Release {
            owner,
            tasks: released,
        } => {
            let released: Vec<_> = released.iter().map(|task| id(&task.to_string())).collect();
            told(tasks.release(&owner.to_string(), &released).await)
        }
        Call::ReleaseAll(owner) => told(tasks.release_all(&owner.to_string()).await),
        Call::Submitted(key) => told(tasks.money_submitted(&format!("key {key}")).await),
        Call::Final(key) => told(tasks.money_final(&format!("key {key}"), "done").await),
    }
}

/// Everything a caller can see.
async fn seen(tasks: &dyn TaskStore) -> Vec<String> {
    let mut seen = vec![
        told(tasks.open_tasks(None, 100).await),
        told(tasks.open_count().await),
    ];
    for name in 0..6_u8 {
        let task_id = id(&name.to_string());
        seen.push(told(tasks.journal(task_id).await));
        seen.push(told(tasks.money(task_id).await));
        seen.push(told(
            tasks.by_payment(hash(&format!("payment {name}"))).await,
        ));
        seen.push(told(tasks.by_terms(hash(&format!("terms {name}"))).await));
        seen.push(told(tasks.by_client_id(&format!("client {name}")).await));
    }
    seen
}

pub(crate) async fn any_sequence_of_calls_is_answered_as_in_memory(home: &Home) {
    let mut runner = TestRunner::new(Config::default());
    for _ in 0..6 {
        let calls = vec(call(), 30..90).new_tree(&mut runner).unwrap().current();
        let (model, other) = (MemoryTasks::default(), home.another().await);
        let tasks = other.store.tasks();
        for (number, call) in calls.iter().enumerate() {
            let expected = answer(&model, call, number).await;
            let got = answer(&*tasks, call, number).await;
            assert_eq!(got, expected, "call {number} of {calls:#?}");
        }
        assert_eq!(seen(&*tasks).await, seen(&model).await, "after {calls:#?}");
        other.close().await;
    }
}
