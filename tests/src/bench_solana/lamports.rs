//! What a task costs in lamports, whoever pays them: the buyer and the gateway's key together.
//!
//! A settled task leaves a tombstone whose rent comes back by a close that is batched with others later. The paths
//! are measured without it; the close of them all is a path of its own, and after it nothing may be left.

use std::time::Duration;

use d402_node::buyer::GatewayClient;
use d402_svm::Address;
use serde_json::{Value, json};

use super::payment::Buyer;
use crate::{Order, SolanaMarket, eventually};

/// Rent of a tombstone, lamports (spec §2.2).
const TOMBSTONE: u64 = 1_475_520;
const DEADLINE_MS: u64 = 30_000;
const END: Duration = Duration::from_secs(180);

/// One way from payment to payout.
pub(super) struct Path {
    name: &'static str,
    lamports: u64,
}

impl Path {
    pub(super) fn json(&self) -> Value {
        json!({ "path": self.name, "lamports": self.lamports })
    }

    pub(super) fn text(&self) -> String {
        format!("{}: {} lamports", self.name, self.lamports)
    }
}

/// Buys one task on every path and closes what they left.
pub(super) async fn measure(market: &SolanaMarket) -> Vec<Path> {
    // The task that used up the vault of the comparison left a tombstone of its own.
    let client = GatewayClient::new(&market.origins()[0]).expect("an origin");
    settled_fees(market).await;
    let start = lamports(market).await;
    let order = Order::prepare_with(
        market.origins(),
        &market.buyer,
        market.wishes(11, DEADLINE_MS),
    )
    .await;
    order.send_until_taken().await;
    order.end(END).await;
    let own_open = start - settled_fees(market).await - TOMBSTONE;

    let start = lamports(market).await;
    let buyer = Buyer::of(market).await;
    let pay_to = buyer.entry()["payTo"].as_str().expect("payTo").to_owned();
    let task = buyer.buy().await;
    eventually("the task is settled", END, || async {
        let path = format!("/tasks/{task}");
        let told = client.get_json(&path, None).await.ok()?;
        (told["status"] == "accepted").then_some(())
    })
    .await;
    let opened = start - settled_fees(market).await - TOMBSTONE;

    let start = lamports(market).await;
    let now = market.devnet.now().await.expect("the chain answers");
    let after = market.devnet.advance_to(now + 3_600).await;
    after.expect("the clock moves");
    let vault: Address = pay_to.parse().expect("an address");
    eventually("the vaults are closed", END, || async {
        let lamports = market.devnet.chain().lamports(&vault).await.ok()?;
        (lamports == 0).then_some(())
    })
    .await;
    // Three tombstones: both paths and the comparison.
    let back = settled_fees(market).await - start;
    let path = |name, lamports| Path { name, lamports };
    vec![
        path("own open, settle", own_open),
        path("vault opened by the gateway, x402 exact, settle", opened),
        path("close, of three vaults together", 3 * TOMBSTONE - back),
    ]
}

/// Lamports of everybody who pays some.
async fn lamports(market: &SolanaMarket) -> u64 {
    let buyer: Address = market.buyer.account().parse().expect("an address");
    let buyer = market.devnet.chain().lamports(&buyer).await;
    buyer.expect("the chain answers") + market.lamports().await
}

/// The same once nothing moves any more.
async fn settled_fees(market: &SolanaMarket) -> u64 {
    let mut last = lamports(market).await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = lamports(market).await;
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("the lamports never rest")
}
