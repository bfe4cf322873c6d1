//! A chain whose answers get lost or lie, and deposits that are not what they should be.

use std::time::Duration;

use d402_tests::{Market, Order, Plan, now_ms, wishes};
use d402_wire::simchain::Fault;
use serde_json::Value;

/// How long a task may take that nothing holds up, on a busy machine.
const END: Duration = Duration::from_secs(60);

async fn buy(market: &Market, seed: u64, deadline_ms: u64) -> (Order, Value) {
    let wishes = wishes(&market.buyer, seed, deadline_ms);
    let order = Order::prepare(market.origins(), &market.buyer, wishes).await;
    order.send_until_taken().await;
    let task = order.end(END).await;
    (order, task)
}

/// The vault was settled once and is empty; what was not paid out went back to the buyer.
async fn check_settled(market: &Market, order: &Order, came: u128) -> u128 {
    let books = market.chain.books().await;
    assert_eq!(books.settlements(order.terms_hash), 1);
    assert_eq!(
        books.turnover(order.pay_to),
        (came, came),
        "the vault is empty"
    );
    books.paid(order.pay_to, order.payer).iter().sum()
}

/// Payouts in the gateway's view.
fn paid_out(task: &Value) -> u128 {
    let payouts = task["payouts"].as_array().unwrap();
    payouts
        .iter()
        .map(|row| row["units"].as_str().unwrap().parse::<u128>().unwrap())
        .sum()
}

#[tokio::test]
async fn threat_37_an_answer_of_the_chain_that_is_lost_or_lies_never_makes_a_second_payment() {
    let market = Market::start(Plan::default()).await;
    let faults = [
        (Fault::LostAnswer, 3),
        (Fault::LostRequest, 3),
        (Fault::LyingSuccess, 3),
    ];
    for (seed, (fault, times)) in (10..).zip(faults) {
        market.chain.arm(fault, times).await;
        let (order, task) = buy(&market, seed, 30_000).await;
        market.chain.arm(fault, 0).await;
        assert_eq!(task["status"], "accepted", "{fault:?}: {task}");
        let budget = u128::from(order.units);
        let books = market.chain.books().await;
        assert_eq!(books.paid(order.payer, order.pay_to), [budget], "{fault:?}");
        let refunded = check_settled(&market, &order, budget).await;
        assert_eq!(refunded + paid_out(&task), budget, "{fault:?}: {task}");
    }
}

#[tokio::test]
async fn a_double_and_a_short_deposit_come_back_with_the_receipt() {
    let market = Market::start(Plan::default()).await;

    market.chain.arm(Fault::DoubleDeposit, 1).await;
    let (order, task) = buy(&market, 20, 30_000).await;
    let budget = u128::from(order.units);
    assert_eq!(task["status"], "accepted", "double: {task}");
    let refunded = check_settled(&market, &order, 2 * budget).await;
    assert_eq!(refunded + paid_out(&task), 2 * budget, "double: {task}");

    market.chain.arm(Fault::ShortDeposit, 1).await;
    let (order, task) = buy(&market, 21, 15_000).await;
    assert_eq!(task["status"], "rejected", "short: {task}");
    assert!(
        task["leases"].as_array().unwrap().is_empty(),
        "nobody works for a short deposit: {task}"
    );
    let refunded = check_settled(&market, &order, budget - 1).await;
    assert_eq!(refunded + paid_out(&task), budget - 1, "short: {task}");
}

#[tokio::test]
async fn a_late_deposit_comes_back_by_an_early_rejected_receipt_long_before_the_deadline() {
    let market = Market::start(Plan::default()).await;
    market.chain.arm(Fault::LateDeposit, 1).await;
    let deadline_ms = 300_000;
    let started = now_ms();
    let (order, task) = buy(&market, 22, deadline_ms).await;
    let budget = u128::from(order.units);
    assert_eq!(task["status"], "rejected", "{task}");
    let leases = task["leases"].as_array().unwrap();
    assert!(leases.is_empty(), "nobody works for a late deposit: {task}");
    let took = now_ms() - started;
    assert!(
        took < deadline_ms / 2,
        "early, not at the deadline: {took} ms"
    );
    let refunded = check_settled(&market, &order, budget).await;
    assert_eq!(refunded, budget, "all of it: {task}");
    assert_eq!(market.chain.books().await.sweeps(order.terms_hash), 0);
    // The task after it is sold and paid as ever.
    let (_, next) = buy(&market, 23, 30_000).await;
    assert_eq!(next["status"], "accepted", "{next}");
}
