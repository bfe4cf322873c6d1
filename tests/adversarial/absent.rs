//! Actors that leave in the middle of a task.

use std::time::Duration;

use d402_tests::{Market, Order, Plan, WorkerPlan, account_of, eventually, wishes};
use d402_wire::simchain::Fault;

/// Work time of a task, ms.
const DEADLINE_MS: u64 = 30_000;
/// How long a step of a task may take on a busy machine.
const STEP: Duration = Duration::from_secs(60);

/// A market whose only worker takes its time, so that a test can act while it works.
async fn slow_market() -> Market {
    let workers = vec![WorkerPlan {
        price: "5000",
        behaviour: "slow:2500",
    }];
    Market::start(Plan {
        workers,
        ..Plan::default()
    })
    .await
}

async fn bought(market: &Market, seed: u64) -> Order {
    let wishes = wishes(&market.buyer, seed, DEADLINE_MS);
    let order = Order::prepare(market.origins(), &market.buyer, wishes).await;
    order.send_until_taken().await;
    order
}

#[tokio::test]
async fn a_task_settles_when_one_of_four_validators_is_killed_in_the_middle_of_it() {
    let mut market = slow_market().await;
    let order = bought(&market, 30).await;
    order.reaches(&["working"], STEP).await;
    market.kill_validator(3);
    let task = order.end(STEP).await;
    assert_eq!(task["status"], "accepted", "{task}");
    assert_eq!(market.chain.books().await.settlements(order.terms_hash), 1);
    assert!(market.chain.balance(account_of("worker-0")).await > 0);
    assert_eq!(
        market.chain.balance(account_of("validator-3")).await,
        0,
        "absent validators earn nothing"
    );
}

#[tokio::test]
async fn threat_12_a_worker_settles_by_itself_when_the_gateway_never_does() {
    let mut market = slow_market().await;
    let order = bought(&market, 31).await;
    order.reaches(&["working"], STEP).await;
    // From here on nothing the gateway sends reaches the chain.
    market.chain.arm(Fault::LostRequest, 1_000_000).await;
    order.reaches(&["settling"], STEP).await;
    market.kill_gateway(0);
    assert_eq!(market.chain.books().await.settlements(order.terms_hash), 0);
    market.chain.arm(Fault::LostRequest, 0).await;
    eventually("the worker settles", STEP, || async {
        (market.chain.books().await.settlements(order.terms_hash) == 1).then_some(())
    })
    .await;
    let earned = market.chain.balance(account_of("worker-0")).await;
    assert!(earned > 0, "the worker is paid without the gateway");
    market.restart_gateway(0).await;
    let task = order.end(STEP).await;
    assert_eq!(task["status"], "accepted", "{task}");
    assert_eq!(market.chain.books().await.settlements(order.terms_hash), 1);
    assert_eq!(market.chain.balance(account_of("worker-0")).await, earned);
}
