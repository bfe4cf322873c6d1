//! An unmodified x402 client buys on Solana: into a vault that the gateway opened for it.

use std::time::Duration;

use d402_node::buyer::GatewayClient;
use d402_node::cli::{random_token, token_hash};
use d402_settlement::market::SOLANA_DEVNET_NETWORK;
use d402_tests::{SolanaMarket, buy_with_stock_client, eventually, jq};
use serde_json::{Value, json};

const DOLLAR: u64 = 1_000_000;
/// What a worker with its creator's share, three of four validators and the gateway get of a task; the rest comes
/// back.
const COST: u64 = 5_000 + 3 * 300 + 100;
const RESULT: Duration = Duration::from_secs(90);
/// Rent of a vault and its token account, lamports (spec §2.2).
const RENT: u64 = 4_823_280;
/// Fees of opening and closing, with what is offered on top.
const FEES: u64 = 50_000;
const CLOSED: Duration = Duration::from_secs(60);

fn task(market: &SolanaMarket, budget: u64, seed: u64) -> Value {
    json!({
        "capabilityId": "json.transform@1",
        "input": jq(seed),
        "mode": "single",
        "budget": budget.to_string(),
        "refundTo": { SOLANA_DEVNET_NETWORK: market.buyer.account() },
        "openVault": true,
    })
}

fn job(market: &SolanaMarket, task: &Value) -> Value {
    json!({
        "client": "svm",
        "url": format!("{}/tasks", market.origins()[0]),
        "key": format!("0x{}", hex::encode(market.secret())),
        "rpc": market.devnet.url(),
        "body": task.to_string(),
    })
}

/// Buys, and fetches the result when the gateway could not wait for it.
async fn buy(market: &SolanaMarket, budget: u64, seed: u64, spend: Option<&str>) -> Value {
    let token = random_token().unwrap();
    let mut task = task(market, budget, seed);
    task["accessHash"] = json!(token_hash(&token));
    let mut job = job(market, &task);
    if let Some(spend) = spend {
        job["spend"] = json!(spend);
    }
    let answer = buy_with_stock_client(&job).await;
    let receipt = &answer["receipt"];
    assert_eq!(receipt["success"], true, "{answer}");
    assert_eq!(receipt["network"], SOLANA_DEVNET_NETWORK, "{answer}");
    assert_eq!(receipt["payer"], market.buyer.account(), "{answer}");
    let transaction = receipt["transaction"].as_str().unwrap();
    assert!(transaction.len() > 80, "no signature: {transaction}");
    if answer["status"] == 200 {
        return answer["body"]["result"].clone();
    }
    assert_eq!(answer["status"], 202, "{answer}");
    let path = format!(
        "/tasks/{}/result",
        answer["body"]["taskId"].as_str().unwrap()
    );
    let client = GatewayClient::new(&market.origins()[0]).unwrap();
    eventually("the result of a stock client's task", RESULT, || async {
        let got = client.get_json(&path, Some(&token)).await.ok()?;
        got.get("result").cloned()
    })
    .await
}

fn doubled(seed: u64) -> Value {
    json!({ "results": [{ "doubled": seed * 2 }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_client_pays_one_dollar_and_with_a_raised_limit_more_into_a_vault_opened_for_it() {
    let market = SolanaMarket::start(2).await;
    let before = market.purse().await;
    assert_eq!(buy(&market, DOLLAR, 5, None).await, doubled(5));
    let raised = buy(&market, 1_010_000, 7, Some("$1.01")).await;
    assert_eq!(raised, doubled(7));

    // What nobody earned came back: the budgets were two hundred times that.
    eventually("both tasks are settled", RESULT, || async {
        (market.purse().await == before - 2 * COST).then_some(())
    })
    .await;
    let units = |role: &str| {
        let wallet = SolanaMarket::wallet(role);
        let market = &market;
        async move { market.units(&wallet).await }
    };
    let workers = units("worker-0").await + units("worker-1").await;
    assert_eq!(workers + units("creator").await, 2 * 5_000);
    assert_eq!(units("gateway").await, 2 * 100, "2 % of it");
    let mut validators = 0;
    for index in 0..4 {
        validators += units(&format!("validator-{index}")).await;
    }
    assert_eq!(validators, 2 * 900, "three of four judges per task");

    // Nothing is paid: the client's own limit (#40).
    let over = buy_with_stock_client(&job(&market, &task(&market, 1_010_000, 9))).await;
    let error = over["error"].as_str().unwrap_or_default();
    assert!(error.contains("spendControls"), "{over}");
    assert_eq!(
        market.purse().await,
        before - 2 * COST,
        "a refusal cost money"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_19_a_vault_nobody_pays_is_the_only_one_and_its_rent_comes_back() {
    let market = SolanaMarket::start(0).await;
    let before = market.lamports().await;
    let (status, cheap) = offered(&market, &task(&market, 99_999, 1)).await;
    assert_eq!(status, 422, "below ten cents: {cheap}");
    assert_eq!(market.lamports().await, before, "a refusal cost lamports");

    let (status, offer) = offered(&market, &task(&market, DOLLAR, 2)).await;
    assert_eq!(status, 402, "{offer}");
    let entry = &offer["x402"]["accepts"][0];
    assert_eq!(entry["extra"]["feePayer"], SolanaMarket::wallet("fees"));
    // The set is published once for all tasks, the vault is what this request took.
    let lent = before - market.lamports().await;
    assert!(lent > RENT, "{lent} lamports");
    let (status, second) = offered(&market, &task(&market, DOLLAR, 3)).await;
    assert_eq!(status, 422, "one per refundTo: {second}");

    let now = market.devnet.now().await.unwrap();
    market.devnet.advance_to(now + 140).await.unwrap();
    let after = before - lent;
    eventually("the rent comes back", CLOSED, || async {
        (market.lamports().await > after + RENT - FEES).then_some(())
    })
    .await;
    // Its place is free again.
    let (status, next) = offered(&market, &task(&market, DOLLAR, 4)).await;
    assert_eq!(status, 402, "{next}");
}

/// Status and body of an unpaid request.
async fn offered(market: &SolanaMarket, task: &Value) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/tasks", market.origins()[0]);
    let answer = client.post(url).json(task).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap())
}

/// No numbers are judged here.
#[test]
fn the_benchmark_against_the_stock_facilitator_of_solana_runs_and_its_checks_hold() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_bench-solana"))
        .args(["--smoke", "--json"])
        .output()
        .expect("the benchmark starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let operations = |whose: &str| report["verify"][whose]["operations"].clone();
    assert_eq!(
        (operations("own"), operations("stock")),
        (json!(6), json!(6))
    );
    let paths = report["lamports"].as_array().unwrap();
    assert_eq!(paths.len(), 3);
    let cost = |at: usize| paths[at]["lamports"].as_u64().unwrap();
    // A fee per signature, the precompile's included, and what is offered on top.
    assert!((20_000..60_000).contains(&cost(0)), "{report}");
    assert!((35_000..90_000).contains(&cost(1)), "{report}");
    assert!(cost(2) < 20_000, "{report}");
}
