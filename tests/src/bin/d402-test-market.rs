//! A market for a tester from outside: starts one, buys a task, prints where its gateway listens and the
//! names of what it bought as a line of JSON, and ends everything when standard input ends. So it also ends when whoever started it is interrupted or killed.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a broken expectation here is a failed test"
)]

use std::io::{Read as _, Write as _};
use std::time::Duration;

use d402_tests::{Market, Order, Plan, wishes};
use serde_json::json;

/// Work time of the task, ms.
const DEADLINE_MS: u64 = 15_000;
/// How long it may take to its end on a busy machine.
const END: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() {
    let market = Market::start(Plan::default()).await;
    let order = Order::prepare(
        market.origins(),
        &market.buyer,
        wishes(&market.buyer, 1, DEADLINE_MS),
    )
    .await;
    order.send_until_taken().await;
    let task = order.end(END).await;
    let told = json!({
        "http": market.origins(),
        "cids": [order.task_id, task["receiptCid"]],
        "hex32": [order.terms_hash],
        "paymentNames": [order.client_id()],
    });
    let mut out = std::io::stdout();
    writeln!(out, "{}", told).expect("somebody reads the line");
    out.flush().expect("somebody reads the line");
    tokio::task::spawn_blocking(|| {
        let mut sink = [0_u8; 64];
        let mut input = std::io::stdin().lock();
        while input.read(&mut sink).is_ok_and(|bytes| bytes > 0) {}
    })
    .await
    .expect("standard input can be read");
    drop(market);
}
