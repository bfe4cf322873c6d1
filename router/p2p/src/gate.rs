//! The doors between the network and the application: quotas, in-flight bounds and queues.
//!
//! Both implementations of the network let requests and gossip in through these, so that the bounds are
//! the same in tests and in production. No IO here.

use std::collections::HashMap;

use bytes::Bytes;
use libp2p::PeerId;
use tokio::sync::mpsc;

use crate::{
    GossipLimits, GossipVerdict, InboundGossip, InboundRequest, Refusal, Responder, RpcLimits,
    Topic,
    inbound::{Judged, Reply},
    quota::KeyedQuota,
};

/// Lets requests in, or says why not.
pub(crate) struct RequestGate {
    limits: RpcLimits,
    quota: KeyedQuota<PeerId>,
    open_per_peer: HashMap<PeerId, u32>,
    open_total: u32,
    last_id: u64,
    deliver: mpsc::Sender<InboundRequest>,
    replies: mpsc::Sender<Reply>,
}

/// The far ends of a [`RequestGate`]'s queues.
pub(crate) struct RequestQueues {
    pub(crate) requests: mpsc::Receiver<InboundRequest>,
    pub(crate) replies: mpsc::Receiver<Reply>,
}

impl RequestGate {
    pub(crate) fn new(limits: &RpcLimits) -> (Self, RequestQueues) {
        let (deliver, requests) = mpsc::channel(queue_len(limits.inbound_queue));
        let (reply, replies) = mpsc::channel(queue_len(limits.inbound_total));
        let gate = Self {
            quota: KeyedQuota::new(limits.per_peer_rate),
            limits: limits.clone(),
            open_per_peer: HashMap::new(),
            open_total: 0,
            last_id: 0,
            deliver,
            replies: reply,
        };
        (gate, RequestQueues { requests, replies })
    }

    /// Uses one cell of the peer's quota. Applies to every request, whatever becomes of it.
    pub(crate) fn charge(&self, from: &PeerId) -> Result<(), Refusal> {
        self.quota.take(from).map_err(|wait| Refusal::RateLimited {
            retry_after_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1),
        })
    }

    /// Gives the request to the application and returns its id. The place it holds is freed by
    /// [`RequestGate::release`].
    pub(crate) fn admit(&mut self, from: PeerId, body: Bytes) -> Result<u64, Refusal> {
        let open = self.open_per_peer.get(&from).copied().unwrap_or(0);
        if open >= self.limits.inbound_per_peer || self.open_total >= self.limits.inbound_total {
            return Err(Refusal::Busy);
        }
        let place = self
            .replies
            .clone()
            .try_reserve_owned()
            .map_err(|_| Refusal::Busy)?;
        let slot = self.deliver.try_reserve().map_err(|_| Refusal::Busy)?;
        self.last_id = self.last_id.wrapping_add(1);
        let responder = Responder::new(self.last_id, self.limits.response_bytes_max, place);
        slot.send(InboundRequest {
            from,
            body,
            responder,
        });
        self.open_per_peer.insert(from, open.saturating_add(1));
        self.open_total = self.open_total.saturating_add(1);
        Ok(self.last_id)
    }

    /// Frees the place of one admitted request.
    pub(crate) fn release(&mut self, from: &PeerId) {
        self.open_total = self.open_total.saturating_sub(1);
        if let Some(open) = self.open_per_peer.get_mut(from) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.open_per_peer.remove(from);
            }
        }
    }

    pub(crate) fn prune(&self) {
        self.quota.prune();
    }
}

/// Why a gossip message does not reach the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GossipRefusal {
    TooLarge,
    PeerRate,
    SourceRate,
    Busy,
}

/// A gossip message before the application saw it.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) from: PeerId,
    pub(crate) source: PeerId,
    pub(crate) topic: Topic,
    pub(crate) body: Bytes,
}

/// Lets gossip in, or says why not.
pub(crate) struct GossipGate {
    bytes_max: u32,
    per_peer: KeyedQuota<PeerId>,
    per_source: KeyedQuota<PeerId>,
    last_id: u64,
    deliver: mpsc::Sender<InboundGossip>,
    verdicts: mpsc::Sender<Judged>,
}

/// The far ends of a [`GossipGate`]'s queues.
pub(crate) struct GossipQueues {
    pub(crate) gossip: mpsc::Receiver<InboundGossip>,
    pub(crate) verdicts: mpsc::Receiver<Judged>,
}

impl GossipGate {
    pub(crate) fn new(limits: &GossipLimits) -> (Self, GossipQueues) {
        let (deliver, gossip) = mpsc::channel(queue_len(limits.undecided));
        let (judge, verdicts) = mpsc::channel(queue_len(limits.undecided));
        let gate = Self {
            bytes_max: limits.message_bytes_max,
            per_peer: KeyedQuota::new(limits.per_peer_rate),
            per_source: KeyedQuota::new(limits.per_source_rate),
            last_id: 0,
            deliver,
            verdicts: judge,
        };
        (gate, GossipQueues { gossip, verdicts })
    }

    /// Gives the message to the application and returns its id.
    ///
    /// The neighbour is charged before the signer: keys are free, so a neighbour that invents signers
    /// must meet its own bound before it can fill the table of signers.
    pub(crate) fn admit(&mut self, heard: Heard) -> Result<u64, GossipRefusal> {
        self.per_peer
            .take(&heard.from)
            .map_err(|_| GossipRefusal::PeerRate)?;
        if !u32::try_from(heard.body.len()).is_ok_and(|len| len <= self.bytes_max) {
            return Err(GossipRefusal::TooLarge);
        }
        self.per_source
            .take(&heard.source)
            .map_err(|_| GossipRefusal::SourceRate)?;
        let place = self
            .verdicts
            .clone()
            .try_reserve_owned()
            .map_err(|_| GossipRefusal::Busy)?;
        let slot = self
            .deliver
            .try_reserve()
            .map_err(|_| GossipRefusal::Busy)?;
        self.last_id = self.last_id.wrapping_add(1);
        let Heard {
            from,
            source,
            topic,
            body,
        } = heard;
        let verdict = GossipVerdict::new(self.last_id, place);
        slot.send(InboundGossip {
            from,
            source,
            topic,
            body,
            verdict,
        });
        Ok(self.last_id)
    }

