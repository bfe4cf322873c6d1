//! A worker is paid straight, by unmodified x402 clients of both versions and by our own, for work that was
//! accepted and for no other.

use std::time::Duration;

use d402_node::buyer::GatewayClient;
use d402_node::cli::{random_token, token_hash};
use d402_rails::evm::EvmKey;
use d402_tests::{
    BasePlan, BaseShop, DIRECT_PRICE, base_task, buy_with_stock_client, eventually, evm_account_of,
    run,
};
use serde_json::{Value, json};

const DOLLAR: u64 = 1_000_000;
const PRICE: u128 = DIRECT_PRICE as u128;
/// How long a task may take to its end on a busy machine.
const END: Duration = Duration::from_secs(150);
/// Longest run of a command.
const COMMAND: Duration = Duration::from_secs(120);

async fn market() -> BaseShop {
    BaseShop::start(BasePlan {
        purse: DOLLAR,
        workers: 2,
        direct: true,
    })
    .await
}

/// A purchase from one worker by a stock client: what it was answered, and the task at its end.
struct Bought {
    answer: Value,
    task: Value,
    result: Value,
}

async fn buy(market: &BaseShop, client: &str, (worker, seed): (&str, u64)) -> Bought {
    let token = random_token().unwrap();
    let mut body = base_task(0, seed);
    body.as_object_mut().unwrap().remove("budget");
    body["deadlineMs"] = json!(30_000);
    body["accessHash"] = json!(token_hash(&token));
    body["worker"] = json!(market.worker(worker).await);
    let job = json!({
        "client": client,
        "url": format!("{}/tasks", market.origin),
        "key": format!("0x{}", hex::encode(market.secret)),
        "body": body.to_string(),
    });
    let answer = buy_with_stock_client(&job).await;
    let id = answer["body"]["taskId"].as_str();
    let id = id
        .unwrap_or_else(|| panic!("{client}: {answer}"))
        .to_owned();
    let gateway = GatewayClient::new(&market.origin).unwrap();
    let task = eventually("the task ends", END, || async {
        let task = gateway.get_json(&format!("/tasks/{id}"), None).await.ok()?;
        (task["status"] != "pending").then_some(task)
    })
    .await;
    let path = format!("/tasks/{id}/result");
    let got = gateway.get_json(&path, Some(&token)).await;
    let result = got.map_or(Value::Null, |got| got["result"].clone());
    Bought {
        answer,
        task,
        result,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_of_both_versions_pay_a_worker_straight_once_its_work_is_accepted() {
    let market = market().await;
    let (buyer, worker) = (evm_account_of("buyer"), evm_account_of("worker-0"));
    let mut spent = 0;
    for (seed, client) in (1..).zip(["fetch", "axios", "v1"]) {
        let bought = buy(&market, client, ("worker-0", seed)).await;
        spent += PRICE;
        assert_eq!(
            bought.task["status"], "accepted",
            "{client}: {}",
            bought.task
        );
        assert_eq!(bought.task["payTo"], worker, "{client}");
        assert_eq!(
            bought.result,
            json!({ "results": [{ "doubled": seed * 2 }] }),
            "{client}"
        );
        assert_eq!(market.units(&worker).await, spent, "{client}");
        assert_eq!(market.units(&buyer).await, u128::from(DOLLAR) - spent);
        let transaction = bought.task["transaction"].clone();
        let asked = market
            .devnet
            .ask("eth_getTransactionReceipt", json!([transaction]));
        let mined = asked.await.unwrap();
        assert_eq!(mined["status"], "0x1", "{client}: {mined}");
        if bought.answer["status"] == 200 {
            let receipt = &bought.answer["receipt"];
            assert_eq!(receipt["success"], true, "{client}: {receipt}");
            assert_eq!(receipt["transaction"], transaction, "{client}");
        } else {
            // The gateway did not wait that long: nothing is said about a settlement that is not there.
            assert_eq!(bought.answer["receipt"], Value::Null, "{client}");
        }
    }
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn our_buyer_pays_a_worker_straight_and_work_that_is_not_accepted_costs_nothing() {
    let market = market().await;
    let folder = tempfile::tempdir().unwrap();
    let (store, password) = (folder.path().join("buyer.json"), folder.path().join("pw"));
    std::fs::write(&password, "test").unwrap();
    EvmKey::create(&market.secret, &store, "test").unwrap();
    let keep = folder.path().join("kept").display().to_string();
    let (store, password) = (store.display().to_string(), password.display().to_string());
    let honest = market.worker("worker-0").await;
    let liar = market.worker("worker-1").await;
    let input = d402_tests::jq(21).to_string();
    let command = |worker: &str| -> Vec<String> {
        let words = [
            "--json",
            "buy",
            "--rail",
            "base-direct",
            "--worker",
            worker,
            "--gateway",
            &market.origin,
            "--keystore",
            &store,
            "--password-file",
            &password,
            "--capability",
            "json.transform@1",
            "--input",
            &input,
            "--deadline-ms",
            "30000",
            "--keep",
            &keep,
        ];
        words.iter().map(|word| (*word).to_owned()).collect()
    };
    let buyer = evm_account_of("buyer");
    let lied = command(&liar);
    let lied = run(&words(&lied), COMMAND).await;
    let told: Value = serde_json::from_slice(&lied.stdout).unwrap();
    assert_eq!(told["status"], "notCharged", "{told}");
    assert_eq!(told["result"], Value::Null);
    assert_eq!(
        market.units(&buyer).await,
        u128::from(DOLLAR),
        "it cost nothing"
    );
    assert_eq!(market.units(&evm_account_of("worker-1")).await, 0);

    let bought = command(&honest);
    let bought = run(&words(&bought), COMMAND).await;
    assert!(bought.status.success(), "{bought:?}");
    let told: Value = serde_json::from_slice(&bought.stdout).unwrap();
    assert_eq!(told["status"], "accepted", "{told}");
    assert_eq!(told["result"], json!({ "results": [{ "doubled": 42 }] }));
    assert_eq!(market.units(&buyer).await, u128::from(DOLLAR) - PRICE);

    let bundle = told["bundle"].as_str().unwrap();
    let transaction = told["task"]["transaction"].as_str().unwrap();
    check_bundle(market.devnet.url(), bundle, transaction).await;
}

/// Offline the bundle says that it is of a direct payment; on the chain it needs the transaction's name.
async fn check_bundle(rpc: &str, bundle: &str, transaction: &str) {
    let offline = run(&["--json", "verify", bundle], COMMAND).await;
    let told: Value = serde_json::from_slice(&offline.stdout).unwrap();
    assert_eq!(
        (&told["verified"], &told["direct"]),
        (&json!(true), &json!(true))
    );
    let on_chain = [
        "--json",
        "verify",
        bundle,
        "--development",
        "--rpc",
        rpc,
        "--transaction",
        transaction,
    ];
    let seen = run(&on_chain, COMMAND).await;
    let told: Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(told["chain"]["transaction"], transaction, "{told}");
    let unnamed = ["--json", "verify", bundle, "--development", "--rpc", rpc];
    assert!(
        !run(&unnamed, COMMAND).await.status.success(),
        "which transaction?"
    );
}
