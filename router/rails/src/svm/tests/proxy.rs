//! A provider between rail and node that loses, invents and delays, once, when told to.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes as Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_svm::{Address, Level, transaction};
use serde_json::{Value, json};

use super::stage::{Node, transfer};

/// What to do to the next transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trick {
    /// Pass it on, lose the answer.
    LoseAnswer,
    /// Lose it.
    LoseRequest,
    /// Say it was taken and executed; it is not.
    Lie,
    /// Pass it on at this second.
    DelayUntil(i64),
    /// Pass it on, and send as much once more to this wallet.
    Double(Address, u64),
    /// Lose it, send this much to this wallet in its place, say it was executed.
    Instead(Address, u64),
}

#[derive(Default)]
struct Plan {
    next: Option<Trick>,
    /// Transactions whose statuses are invented, once each.
    invented: Vec<String>,
    /// Every raw transaction seen.
    seen: Vec<Vec<u8>>,
}

/// The proxy.
#[derive(Clone)]
pub(super) struct Proxy {
    plan: Arc<Mutex<Plan>>,
    node: Arc<Node>,
    http: reqwest::Client,
    pub(super) url: String,
}

impl Proxy {
    pub(super) async fn start(node: Arc<Node>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            plan: Arc::default(),
            node,
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
    pub(super) fn seen(&self) -> Vec<Vec<u8>> {
        self.plan.lock().unwrap().seen.clone()
    }

    async fn pass(&self, body: Vec<u8>) -> Vec<u8> {
        let request = self
            .http
            .post(self.node.devnet.url())
            .header("content-type", "application/json")
            .body(body);
        let answer = request.send().await.unwrap().bytes().await.unwrap();
        answer.to_vec()
    }

    /// Waits until a transaction is on the chain and in its history.
    async fn executed(&self, signature: &str) {
        let signature = signature.parse().unwrap();
        let chain = self.node.devnet.chain();
        for _ in 0..500 {
            let found = chain.transaction(&signature, Level::Confirmed).await;
            if found.unwrap().is_some() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("transaction is not executed");
    }

    async fn play(&self, trick: Trick, (id, raw): (Value, Vec<u8>), body: Vec<u8>) -> Response {
        let signature = transaction::decode(&raw).unwrap().signatures[0].to_string();
        let taken = json!({"jsonrpc": "2.0", "id": id, "result": signature}).to_string();
        let invent = || self.plan.lock().unwrap().invented.push(signature.clone());
        match trick {
            Trick::LoseAnswer => {
                self.pass(body).await;
                self.executed(&signature).await;
                StatusCode::BAD_GATEWAY.into_response()
            }
            Trick::LoseRequest => StatusCode::BAD_GATEWAY.into_response(),
            Trick::Lie => {
                invent();
                taken.into_response()
            }
            Trick::DelayUntil(unix_s) => {
                self.node.devnet.advance_to(unix_s).await.unwrap();
                self.pass(body).await.into_response()
            }
            Trick::Double(to, units) => {
                let answer = self.pass(body).await;
                self.executed(&signature).await;
                transfer(&self.node, &to, units).await;
                answer.into_response()
            }
            Trick::Instead(to, units) => {
                transfer(&self.node, &to, units).await;
                invent();
                taken.into_response()
            }
        }
    }
}

async fn serve(State(proxy): State<Proxy>, body: Body) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let (id, method) = (request["id"].clone(), request["method"].as_str().unwrap());
    if method == "sendTransaction" {
        let raw = STANDARD
            .decode(request["params"][0].as_str().unwrap())
            .unwrap();
        let trick = {
            let mut plan = proxy.plan.lock().unwrap();
            plan.seen.push(raw.clone());
            plan.next.take()
        };
        if let Some(trick) = trick {
            return proxy.play(trick, (id, raw), body.to_vec()).await;
        }
    }
    if method == "getSignatureStatuses" {
        let signature = request["params"][0][0].as_str().unwrap().to_owned();
        let invented = {
            let mut plan = proxy.plan.lock().unwrap();
            let place = plan.invented.iter().position(|known| *known == signature);
            place.map(|place| plan.invented.remove(place))
        };
        if invented.is_some() {
            let status = json!({
                "slot": 1, "confirmations": null, "err": null, "confirmationStatus": "finalized",
            });
            let result = json!({"context": {"slot": 1}, "value": [status]});
            return json!({"jsonrpc": "2.0", "id": id, "result": result})
                .to_string()
                .into_response();
        }
    }
    proxy.pass(body.to_vec()).await.into_response()
}
