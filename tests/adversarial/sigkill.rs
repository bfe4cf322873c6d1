//! SIGKILL of a gateway at any time loses nothing and doubles nothing.

use std::sync::Arc;
use std::time::Duration;

use d402_rails::simulated::BuyerAccount;
use d402_tests::{GatewayPlan, Market, Order, Plan, Random, now_ms, private_database, wishes};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How hard a market is hit.
struct Drill {
    /// Tasks bought in all.
    tasks: u64,
    /// Tasks on their way at the same time: enough that every kill hits some of them, each in another phase.
    at_once: usize,
    /// Kills while they run, at most.
    kills: u32,
    /// Shortest and longest time between two kills, ms.
    pause_ms: (u64, u64),
    /// Work time of each task, ms: what several kills cost, on a busy machine.
    deadline_ms: u64,
}

/// One gateway: what it had begun goes on when it is back.
const ALONE: Drill = Drill {
    tasks: 200,
    at_once: 10,
    kills: 80,
    pause_ms: (300, 4_000),
    deadline_ms: 60_000,
};

/// One of two gateways on one database: what it had begun goes on at either.
const BESIDE_ANOTHER: Drill = Drill {
    tasks: 100,
    at_once: 10,
    kills: 40,
    pause_ms: (300, 3_000),
    deadline_ms: 60_000,
};

/// How long a task may take to its end: its deadline, the decision after it, a busy machine.
const END: Duration = Duration::from_secs(150);

/// Buys one task from whichever gateway answers, whatever it takes; how it ended.
async fn buy(
    origins: Vec<String>,
    buyer: Arc<BuyerAccount>,
    (seed, deadline_ms): (u64, u64),
    places: Arc<Semaphore>,
) -> (Order, Value) {
    let _place = places.acquire_owned().await.unwrap();
    let wishes = wishes(&buyer, seed, deadline_ms);
    let order = Order::prepare(&origins, &buyer, wishes).await;
    order.send_until_taken().await;
    let end = order.end(END).await;
    (order, end)
}

fn start_buying(market: &Market, drill: &Drill) -> JoinSet<(Order, Value)> {
    let places = Arc::new(Semaphore::new(drill.at_once));
    let mut buying = JoinSet::new();
    for seed in 0..drill.tasks {
        // Every second buyer prefers the other gateway, where there is one.
        let mut origins = market.origins().to_vec();
        let by = usize::try_from(seed).unwrap() % origins.len();
        origins.rotate_left(by);
        buying.spawn(buy(
            origins,
            Arc::clone(&market.buyer),
            (seed, drill.deadline_ms),
            Arc::clone(&places),
        ));
    }
    buying
}

/// Every task has one end, and the chain shows one payment and one settlement for it.
async fn check_books(market: &Market, ended: &[(Order, Value)]) {
    let books = market.chain.books().await;
    for (order, task) in ended {
        let id = order.task_id;
        assert_eq!(
            books.paid(order.payer, order.pay_to),
            [u128::from(order.units)],
            "payments for {id}"
        );
        assert_eq!(
            books.settlements(order.terms_hash),
            1,
            "settlements of {id}: {task}"
        );
        assert_eq!(books.sweeps(order.terms_hash), 0, "sweeps of {id}");
        let (came, left) = books.turnover(order.pay_to);
        assert_eq!(
            (came, left),
            (u128::from(order.units), came),
            "vault of {id}"
        );
        let status = task["status"].as_str().unwrap();
        assert!(
            matches!(status, "accepted" | "rejected"),
            "{id} is {status}: {task}"
        );
    }
    let accepted = ended
        .iter()
        .filter(|(_, task)| task["status"] == "accepted")
        .count();
    eprintln!("{accepted} of {} tasks accepted", ended.len());
    assert!(accepted > 0, "nothing was accepted, so nothing was tested");
}

/// Buys many tasks while gateway 0 is killed and started again, each time at a point of chance.
async fn survive(name: &str, gateways: GatewayPlan, drill: &Drill) {
    let mut random = Random::seeded(name);
    let mut market = Market::start(Plan {
        gateways,
        ..Plan::default()
    })
    .await;
    let started = now_ms();
    let mut buying = start_buying(&market, drill);
    let mut ended = Vec::new();
    let mut kills = 0;
    let (shortest, longest) = drill.pause_ms;
    let mut pause = || Instant::now() + Duration::from_millis(random.within(shortest, longest));
    let mut next_kill = pause();
    while !buying.is_empty() {
        tokio::select! {
            Some(done) = buying.join_next() => ended.push(done.unwrap()),
            () = tokio::time::sleep_until(next_kill), if kills < drill.kills => {
                market.kill_gateway(0);
                market.restart_gateway(0).await;
                kills += 1;
                next_kill = pause();
            }
        }
    }
    let took = now_ms() - started;
    eprintln!("{name}: {} tasks, {kills} kills, {took} ms", ended.len());
    assert_eq!(ended.len() as u64, drill.tasks, "every task has one end");
    assert!(
        kills > drill.kills / 8,
        "the tasks were over before much was killed"
    );
    check_books(&market, &ended).await;
}

#[tokio::test]
async fn killing_the_gateway_at_random_points_settles_every_task_exactly_once_on_sqlite() {
    let gateways = GatewayPlan {
        instances: 1,
        database: None,
    };
    survive("sqlite", gateways, &ALONE).await;
}

#[tokio::test]
async fn killing_one_of_two_gateways_on_one_postgres_settles_every_task_exactly_once() {
    let database = Some(private_database().await);
    let gateways = GatewayPlan {
        instances: 2,
        database,
    };
    survive("postgres", gateways, &BESIDE_ANOTHER).await;
}
