//! What the market adds to the work: from the paid request to the answer with the result, at a fixed rate.
//!
//! Real HTTP, the wall clock, SQLite, the simulated chain with its client over a socket. Worker and validators
//! are actors in this process who sign when asked; their executor takes 2 ms. The bid window is a wait the market
//! chose, so it is told apart.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_core::market::BID_WINDOW_MS;
use d402_gateway::http::{HttpConfig, HttpState, Policy, router};
use d402_node::clock::SystemClock;
use d402_objects::{Amount, Cid};
use d402_rails::simulated::server::serve;
use d402_rails::simulated::{Location, Options, SimChain, SimClient, SimulatedRail, asset};
use d402_settlement::market::testkit::wallet;
use d402_wire::simchain::{Rpc, RpcAnswer};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Plan;
use super::cast::{CAPABILITY, Cast, input};
use super::house::{House, publish};
use super::measure::{Latencies, instant, micros_each, own_cpu, per_second};
use super::report::{Row, micros};
use super::stage::{Stage, Wings};

const GOAL_US: u64 = 100_000;
/// The 402 is asked for this long before the payment is due.
const AHEAD: Duration = Duration::from_millis(400);

/// Longest a purchase may take.
const PATIENCE: Duration = Duration::from_secs(300);

struct Shop {
    cast: Arc<Cast>,
    origin: String,
    http: reqwest::Client,
}

/// Measures.
pub(super) async fn run(plan: &Plan) -> Vec<Row> {
    let home = tempfile::tempdir().expect("a folder");
    let stop = CancellationToken::new();
    let cast = Arc::new(Cast::new(30_000));
    let chain = chain(&cast, &stop).await;
    let stage = Stage::live(&cast);
    let clock = Arc::new(SystemClock);
    let outside = (
        Arc::new(SimulatedRail::new(chain)) as _,
        Arc::new(Wings(Arc::clone(&stage))) as _,
        clock as _,
    );
    let house = House::open(home.path(), &cast, outside).await;
    stage.raise(&house.engine);
    publish(house.store.directory().as_ref(), &cast).await;
    let shop = Arc::new(Shop {
        origin: gateway(&house, &stop).await,
        cast,
        http: reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client"),
    });
    // Connections and caches.
    purchases(&shop, plan.rate, plan.rate / 5 + 1).await;
    let (cpu, start) = (own_cpu(), instant());
    let count = plan.rate * plan.seconds;
    let latencies = purchases(&shop, plan.rate, count).await;
    let (cpu, time) = (own_cpu() - cpu, start.elapsed());
    stop.cancel();
    house.close().await;
    let window = Duration::from_millis(BID_WINDOW_MS);
    let total = Latencies::of(latencies.iter().copied());
    let overhead = Latencies::of(latencies.iter().map(|l| l.saturating_sub(window)));
    let p99 = overhead.percentile_us(99);
    let mut row = Row::new(
        "market overhead",
        "p99 < 100 ms at 100 tasks/s",
        format!("p99 {} at {}/s", micros(Some(p99)), plan.rate),
        p99 < GOAL_US,
    )
    .note(format!(
        "{count} purchases at {} per second ({} finished per second), all paid out; from the moment the paid request was due to the answer with the result, less the bid window",
        plan.rate,
        per_second(count, time),
    ))
    .note(format!(
        "with the bid window of {BID_WINDOW_MS} ms: p50 {}, p99 {}",
        micros(Some(total.percentile_us(50))),
        micros(Some(total.percentile_us(99))),
    ))
    .note("CPU is of everything in one process: gateway, chain, buyers, worker and validators. Commit, ack and reveal between worker and validators are not in it, nor their sandboxes".to_owned());
    row.cpu_us = Some(micros_each(cpu, count));
    row.p50_us = Some(overhead.percentile_us(50));
    row.p99_us = Some(p99);
    vec![row]
}

