//! A gateway that starts with many open tasks: how soon it works again, and what they cost in memory.
//!
//! The tasks are written to the store as an engine would have left them when it was killed: paid, leased, the
//! worker at work, timers far away. Then a process opens the store, and is asked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use d402_core::market::{BID_WINDOW_MS, PaymentFacts};
use d402_core::ports::{
    CreateOutcome, MoneyEffect, MoneyStep, NewTask, Step, StepOutcome, TaskStore,
};
use d402_core::{Command, PhaseName, Record, Task};
use d402_node::clock::SystemClock;
use d402_objects::{Bid, Cid, Hex32, LeaseAccept, Signed};
use d402_wire::{RawDossier, Request};
use serde_json::json;

use super::Plan;
use super::cast::{Cast, Ordered, VALIDATORS};
use super::child::{Actor, parent_gone, say};
use super::house::{House, open_store};
use super::measure::{Latencies, instant, own_cpu, own_rss_kib};
use super::rail::Purse;
use super::report::Row;
use super::stage::{Stage, Wings};

/// Role of the child.
pub(super) const ROLE: &str = "resume";
const GOAL_MS: u64 = 3_000;
const GOAL_RSS_KIB: u64 = 150 * 1024;
/// Tasks live this long, so that none is due during the measurement, ms.
const WINDOW_MS: u64 = 23 * 60 * 60 * 1_000;
/// Tasks asked for, one after the other, as soon as the process runs.
const PROBES: usize = 100;
/// Tasks written at once.
const CHUNK: u64 = 1_000;
/// Longest wait for all tasks to be looked at.
const PATIENCE: Duration = Duration::from_secs(900);

/// Measures.
pub(super) async fn run(plan: &Plan) -> Vec<Row> {
    let (many, some) = (
        started_with(plan.open).await,
        started_with(plan.resident).await,
    );
    let number = |told: &serde_json::Value, name: &str| told[name].as_u64().expect("a number");
    let ready = number(&many, "readyMs");
    let mut first = Row::new(
        "resume of open tasks",
        "100000 in < 3 s",
        format!("{} in {ready} ms", plan.open),
        ready < GOAL_MS && plan.open >= 100_000,
    )
    .note(format!(
        "store open after {} ms; ready = then {PROBES} tasks spread over all of them were replayed, verified and answered for, one after the other",
        number(&many, "openMs"),
    ))
    .note(format!(
        "every open task was looked at, and its unfinished effects repeated, after {} ms in the background; memory then {} MB",
        number(&many, "allMs"),
        number(&many, "rssKib") / 1024,
    ));
    first.p50_us = Some(number(&many, "p50Us"));
    first.p99_us = Some(number(&many, "p99Us"));
    first.cpu_us = Some(number(&many, "cpuUs"));
    let rss = number(&some, "rssKib");
    let second = Row::new(
        "memory with open tasks",
        "10000 in < 150 MB",
        format!("{} in {} MB", plan.resident, rss / 1024),
        rss < GOAL_RSS_KIB && plan.resident >= 10_000,
    )
    .note(format!(
        "resident memory of the gateway process after all of them were looked at; {} MB before the first; p50 and p99 above are one task's replay",
        number(&some, "emptyKib") / 1024,
    ));
    vec![first, second]
}

/// Writes `count` open tasks and starts a process on them; what it says.
async fn started_with(count: u64) -> serde_json::Value {
    let home = tempfile::tempdir().expect("a folder");
    populate(home.path(), count).await;
    let path = home.path().to_owned();
    tokio::task::spawn_blocking(move || Actor::start(ROLE, &path).says())
        .await
        .expect("a child")
}

