//! SIGKILL of a gateway at any time loses nothing and doubles nothing.

use std::time::Duration;

use d402_tests::{GatewayPlan, Market, Order, Plan, Random, now_ms, private_database, wishes};
use serde_json::Value;
use tokio::task::JoinSet;

/// Tasks bought at the same time.
const TASKS: u64 = 20;
/// Kills while they run.
const KILLS: u32 = 5;
/// Work time of each task, ms.
const DEADLINE_MS: u64 = 30_000;
/// How long a task may take to its end: its deadline, the decision after it, a busy machine.
const END: Duration = Duration::from_secs(150);

/// Buys one task from whichever gateway answers, whatever it takes; how it ended.
async fn buy(order: Order) -> (Order, Value) {
    order.send_until_taken().await;
    let end = order.end(END).await;
    (order, end)
}

async fn orders(market: &Market) -> Vec<Order> {
    let mut orders = Vec::new();
    for seed in 0..TASKS {
        // Every second buyer prefers the other gateway, where there is one.
        let mut origins = market.origins().to_vec();
        let by = usize::try_from(seed).unwrap() % origins.len();
        origins.rotate_left(by);
        orders.push(
            Order::prepare(
                &origins,
                &market.buyer,
                wishes(&market.buyer, seed, DEADLINE_MS),
            )
            .await,
        );
    }
    orders
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
async fn survive(name: &str, gateways: GatewayPlan) {
    let mut random = Random::seeded(name);
    let mut market = Market::start(Plan {
        gateways,
        ..Plan::default()
    })
    .await;
    let started = now_ms();
    let mut buying = JoinSet::new();
    for order in orders(&market).await {
        buying.spawn(buy(order));
    }
    let mut ended = Vec::new();
    let mut kills = 0;
    while !buying.is_empty() {
        let pause = Duration::from_millis(random.within(50, 1_500));
        let killing = kills < KILLS;
        tokio::select! {
            Some(done) = buying.join_next() => ended.push(done.unwrap()),
            () = tokio::time::sleep(pause), if killing => {
                market.kill_gateway(0);
                market.restart_gateway(0).await;
                kills += 1;
            }
        }
    }
    eprintln!("{name}: {kills} kills, {} ms", now_ms() - started);
    assert!(kills > 1, "the tasks were over before anything was killed");
    check_books(&market, &ended).await;
}

#[tokio::test]
async fn killing_the_gateway_at_random_points_settles_every_task_exactly_once_on_sqlite() {
    let gateways = GatewayPlan {
        instances: 1,
        database: None,
    };
    survive("sqlite", gateways).await;
}

#[tokio::test]
async fn killing_one_of_two_gateways_on_one_postgres_settles_every_task_exactly_once() {
    let database = Some(private_database().await);
    let gateways = GatewayPlan {
        instances: 2,
        database,
    };
    survive("postgres", gateways).await;
}
