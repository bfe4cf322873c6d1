//! Payments that are repeated, contested or cannot be delivered.

use std::time::Duration;

use d402_objects::Hex32;
use d402_tests::{Market, Order, Plan, account_of, wishes};
use d402_wire::simchain::Rpc;
use serde_json::{Value, json};

/// Work time of a task, ms.
const DEADLINE_MS: u64 = 30_000;
/// How long a task may take that nothing holds up, on a busy machine.
const END: Duration = Duration::from_secs(60);

async fn order(market: &Market, seed: u64) -> Order {
    Order::prepare(
        market.origins(),
        &market.buyer,
        wishes(&market.buyer, seed, DEADLINE_MS),
    )
    .await
}

/// The payout of a payee in the gateway's view.
fn payout(task: &Value, payee: Hex32) -> Value {
    let payouts = task["payouts"].as_array().unwrap();
    let found = payouts.iter().find(|row| row["payee"] == payee.to_string());
    found
        .cloned()
        .unwrap_or_else(|| panic!("{payee} is not in {task}"))
}

/// Units of a payout.
fn units(payout: &Value) -> u128 {
    payout["units"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn threat_70_a_replayed_payment_is_the_same_task_and_a_second_payer_of_its_address_pays_nothing()
 {
    let market = Market::start(Plan::default()).await;
    let first = order(&market, 1).await;
    let answer = first.send_until_taken().await;
    assert!(!answer.replay);
    let again = first.send().await.unwrap();
    assert!(again.replay, "the second answer is marked as a replay");
    assert_eq!(again.body["taskId"], json!(first.task_id));
    let stranger = market.another_buyer("stranger").await;
    let before = market.chain.balance(stranger.address()).await;
    let refused = first.paid_by(&stranger).send().await.unwrap();
    assert_eq!(refused.status, 409, "{}", refused.body);
    let task = first.end(END).await;
    assert_eq!(task["status"], "accepted", "{task}");
    let late = first.send().await.unwrap();
    assert!(
        late.replay && late.body["taskId"] == json!(first.task_id),
        "{}",
        late.body
    );
    let contested = first.paid_by(&stranger).send().await.unwrap();
    assert_eq!(contested.status, 409, "{}", contested.body);
    let books = market.chain.books().await;
    assert_eq!(
        books.paid(first.payer, first.pay_to),
        [u128::from(first.units)]
    );
    assert_eq!(books.settlements(first.terms_hash), 1);
    assert_eq!(market.chain.balance(stranger.address()).await, before);
}

#[tokio::test]
async fn an_unpayable_worker_gets_a_credit_and_everybody_else_is_paid() {
    let market = Market::start(Plan::default()).await;
    let worker = account_of("worker-0");
    let switch = |unpayable| Rpc::SetUnpayable {
        account: worker,
        unpayable,
    };
    market.chain.execute(&switch(true)).await;
    let order = order(&market, 2).await;
    order.send_until_taken().await;
    let task = order.end(END).await;
    assert_eq!(task["status"], "accepted", "{task}");
    let credit = payout(&task, worker);
    assert_eq!(credit["credited"], true, "{task}");
    assert_eq!(market.chain.balance(worker).await, 0);
    for row in task["payouts"].as_array().unwrap() {
        let payee: Hex32 = row["payee"].as_str().unwrap().parse().unwrap();
        if payee != worker {
            assert_eq!(row["credited"], false, "{task}");
            assert_eq!(market.chain.balance(payee).await, units(row), "{row}");
        }
    }
    market.chain.execute(&switch(false)).await;
    let claim = Rpc::ClaimCredit {
        terms_hash: order.terms_hash,
        payee: worker,
    };
    market.chain.execute(&claim).await;
    assert_eq!(
        market.chain.balance(worker).await,
        units(&credit),
        "the credit is worth its units"
    );
}
