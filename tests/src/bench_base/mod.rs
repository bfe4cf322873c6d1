//! The gateway's own facilitator against the stock one of JavaScript (`cargo xtask bench base`), same requests, same
//! chain, same run. How to read it is in `docs/benchmarks-base.md`.
//!
//! Every answer is checked: an operation counts when it succeeded, and one failure ends the run.

pub(crate) mod measure;
pub(crate) mod rival;

use std::process::ExitCode;
use std::time::Duration;

use d402_node::buyer::{Challenge, Wallet};
use d402_rails::evm::EvmKey;
use d402_settlement::market::BASE_SEPOLIA_NETWORK;
use serde_json::{Value, json};

use crate::{BasePlan, BaseShop, base_task, now_ms};
use measure::{Cost, Meter, ratio_tenths};
use rival::{KEY, Stock};

/// How much.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Payments that are verified by both, after a wave to warm up.
    verified: usize,
    /// Payments that each of both verifies and settles.
    settled: usize,
}

impl Plan {
    const FULL: Self = Self {
        verified: 400,
        settled: 100,
    };
    /// Enough to see that it runs and its checks hold.
    const SMOKE: Self = Self {
        verified: 6,
        settled: 2,
    };
}

/// What a payment is for, base units.
const BUDGET: u64 = 100_000;
/// Payments signed at once: none may lapse before its turn.
const WAVE: usize = 10;
const VERIFY_WAVE: usize = 50;
/// One answer.
const ANSWER: Duration = Duration::from_secs(60);
const USAGE: &str = "usage: bench-base [--smoke] [--json]";

/// The program: measures and prints; fails only when a check does.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let known = |a: &String| ["--smoke", "--json"].contains(&a.as_str());
    if !arguments.iter().all(known) {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    let asked = |name: &str| arguments.iter().any(|a| a == name);
    let plan = if asked("--smoke") {
        Plan::SMOKE
    } else {
        Plan::FULL
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let rows = runtime.block_on(run(plan));
    if asked("--json") {
        println!(
            "{}",
            json!({ "rows": rows.iter().map(Row::json).collect::<Vec<_>>() })
        );
    } else {
        rows.iter().for_each(|row| println!("{}", row.text()));
    }
    ExitCode::SUCCESS
}

/// One comparison.
struct Row {
    name: &'static str,
    /// Times less CPU than the stock facilitator.
    goal: u64,
    own: Cost,
    stock: Cost,
}

impl Row {
    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "goal": self.goal,
            "ratioTenths": ratio_tenths(&self.stock, &self.own),
            "own": self.own.json(),
            "stock": self.stock.json(),
        })
    }

    fn text(&self) -> String {
        let tenths = ratio_tenths(&self.stock, &self.own);
        format!(
            "{}: {}.{} times less CPU (goal {})\n  own    {}\n  stock  {}",
            self.name,
            tenths / 10,
            tenths % 10,
            self.goal,
            self.own.text(),
            self.stock.text()
        )
    }
}

async fn run(plan: Plan) -> Vec<Row> {
    let market = BaseShop::start(BasePlan {
        purse: 1_000_000_000,
        // Nobody bids: a settled payment stays one, and the gateway has no task to drive.
        workers: 0,
        direct: false,
    })
    .await;
    let stock = Stock::start("src/facilitator.ts", market.devnet.url(), KEY);
    let buyer = Buyer::of(&market);
    let (own, stock_verify) = verify(&buyer, &market, &stock, plan.verified).await;
    let verified = Row {
        name: "verify",
        goal: 20,
        own,
        stock: stock_verify,
    };
    let (own, stock_settle) = settle(&buyer, &market, &stock, plan.settled).await;
    let settled = Row {
        name: "verify and settle",
        goal: 10,
        own,
        stock: stock_settle,
    };
    vec![verified, settled]
}

/// The same payments, verified by both, in waves, so that neither has the quieter time.
async fn verify(buyer: &Buyer, market: &BaseShop, stock: &Stock, count: usize) -> (Cost, Cost) {
    let own_url = format!("{}/verify", market.origin);
    let stock_url = format!("{}/verify", stock.origin);
    let warm = buyer.payments(count.min(VERIFY_WAVE)).await;
    buyer
        .verify_all(&own_url, &warm, &mut Meter::new(market.gateway_pid()))
        .await;
    buyer
        .verify_all(&stock_url, &warm, &mut Meter::new(stock.pid()))
        .await;
    let (mut own, mut other) = (Meter::new(market.gateway_pid()), Meter::new(stock.pid()));
    for _ in 0..count.div_ceil(VERIFY_WAVE) {
        let payments = buyer.payments(count.min(VERIFY_WAVE)).await;
        buyer.verify_all(&own_url, &payments, &mut own).await;
        buyer.verify_all(&stock_url, &payments, &mut other).await;
    }
    (own.cost(), other.cost())
}

