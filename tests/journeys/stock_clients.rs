//! Unmodified x402 clients buy from a real gateway and are paid for on a real token.

use std::time::Duration;

use d402_node::buyer::GatewayClient;
use d402_node::cli::{random_token, token_hash};
use d402_tests::{
    BasePlan, BaseShop, base_task, buy_with_stock_client, eventually, evm_account_of,
};
use serde_json::{Value, json};

const NETWORK: &str = "eip155:84532";
const DOLLAR: u64 = 1_000_000;
/// What two workers and three of four validators and the gateway may get of a task; the rest comes back.
const COST: u128 = 5_000 + 3 * 300 + 100;
const RESULT: Duration = Duration::from_secs(90);

/// A task and what its buyer agrees to.
struct Purchase {
    token: String,
    job: Value,
}

impl Purchase {
    fn new(market: &BaseShop, client: &str, budget: u64, seed: u64) -> Self {
        let token = random_token().unwrap();
        let mut task = base_task(budget, seed);
        task["accessHash"] = json!(token_hash(&token));
        let job = json!({
            "client": client,
            "url": format!("{}/tasks", market.origin),
            "key": format!("0x{}", hex::encode(market.secret)),
            "body": task.to_string(),
        });
        Self { token, job }
    }

    /// With the guard: these validators, three of them must sign.
    fn guarded(mut self, members: &[Value], max_amount: u64) -> Self {
        self.job["policy"] = json!({
            "refundTo": { NETWORK: evm_account_of("buyer") },
            "validatorSets": [{ "m": 3, "members": members }],
            "maxAmount": max_amount.to_string(),
            "maxGatewayFeeBps": 200,
            "maxRefundSeconds": 7_200,
        });
        self
    }

    fn spending(mut self, limit: &str) -> Self {
        self.job["spend"] = json!(limit);
        self
    }

    /// Buys, and fetches the result when the gateway could not wait for it.
    async fn result(&self, market: &BaseShop) -> Value {
        let answer = buy_with_stock_client(&self.job).await;
        assert_eq!(answer["receipt"]["success"], true, "{answer}");
        assert_eq!(answer["receipt"]["network"], NETWORK, "{answer}");
        let payer = answer["receipt"]["payer"].as_str().unwrap();
        assert_eq!(payer.to_lowercase(), evm_account_of("buyer"));
        if answer["status"] == 200 {
            return answer["body"]["result"].clone();
        }
        assert_eq!(answer["status"], 202, "{answer}");
        let task = answer["body"]["taskId"].as_str().unwrap();
        let client = GatewayClient::new(&market.origin).unwrap();
        let path = format!("/tasks/{task}/result");
        eventually("the result of a stock client's task", RESULT, || async {
            let got = client.get_json(&path, Some(&self.token)).await.unwrap();
            got.get("result").cloned()
        })
        .await
    }

    async fn refused(&self, why: &str) {
        let answer = buy_with_stock_client(&self.job).await;
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.contains(why), "not refused with {why}: {answer}");
    }
}

fn doubled(seed: u64) -> Value {
    json!({ "results": [{ "doubled": seed * 2 }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_pay_one_dollar_and_with_a_raised_limit_more_into_escrow_and_get_the_result()
{
    let market = BaseShop::start(BasePlan {
        purse: 10 * DOLLAR,
        workers: 2,
        direct: false,
    })
    .await;
    let members = market.members().await;
    let buyer = evm_account_of("buyer");
    let before = market.units(&buyer).await;

    // Nothing is paid: the client's own limit (#40), the guard (#4), a client that knows version 1 alone.
    Purchase::new(&market, "fetch", 1_010_000, 1)
        .refused("spendControls")
        .await;
    let stranger = json!({ "key": evm_account_of("stranger"), "kind": 0 });
    let mut others = members.clone();
    others[0] = stranger;
    Purchase::new(&market, "fetch", DOLLAR, 2)
        .guarded(&others, DOLLAR)
        .refused("ValidatorSet (#4)")
        .await;
    Purchase::new(&market, "axios", 1_010_000, 3)
        .guarded(&members, DOLLAR)
        .refused("Amount (#40)")
        .await;
    Purchase::new(&market, "v1", DOLLAR, 4)
        .refused("Failed to parse payment requirements")
        .await;
    assert_eq!(market.units(&buyer).await, before, "a refusal cost money");

    let plain = Purchase::new(&market, "fetch", DOLLAR, 5);
    assert_eq!(plain.result(&market).await, doubled(5));
    let by_axios = Purchase::new(&market, "axios", DOLLAR, 6).guarded(&members, DOLLAR);
    assert_eq!(by_axios.result(&market).await, doubled(6));
    let raised = Purchase::new(&market, "fetch", 1_010_000, 7)
        .guarded(&members, 1_010_000)
        .spending("$1.01");
    assert_eq!(raised.result(&market).await, doubled(7));

    let bought = 3;
    let workers = earned(&market, "worker").await;
    let creator = market.units(&evm_account_of("creator")).await;
    assert_eq!(workers + creator, bought * 5_000, "price of the workers");
    let gateway = market.units(&evm_account_of("gateway")).await;
    assert_eq!(gateway, bought * 100, "2 % of it");
    let validators = earned(&market, "validator").await;
    assert_eq!(validators, bought * 900, "three of four judges per task");
    // What nobody earned came back: the budgets were two hundred times that.
    assert_eq!(market.units(&buyer).await, before - bought * COST);
}

async fn earned(market: &BaseShop, role: &str) -> u128 {
    let mut sum = 0;
    for index in 0..4 {
        sum += market
            .units(&evm_account_of(&format!("{role}-{index}")))
            .await;
    }
    sum
}

/// No numbers are judged here.
#[test]
fn the_benchmark_against_the_stock_facilitator_runs_and_its_checks_hold() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_bench-base"))
        .args(["--smoke", "--json"])
        .output()
        .expect("the benchmark starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let compared: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                &row["name"],
                &row["own"]["operations"],
                &row["stock"]["operations"],
            )
        })
        .collect();
    assert_eq!(
        compared,
        [
            (&json!("verify"), &json!(6), &json!(6)),
            (&json!("verify and settle"), &json!(2), &json!(2)),
        ]
    );
}
