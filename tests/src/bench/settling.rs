//! Settled tasks per second: the gateway's whole work on a task, durable, with everybody else's lines written
//! beforehand.
//!
//! Tasks run in waves under a clock that stands. A lease carries the moment it was made, so with the wall clock
//! nothing behind it could be signed beforehand; with this one the state machine itself tells the lease that the
//! gateway will make, and every answer to it is ready before the stopwatch starts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use d402_core::market::{BID_WINDOW_MS, PaymentFacts};
use d402_core::ports::{CreateOutcome, Rail};
use d402_core::{Command, Ending, Task};
use d402_objects::{Bid, Cid, Hex32, Signed, signature};
use d402_settlement::market::Dossier;
use d402_wire::Request;

use super::Plan;
use super::cast::{Cast, Ordered};
use super::house::{HandClock, House};
use super::measure::{Latencies, instant, micros_each, own_cpu, per_second};
use super::rail::Purse;
use super::report::Row;
use super::stage::{Stage, Wings};

const START_MS: u64 = 1_795_000_000_000;
/// Between two waves, ms: longer than a task lives.
const BETWEEN_MS: u64 = 60_000;
const GOAL: u64 = 1_000;
/// Longest a wave may take.
const PATIENCE: Duration = Duration::from_secs(120);

struct Run {
    cast: Arc<Cast>,
    clock: Arc<HandClock>,
    rail: Arc<Purse>,
    stage: Arc<Stage>,
    house: House,
}

#[derive(Default)]
struct Sums {
    time: Duration,
    cpu: Duration,
    checks: u64,
    records: u64,
    latencies: Vec<Duration>,
}

/// Measures.
pub(super) async fn run(plan: &Plan) -> Vec<Row> {
    let home = tempfile::tempdir().expect("a folder");
    let cast = Arc::new(Cast::new(30_000));
    let clock = HandClock::at(START_MS);
    let rail = Purse::new(clock.clone());
    let stage = Stage::scripted(&cast);
    let outside = (
        rail.clone() as _,
        Arc::new(Wings(Arc::clone(&stage))) as _,
        clock.clone() as _,
    );
    let house = House::open(home.path(), &cast, outside).await;
    stage.raise(&house.engine);
    let run = Run {
        cast,
        clock,
        rail,
        stage,
        house,
    };
    // The first wave fills pools, statements and caches.
    run.wave(0, plan.wave / 4 + 1, &mut Sums::default()).await;
    let mut sums = Sums::default();
    for number in 1..=plan.waves {
        run.wave(number, plan.wave, &mut sums).await;
    }
    let tasks = plan.wave * plan.waves;
    let all = tasks + plan.wave / 4 + 1;
    let audit = run.rail.audit();
    assert_eq!((audit.funded, audit.settled), (all, all), "{audit:?}");
    assert_eq!(audit.paid_in, audit.paid_out, "{audit:?}");
    let asked = run.stage.asked() / all;
    run.house.close().await;
    let rate = per_second(tasks, sums.time);
    let latencies = Latencies::of(sums.latencies);
    let mut row = Row::new(
        "settled tasks, SQLite with fsync",
        "≥ 1000/s on 2 cores",
        format!("{rate}/s"),
        rate >= GOAL,
    )
    .note(format!(
        "{tasks} tasks in waves of {}, single, 3 of 4 validators; {} journal records, {asked} network requests and {} signature checks by the gateway per task",
        plan.wave,
        sums.records / tasks,
        sums.checks / tasks,
    ))
    .note(format!(
        "audited afterwards: {} receipts executed by the ledger with their signatures, {} units in and {} out",
        audit.settled, audit.paid_in, audit.paid_out,
    ))
    .note("latency is from creation to the published receipt with a whole wave in progress".to_owned());
    row.cpu_us = Some(micros_each(sums.cpu, tasks));
    row.p50_us = Some(latencies.percentile_us(50));
    row.p99_us = Some(latencies.percentile_us(99));
    vec![row]
}

impl Run {
    /// Prepares a wave, plays it against the stopwatch, and looks at how it ended.
    async fn wave(&self, number: u64, size: u64, sums: &mut Sums) {
        let now_ms = START_MS + number * BETWEEN_MS;
        self.clock.set(now_ms);
        self.stage.clear();
        let orders = self.prepare(number, size, now_ms).await;
        let dossiers: Vec<Dossier> = orders.iter().map(|o| o.dossier.clone()).collect();
        let (checks, cpu, start) = (signature::checks(), own_cpu(), instant());
        let started = self.play(orders, now_ms).await;
        sums.time += start.elapsed();
        sums.cpu += own_cpu() - cpu;
        sums.checks += signature::checks() - checks;
        let ended = self.stage.ended();
        for dossier in &dossiers {
            let task_id = dossier.task_id();
            sums.latencies.push(ended[&task_id] - started[&task_id]);
            sums.records += self.settled_records(task_id).await;
        }
    }