/// Different payments: each settles once. Ours is the whole paid request: the challenge is checked, the payment
/// verified, written down, sent, and believed; then the task is the market's.
async fn settle(buyer: &Buyer, market: &BaseShop, stock: &Stock, count: usize) -> (Cost, Cost) {
    let (mut own, mut other) = (Meter::new(market.gateway_pid()), Meter::new(stock.pid()));
    let tasks = format!("{}/tasks", market.origin);
    let (verify, settle) = (
        format!("{}/verify", stock.origin),
        format!("{}/settle", stock.origin),
    );
    for _ in 0..count.div_ceil(WAVE) {
        let payments = buyer.payments(count.min(WAVE)).await;
        own.restart();
        for paid in payments {
            let header = paid.header();
            let sent = own
                .time(buyer.send(&tasks, &paid.body, Some(&header)))
                .await;
            assert!(sent.settled, "not settled: {sent:?}");
        }
        own.stop();
        let payments = buyer.payments(count.min(WAVE)).await;
        other.restart();
        for paid in payments {
            let ask = paid.ask();
            let both = other
                .time(async {
                    let valid = buyer.send(&verify, &ask, None).await;
                    (valid, buyer.send(&settle, &ask, None).await)
                })
                .await;
            assert_eq!(both.0.body["isValid"], true, "{both:?}");
            assert_eq!(both.1.body["success"], true, "{both:?}");
        }
        other.stop();
    }
    (own.cost(), other.cost())
}

/// Asks for 402s and signs what they want.
struct Buyer {
    http: reqwest::Client,
    tasks: String,
    wallet: Wallet,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    settled: bool,
    body: Value,
}

/// A signed payment and the request it is for.
struct Paid {
    body: Vec<u8>,
    payload: Value,
}

impl Paid {
    fn header(&self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(self.payload.to_string())
    }

    /// Body of a facilitator request.
    fn ask(&self) -> Vec<u8> {
        let ask = json!({
            "x402Version": 2,
            "paymentPayload": self.payload,
            "paymentRequirements": self.payload["accepted"],
        });
        serde_json::to_vec(&ask).expect("JSON")
    }
}

impl Buyer {
    fn of(market: &BaseShop) -> Self {
        Self {
            http: reqwest::Client::builder()
                .timeout(ANSWER)
                .no_proxy()
                .build()
                .expect("an HTTP client"),
            tasks: format!("{}/tasks", market.origin),
            wallet: Wallet::Evm {
                key: EvmKey::from_secret(&market.secret).expect("a key"),
                network: BASE_SEPOLIA_NETWORK.to_owned(),
            },
        }
    }

    async fn payments(&self, count: usize) -> Vec<Paid> {
        let mut payments = Vec::with_capacity(count);
        for seed in 0..count {
            let mut task = base_task(BUDGET, u64::try_from(seed).expect("small"));
            task["sync"] = json!(false);
            let body = serde_json::to_vec(&task).expect("JSON");
            let response = self.post(&self.tasks, &body, None).await;
            let header = response.headers()["payment-required"]
                .to_str()
                .expect("text")
                .to_owned();
            let offer = response.bytes().await.expect("a body");
            let challenge =
                Challenge::read(&header, &offer, BASE_SEPOLIA_NETWORK).expect("an offer");
            let payment = self
                .wallet
                .pay(&challenge, now_ms())
                .await
                .expect("a payment");
            let payload =
                json!({"x402Version": 2, "accepted": challenge.accepted(), "payload": payment});
            payments.push(Paid { body, payload });
        }
        payments
    }

    async fn verify_all(&self, url: &str, payments: &[Paid], meter: &mut Meter) {
        meter.restart();
        for paid in payments {
            let ask = paid.ask();
            let answer = meter.time(self.send(url, &ask, None)).await;
            assert_eq!(answer.body["isValid"], true, "{url}: {answer:?}");
        }
        meter.stop();
    }

    async fn send(&self, url: &str, body: &[u8], payment: Option<&str>) -> Answer {
        let response = self.post(url, body, payment).await;
        Answer {
            // Sent once the deposit is believed, never before.
            settled: response.headers().contains_key("payment-response"),
            body: response.json().await.expect("JSON"),
        }
    }

    async fn post(&self, url: &str, body: &[u8], payment: Option<&str>) -> reqwest::Response {
        let mut request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(body.to_vec());
        if let Some(payment) = payment {
            request = request.header("payment-signature", payment);
        }
        request.send().await.expect("an answer")
    }
}