/// In the child: resumes, is asked, tells.
pub(super) async fn resume(home: &Path) {
    let empty = own_rss_kib();
    let start = instant();
    let cast = Arc::new(Cast::new(WINDOW_MS));
    let clock = Arc::new(SystemClock);
    let stage = Stage::scripted(&cast);
    let outside = (
        Purse::new(clock.clone()) as _,
        Arc::new(Wings(Arc::clone(&stage))) as _,
        clock as _,
    );
    let house = House::open(home, &cast, outside).await;
    let open = start.elapsed();
    let ids = probes(house.store.tasks().as_ref()).await;
    let mut asked = Vec::new();
    for task_id in ids {
        let begun = instant();
        let task = house.engine.task(task_id).await.expect("a store");
        let phase = task.expect("a task").phase().name();
        assert_eq!(phase, PhaseName::Working);
        asked.push(begun.elapsed());
    }
    let ready = start.elapsed();
    let count = house.store.tasks().open_count().await.expect("a store");
    // A task whose worker is at work is given to its validators again.
    let effects = count * u64::try_from(VALIDATORS).unwrap();
    let every = async {
        while !house.engine.resumption().done || stage.asked() < effects {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, every).await;
    let told = house.engine.resumption();
    assert!(in_time.is_ok(), "{told:?}, {} effects", stage.asked());
    let all = start.elapsed();
    assert_eq!(u64::try_from(told.tasks), Ok(count), "tasks were left out");
    let asked = Latencies::of(asked);
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap();
    say(&json!({
        "openMs": ms(open),
        "readyMs": ms(ready),
        "allMs": ms(all),
        "p50Us": asked.percentile_us(50),
        "p99Us": asked.percentile_us(99),
        "cpuUs": u64::try_from(own_cpu().as_micros()).unwrap() / count.max(1),
        "emptyKib": empty,
        "rssKib": own_rss_kib(),
    }));
    parent_gone().await;
    house.close().await;
}

/// Tasks spread over all open ones.
async fn probes(store: &dyn TaskStore) -> Vec<Cid> {
    let mut all = Vec::new();
    loop {
        let page = store.open_tasks(all.last().copied(), 1_000).await;
        let page = page.expect("a store");
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    let every = (all.len() / PROBES).max(1);
    all.into_iter().step_by(every).take(PROBES).collect()
}

/// Fills a new store with open tasks.
async fn populate(home: &Path, count: u64) {
    let cast = Arc::new(Cast::new(WINDOW_MS));
    let store = open_store(home).await;
    let tasks = store.tasks();
    let now_ms = crate::now_ms();
    for first in (0..count).step_by(usize::try_from(CHUNK).unwrap()) {
        let last = count.min(first + CHUNK);
        let mut making = tokio::task::JoinSet::new();
        for seed in first..last {
            let cast = Arc::clone(&cast);
            making.spawn_blocking(move || left_behind(&cast, &cast.order(seed, now_ms), now_ms));
        }
        let (new, steps): (Vec<NewTask>, Vec<Vec<Step>>) =
            making.join_all().await.into_iter().unzip();
        let mut creating = tokio::task::JoinSet::new();
        for task in new {
            let tasks = Arc::clone(&tasks);
            creating.spawn(async move { tasks.create(task).await });
        }
        for created in creating.join_all().await {
            assert_eq!(created.expect("a store"), CreateOutcome::Created);
        }
        let stored = tasks.append(steps.into_iter().flatten().collect()).await;
        let stored = stored.expect("a store");
        assert!(stored.iter().all(|outcome| *outcome == StepOutcome::Stored));
    }
    store.close().await;
}

/// The journal of a task whose worker is at work.
fn left_behind(cast: &Cast, order: &Ordered, now_ms: u64) -> (NewTask, Vec<Step>) {
    let dossier = &order.dossier;
    let task_id = dossier.task_id();
    let payment_id = Hex32::from_bytes(Cid::of(&task_id.as_bytes()).as_bytes());
    let body = order.payment.to_string();
    let facts = PaymentFacts {
        payment_id,
        payer: cast.buyer().address().to_string(),
        body: body.clone().into(),
    };
    let created = Record::Created {
        dossier: RawDossier::of(dossier),
        payment_id,
        payer: facts.payer.clone(),
        payment_body: body.clone(),
        at_ms: now_ms,
    };
    let (mut task, _) = Task::create(dossier.clone(), facts, now_ms);
    let new = NewTask {
        task_id,
        terms_hash: dossier.terms_hash(),
        payment_id,
        client_id: None,
        record: encoded(&created),
        wake_at_ms: task.wake_at_ms().expect("an open task"),
        money: vec![MoneyEffect {
            key: format!("pay:{payment_id}"),
            task_id,
            body: body.into_bytes(),
            step: MoneyStep::Submitted,
        }],
        now_ms,
    };
    let mut steps = Vec::new();
    let mut step = |task: &mut Task, command: Command, at_ms: u64| {
        task.apply(command.clone(), at_ms).expect("a step");
        let record = Record::Applied { at_ms, command };
        steps.push(Step {
            task_id,
            seq: u64::try_from(steps.len()).unwrap() + 1,
            record: encoded(&record),
            wake_at_ms: task.wake_at_ms(),
            money: Vec::new(),
            now_ms: at_ms,
        });
    };
    step(&mut task, Command::DepositFunded { at_ms: now_ms }, now_ms);
    let until_ms = dossier.intent().deadline_ms.get();
    let bid = bid_of(&cast.bid(task_id, dossier.terms_hash(), until_ms));
    let placed = Command::BidPlaced {
        bid,
        penalty: 0,
        distinct_subnet: false,
    };
    step(&mut task, placed, now_ms);
    let leased_ms = now_ms + BID_WINDOW_MS;
    step(&mut task, Command::Tick, leased_ms);
    let lease = task.lease_sets()[0].slots[0].lease.clone();
    let lease = Signed::sign(lease, &cast.actors.gateway).expect("a lease");
    let accept: Signed<LeaseAccept> = cast.scene(dossier.clone()).accept(&lease);
    step(&mut task, Command::LeaseAccepted { accept }, leased_ms);
    (new, steps)
}

fn bid_of(message: &[u8]) -> Signed<Bid> {
    match d402_wire::decode(message, d402_wire::peer::MAX_MESSAGE_BYTES) {
        Ok(Request::PlaceBid { bid }) => Signed::from_value(bid.0).expect("a bid"),
        other => panic!("no bid: {other:?}"),
    }
}

fn encoded(record: &Record) -> Vec<u8> {
    d402_wire::encode(record).expect("a record")
}
