//! The network of a benchmark: in memory, with everybody but the gateway behind it.
//!
//! Requests are encoded and answers decoded as on a real network, so that this work counts as the gateway's.
//! What the others answer is prepared beforehand (scripted), or made when it is asked for (live).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use d402_core::ports::{MarketNetwork, NetworkError, Topic};
use d402_gateway::Engine;
use d402_objects::{Cid, Hex32};
use d402_wire::peer::MAX_MESSAGE_BYTES;
use d402_wire::{NodeAddress, RawDossier, RawEnvelope, Refusal, Request, Response};
use serde_json::Value;

use super::cast::{Answers, Cast};
use super::measure::instant;

/// Verdicts come this long after the lease was taken: no executor runs here.
const WORK: Duration = Duration::from_millis(2);

/// What the actors know of a task.
#[derive(Default)]
struct Part {
    /// Made beforehand; a live actor makes its own.
    bid: Option<Vec<u8>>,
    answers: Option<Arc<Answers>>,
}

/// The network, and the actors on it.
pub(super) struct Stage {
    cast: Arc<Cast>,
    /// Whether actors sign when asked, instead of beforehand.
    live: bool,
    parts: Mutex<HashMap<Cid, Part>>,
    gateway: OnceLock<Engine>,
    bids: AtomicU64,
    asked: AtomicU64,
    ended: Mutex<HashMap<Cid, Instant>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    /// Actors whose lines are given by [`Stage::script`].
    pub(super) fn scripted(cast: &Arc<Cast>) -> Arc<Self> {
        Self::new(cast, false)
    }

    /// Actors who sign on their own.
    pub(super) fn live(cast: &Arc<Cast>) -> Arc<Self> {
        Self::new(cast, true)
    }

    fn new(cast: &Arc<Cast>, live: bool) -> Arc<Self> {
        Arc::new(Self {
            cast: Arc::clone(cast),
            live,
            parts: Mutex::new(HashMap::new()),
            gateway: OnceLock::new(),
            bids: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            ended: Mutex::new(HashMap::new()),
        })
    }

    /// Whom the actors talk to.
    pub(super) fn raise(&self, gateway: &Engine) {
        assert!(self.gateway.set(gateway.clone()).is_ok(), "one gateway");
    }

    /// What the actors will say in a task.
    pub(super) fn script(&self, task_id: Cid, bid: Vec<u8>, answers: Answers) {
        let part = Part {
            bid: Some(bid),
            answers: Some(Arc::new(answers)),
        };
        lock(&self.parts).insert(task_id, part);
    }

    /// Forgets the scripts of tasks that ended, and when they ended.
    pub(super) fn clear(&self) {
        lock(&self.parts).clear();
        lock(&self.ended).clear();
    }

    /// Bids the gateway acknowledged so far.
    pub(super) fn bids(&self) -> u64 {
        self.bids.load(Ordering::Relaxed)
    }

    /// Requests of the gateway so far.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Tasks whose receipts were published since [`Stage::clear`], and when.
    pub(super) fn ended(&self) -> HashMap<Cid, Instant> {
        lock(&self.ended).clone()
    }

    /// How many those are.
    pub(super) fn ended_count(&self) -> usize {
        lock(&self.ended).len()
    }

    fn answers(&self, task_id: Cid) -> Option<Arc<Answers>> {
        lock(&self.parts).get(&task_id)?.answers.clone()
    }

