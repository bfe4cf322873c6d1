//! A provider that stops or deceives the gateway at chosen moments.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::sync::Notify;

/// When the next transaction of the gateway meets its accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the chain has it.
    Before,
    /// The chain has it, the gateway has no answer.
    After,
}

#[derive(Default)]
struct Plan {
    /// Transactions to let through first, and the moment of the one after them.
    next: Option<(u32, Moment)>,
    /// Whether every question counts, not transactions alone.
    any: bool,
    /// Whether the held answer is given up (lost) or kept back until the connection ends.
    lose: bool,
    /// What was held or lost, by method.
    met: Vec<String>,
}

/// A provider between gateway and chain that can hold or lose one transaction.
#[derive(Clone)]
pub struct Gate {
    plan: Arc<Mutex<Plan>>,
    reached: Arc<Notify>,
    http: reqwest::Client,
    upstream: String,
    pub(crate) url: String,
}

impl Gate {
    pub(crate) async fn start(upstream: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let gate = Self {
            plan: Arc::default(),
            reached: Arc::default(),
            http: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("an HTTP client"),
            upstream: upstream.to_owned(),
            url: format!("http://{}", listener.local_addr().expect("an address")),
        };
        let app = Router::new().fallback(serve).with_state(gate.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        gate
    }

    /// Holds the transaction after `skip` others at this moment, for ever: its sender is about to be killed.
    pub fn hold(&self, skip: u32, moment: Moment) {
        let mut plan = self.plan.lock().expect("a lock");
        plan.next = Some((skip, moment));
        (plan.any, plan.lose) = (false, false);
    }

    /// Holds the question after `skip` others, whatever it asks: every step of a payment ends in one.
    pub fn hold_any(&self, skip: u32, moment: Moment) {
        self.hold(skip, moment);
        self.plan.lock().expect("a lock").any = true;
    }

    /// Lets everything through from now on.
    pub fn open(&self) {
        self.plan.lock().expect("a lock").next = None;
    }

    /// Methods of everything that was held or lost.
    #[must_use]
    pub fn met(&self) -> Vec<String> {
        self.plan.lock().expect("a lock").met.clone()
    }

    /// Loses it instead: the sender gets an error and lives on.
    pub fn lose(&self, skip: u32, moment: Moment) {
        self.hold(skip, moment);
        self.plan.lock().expect("a lock").lose = true;
    }

    /// Waits until the planned moment has come.
    pub async fn reached(&self, limit: Duration) {
        let reached = tokio::time::timeout(limit, self.reached.notified()).await;
        reached.expect("the gateway sends the transaction");
    }

    async fn pass(&self, body: Bytes) -> Response {
        let request = self
            .http
            .post(&self.upstream)
            .header("content-type", "application/json")
            .body(body);
        let Ok(answer) = request.send().await else {
            return StatusCode::BAD_GATEWAY.into_response();
        };
        answer.bytes().await.unwrap_or_default().into_response()
    }

    /// The moment of this question, if it is the planned one.
    fn meets(&self, method: &str) -> Option<(Moment, bool)> {
        let mut plan = self.plan.lock().expect("a lock");
        let (skip, moment) = plan.next?;
        if !plan.any && method != "eth_sendRawTransaction" {
            return None;
        }
        if skip > 0 {
            plan.next = Some((skip - 1, moment));
            return None;
        }
        plan.next = None;
        plan.met.push(method.to_owned());
        Some((moment, plan.lose))
    }
}

async fn serve(State(gate): State<Gate>, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let method = request["method"].as_str().unwrap_or("batch");
    let Some((moment, lose)) = gate.meets(method) else {
        return gate.pass(body).await;
    };
    if moment == Moment::After {
        let _lost = gate.pass(body).await;
    }
    gate.reached.notify_one();
    if !lose {
        std::future::pending::<()>().await;
    }
    StatusCode::BAD_GATEWAY.into_response()
}
