//! A provider between rail and chain that loses, invents and delays, once, when told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U64, keccak256};
use axum::Router;
use axum::body::Bytes as Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::evm::devnet::WHALE;

/// Longest wait for the block of a transaction.
const MINED: Duration = Duration::from_secs(10);
/// Pause between two looks for it.
const LOOK: Duration = Duration::from_millis(10);

/// What to do to the next transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trick {
    /// Pass it on, lose the answer.
    LoseAnswer,
    /// Lose it.
    LoseRequest,
    /// Say it was taken and executed; it is not.
    Lie,
    /// Pass it on in a block with this timestamp.
    DelayUntil(u64),
    /// Pass it on, and send as much once more.
    Double(Address, u64),
    /// Lose it, send this much in its place, say it was executed; the payer's own money is gone by then.
    Instead {
        to: Address,
        units: u64,
        payer: Address,
    },
}

#[derive(Default)]
struct Plan {
    next: Option<Trick>,
    /// Transactions whose receipts are invented, once each.
    invented: Vec<B256>,
    /// Every raw transaction seen.
    seen: Vec<Bytes>,
    /// Methods asked.
    asked: Vec<String>,
}

/// The proxy.
#[derive(Clone)]
pub(super) struct Proxy {
    plan: Arc<Mutex<Plan>>,
    upstream: String,
    http: reqwest::Client,
    pub(super) url: String,
}

impl Proxy {
    pub(super) async fn start(upstream: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            plan: Arc::default(),
            upstream: upstream.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let app = Router::new().fallback(serve).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        proxy
    }

    pub(super) fn arm(&self, trick: Trick) {
        self.plan.lock().unwrap().next = Some(trick);
    }

    /// Every raw transaction the rail sent, in order.
    pub(super) fn seen(&self) -> Vec<Bytes> {
        self.plan.lock().unwrap().seen.clone()
    }

    /// How often a method was asked.
    pub(super) fn asked(&self, method: &str) -> usize {
        let plan = self.plan.lock().unwrap();
        plan.asked.iter().filter(|asked| *asked == method).count()
    }

    async fn pass(&self, body: Vec<u8>) -> Vec<u8> {
        let request = self
            .http
            .post(&self.upstream)
            .header("content-type", "application/json")
            .body(body);
        request
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
            .to_vec()
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.pass(serde_json::to_vec(&request).unwrap()).await;
        serde_json::from_slice(&answer).unwrap()
    }

    /// Moves units from an account to another.
    async fn move_units(&self, from: Address, to: Address, units: u64) {
        use alloy::sol_types::SolCall as _;
        let call = d402_evm::abi::Token::transferCall {
            to,
            value: alloy::primitives::U256::from(units),
        };
        let token = super::super::devnet::USDC;
        let data = Bytes::from(call.abi_encode());
        let sent = self
            .ask(
                "eth_sendTransaction",
                json!([{"from": from, "to": token, "data": data}]),
            )
            .await;
        assert!(sent.get("error").is_none(), "{sent}");
        let hash = sent["result"].as_str().unwrap().parse().unwrap();
        self.mined(hash).await;
    }

    /// Waits for the block of a transaction: the node answers a submission before it made it.
    async fn mined(&self, hash: B256) {
        let asked = tokio::time::Instant::now();
        while self.ask("eth_getTransactionReceipt", json!([hash])).await["result"].is_null() {
            assert!(asked.elapsed() < MINED, "{hash} is in no block");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Passes a transaction on; its block is there when this returns.
    async fn pass_until_mined(&self, body: Vec<u8>, hash: B256) -> Vec<u8> {
        let answer = self.pass(body).await;
        self.mined(hash).await;
        answer
    }

    async fn play(&self, trick: Trick, (id, raw): (Value, Bytes), body: Vec<u8>) -> Response {
        let taken = |hash: B256| json!({"jsonrpc": "2.0", "id": id, "result": hash}).to_string();
        let hash = keccak256(&raw);
        match trick {
            Trick::LoseAnswer => {
                self.pass_until_mined(body, hash).await;
                StatusCode::BAD_GATEWAY.into_response()
            }
            Trick::LoseRequest => StatusCode::BAD_GATEWAY.into_response(),
            Trick::Lie => {
                self.plan.lock().unwrap().invented.push(hash);
                taken(hash).into_response()
            }
            Trick::DelayUntil(unix_s) => {
                self.ask("evm_setNextBlockTimestamp", json!([U64::from(unix_s)]))
                    .await;
                self.pass_until_mined(body, hash).await.into_response()
            }
            Trick::Double(to, units) => {
                let answer = self.pass_until_mined(body, hash).await;
                self.move_units(WHALE, to, units).await;
                answer.into_response()
            }
            Trick::Instead { to, units, payer } => {
                self.move_units(WHALE, to, units).await;
                self.ask("anvil_impersonateAccount", json!([payer])).await;
                let ether = alloy::primitives::U256::from(10_u64.pow(18));
                self.ask("anvil_setBalance", json!([payer, ether])).await;
                self.move_units(payer, WHALE, 3 * (units + 1)).await;
                self.plan.lock().unwrap().invented.push(hash);
                taken(hash).into_response()
            }
        }
    }
}

async fn serve(State(proxy): State<Proxy>, body: Body) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let method = request["method"].as_str().unwrap().to_owned();
    let id = request["id"].clone();
    proxy.plan.lock().unwrap().asked.push(method.clone());
    if method == "eth_sendRawTransaction" {
        let raw: Bytes = request["params"][0].as_str().unwrap().parse().unwrap();
        let trick = {
            let mut plan = proxy.plan.lock().unwrap();
            plan.seen.push(raw.clone());
            plan.next.take()
        };
        if let Some(trick) = trick {
            return proxy.play(trick, (id, raw), body.to_vec()).await;
        }
    }
    if method == "eth_getTransactionReceipt" {
        let hash: B256 = request["params"][0].as_str().unwrap().parse().unwrap();
        let invented = {
            let mut plan = proxy.plan.lock().unwrap();
            let place = plan.invented.iter().position(|known| *known == hash);
            place.map(|place| plan.invented.remove(place))
        };
        if invented.is_some() {
            let receipt = json!({
                "status": "0x1", "blockNumber": "0x1", "blockHash": B256::ZERO,
                "transactionHash": hash, "gasUsed": "0x1", "logs": [],
            });
            return json!({"jsonrpc": "2.0", "id": id, "result": receipt})
                .to_string()
                .into_response();
        }
    }
    proxy.pass(body.to_vec()).await.into_response()
}
