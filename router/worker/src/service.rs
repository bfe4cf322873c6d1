//! The worker as a node runs it: announcements and requests in, bids, commits and reveals out.

mod config;
mod lease;
mod output;
mod run;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use d402_core::ports::{BlobStore, Clock, MarketNetwork, Rail};
use d402_objects::{Cid, Signed, TaskAnnouncement};
use d402_wire::{NodeAddress, RawEnvelope, Refusal, Request, Response};
use tokio::sync::Notify;

use crate::job::Job;
use crate::payday::Payday;

pub use config::WorkerConfig;

/// Most leases remembered: running ones, and finished ones whose output may still be asked for.
const MAX_CASES: usize = 4_096;

/// What a worker is connected to.
#[derive(Clone)]
pub struct Ports {
    /// The network.
    pub network: Arc<dyn MarketNetwork>,
    /// Where outputs are kept until their task's `refundAfter`.
    pub blobs: Arc<dyn BlobStore>,
    /// Chains on which it can settle by itself when the gateway does not; on others it relies on whoever does.
    pub rails: Vec<Arc<dyn Rail>>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
}

/// One lease of this worker and its wake-up.
#[derive(Debug)]
struct Case {
    job: Mutex<Job>,
    payday: Mutex<Payday>,
    wake: Notify,
    /// Where the lease came from, when the announcement said.
    gateway: Option<NodeAddress>,
}

/// A worker. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

struct Shared {
    config: WorkerConfig,
    ports: Ports,
    /// By task; a worker holds at most one lease of a task at a time, the newest replaces an ended one.
    cases: Mutex<BTreeMap<Cid, Arc<Case>>>,
    /// Gateways of tasks bid on, newest last.
    bids: Mutex<VecDeque<(Cid, NodeAddress)>>,
}

/// A poisoned lock means a panic elsewhere; the data is still consistent, because every change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    /// A worker with its ports.
    #[must_use]
    pub fn new(config: WorkerConfig, ports: Ports) -> Self {
        Self {
            shared: Arc::new(Shared {
                config,
                ports,
                cases: Mutex::new(BTreeMap::new()),
                bids: Mutex::new(VecDeque::new()),
            }),
        }
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &WorkerConfig {
        &self.shared.config
    }

    fn now_ms(&self) -> u64 {
        self.shared.ports.clock.now_ms()
    }

    fn case(&self, task_id: &Cid) -> Option<Arc<Case>> {
        lock(&self.shared.cases).get(task_id).cloned()
    }

    /// Leases still being worked or revealed.
    #[must_use]
    pub fn running(&self) -> usize {
        let now_ms = self.now_ms();
        lock(&self.shared.cases)
            .values()
            .filter(|case| !lock(&case.job).is_over(now_ms))
            .count()
    }

    /// A gateway announced a task: bid, when the policy says so.
    pub async fn announced(&self, task: &Signed<TaskAnnouncement>) {
        let config = &self.shared.config;
        if self.running() >= config.policy.max_running {
            return;
        }
        let local = self.shared.ports.network.local();
        let bid = match config
            .policy
            .bid(config.worker(), &local, task.payload(), self.now_ms())
        {
            Ok(bid) => bid,
            Err(pass) => {
                tracing::debug!(task = %task.payload().task_id, ?pass, "not bidding");
                return;
            }
        };
        let Ok(bid) = Signed::sign(bid, &config.key) else {
            return;
        };
        let to = NodeAddress {
            node_id: task.payload().node_id.to_string(),
            addresses: task
                .payload()
                .addresses
                .iter()
                .map(ToString::to_string)
                .collect(),
        };
        {
            let mut bids = lock(&self.shared.bids);
            if bids.len() >= MAX_CASES {
                bids.pop_front();
            }
            bids.push_back((task.payload().task_id, to.clone()));
        }
        let request = Request::PlaceBid {
            bid: RawEnvelope::of(&bid),
        };
        match self.shared.ports.network.request(&to, request).await {
            Ok(answer) => tracing::debug!(task = %task.payload().task_id, ?answer, "bid placed"),
            Err(error) => tracing::debug!(task = %task.payload().task_id, %error, "bid not placed"),
        }
    }

    /// Answers a request of a peer; `None` when it is not for a worker.
    pub async fn handle(&self, request: Request) -> Option<Response> {
        match request {
            Request::OfferLease {
                dossier,
                lease,
                lease_set,
            } => Some(
                self.lease_offered(*dossier, lease, lease_set)
                    .await
                    .unwrap_or_else(refused),
            ),
            Request::AckNotice { ack, commit, .. } => Some(self.ack_noticed(ack, commit)),
            Request::ReceiptNotice { .. } => Some(Response::Accepted),
            Request::SignatureNotice { task_id, receipt } => {
                Some(self.signature_noticed(task_id, &receipt))
            }
            Request::GetOutput {
                task_id,
                cid,
                receipt,
            } => Some(
                self.output_asked(task_id, cid, &receipt)
                    .await
                    .unwrap_or_else(refused),
            ),
            Request::SyncDirectory { .. }
            | Request::PutDirectory { .. }
            | Request::PlaceBid { .. }
            | Request::ReturnLease { .. }
            | Request::OpenTask { .. }
            | Request::Commit { .. }
            | Request::Reveal { .. }
            | Request::GetInventory { .. }
            | Request::Propose { .. }
            | Request::Sign { .. }
            | Request::NoMoreLeases { .. }
            | Request::GetSignatures { .. } => None,
        }
    }

    fn ack_noticed(&self, ack: RawEnvelope, commit: RawEnvelope) -> Response {
        let (Ok(ack), Ok(commit)) = (ack.open(), commit.open()) else {
            return refused(Refusal::Malformed);
        };
        self.ack_arrived(commit, ack);
        Response::Accepted
    }
}

fn refused(reason: Refusal) -> Response {
    Response::Refused { reason }
}