    /// A worker heard of a task.
    fn announced(self: Arc<Self>, announcement: &RawEnvelope) {
        let envelope = read(announcement);
        let told = &envelope["payload"];
        let task_id: Cid = text(told, "taskId").parse().expect("a task id");
        let scripted = lock(&self.parts).get(&task_id).and_then(|p| p.bid.clone());
        let bid = scripted.or_else(|| {
            let terms: Hex32 = text(told, "termsHash").parse().ok()?;
            let until = told["deadlineMs"].as_u64()?;
            self.live.then(|| self.cast.bid(task_id, terms, until))
        });
        let Some(bid) = bid else { return };
        tokio::spawn(async move {
            if let Response::Object { .. } = self.tell("worker-0", &bid).await {
                self.bids.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// Sends a message to the gateway, as the network would.
    async fn tell(&self, from: &str, message: &[u8]) -> Response {
        let request = d402_wire::decode_message(message, MAX_MESSAGE_BYTES).expect("a message");
        let gateway = self.gateway.get().expect("a gateway");
        let response = gateway.handle(from, request).await.expect("an answer");
        std::hint::black_box(d402_wire::encode(&response).expect("an answer"));
        response
    }

    /// A worker takes its lease; the validators' verdicts follow.
    async fn leased(
        self: Arc<Self>,
        dossier: RawDossier,
        lease: RawEnvelope,
    ) -> Option<Arc<Answers>> {
        let task_id: Cid = text(&lease.to_value().ok()?["payload"], "taskId")
            .parse()
            .ok()?;
        if self.live {
            let (this, cast) = (Arc::clone(&self), Arc::clone(&self.cast));
            let made = tokio::task::spawn_blocking(move || {
                let scene = cast.scene(dossier.check().expect("a dossier"));
                let lease = lease.open().expect("a lease");
                cast.answers(&scene, &lease)
            });
            let made = Arc::new(made.await.ok()?);
            let mut parts = lock(&this.parts);
            parts.entry(task_id).or_default().answers = Some(made);
        }
        let answers = self.answers(task_id)?;
        let notices = Arc::clone(&answers);
        tokio::spawn(async move {
            tokio::time::sleep(WORK).await;
            for notice in &notices.notices {
                self.tell("validator", notice).await;
            }
        });
        Some(answers)
    }
}

fn read(object: &RawEnvelope) -> Value {
    object.to_value().expect("strict JSON")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// The network as the gateway has it.
#[derive(Clone)]
pub(super) struct Wings(pub(super) Arc<Stage>);

#[async_trait]
impl MarketNetwork for Wings {
    async fn request(&self, to: &NodeAddress, request: Request) -> Result<Response, NetworkError> {
        let stage = &self.0;
        stage.asked.fetch_add(1, Ordering::Relaxed);
        std::hint::black_box(d402_wire::encode(&request).map_err(|_| NetworkError::Malformed)?);
        let (_, number) = to
            .node_id
            .rsplit_once('-')
            .ok_or(NetworkError::Unreachable)?;
        let node: usize = number.parse().map_err(|_| NetworkError::Unreachable)?;
        let known = |task_id| stage.answers(task_id).ok_or(NetworkError::TimedOut);
        let answer = match request {
            Request::OpenTask { .. } | Request::NoMoreLeases { .. } => {
                return Ok(Response::Accepted);
            }
            Request::OfferLease { dossier, lease, .. } => Arc::clone(stage)
                .leased(*dossier, lease)
                .await
                .ok_or(NetworkError::TimedOut)?
                .accept
                .clone(),
            Request::GetInventory { task_id } => known(task_id)?.inventories[node].clone(),
            Request::Propose { task_id, .. } => known(task_id)?.ready[node].clone(),
            Request::Sign { task_id, .. } => known(task_id)?.signatures[node].clone(),
            Request::GetOutput { task_id, .. } => known(task_id)?.output.clone(),
            Request::SyncDirectory { .. }
            | Request::PutDirectory { .. }
            | Request::PlaceBid { .. }
            | Request::ReturnLease { .. }
            | Request::Commit { .. }
            | Request::AckNotice { .. }
            | Request::Reveal { .. }
            | Request::ReceiptNotice { .. }
            | Request::SignatureNotice { .. }
            | Request::GetSignatures { .. } => {
                return Ok(Response::Refused {
                    reason: Refusal::NotMyRole,
                });
            }
        };
        d402_wire::decode_message(&answer, MAX_MESSAGE_BYTES).map_err(|_| NetworkError::Malformed)
    }

    async fn publish(&self, topic: Topic, object: &RawEnvelope) -> Result<(), NetworkError> {
        let stage = &self.0;
        std::hint::black_box(d402_wire::encode(object).map_err(|_| NetworkError::Malformed)?);
        match topic {
            Topic::TaskAnnouncements => Arc::clone(stage).announced(object),
            Topic::Receipts => {
                let task_id = text(&read(object)["receipt"], "taskId").parse();
                let task_id = task_id.map_err(|_| NetworkError::Malformed)?;
                lock(&stage.ended).entry(task_id).or_insert_with(instant);
            }
            Topic::Registrations
            | Topic::Deprecations
            | Topic::NodeOffers
            | Topic::ValidatorOffers
            | Topic::Reputation => {}
        }
        Ok(())
    }

    fn local(&self) -> NodeAddress {
        NodeAddress {
            node_id: "gateway-0".to_owned(),
            addresses: vec!["/ip4/127.0.0.1/tcp/9000".to_owned()],
        }
    }
}
