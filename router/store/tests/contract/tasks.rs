use std::collections::BTreeSet;

use d402_core::ports::{StepOutcome, StoreError};
use d402_store::{MAX_CLIENT_ID_BYTES, MAX_MONEY_BODY_BYTES, MAX_RECORD_BYTES};
use futures::future::join_all;

use crate::home::Home;
use crate::sample::{create_all, effect, hash, id, last_step, names, step, task};

pub(crate) async fn steps_are_read_back_in_order(home: &Home) {
    let tasks = home.store.tasks();
    let names = names(90);
    create_all(&*tasks, &names).await;
    let steps: Vec<_> = (1..=4)
        .flat_map(|seq| names.iter().map(move |name| step(name, seq)))
        .collect();
    let outcomes = tasks.append(steps).await.unwrap();
    assert_eq!(outcomes, vec![StepOutcome::Stored; 4 * names.len()]);
    for name in &names {
        let expected: Vec<Vec<u8>> = std::iter::once(format!("opened {name}"))
            .chain((1..=4).map(|seq| format!("{name} {seq}")))
            .map(String::into_bytes)
            .collect();
        assert_eq!(tasks.journal(id(name)).await.unwrap(), expected);
    }
}

pub(crate) async fn many_journals_are_read_at_once(home: &Home) {
    let tasks = home.store.tasks();
    let names = names(90);
    create_all(&*tasks, &names).await;
    tasks
        .append(names.iter().skip(40).map(|name| step(name, 1)).collect())
        .await
        .unwrap();
    // In the order asked, unknown ones empty, one asked for twice given twice.
    let mut asked: Vec<_> = names.iter().rev().map(|name| id(name)).collect();
    asked.insert(7, id("unknown"));
    asked.push(asked[0]);
    let read = tasks.journals(&asked).await.unwrap();
    assert_eq!(read.len(), asked.len());
    for (task_id, journal) in asked.iter().zip(read) {
        assert_eq!(journal, tasks.journal(*task_id).await.unwrap());
    }
    assert_eq!(
        tasks.journals(&[]).await.unwrap(),
        Vec::<Vec<Vec<u8>>>::new()
    );
}

pub(crate) async fn of_two_writers_of_one_seq_exactly_one_wins(home: &Home) {
    home.store.tasks().create(task("a")).await.unwrap();
    for seq in 1..=40 {
        let tries = (0..4_u8).map(|writer| {
            let tasks = home.gateway(writer.into()).tasks();
            tokio::spawn(async move {
                let mut mine = step("a", seq);
                mine.record = vec![writer + 1];
                tasks.append(vec![mine]).await.unwrap()[0]
            })
        });
        let outcomes: Vec<_> = join_all(tries)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let winners: Vec<_> = (1_u8..)
            .zip(&outcomes)
            .filter(|(_, o)| **o == StepOutcome::Stored)
            .collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        let journal = home.store.tasks().journal(id("a")).await.unwrap();
        assert_eq!(journal.len() as u64, seq + 1);
        assert_eq!(
            journal.last().unwrap(),
            &vec![winners[0].0],
            "the winner's record is what is stored"
        );
    }
}

pub(crate) async fn a_step_behind_a_lost_one_is_lost(home: &Home) {
    let tasks = home.store.tasks();
    create_all(&*tasks, &["a".to_owned(), "b".to_owned()]).await;
    tasks
        .append(vec![step("a", 1), step("a", 2)])
        .await
        .unwrap();
    // Decided when the journal of "a" had one record: seq 3 is free, but not for who never saw 1 and 2.
    let outcomes = tasks
        .append(vec![step("a", 2), step("a", 3), step("b", 1)])
        .await
        .unwrap();
    assert_eq!(
        outcomes,
        [
            StepOutcome::Conflict,
            StepOutcome::Conflict,
            StepOutcome::Stored
        ]
    );
    assert_eq!(tasks.journal(id("a")).await.unwrap().len(), 3);
    assert_eq!(
        tasks.append(vec![step("a", 3)]).await.unwrap(),
        [StepOutcome::Stored]
    );
}

pub(crate) async fn a_gap_is_a_conflict(home: &Home) {
    let tasks = home.store.tasks();
    tasks.create(task("a")).await.unwrap();
    assert_eq!(
        tasks.append(vec![step("a", 2)]).await.unwrap(),
        [StepOutcome::Conflict]
    );
    assert_eq!(
        tasks.append(vec![step("a", 0)]).await.unwrap(),
        [StepOutcome::Conflict]
    );
    assert_eq!(tasks.journal(id("a")).await.unwrap().len(), 1);
}

pub(crate) async fn a_call_with_a_broken_step_stores_nothing(home: &Home) {
    let tasks = home.store.tasks();
    tasks.create(task("a")).await.unwrap();
    let broken = tasks.append(vec![step("a", 1), step("unknown", 1)]).await;
    assert!(
        matches!(broken, Err(StoreError::Broken { .. })),
        "{broken:?}"
    );
    assert_eq!(tasks.journal(id("a")).await.unwrap().len(), 1);
    assert_eq!(
        tasks.append(vec![step("a", 1)]).await.unwrap(),
        [StepOutcome::Stored]
    );
}