/// A chain in memory behind its real HTTP, with a rich buyer.
async fn chain(cast: &Cast, stop: &CancellationToken) -> SimClient {
    let chain = SimChain::open(&Location::Memory, Options::DEMO, Arc::new(SystemClock))
        .await
        .expect("a chain");
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = stop.clone();
    tokio::spawn(async move { serve(listener, chain, stop.cancelled_owned()).await });
    let client = SimClient::new(&format!("http://{address}")).expect("a client");
    let mint = Rpc::Mint {
        to: cast.buyer().address(),
        asset: asset(),
        amount: Amount::from(1_u64 << 50),
    };
    let minted: RpcAnswer = client.call(&mint).await.expect("the faucet");
    std::hint::black_box(minted);
    client
}

async fn gateway(house: &House, stop: &CancellationToken) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let config = HttpConfig::new(Policy::default(), [7; 32], origin.clone());
    let app = router(HttpState::new(house.engine.clone(), config));
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let stop = stop.clone();
    tokio::spawn(async move {
        axum::serve(listener, service)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
    });
    origin
}

/// `count` purchases, `rate` per second, each from the moment its payment was due.
async fn purchases(shop: &Arc<Shop>, rate: u64, count: u64) -> Vec<Duration> {
    let start = instant() + AHEAD;
    let mut buying = tokio::task::JoinSet::new();
    for number in 0..count {
        let due = start + Duration::from_micros(number * 1_000_000 / rate);
        tokio::time::sleep_until((due - AHEAD).into()).await;
        let shop = Arc::clone(shop);
        buying.spawn(async move { shop.buy(number, due).await });
    }
    buying.join_all().await
}

impl Shop {
    async fn buy(&self, number: u64, due: Instant) -> Duration {
        let body = json!({
            "capabilityId": CAPABILITY,
            "input": input(number),
            "budget": "100000",
            "refundTo": { "d402:simulated": wallet("refund", 0) },
        });
        let (status, offer) = self.post(&body, None).await;
        assert_eq!(status, 402, "{offer}");
        let payment = self.payment(&offer["x402"]["accepts"][0]);
        tokio::time::sleep_until(due.into()).await;
        let (status, answer) = self.post(&body, Some(payment)).await;
        // A gateway that is too slow answers 202 and goes on: what it takes then counts as well.
        let ended = match status {
            200 => answer["status"].clone(),
            202 => self.end_of(&answer).await,
            _ => panic!("a paid request is answered with {status}: {answer}"),
        };
        let time = instant().saturating_duration_since(due);
        assert_eq!(ended, "accepted", "{answer}");
        time
    }

    /// Status of a task that was not over when its request was answered, once it is.
    async fn end_of(&self, answer: &Value) -> Value {
        let url = answer["links"]["task"].as_str().expect("a link");
        crate::eventually("the task ends", PATIENCE, || async {
            let response = self.http.get(url).send().await.ok()?;
            let task: Value = response.json().await.ok()?;
            (task["phase"] == "final").then(|| task["status"].clone())
        })
        .await
    }

    fn payment(&self, entry: &Value) -> String {
        let text = |field: &str| entry[field].as_str().expect("a text");
        let budget: Amount = text("amount").parse().expect("an amount");
        let to = text("payTo").parse().expect("an account");
        // The address is of one task, so what it says is a nonce nobody else uses.
        let nonce = Cid::of(text("payTo").as_bytes()).to_hex32();
        let payload = self.cast.pay(to, budget, nonce, crate::now_ms());
        let header = json!({ "x402Version": 2, "accepted": entry, "payload": payload });
        STANDARD.encode(header.to_string())
    }

    async fn post(&self, body: &Value, payment: Option<String>) -> (u16, Value) {
        let mut request = self
            .http
            .post(format!("{}/tasks", self.origin))
            .header("content-type", "application/json")
            .body(body.to_string());
        if let Some(payment) = payment {
            request = request.header("payment-signature", payment);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.expect("JSON"))
    }
}
