//! Gossip: quotas before the application, relay after its verdict.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use libp2p::{
    PeerId,
    gossipsub::{self, IdentTopic, MessageAcceptance, MessageId},
};
use tokio::sync::mpsc;

use super::driver::Driver;
use crate::{
    PeerEvent, PublishError, Topic,
    gate::{GossipGate, GossipRefusal, Heard},
    inbound::{Judged, Judgement},
};

pub(super) struct GossipState {
    gate: GossipGate,
    pub(super) verdicts: mpsc::Receiver<Judged>,
    undecided: HashMap<u64, (MessageId, PeerId)>,
    /// Neighbours that are not heard, and until when. Only connected neighbours get here.
    muted: HashMap<PeerId, Duration>,
}

impl GossipState {
    pub(super) fn new(gate: GossipGate, verdicts: mpsc::Receiver<Judged>) -> Self {
        Self {
            gate,
            verdicts,
            undecided: HashMap::new(),
            muted: HashMap::new(),
        }
    }
}

impl Driver {
    pub(super) fn on_publish(&mut self, topic: Topic, body: Bytes) -> Result<(), PublishError> {
        let topic_hash = IdentTopic::new(topic.name()).hash();
        match self.swarm.behaviour_mut().gossip.publish(topic_hash, body) {
            Ok(_) => {
                self.metrics.gossip_published.add_one();
                Ok(())
            }
            Err(gossipsub::PublishError::Duplicate) => Err(PublishError::Duplicate),
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => {
                Err(PublishError::NoListeners { topic })
            }
            Err(gossipsub::PublishError::AllQueuesFull(_)) => Err(PublishError::Busy),
            Err(
                gossipsub::PublishError::SigningError(_)
                | gossipsub::PublishError::MessageTooLarge
                | gossipsub::PublishError::TransformFailed(_),
            ) => Err(PublishError::Unpublishable),
        }
    }

    pub(super) fn on_gossip_event(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => {
                self.on_message(propagation_source, message_id, message);
            }
            gossipsub::Event::Subscribed { peer_id, topic } => {
                if let Some(topic) = Topic::from_name(topic.as_str()) {
                    self.tell(PeerEvent::Subscribed {
                        peer: peer_id,
                        topic,
                    });
                }
            }
            gossipsub::Event::Unsubscribed { .. }
            | gossipsub::Event::GossipsubNotSupported { .. }
            | gossipsub::Event::SlowPeer { .. } => {}
        }
    }

    fn on_message(&mut self, from: PeerId, id: MessageId, message: gossipsub::Message) {
        let named = Topic::from_name(message.topic.as_str());
        // Strict signing gives every message a signer, and the filter every topic a name of ours.
        let (Some(topic), Some(source)) = (named, message.source) else {
            self.metrics.gossip_refused_form.add_one();
            return self.settle(&id, &from, MessageAcceptance::Reject);
        };
        let heard = Heard {
            from,
            source,
            topic,
            body: Bytes::from(message.data),
        };
        match self.gossip.gate.admit(heard) {
            Ok(undecided) => {
                self.metrics.gossip_received.add_one();
                self.gossip.undecided.insert(undecided, (id, from));
            }
            Err(refusal) => {
                self.metrics.gossip_refused(refusal);
                let too_large = refusal == GossipRefusal::TooLarge;
                let acceptance = if too_large {
                    MessageAcceptance::Reject
                } else {
                    MessageAcceptance::Ignore
                };
                self.settle(&id, &from, acceptance);
                if refusal == GossipRefusal::PeerRate {
                    self.mute(from);
                }
            }
        }
    }

    /// Stops hearing a neighbour before its messages count as seen: a flood of genuine messages that are
    /// dropped here would otherwise shadow the copies that honest neighbours bring.
    fn mute(&mut self, peer: PeerId) {
        let until = self.now().saturating_add(self.config.gossip.mute);
        self.gossip.muted.insert(peer, until);
        self.swarm.behaviour_mut().gossip.blacklist_peer(&peer);
        tracing::warn!(%peer, "a neighbour gossips beyond its rate and is not heard for a while");
    }

    pub(super) fn gossip_upkeep(&mut self, now: Duration) {
        let over: Vec<PeerId> = self
            .gossip
            .muted
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in over {
            self.gossip.muted.remove(&peer);
            self.swarm
                .behaviour_mut()
                .gossip
                .remove_blacklisted_peer(&peer);
        }
    }

    pub(super) fn gossip_prune(&self) {
        self.gossip.gate.prune();
    }

    pub(super) fn on_judged(&mut self, judged: Judged) {
        let Some((id, from)) = self.gossip.undecided.remove(&judged.id) else {
            return;
        };
        let acceptance = match judged.judgement {
            Judgement::Accept => {
                self.metrics.gossip_accepted.add_one();
                MessageAcceptance::Accept
            }
            Judgement::Reject => {
                self.metrics.gossip_rejected.add_one();
                MessageAcceptance::Reject
            }
            Judgement::Ignore => MessageAcceptance::Ignore,
        };
        self.settle(&id, &from, acceptance);
    }

    fn settle(&mut self, id: &MessageId, from: &PeerId, acceptance: MessageAcceptance) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.report_message_validation_result(id, from, acceptance) {
            self.metrics.gossip_verdicts_late.add_one();
        }
    }
}