pub(crate) async fn a_broken_call_harms_no_other(home: &Home) {
    let tasks = home.store.tasks();
    let names = names(30);
    create_all(&*tasks, &names).await;
    let calls = names.iter().map(|name| {
        let (tasks, name) = (tasks.clone(), name.clone());
        tokio::spawn(async move {
            let broken = tokio::spawn({
                let tasks = tasks.clone();
                async move { tasks.append(vec![step("unknown", 1)]).await }
            });
            let stored = tasks.append(vec![step(&name, 1)]).await.unwrap();
            assert!(matches!(
                broken.await.unwrap(),
                Err(StoreError::Broken { .. })
            ));
            stored
        })
    });
    for outcome in join_all(calls).await {
        assert_eq!(outcome.unwrap(), [StepOutcome::Stored]);
    }
}

pub(crate) async fn an_abandoned_call_is_whole_or_nothing(home: &Home) {
    let tasks = home.store.tasks();
    create_all(&*tasks, &["a".to_owned(), "b".to_owned()]).await;
    let mut abandoned = 0;
    for round in 0..120_u32 {
        let next = tasks.journal(id("a")).await.unwrap().len() as u64;
        let mut paid = step("b", next);
        paid.money = vec![effect("b", &format!("pay:{next}"), "bytes")];
        let call = {
            let tasks = tasks.clone();
            tokio::spawn(async move { tasks.append(vec![step("a", next), paid]).await })
        };
        for _ in 0..round % 12 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(std::time::Duration::from_micros(u64::from(round % 7) * 150)).await;
        call.abort();
        match call.await {
            Ok(answered) => assert_eq!(answered.unwrap(), [StepOutcome::Stored; 2]),
            Err(_) => abandoned += 1,
        }
        // A write behind it on every lane: what the abandoned call asked for has ended when this has.
        for _ in 0..3 {
            tasks.release("nobody", &[id("a"), id("b")]).await.unwrap();
        }
        let a = tasks.journal(id("a")).await.unwrap().len();
        let b = tasks.journal(id("b")).await.unwrap().len();
        assert_eq!(a, b, "half a call is stored");
        assert_eq!(
            tasks.money(id("b")).await.unwrap().len(),
            a - 1,
            "a step is stored without its money"
        );
    }
    // In memory a call ends at its first poll; elsewhere most of these must have been cut short somewhere.
    assert!(
        abandoned > 0 || home.store.kind() == "memory",
        "no call was ever abandoned"
    );
}

pub(crate) async fn a_final_task_is_closed_for_ever(home: &Home) {
    let tasks = home.store.tasks();
    create_all(&*tasks, &["a".to_owned(), "b".to_owned()]).await;
    tasks
        .append(vec![step("a", 1), last_step("a", 2)])
        .await
        .unwrap();
    assert_eq!(tasks.open_tasks(None, 10).await.unwrap(), [id("b")]);
    assert_eq!(tasks.open_count().await.unwrap(), 1);
    // What arrives afterwards may be noted.
    assert_eq!(
        tasks.append(vec![last_step("a", 3)]).await.unwrap(),
        [StepOutcome::Stored]
    );
    let woken = tasks.append(vec![step("a", 4)]).await;
    assert!(matches!(woken, Err(StoreError::Broken { .. })), "{woken:?}");
    let woken = tasks.append(vec![last_step("b", 1), step("b", 2)]).await;
    assert!(matches!(woken, Err(StoreError::Broken { .. })), "{woken:?}");
    assert_eq!(tasks.journal(id("a")).await.unwrap().len(), 4);
}

pub(crate) async fn open_tasks_are_paged_in_creation_order(home: &Home) {
    let tasks = home.store.tasks();
    let names = names(25);
    create_all(&*tasks, &names).await;
    tasks
        .append(vec![last_step("task 3", 1), last_step("task 9", 1)])
        .await
        .unwrap();
    let expected: Vec<_> = names
        .iter()
        .filter(|name| !["task 3", "task 9"].contains(&name.as_str()))
        .map(|name| id(name))
        .collect();
    let mut seen = Vec::new();
    for _ in 0..20 {
        let page = tasks.open_tasks(seen.last().copied(), 10).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 10);
        seen.extend(page);
    }
    assert_eq!(seen, expected);
    // A page may start after a task that has become final meanwhile.
    assert_eq!(
        tasks.open_tasks(Some(id("task 3")), 1).await.unwrap(),
        [id("task 4")]
    );
    assert!(matches!(
        tasks.open_tasks(Some(id("unknown")), 1).await,
        Err(StoreError::Broken { .. })
    ));
}

