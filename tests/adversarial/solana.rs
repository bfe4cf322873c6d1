//! Solana: tasks are paid and settled on a real node, and the buyer never needs the gateway for its money.

use std::time::Duration;

use d402_tests::{Order, SolanaMarket, eventually, run};
use serde_json::Value;

/// Work time of each task, ms.
const DEADLINE_MS: u64 = 40_000;
/// How long a task may take to its end on a busy machine.
const END: Duration = Duration::from_secs(180);
/// Longest run of a command.
const COMMAND: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_task_on_solana_is_charged_once_and_its_bundle_holds_against_its_cluster_alone() {
    let mut market = SolanaMarket::start(2).await;
    let had = market.purse().await;
    let order = Order::prepare_with(
        market.origins(),
        &market.buyer,
        market.wishes(1, DEADLINE_MS),
    )
    .await;
    order.send_until_taken().await;
    // Killed with the payment taken and nothing settled, or later: both are allowed, neither doubles anything.
    market.kill_gateway();
    market.restart_gateway().await;
    let task = order.end(END).await;
    assert_eq!(task["status"], "accepted", "{task}");
    let refund: u64 = task["refundUnits"].as_str().unwrap().parse().unwrap();
    assert_eq!(market.purse().await, had - 12_000 + refund, "charged once");
    let vault = task["payTo"].as_str().unwrap();
    assert_eq!(market.units(vault).await, 0, "nothing is left");
    for payout in task["payouts"].as_array().unwrap() {
        let units: u64 = payout["units"].as_str().unwrap().parse().unwrap();
        let payee = payout["payee"].as_str().unwrap();
        assert_eq!(market.units(payee).await, units, "{payout}");
    }

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.json");
    std::fs::write(&file, order.bundle().await).unwrap();
    let file = file.display().to_string();
    let verify = |url: &str| {
        let args = ["--json", "verify", &file, "--development", "--rpc", url].map(str::to_owned);
        async move { run(&args.each_ref().map(String::as_str), COMMAND).await }
    };
    let verified = verify(market.devnet.url()).await;
    assert!(verified.status.success(), "{verified:?}");
    let told: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(told["chain"]["transaction"], task["transaction"], "{told}");
    // The same file on a cluster where nothing of it happened.
    let elsewhere = SolanaMarket::empty_chain().await;
    assert!(!verify(elsewhere.url()).await.status.success());
}

#[tokio::test]
async fn a_vanished_gateways_buyer_on_solana_gets_the_refund_with_recover_alone() {
    // Nobody works, so the money stays in the vault.
    let mut market = SolanaMarket::start(0).await;
    let had = market.purse().await;
    let order = Order::prepare_with(
        market.origins(),
        &market.buyer,
        market.wishes(2, DEADLINE_MS),
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("payment.json");
    std::fs::write(&file, order.saved().to_string()).unwrap();
    order.send_until_taken().await;
    let market_ref = &market;
    eventually("the money is in the vault", END, || async {
        (market_ref.purse().await == had - 12_000).then_some(())
    })
    .await;
    market.kill_gateway();
    let keypair = market.stranger(folder.path()).await;
    let (file, state) = (
        file.display().to_string(),
        folder.path().display().to_string(),
    );
    let url = market.devnet.url().to_owned();
    let recover = [
        "--json",
        "recover",
        &file,
        "--development",
        "--rpc",
        &url,
        "--keypair",
        &keypair,
        "--state",
        &state,
    ];
    let early = run(&recover, COMMAND).await;
    assert_eq!(early.status.code(), Some(3), "too early: {early:?}");
    assert_eq!(market.purse().await, had - 12_000, "nothing moved");
    let told: Value = serde_json::from_slice(&early.stdout).unwrap();
    let opens = told["opensAt"].as_i64().unwrap();
    market.devnet.advance_to(opens).await.unwrap();
    let refunded = run(&recover, COMMAND).await;
    assert!(refunded.status.success(), "{refunded:?}");
    assert_eq!(market.purse().await, had, "everything back");
}