    async fn play(&self, orders: Vec<Ordered>, now_ms: u64) -> HashMap<Cid, Instant> {
        let count = orders.len();
        let want = self.stage.bids() + u64::try_from(count).unwrap();
        let mut created = tokio::task::JoinSet::new();
        let mut started = HashMap::new();
        for order in orders {
            started.insert(order.dossier.task_id(), instant());
            let (engine, rail) = (self.house.engine.clone(), Arc::clone(&self.rail));
            created.spawn(async move {
                // What a paid request does once its challenge is redeemed.
                let dossier = Dossier::check(order.parts).expect("a dossier");
                rail.learn_set(dossier.set());
                let paid = rail
                    .verify(&order.payment, &dossier.terms().encode())
                    .await
                    .expect("a rail")
                    .expect("a payment");
                let outcome = engine.create(dossier, paid, None).await.expect("a task");
                assert_eq!(outcome, CreateOutcome::Created);
            });
        }
        while let Some(done) = created.join_next().await {
            done.expect("a task is created");
        }
        wait("every task has its bid", || self.stage.bids() >= want).await;
        self.clock.set(now_ms + BID_WINDOW_MS);
        wait("every task ends", || self.stage.ended_count() >= count).await;
        started
    }

    /// Orders of a wave; what the others will say in them is on the stage.
    async fn prepare(&self, number: u64, size: u64, now_ms: u64) -> Vec<Ordered> {
        let mut making = tokio::task::JoinSet::new();
        for index in 0..size {
            let (cast, stage) = (Arc::clone(&self.cast), Arc::clone(&self.stage));
            making.spawn_blocking(move || {
                let order = cast.order(number * 1_000_000 + index, now_ms);
                let (bid, answers) = foresee(&cast, &order, now_ms);
                stage.script(order.dossier.task_id(), bid, answers);
                order
            });
        }
        making.join_all().await
    }

    /// Number of records of a task that ended well.
    async fn settled_records(&self, task_id: Cid) -> u64 {
        let task = self.house.engine.task(task_id).await.expect("a store");
        let task = task.expect("a task");
        assert!(
            matches!(
                task.ending(),
                Some(Ending::Paid {
                    output_stored: true,
                    ..
                })
            ),
            "{:?}",
            task.phase().name(),
        );
        let journal = self.house.store.tasks().journal(task_id).await;
        u64::try_from(journal.expect("a journal").len()).unwrap()
    }
}

/// Plays a task on the bare state machine as far as its lease: the gateway will make the same one.
fn foresee(cast: &Cast, order: &Ordered, now_ms: u64) -> (Vec<u8>, super::cast::Answers) {
    let dossier = &order.dossier;
    let deadline_ms = dossier.intent().deadline_ms.get();
    let sent = cast.bid(dossier.task_id(), dossier.terms_hash(), deadline_ms);
    let facts = PaymentFacts {
        payment_id: Hex32::from_bytes([0; 32]),
        payer: String::new(),
        body: "".into(),
    };
    let (mut task, _) = Task::create(dossier.clone(), facts, now_ms);
    let mut apply = |command, at_ms| task.apply(command, at_ms).expect("a step");
    apply(Command::DepositFunded { at_ms: now_ms }, now_ms);
    let bid = Command::BidPlaced {
        bid: bid_of(&sent),
        penalty: 0,
        distinct_subnet: false,
    };
    apply(bid, now_ms);
    apply(Command::Tick, now_ms + BID_WINDOW_MS);
    let lease = task.lease_sets()[0].slots[0].lease.clone();
    let lease = Signed::sign(lease, &cast.actors.gateway).expect("a lease");
    let answers = cast.answers(&cast.scene(dossier.clone()), &lease);
    (sent, answers)
}

fn bid_of(message: &[u8]) -> Signed<Bid> {
    match d402_wire::decode(message, d402_wire::peer::MAX_MESSAGE_BYTES) {
        Ok(Request::PlaceBid { bid }) => Signed::from_value(bid.0).expect("a bid"),
        other => panic!("no bid: {other:?}"),
    }
}

/// Looks every millisecond.
async fn wait(what: &str, done: impl Fn() -> bool) {
    let looking = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, looking).await.is_err() {
        panic!("not within {PATIENCE:?}: {what}");
    }
}
