use std::collections::BTreeSet;

use d402_core::ports::TaskStore;
use d402_objects::Cid;
use futures::future::join_all;

use crate::home::Home;
use crate::sample::{WAKE_MS, create_all, id, last_step, names, step, task};

pub(crate) async fn eight_owners_never_share_a_task(home: &Home) {
    let names = names(300);
    create_all(&*home.store.tasks(), &names).await;
    let owners = (0..8).map(|owner| {
        let tasks = home.gateway(owner).tasks();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            // Enough for one owner to get all; bounded, should a task come again and again.
            for _ in 0..60 {
                let leased = tasks
                    .lease_due(&format!("owner {owner}"), 2_000, 9_000, 7)
                    .await
                    .unwrap();
                if leased.is_empty() {
                    break;
                }
                assert!(leased.len() <= 7);
                mine.extend(leased);
            }
            mine
        })
    });
    let leased: Vec<Cid> = join_all(owners)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    let distinct: BTreeSet<Cid> = leased.iter().copied().collect();
    assert_eq!(leased.len(), distinct.len(), "a task has two owners");
    assert_eq!(distinct, names.iter().map(|name| id(name)).collect());
}

pub(crate) async fn a_lease_ends_at_its_last_millisecond(home: &Home) {
    let tasks = home.store.tasks();
    tasks.create(task("a")).await.unwrap();
    assert_eq!(
        tasks.lease_due("first", WAKE_MS, 5_000, 10).await.unwrap(),
        [id("a")]
    );
    assert_eq!(
        tasks.lease_due("second", 4_999, 9_000, 10).await.unwrap(),
        []
    );
    assert_eq!(
        tasks.lease_due("second", 5_000, 9_000, 10).await.unwrap(),
        [id("a")]
    );
    assert_eq!(
        tasks.lease_due("first", 5_000, 9_000, 10).await.unwrap(),
        []
    );
}

pub(crate) async fn a_released_task_goes_to_the_next_owner(home: &Home) {
    let tasks = home.store.tasks();
    let names = names(80);
    create_all(&*tasks, &names).await;
    let leased = tasks.lease_due("first", WAKE_MS, 5_000, 100).await.unwrap();
    assert_eq!(leased.len(), 80);
    tasks.release("first", &leased[..70]).await.unwrap();
    tasks.release("first", &[id("unknown")]).await.unwrap();
    let second: BTreeSet<_> = tasks
        .lease_due("second", WAKE_MS, 5_000, 100)
        .await
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!(second, leased[..70].iter().copied().collect());
}

pub(crate) async fn a_process_that_comes_back_gives_up_the_leases_of_the_one_before_it(
    home: &Home,
) {
    let tasks = home.store.tasks();
    create_all(&*tasks, &names(3)).await;
    let first = tasks.lease_due("first", WAKE_MS, 5_000, 2).await.unwrap();
    let other = tasks.lease_due("other", WAKE_MS, 5_000, 1).await.unwrap();
    tasks.release_all("first").await.unwrap();
    tasks.release_all("nobody").await.unwrap();
    let again = tasks.lease_due("first", WAKE_MS, 5_000, 9).await.unwrap();
    assert_eq!(again, first, "its own, and not those of the other one");
    assert_eq!(other.len(), 1);
}

pub(crate) async fn only_its_holder_can_release(home: &Home) {
    let tasks = home.store.tasks();
    tasks.create(task("a")).await.unwrap();
    tasks.lease_due("first", WAKE_MS, 5_000, 1).await.unwrap();
    tasks.release("second", &[id("a")]).await.unwrap();
    assert_eq!(
        tasks.lease_due("second", WAKE_MS, 5_000, 1).await.unwrap(),
        []
    );
}

pub(crate) async fn the_holder_alone_gets_the_next_wake_up(home: &Home) {
    let tasks = home.store.tasks();
    tasks.create(task("a")).await.unwrap();
    assert_eq!(
        tasks.lease_due("first", WAKE_MS, 5_000, 1).await.unwrap(),
        [id("a")]
    );
    // The same wake-up is not given out twice, not even to its holder.
    assert_eq!(
        tasks.lease_due("first", WAKE_MS, 5_000, 1).await.unwrap(),
        []
    );
    tasks.append(vec![step("a", 1)]).await.unwrap();
    let next_ms = WAKE_MS + 1;
    assert_eq!(
        tasks.lease_due("second", next_ms, 6_000, 1).await.unwrap(),
        []
    );
    assert_eq!(
        tasks.lease_due("first", next_ms, 6_000, 1).await.unwrap(),
        [id("a")]
    );
    // The new lease lasts as long as it says.
    assert_eq!(
        tasks.lease_due("second", 5_500, 9_000, 1).await.unwrap(),
        []
    );
    assert_eq!(
        tasks.lease_due("second", 6_000, 9_000, 1).await.unwrap(),
        [id("a")]
    );
}

pub(crate) async fn the_longest_overdue_comes_first(home: &Home) {
    let tasks = home.store.tasks();
    for (name, wake_at_ms) in [
        ("late", 30),
        ("early", 10),
        ("middle", 20),
        ("early too", 10),
    ] {
        let mut new = task(name);
        new.wake_at_ms = wake_at_ms;
        tasks.create(new).await.unwrap();
    }
    assert_eq!(
        lease(&*tasks, 3).await,
        [id("early"), id("early too"), id("middle")]
    );
    assert_eq!(lease(&*tasks, 3).await, [id("late")]);
}

pub(crate) async fn final_and_sleeping_tasks_are_not_due(home: &Home) {
    let tasks = home.store.tasks();
    create_all(&*tasks, &["final".to_owned(), "due".to_owned()]).await;
    let mut sleeping = task("sleeping");
    sleeping.wake_at_ms = 60_001;
    tasks.create(sleeping).await.unwrap();
    tasks.append(vec![last_step("final", 1)]).await.unwrap();
    assert_eq!(lease(&*tasks, 10).await, [id("due")]);
}

async fn lease(tasks: &dyn TaskStore, limit: u32) -> Vec<Cid> {
    tasks.lease_due("me", 60_000, 70_000, limit).await.unwrap()
}