pub(crate) async fn tasks_are_found_by_payment_terms_and_client_id(home: &Home) {
    let tasks = home.store.tasks();
    let awkward = "order 7/\u{0}é";
    let mut new = task("a");
    new.client_id = Some(awkward.to_owned());
    tasks.create(new).await.unwrap();
    tasks.create(task("b")).await.unwrap();
    assert_eq!(
        tasks.by_payment(hash("payment of a")).await.unwrap(),
        Some(id("a"))
    );
    assert_eq!(
        tasks.by_terms(hash("terms of b")).await.unwrap(),
        Some(id("b"))
    );
    assert_eq!(tasks.by_client_id(awkward).await.unwrap(), Some(id("a")));
    assert_eq!(tasks.by_payment(hash("terms of a")).await.unwrap(), None);
    assert_eq!(tasks.by_terms(hash("payment of a")).await.unwrap(), None);
    assert_eq!(tasks.by_client_id("order 7/").await.unwrap(), None);
    assert_eq!(tasks.by_client_id(&"x".repeat(9_000)).await.unwrap(), None);
}

pub(crate) async fn values_over_their_limit_are_refused(home: &Home) {
    let tasks = home.store.tasks();
    let mut long_name = task("a");
    long_name.client_id = Some("x".repeat(MAX_CLIENT_ID_BYTES + 1));
    assert!(matches!(
        tasks.create(long_name).await,
        Err(StoreError::TooLarge { .. })
    ));
    let mut longest_name = task("a");
    longest_name.client_id = Some("x".repeat(MAX_CLIENT_ID_BYTES));
    tasks.create(longest_name).await.unwrap();
    let mut long = step("a", 1);
    long.record = vec![0; MAX_RECORD_BYTES + 1];
    let refused = tasks.append(vec![long]).await;
    assert!(
        matches!(refused, Err(StoreError::TooLarge { bytes, limit }) if bytes == limit + 1),
        "{refused:?}"
    );
    let mut dear = step("a", 1);
    dear.money = vec![effect("a", "pay", &"x".repeat(MAX_MONEY_BODY_BYTES + 1))];
    assert!(matches!(
        tasks.append(vec![dear]).await,
        Err(StoreError::TooLarge { .. })
    ));
    assert_eq!(tasks.journal(id("a")).await.unwrap().len(), 1);
}

pub(crate) async fn impossible_values_are_broken(home: &Home) {
    let tasks = home.store.tasks();
    let mut empty_name = task("a");
    empty_name.client_id = Some(String::new());
    assert!(matches!(
        tasks.create(empty_name).await,
        Err(StoreError::Broken { .. })
    ));
    tasks.create(task("a")).await.unwrap();
    let mut empty = step("a", 1);
    empty.record = Vec::new();
    assert!(matches!(
        tasks.append(vec![empty]).await,
        Err(StoreError::Broken { .. })
    ));
    assert!(matches!(
        tasks.lease_due("", 1, 2, 1).await,
        Err(StoreError::Broken { .. })
    ));
    assert!(matches!(
        tasks.lease_due("me", 2, 2, 1).await,
        Err(StoreError::Broken { .. })
    ));
    assert_eq!(tasks.append(Vec::new()).await.unwrap(), []);
}

pub(crate) async fn what_was_answered_is_there_after_opening_again(home: &Home) {
    let tasks = home.store.tasks();
    let names = names(12);
    create_all(&*tasks, &names).await;
    let mut paid = step("task 0", 1);
    paid.money = vec![effect("task 0", "pay:0", "bytes")];
    tasks
        .append(vec![paid, last_step("task 1", 1)])
        .await
        .unwrap();
    let leased = tasks.lease_due("before", 5_000, 60_000, 4).await.unwrap();
    assert_eq!(leased.len(), 4);
    let cid = home.store.blobs().put(b"page").await.unwrap();
    let Some(store) = home.opened_again().await else {
        return;
    };
    assert!(
        matches!(tasks.open_count().await, Err(StoreError::Unavailable(_))),
        "a closed store answers"
    );
    assert!(
        matches!(
            tasks.create(task("late")).await,
            Err(StoreError::Unavailable(_))
        ),
        "a closed store writes"
    );
    let tasks = store.tasks();
    assert_eq!(tasks.open_count().await.unwrap(), 11);
    assert_eq!(tasks.journal(id("task 0")).await.unwrap().len(), 2);
    assert_eq!(
        tasks.money(id("task 0")).await.unwrap(),
        [effect("task 0", "pay:0", "bytes")]
    );
    assert_eq!(store.blobs().get(cid).await.unwrap().unwrap(), b"page");
    let due: BTreeSet<_> = tasks
        .lease_due("after", 5_000, 60_000, 100)
        .await
        .unwrap()
        .into_iter()
        .collect();
    if store.kind() == "sqlite" {
        // Nobody else can hold the leases of an embedded database: they are given back.
        assert_eq!(due.len(), 11);
    } else {
        // Another gateway may: they last.
        assert_eq!(due.len(), 7);
        assert!(leased.iter().all(|task_id| !due.contains(task_id)));
    }
    store.close().await;
}

pub(crate) async fn a_store_that_works_is_healthy(home: &Home) {
    home.store.health().await.unwrap();
    home.close().await;
    assert_eq!(
        home.store.health().await.is_ok(),
        home.store.kind() == "memory"
    );
}
