//! One lease from acceptance to the last reveal.

use std::sync::Arc;
use std::time::Duration;

use d402_capabilities::sandbox::{Execution, Job as Work};
use d402_objects::{ClaimCommit, CommitAck, Signed};
use d402_wire::{Blob, NodeAddress, RawDossier, RawEnvelope, Refusal, Request, Response};
use futures::future::join_all;

use super::lease::validator_address;
use super::{Case, Worker, lock};
use crate::Behaviour;
use crate::job::JobEffect;
use crate::product::{Product, input_document};

impl Worker {
    pub(super) async fn run(self, case: Arc<Case>) {
        let behaviour = self.shared.config.behaviour;
        if behaviour == Behaviour::Vanishes {
            return;
        }
        match self.produce(&case).await {
            Some(product) => self.seal(&case, product).await,
            None => {
                self.give_back(&case).await;
                return;
            }
        }
        while !lock(&case.job).is_over(self.now_ms()) {
            let wait = lock(&case.job).wake_at_ms().saturating_sub(self.now_ms());
            let _woken = tokio::time::timeout(
                Duration::from_millis(wait.clamp(5, 1_000)),
                case.wake.notified(),
            )
            .await;
            let effects = lock(&case.job).tick(self.now_ms());
            self.execute(&case, effects).await;
        }
    }

    /// Runs the executor; `None` when there is nothing to claim.
    async fn produce(&self, case: &Arc<Case>) -> Option<Product> {
        let dossier = lock(&case.job).dossier().clone();
        let input = input_document(&dossier).ok()?;
        let work = Work {
            capability_id: dossier.manifest().capability_id.to_string(),
            input,
            ..Work::default()
        };
        let behaviour = self.shared.config.behaviour;
        let produced = match self.shared.config.sandbox.execute(work).await {
            Ok(Execution::Done(produced)) => *produced,
            Ok(Execution::Refused(refusal)) => {
                tracing::info!(task = %dossier.task_id(), %refusal, "nothing to claim");
                return None;
            }
            Err(error) => {
                tracing::warn!(task = %dossier.task_id(), %error, "executor failed");
                return None;
            }
        };
        if let Behaviour::Slow(pause) = behaviour {
            tokio::time::sleep(pause).await;
        }
        Product::from_child(produced, behaviour)
            .inspect_err(|error| tracing::error!(task = %dossier.task_id(), %error, "result cannot be claimed"))
            .ok()
    }

    async fn seal(&self, case: &Arc<Case>, product: Product) {
        let mut salt = [0u8; 32];
        if getrandom::fill(&mut salt).is_err() {
            tracing::error!("no random bytes, nothing is claimed");
            return;
        }
        let sealed = {
            let job = lock(&case.job);
            product.claim(job.dossier(), job.lease(), salt, &self.shared.config.key)
        };
        let (claim, commit) = match sealed {
            Ok(sealed) => sealed,
            Err(error) => {
                tracing::error!(%error, "result cannot be claimed");
                return;
            }
        };
        for bytes in product.contents() {
            if let Err(error) = self.shared.ports.blobs.put(bytes).await {
                tracing::warn!(%error, "own copy of a result is not stored");
            }
        }
        let effects = lock(&case.job).seal(product, claim, commit, self.now_ms());
        self.execute(case, effects).await;
    }

    async fn give_back(&self, case: &Arc<Case>) {
        let (task_id, lease_cid) = {
            let job = lock(&case.job);
            (job.dossier().task_id(), job.lease().cid())
        };
        let Some(gateway) = case.gateway.clone() else {
            return;
        };
        let request = Request::ReturnLease { task_id, lease_cid };
        if let Err(error) = self.shared.ports.network.request(&gateway, request).await {
            tracing::debug!(%error, "lease not given back");
        }
    }

    async fn execute(&self, case: &Arc<Case>, effects: Vec<JobEffect>) {
        join_all(effects.into_iter().map(|effect| self.send(case, effect))).await;
    }

    async fn send(&self, case: &Arc<Case>, effect: JobEffect) {
        let (JobEffect::SendCommit { set_index } | JobEffect::SendReveal { set_index }) = effect;
        let Some((to, request)) = self.message(case, &effect) else {
            return;
        };
        let answer = self
            .shared
            .ports
            .network
            .request(&to, request.clone())
            .await;
        match answer {
            Ok(Response::Refused {
                reason: Refusal::UnknownTask,
            }) => {
                // The gateway has not told it, or never will (threat #13): tell it ourselves, then ask again.
                let dossier = Box::new(RawDossier::of(lock(&case.job).dossier()));
                let opened = self
                    .shared
                    .ports
                    .network
                    .request(
                        &to,
                        Request::OpenTask {
                            dossier,
                            gateway: None,
                        },
                    )
                    .await;
                if let Ok(Response::Accepted) = opened
                    && let Ok(answer) = self.shared.ports.network.request(&to, request).await
                {
                    self.answered(case, set_index, answer);
                }
            }
            Ok(answer) => self.answered(case, set_index, answer),
            Err(error) => tracing::debug!(%error, set_index, "validator did not answer"),
        }
    }

    fn message(&self, case: &Arc<Case>, effect: &JobEffect) -> Option<(NodeAddress, Request)> {
        let job = lock(&case.job);
        let (claim, commit, product) = job.sealed()?;
        Some(match effect {
            JobEffect::SendCommit { set_index } => (
                validator_address(job.dossier(), *set_index)?,
                Request::Commit {
                    task_id: job.dossier().task_id(),
                    lease: RawEnvelope::of(job.lease()),
                    lease_accept: RawEnvelope::of(job.accept()),
                    lease_set: job.set().map(RawEnvelope::of).collect(),
                    commit: RawEnvelope::of(commit),
                },
            ),
            JobEffect::SendReveal { set_index } => (
                validator_address(job.dossier(), *set_index)?,
                Request::Reveal {
                    claim: RawEnvelope::of(claim),
                    certificate: job.certificate().map(RawEnvelope::of).collect(),
                    commits: job.commits().map(RawEnvelope::of).collect(),
                    blobs: product.contents().map(Blob::of).collect(),
                },
            ),
        })
    }

    fn answered(&self, case: &Arc<Case>, set_index: u8, answer: Response) {
        match answer {
            Response::Object { object } => {
                let commit = lock(&case.job)
                    .sealed()
                    .map(|(_, commit, _)| commit.clone());
                if let (Some(commit), Ok(ack)) = (commit, object.open()) {
                    self.ack_arrived(commit, ack);
                }
            }
            Response::Accepted => lock(&case.job).reveal_taken(set_index),
            Response::Refused { reason } => {
                tracing::debug!(set_index, ?reason, "validator refused")
            }
            Response::Directory { .. }
            | Response::Inventory { .. }
            | Response::Missing { .. }
            | Response::Signature { .. }
            | Response::Signatures { .. }
            | Response::Content { .. } => {}
        }
    }

    /// An ack came, as an answer or as a notice.
    pub(super) fn ack_arrived(&self, commit: Signed<ClaimCommit>, ack: Signed<CommitAck>) {
        let Some(case) = self.case(&ack.payload().task_id) else {
            return;
        };
        let effects = lock(&case.job).ack_seen(commit, ack, self.now_ms());
        if effects.is_empty() {
            return;
        }
        let worker = self.clone();
        tokio::spawn(async move { worker.execute(&case, effects).await });
    }
}
