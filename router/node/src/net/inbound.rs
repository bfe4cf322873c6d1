//! What arrives: requests go to the roles of this node, gossip is judged before it is relayed.

use std::sync::Arc;

use bytes::Bytes;
use d402_gateway::Engine;
use d402_objects::{ReputationEvent, SignedReceipt, TaskAnnouncement};
use d402_p2p::{Inbound, InboundGossip, InboundRequest, Inbox, PeerEvent, Topic};
use d402_wire::peer::MAX_MESSAGE_BYTES;
use d402_wire::{NodeAddress, RawEnvelope, Refusal, Request, Response};
use d402_worker::Worker;
use tokio_util::sync::CancellationToken;

use super::DirectoryService;
use super::directory::KINDS;
use crate::roles::ValidatorFront;

/// Largest gossip message taken apart.
const MAX_GOSSIP_BYTES: usize = 128 * 1024;
/// Gossip messages judged at the same time.
const MAX_JUDGED: usize = 64;

/// The roles of this node; any mix.
#[derive(Clone)]
pub struct Roles {
    /// Always there.
    pub directory: DirectoryService,
    /// Gateway.
    pub gateway: Option<Engine>,
    /// Worker.
    pub worker: Option<Worker>,
    /// Front of a validator bridge.
    pub validator: Option<ValidatorFront>,
}

/// Serves the inbox until the network or the token ends.
pub async fn serve(mut inbox: Inbox, roles: Roles, stop: CancellationToken) {
    let judging = Arc::new(tokio::sync::Semaphore::new(MAX_JUDGED));
    loop {
        let arrived = tokio::select! {
            () = stop.cancelled() => return,
            arrived = inbox.recv() => arrived,
        };
        match arrived {
            None => return,
            Some(Inbound::Request(request)) => {
                let roles = roles.clone();
                tokio::spawn(async move { answer(roles, request).await });
            }
            Some(Inbound::Gossip(gossip)) => {
                let (roles, judging) = (roles.clone(), Arc::clone(&judging));
                tokio::spawn(async move {
                    let Ok(_place) = judging.acquire_owned().await else {
                        return;
                    };
                    judge(&roles, gossip).await;
                });
            }
            Some(Inbound::Peer(PeerEvent::Connected { peer, .. })) => {
                let roles = roles.clone();
                tokio::spawn(async move {
                    let peer = NodeAddress {
                        node_id: peer.to_string(),
                        addresses: Vec::new(),
                    };
                    roles.directory.sync_with(&peer).await;
                });
            }
            Some(Inbound::Peer(_)) => {}
        }
    }
}

async fn answer(roles: Roles, request: InboundRequest) {
    let from = request.from.to_string();
    let response = match d402_wire::decode_message::<Request>(&request.body, MAX_MESSAGE_BYTES) {
        Ok(message) => roles.dispatch(&from, message).await,
        Err(error) => {
            tracing::debug!(%from, %error, "not a message");
            Response::Refused {
                reason: Refusal::Malformed,
            }
        }
    };
    let bytes = d402_wire::encode(&response).unwrap_or_default();
    if let Err(error) = request.responder.reply(Bytes::from(bytes)) {
        tracing::warn!(%from, %error, "answer is too large");
    }
}

impl Roles {
    /// Gives a request to the roles it may be for. Notices may be for several; the first that takes it
    /// answers.
    pub async fn dispatch(&self, from: &str, request: Request) -> Response {
        if let Request::SyncDirectory { kinds, after } = request {
            return self.directory.page(&kinds, after).await;
        }
        if let Request::PutDirectory { objects } = request {
            return self.directory.put(objects).await;
        }
        let mut answer = Response::Refused {
            reason: Refusal::NotMyRole,
        };
        if let Some(gateway) = &self.gateway
            && let Some(response) = gateway.handle(from, request.clone()).await
        {
            answer = better(answer, response);
        }
        if let Some(worker) = &self.worker
            && let Some(response) = worker.handle(request.clone()).await
        {
            answer = better(answer, response);
        }
        if let Some(validator) = &self.validator {
            answer = better(answer, validator.handle(from, request).await);
        }
        answer
    }
}

impl Roles {
    /// An announcement for the worker of this node, if there is one; `false` when it does not verify.
    pub(super) fn task_announced(&self, object: RawEnvelope) -> bool {
        let Ok(task) = object.open::<TaskAnnouncement>() else {
            return false;
        };
        if let Some(worker) = self.worker.clone() {
            tokio::spawn(async move { worker.announced(&task).await });
        }
        true
    }
}

/// Of two answers the one that is no refusal; of two refusals the one that says more.
fn better(one: Response, other: Response) -> Response {
    match (&one, &other) {
        (
            Response::Refused {
                reason: Refusal::NotMyRole,
            },
            _,
        ) => other,
        (Response::Refused { .. }, Response::Refused { .. }) => one,
        (Response::Refused { .. }, _) => other,
        _ => one,
    }
}

enum Verdict {
    Accept,
    Reject,
    Ignore,
}

/// Nothing is relayed that does not verify.
async fn judge(roles: &Roles, gossip: InboundGossip) {
    let verdict = match d402_wire::decode_message::<RawEnvelope>(&gossip.body, MAX_GOSSIP_BYTES) {
        Ok(object) => judge_object(roles, gossip.topic, object).await,
        Err(_) => Verdict::Reject,
    };
    match verdict {
        Verdict::Accept => gossip.verdict.accept(),
        Verdict::Reject => gossip.verdict.reject(),
        Verdict::Ignore => gossip.verdict.ignore(),
    }
}

async fn judge_object(roles: &Roles, topic: Topic, object: RawEnvelope) -> Verdict {
    match topic {
        Topic::Registrations | Topic::Deprecations | Topic::NodeOffers | Topic::ValidatorOffers => {
            let Ok(envelope) = object.to_value() else {
                return Verdict::Reject;
            };
            let kind = envelope.get("payloadType").and_then(|k| k.as_str());
            if !KINDS.contains(&kind.unwrap_or_default()) {
                return Verdict::Reject;
            }
            match roles.directory.import(object).await {
                Ok(true) => Verdict::Accept,
                Ok(false)
                | Err(super::Import::Expired | super::Import::Quota | super::Import::Store(_)) => {
                    Verdict::Ignore
                }
                Err(_) => Verdict::Reject,
            }
        }
        Topic::TaskAnnouncements => accept_if(roles.task_announced(object)),
        Topic::Receipts => accept_if(
            object
                .to_value()
                .is_ok_and(|receipt| SignedReceipt::from_value(receipt).is_ok()),
        ),
        Topic::Reputation => accept_if(object.open::<ReputationEvent>().is_ok()),
    }
}

fn accept_if(verifies: bool) -> Verdict {
    if verifies {
        Verdict::Accept
    } else {
        Verdict::Reject
    }
}
