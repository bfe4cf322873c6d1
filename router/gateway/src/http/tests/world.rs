//! A gateway on fakes, and a client of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_core::ports::Rail;
use d402_objects::{Cid, Value};
use d402_settlement::market::testkit::{Actors, Scene, TaskSpec, wallet};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::fakes::{Blobs, Empty, HandClock, Library, Opening, Purse, Shelves};
use crate::engine::{Engine, EngineConfig, Ports};
use crate::http::{HttpConfig, HttpState, Policy, router};

pub(super) const START_MS: u64 = 1_795_000_000_000;
pub(super) const TOKEN: &str = "a token of the buyer";

pub(super) struct World {
    pub(super) clock: Arc<HandClock>,
    pub(super) store: Arc<Shelves>,
    pub(super) blobs: Arc<Blobs>,
    pub(super) library: Arc<Library>,
    pub(super) network: Arc<Empty>,
    pub(super) purse: Arc<Purse>,
    pub(super) actors: Actors,
    pub(super) spec: TaskSpec,
    pub(super) engine: Engine,
    pub(super) app: Router,
    pub(super) stop: CancellationToken,
    driver: Option<crate::engine::Driver>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// A header that is base64 of JSON.
    pub(super) fn coded(&self, name: &str) -> Value {
        serde_json::from_slice(&STANDARD.decode(self.header(name).unwrap()).unwrap()).unwrap()
    }