    pub(crate) fn prune(&self) {
        self.per_peer.prune();
        self.per_source.prune();
    }
}

fn queue_len(bound: u32) -> usize {
    usize::try_from(bound)
        .unwrap_or(usize::MAX)
        .clamp(1, tokio::sync::Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rate;

    fn limits() -> RpcLimits {
        RpcLimits {
            inbound_per_peer: 2,
            inbound_total: 3,
            inbound_queue: 8,
            ..RpcLimits::default()
        }
    }

    #[test]
    fn one_peer_fills_its_own_share_and_not_anothers() {
        let (mut gate, mut queues) = RequestGate::new(&limits());
        let (a, b) = (PeerId::random(), PeerId::random());
        gate.admit(a, Bytes::new()).unwrap();
        gate.admit(a, Bytes::new()).unwrap();
        assert_eq!(gate.admit(a, Bytes::new()), Err(Refusal::Busy));
        gate.admit(b, Bytes::new()).unwrap();
        assert_eq!(
            gate.admit(b, Bytes::new()),
            Err(Refusal::Busy),
            "the total is reached"
        );
        drop(queues.requests.try_recv().unwrap());
        queues.replies.try_recv().unwrap();
        gate.release(&a);
        gate.admit(b, Bytes::new()).unwrap();
    }

    #[test]
    fn a_queue_nobody_reads_refuses() {
        let (mut gate, _queues) = RequestGate::new(&RpcLimits {
            inbound_queue: 1,
            ..RpcLimits::default()
        });
        gate.admit(PeerId::random(), Bytes::new()).unwrap();
        assert_eq!(
            gate.admit(PeerId::random(), Bytes::new()),
            Err(Refusal::Busy)
        );
    }

    #[test]
    fn a_dropped_responder_answers_that_there_is_no_answer() {
        let (mut gate, mut queues) = RequestGate::new(&limits());
        let id = gate.admit(PeerId::random(), Bytes::new()).unwrap();
        drop(queues.requests.try_recv().unwrap());
        let reply = queues.replies.try_recv().unwrap();
        assert_eq!((reply.id, reply.result), (id, Err(Refusal::NoAnswer)));
    }

    #[test]
    fn a_reply_beyond_the_limit_is_an_error_on_both_sides() {
        let (mut gate, mut queues) = RequestGate::new(&RpcLimits {
            response_bytes_max: 3,
            ..RpcLimits::default()
        });
        gate.admit(PeerId::random(), Bytes::new()).unwrap();
        let responder = queues.requests.try_recv().unwrap().responder;
        let refused = responder.reply(Bytes::from_static(b"four"));
        assert_eq!(refused, Err(crate::ReplyTooLarge { got: 4, limit: 3 }));
        let reply = queues.replies.try_recv().unwrap();
        assert_eq!(reply.result, Err(Refusal::ResponseTooLarge { limit: 3 }));
    }

    fn heard(from: PeerId, source: PeerId) -> Heard {
        Heard {
            from,
            source,
            topic: Topic::Receipts,
            body: Bytes::from_static(b"x"),
        }
    }

    #[test]
    fn a_signer_beyond_its_rate_is_dropped_whoever_brings_it() {
        let limits = GossipLimits {
            per_source_rate: Rate::new(1, 1),
            ..GossipLimits::default()
        };
        let (mut gate, _queues) = GossipGate::new(&limits);
        let source = PeerId::random();
        gate.admit(heard(PeerId::random(), source)).unwrap();
        let again = gate.admit(heard(PeerId::random(), source));
        assert_eq!(again, Err(GossipRefusal::SourceRate));
        gate.admit(heard(PeerId::random(), PeerId::random()))
            .unwrap();
    }

    #[test]
    fn a_neighbour_that_invents_signers_meets_its_own_rate() {
        let limits = GossipLimits {
            per_peer_rate: Rate::new(1, 2),
            ..GossipLimits::default()
        };
        let (mut gate, _queues) = GossipGate::new(&limits);
        let from = PeerId::random();
        gate.admit(heard(from, PeerId::random())).unwrap();
        gate.admit(heard(from, PeerId::random())).unwrap();
        assert_eq!(
            gate.admit(heard(from, PeerId::random())),
            Err(GossipRefusal::PeerRate)
        );
    }

    #[test]
    fn undecided_messages_are_bounded_also_after_the_application_took_them() {
        let limits = GossipLimits {
            undecided: 1,
            ..GossipLimits::default()
        };
        let (mut gate, mut queues) = GossipGate::new(&limits);
        let id = gate
            .admit(heard(PeerId::random(), PeerId::random()))
            .unwrap();
        let taken = queues.gossip.try_recv().unwrap();
        let next = gate.admit(heard(PeerId::random(), PeerId::random()));
        assert_eq!(next, Err(GossipRefusal::Busy));
        drop(taken);
        let judged = queues.verdicts.try_recv().unwrap();
        assert_eq!(
            (judged.id, judged.judgement),
            (id, crate::inbound::Judgement::Ignore)
        );
        gate.admit(heard(PeerId::random(), PeerId::random()))
            .unwrap();
    }
}
