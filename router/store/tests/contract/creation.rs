use d402_core::ports::CreateOutcome;
use futures::future::join_all;

use crate::home::Home;
use crate::sample::{hash, id, task};

pub(crate) async fn a_created_task_has_its_first_record(home: &Home) {
    let tasks = home.store.tasks();
    assert_eq!(tasks.journal(id("a")).await.unwrap(), Vec::<Vec<u8>>::new());
    assert_eq!(
        tasks.create(task("a")).await.unwrap(),
        CreateOutcome::Created
    );
    assert_eq!(
        tasks.journal(id("a")).await.unwrap(),
        [b"opened a".to_vec()]
    );
    assert_eq!(tasks.open_count().await.unwrap(), 1);
}

pub(crate) async fn what_is_taken_is_reported_payment_first_then_terms_then_client_id(home: &Home) {
    let tasks = home.store.tasks();
    for name in ["paid", "termed", "named"] {
        let mut new = task(name);
        new.client_id = Some(format!("client {name}"));
        tasks.create(new).await.unwrap();
    }
    let mut new = task("new");
    new.client_id = Some("client named".to_owned());
    assert_eq!(
        tasks.create(new.clone()).await.unwrap(),
        CreateOutcome::ClientIdTaken(id("named"))
    );
    new.terms_hash = hash("terms of termed");
    assert_eq!(
        tasks.create(new.clone()).await.unwrap(),
        CreateOutcome::TermsTaken(id("termed"))
    );
    new.payment_id = hash("payment of paid");
    assert_eq!(
        tasks.create(new.clone()).await.unwrap(),
        CreateOutcome::SamePayment(id("paid"))
    );
    // Not even one of the refused tries left something.
    assert_eq!(tasks.open_count().await.unwrap(), 3);
    assert!(tasks.journal(id("new")).await.unwrap().is_empty());
}

pub(crate) async fn an_intent_paid_on_another_entry_is_terms_taken(home: &Home) {
    let tasks = home.store.tasks();
    tasks.create(task("a")).await.unwrap();
    let mut other_entry = task("b");
    other_entry.task_id = id("a");
    assert_eq!(
        tasks.create(other_entry).await.unwrap(),
        CreateOutcome::TermsTaken(id("a"))
    );
}

pub(crate) async fn concurrent_payments_of_one_task_make_one_task(home: &Home) {
    for round in 0..10 {
        let name = format!("round {round}");
        let tries = (0..24).map(|gateway| {
            let (tasks, name) = (home.gateway(gateway).tasks(), name.clone());
            tokio::spawn(async move { tasks.create(task(&name)).await.unwrap() })
        });
        let outcomes: Vec<_> = join_all(tries)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let created = outcomes
            .iter()
            .filter(|outcome| **outcome == CreateOutcome::Created)
            .count();
        assert_eq!(created, 1, "{outcomes:?}");
        let same = outcomes
            .iter()
            .filter(|outcome| **outcome == CreateOutcome::SamePayment(id(&name)))
            .count();
        assert_eq!(same, 23, "{outcomes:?}");
        assert_eq!(
            home.store.tasks().journal(id(&name)).await.unwrap().len(),
            1
        );
    }
}

pub(crate) async fn concurrent_payers_of_the_same_terms_make_one_task(home: &Home) {
    let tries = (0..24).map(|payer| {
        let tasks = home.gateway(payer).tasks();
        tokio::spawn(async move {
            let mut new = task(&format!("payer {payer}"));
            new.terms_hash = hash("the terms");
            (new.task_id, tasks.create(new).await.unwrap())
        })
    });
    let outcomes: Vec<_> = join_all(tries)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let holder = home
        .store
        .tasks()
        .by_terms(hash("the terms"))
        .await
        .unwrap()
        .unwrap();
    for (task_id, outcome) in outcomes {
        let expected = if task_id == holder {
            CreateOutcome::Created
        } else {
            CreateOutcome::TermsTaken(holder)
        };
        assert_eq!(outcome, expected);
    }
    assert_eq!(home.store.tasks().open_count().await.unwrap(), 1);
}