    /// The kind of a problem, after checking its shape.
    pub(super) fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        assert!(
            body["title"].is_string() && body["detail"].is_string(),
            "{body}"
        );
        body["type"]
            .as_str()
            .unwrap()
            .strip_prefix("https://d402.xyz/problems/")
            .unwrap()
            .to_owned()
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut HttpConfig)) -> Self {
        let mut spec = TaskSpec::single(3, 4);
        spec.issued_at_ms = START_MS;
        spec.price = 1_000;
        Self::of(spec, change)
    }

    /// A gateway whose rail opens vaults, or does not.
    pub(super) fn opening(opening: Opening) -> Self {
        let mut spec = TaskSpec::single(3, 4);
        spec.issued_at_ms = START_MS;
        spec.price = 1_000;
        Self::over(spec, (Vec::new(), Some(opening)), |_| {})
    }

    pub(super) fn of(spec: TaskSpec, change: impl FnOnce(&mut HttpConfig)) -> Self {
        Self::over(spec, (Vec::new(), None), change)
    }

    /// With more rails than the purse.
    pub(super) fn beside(
        spec: TaskSpec,
        more: Vec<Arc<dyn Rail>>,
        change: impl FnOnce(&mut HttpConfig),
    ) -> Self {
        Self::over(spec, (more, None), change)
    }

    fn over(
        spec: TaskSpec,
        (more, opening): (Vec<Arc<dyn Rail>>, Option<Opening>),
        change: impl FnOnce(&mut HttpConfig),
    ) -> Self {
        let actors = Actors::on(&spec.network, usize::from(spec.n));
        let parts = Scene::parts(&spec, &actors);
        let clock = Arc::new(HandClock(AtomicU64::new(START_MS)));
        let (store, blobs) = (Arc::new(Shelves::default()), Arc::new(Blobs::default()));
        let (library, network) = (Arc::new(Library::default()), Arc::new(Empty::default()));
        let mut purse = Purse::new(Arc::clone(&clock));
        purse.opening = opening;
        let purse = Arc::new(purse);
        library.add(parts.manifest.cid(), parts.manifest.to_value());
        library.add(parts.registration.cid(), parts.registration.to_value());
        for offer in &parts.offers {
            library.add(offer.cid(), offer.to_value());
        }
        let ports = Ports {
            store: store.clone(),
            blobs: blobs.clone(),
            directory: library.clone(),
            rails: [purse.clone() as Arc<dyn Rail>]
                .into_iter()
                .chain(more)
                .collect(),
            network: network.clone(),
            clock: clock.clone(),
        };
        let stop = CancellationToken::new();
        let config = EngineConfig {
            key: actors.gateway.clone(),
            instance: "test".to_owned(),
            distinct_subnets: false,
        };
        let (engine, driver) = Engine::new(config, ports, stop.clone());
        let mut config =
            HttpConfig::new(Policy::default(), [7; 32], "http://gateway.test".to_owned());
        config.sync_wait = Duration::from_secs(10);
        config.funding_wait = Duration::from_millis(50);
        change(&mut config);
        let app = router(HttpState::new(engine.clone(), config));
        Self {
            clock,
            store,
            blobs,
            library,
            network,
            purse,
            actors,
            spec,
            engine,
            app,
            stop,
            driver: Some(driver),
        }
    }

    /// Another gateway's boundary on the same engine.
    pub(super) fn rebuild(&mut self, change: impl FnOnce(&mut HttpConfig)) {
        let mut config =
            HttpConfig::new(Policy::default(), [7; 32], "http://gateway.test".to_owned());
        config.funding_wait = Duration::from_millis(50);
        change(&mut config);
        self.app = router(HttpState::new(self.engine.clone(), config));
    }

    /// Starts the engine's driver: writer and timer.
    pub(super) fn drive(&mut self) {
        let driver = self.driver.take().unwrap();
        tokio::spawn(async move { driver.run().await });
    }

    /// Everything the outside was asked so far.
    pub(super) fn traces(&self) -> [usize; 4] {
        let read = |calls: &std::sync::atomic::AtomicUsize| calls.load(Ordering::SeqCst);
        [
            self.store.calls(),
            read(&self.blobs.calls),
            read(&self.network.calls),
            read(&self.purse.calls),
        ]
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX)
            .await
            .unwrap()
            .to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes,
        }
    }

    pub(super) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(Method::GET).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post(&self, body: &Value, headers: &[(&str, &str)]) -> Answer {
        self.post_bytes("/tasks", body.to_string().into_bytes(), headers)
            .await
    }

    pub(super) async fn post_bytes(
        &self,
        path: &str,
        body: Vec<u8>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// Asks for an offer and pays it.
    pub(super) async fn buy(&self, body: &Value, nonce: u8) -> Answer {
        let entry = self.entry(body).await;
        self.post(body, &[("payment-signature", &payment(&entry, nonce))])
            .await
    }

    /// The one entry of a fresh 402.
    pub(super) async fn entry(&self, body: &Value) -> Value {
        let offer = self.post(body, &[]).await;
        assert_eq!(offer.status, 402, "{offer:?}");
        offer.coded("payment-required")["accepts"][0].clone()
    }
}

/// A request for the testkit's capability, refundable to the testkit's wallet; does not wait.
pub(super) fn wish() -> Value {
    json!({
        "capabilityId": "test.echo@1",
        "input": {"text": "hello"},
        "refundTo": {"d402:simulated": wallet("refund", 0)},
        "accessHash": crate::http::secrets::access_hash(TOKEN),
        "sync": false,
    })
}

/// A `PAYMENT-SIGNATURE` for an entry; the nonce is the payment's id.
pub(super) fn payment(entry: &Value, nonce: u8) -> String {
    payment_with(entry, nonce, &json!({}))
}

pub(super) fn payment_with(entry: &Value, nonce: u8, extensions: &Value) -> String {
    let payload = json!({
        "x402Version": 2,
        "accepted": entry,
        "payload": {"payment": {"nonce": hex::encode([nonce; 32])}},
        "extensions": extensions,
    });
    STANDARD.encode(payload.to_string())
}

pub(super) fn task_id(answer: &Answer) -> Cid {
    answer.json()["taskId"].as_str().unwrap().parse().unwrap()
}

pub(super) fn bearer() -> (&'static str, &'static str) {
    ("authorization", "Bearer a token of the buyer")
}
