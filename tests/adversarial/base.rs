//! Base: a payment survives whatever happens to the gateway, and the buyer never needs it.

use std::time::Duration;

use d402_tests::{BaseMarket, DIRECT_PRICE, Moment, Order, run};
use serde_json::Value;

/// Work time of each task, ms.
const DEADLINE_MS: u64 = 40_000;
/// How long a task may take to its end on a busy machine.
const END: Duration = Duration::from_secs(180);
/// Longest run of a command.
const COMMAND: Duration = Duration::from_secs(60);

/// Buys a task whose gateway loses the transaction after `skip` others at `moment`, or dies there.
async fn survive(market: &mut BaseMarket, seed: u64, (skip, moment, dies): (u32, Moment, bool)) {
    let case = format!("{skip} {moment:?} dies={dies}");
    let had = market.units(&market.buyer.account()).await;
    let wishes = market.wishes(seed, DEADLINE_MS);
    let order = Order::prepare_with(market.origins(), &market.buyer, wishes).await;
    if dies {
        market.gate.hold(skip, moment);
    } else {
        market.gate.lose(skip, moment);
    }
    let task = {
        let buying = async {
            order.send_until_taken().await;
            order.end(END).await
        };
        let breaking = async {
            market.gate.reached(END).await;
        };
        tokio::pin!(buying);
        if dies {
            tokio::select! {
                task = &mut buying => panic!("{case}: over before the accident: {task}"),
                () = breaking => {}
            }
            market.gateway_dies_and_returns().await;
            buying.await
        } else {
            let (task, ()) = tokio::join!(buying, breaking);
            task
        }
    };
    assert_eq!(task["status"], "accepted", "{case}: {task}");
    let escrow = task["payTo"].as_str().unwrap().to_owned();
    assert_eq!(market.transfers_to(&escrow).await, 1, "{case}: one payment");
    assert_eq!(market.units(&escrow).await, 0, "{case}: nothing is left");
    let refund: u128 = task["refundUnits"].as_str().unwrap().parse().unwrap();
    let has = market.units(&market.buyer.account()).await;
    assert_eq!(has, had - 12_000 + refund, "{case}: charged once");
}

#[tokio::test]
async fn a_gateway_killed_between_any_two_payment_steps_pays_and_settles_once() {
    let mut market = BaseMarket::start().await;
    // The first transaction of a task is its payment, the second its settlement.
    for (seed, at) in [
        (0, Moment::Before),
        (0, Moment::After),
        (1, Moment::Before),
        (1, Moment::After),
    ]
    .into_iter()
    .enumerate()
    {
        let seed = u64::try_from(seed).unwrap();
        survive(&mut market, seed, (at.0, at.1, true)).await;
    }
}

#[tokio::test]
async fn threat_r7_a_lost_answer_of_the_provider_never_makes_a_buyer_pay_twice() {
    let mut market = BaseMarket::start().await;
    survive(&mut market, 10, (0, Moment::After, false)).await;
    survive(&mut market, 11, (0, Moment::Before, false)).await;
    survive(&mut market, 12, (1, Moment::After, false)).await;
}

#[tokio::test]
async fn a_bundle_is_held_against_the_chain_and_another_chain_refuses_it() {
    let market = BaseMarket::start().await;
    let wishes = market.wishes(20, DEADLINE_MS);
    let order = Order::prepare_with(market.origins(), &market.buyer, wishes).await;
    order.send_until_taken().await;
    let task = order.end(END).await;
    assert_eq!(task["status"], "accepted", "{task}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.json");
    std::fs::write(&file, order.bundle().await).unwrap();
    let file = file.display().to_string();
    let good = [
        "--json",
        "verify",
        &file,
        "--development",
        "--rpc",
        market.devnet.url(),
    ];
    let verified = run(&good, COMMAND).await;
    assert!(verified.status.success(), "{verified:?}");
    let told: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(told["chain"]["transaction"], task["transaction"], "{told}");
    // The same file on a chain where nothing of it happened.
    let elsewhere = BaseMarket::empty_chain().await;
    let other = [
        "--json",
        "verify",
        &file,
        "--development",
        "--rpc",
        elsewhere.url(),
    ];
    assert!(!run(&other, COMMAND).await.status.success());
}

#[tokio::test]
async fn a_vanished_gateways_buyer_gets_the_refund_with_recover_alone() {
    let mut market = BaseMarket::start().await;
    let wishes = market.wishes(30, DEADLINE_MS);
    let order = Order::prepare_with(market.origins(), &market.buyer, wishes).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("payment.json");
    std::fs::write(&file, order.saved().to_string()).unwrap();
    let had = market.units(&market.buyer.account()).await;
    market.gate.hold(0, Moment::After);
    let sending = order.send();
    tokio::pin!(sending);
    tokio::select! {
        _ = &mut sending => panic!("answered before the payment was held"),
        () = market.gate.reached(END) => {}
    }
    market.kill_gateway();
    assert_eq!(market.units(&market.buyer.account()).await, had - 12_000);
    let (keystore, password) = market.keystore(folder.path()).await;
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
        "--keystore",
        &keystore,
        "--password-file",
        &password,
        "--state",
        &state,
    ];
    let early = run(&recover, COMMAND).await;
    assert_eq!(early.status.code(), Some(3), "too early: {early:?}");
    let told: Value = serde_json::from_slice(&early.stdout).unwrap();
    market
        .devnet
        .advance_to(told["opensAt"].as_u64().unwrap())
        .await
        .unwrap();
    let refunded = run(&recover, COMMAND).await;
    assert!(refunded.status.success(), "{refunded:?}");
    assert_eq!(
        market.units(&market.buyer.account()).await,
        had,
        "everything back"
    );
}

/// Buys straight from a worker while the gateway loses its one transaction at `moment`, or dies there.
async fn survive_straight(market: &mut BaseMarket, seed: u64, (moment, dies): (Moment, bool)) {
    let case = format!("{moment:?} dies={dies}");
    let worker = market.straight_account();
    let had = market.units(&market.buyer.account()).await;
    let earned = market.units(&worker).await;
    let wishes = market.straight_wishes(seed).await;
    let order = Order::prepare_with(market.origins(), &market.buyer, wishes).await;
    if dies {
        market.gate.hold(0, moment);
    } else {
        market.gate.lose(0, moment);
    }
    let task = {
        let buying = async {
            order.send_until_taken().await;
            order.end(END).await
        };
        tokio::pin!(buying);
        if dies {
            tokio::select! {
                task = &mut buying => panic!("{case}: over before the accident: {task}"),
                () = market.gate.reached(END) => {}
            }
            market.gateway_dies_and_returns().await;
            buying.await
        } else {
            let (task, ()) = tokio::join!(buying, market.gate.reached(END));
            task
        }
    };
    assert_eq!(task["status"], "accepted", "{case}: {task}");
    let price = u128::from(DIRECT_PRICE);
    assert_eq!(
        market.units(&worker).await,
        earned + price,
        "{case}: paid once"
    );
    let has = market.units(&market.buyer.account()).await;
    assert_eq!(has, had - price, "{case}: charged once");
}

#[tokio::test]
async fn a_gateway_killed_before_or_after_it_submits_a_direct_payment_collects_it_once() {
    let mut market = BaseMarket::direct().await;
    let cases = [
        (Moment::Before, true),
        (Moment::After, true),
        (Moment::Before, false),
        (Moment::After, false),
    ];
    for (seed, case) in (40..).zip(cases) {
        survive_straight(&mut market, seed, case).await;
    }
}
