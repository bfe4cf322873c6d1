//! What arrives from the network, and the handles with which the application answers it.
//!
//! A handle that is dropped answers too: a request with [`Refusal::NoAnswer`], gossip with *ignore*. Each
//! handle owns a place in the queue its answer goes through, so answering never waits and never fails.

use bytes::Bytes;
use libp2p::PeerId;
use tokio::sync::mpsc;

use crate::{Refusal, ReplyTooLarge, Topic};

/// One thing that arrived.
#[derive(Debug)]
pub enum Inbound {
    /// A request to answer.
    Request(InboundRequest),
    /// A gossip message to judge.
    Gossip(InboundGossip),
    /// A peer came, left or subscribed.
    Peer(PeerEvent),
}

/// Everything that arrives, in bounded queues of one kind each, so that a flood of one kind does not
/// delay the others.
#[derive(Debug)]
pub struct Inbox {
    /// Requests of peers.
    pub requests: mpsc::Receiver<InboundRequest>,
    /// Gossip of peers.
    pub gossip: mpsc::Receiver<InboundGossip>,
    /// Peers that come and go. Events are dropped when nobody takes them; [`crate::Network::peers`] is
    /// the truth.
    pub peers: mpsc::Receiver<PeerEvent>,
}

impl Inbox {
    /// The next thing of any kind, or none after the network was shut down. Cancel safe.
    pub async fn recv(&mut self) -> Option<Inbound> {
        tokio::select! {
            Some(request) = self.requests.recv() => Some(Inbound::Request(request)),
            Some(gossip) = self.gossip.recv() => Some(Inbound::Gossip(gossip)),
            Some(event) = self.peers.recv() => Some(Inbound::Peer(event)),
            else => None,
        }
    }
}

/// A request of a peer.
#[derive(Debug)]
pub struct InboundRequest {
    /// Who asks. The connection proves it.
    pub from: PeerId,
    /// What it asks, at most [`crate::RpcLimits::request_bytes_max`] bytes.
    pub body: Bytes,
    /// Where the answer goes.
    pub responder: Responder,
}

/// The answer to a request, by id.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) id: u64,
    pub(crate) result: Result<Bytes, Refusal>,
}

/// Answers one request, once.
#[derive(Debug)]
pub struct Responder {
    id: u64,
    bytes_max: u32,
    place: Option<mpsc::OwnedPermit<Reply>>,
}

impl Responder {
    pub(crate) fn new(id: u64, bytes_max: u32, place: mpsc::OwnedPermit<Reply>) -> Self {
        Self {
            id,
            bytes_max,
            place: Some(place),
        }
    }

    /// Answers with a body. Whether the asker still waits is not known.
    pub fn reply(mut self, body: Bytes) -> Result<(), ReplyTooLarge> {
        let (got, limit) = (body.len(), self.bytes_max);
        if u32::try_from(got).is_ok_and(|got| got <= limit) {
            self.send(Ok(body));
            return Ok(());
        }
        self.send(Err(Refusal::ResponseTooLarge { limit }));
        Err(ReplyTooLarge { got, limit })
    }

    /// Answers that the application has too much to do.
    pub fn busy(mut self) {
        self.send(Err(Refusal::Busy));
    }

    fn send(&mut self, result: Result<Bytes, Refusal>) {
        if let Some(place) = self.place.take() {
            place.send(Reply {
                id: self.id,
                result,
            });
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.send(Err(Refusal::NoAnswer));
    }
}

/// A gossip message of a peer. Nobody else hears it from us before it is accepted.
#[derive(Debug)]
pub struct InboundGossip {
    /// The neighbour that brought it.
    pub from: PeerId,
    /// The node that signed it. It may be copied from elsewhere: judge `body` by its own signatures.
    pub source: PeerId,
    /// Its topic.
    pub topic: Topic,
    /// What it says, at most [`crate::GossipLimits::message_bytes_max`] bytes.
    pub body: Bytes,
    /// Where the verdict goes.
    pub verdict: GossipVerdict,
}

/// What the application thinks of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    Accept,
    Reject,
    Ignore,
}

/// The verdict on a message, by id.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) id: u64,
    pub(crate) judgement: Judgement,
}

/// Judges one message, once. Dropping it ignores the message.
#[derive(Debug)]
pub struct GossipVerdict {
    id: u64,
    place: Option<mpsc::OwnedPermit<Judged>>,
}

impl GossipVerdict {
    pub(crate) fn new(id: u64, place: mpsc::OwnedPermit<Judged>) -> Self {
        Self {
            id,
            place: Some(place),
        }
    }

    /// The message is valid: relay it.
    pub fn accept(mut self) {
        self.send(Judgement::Accept);
    }

    /// The message is invalid: do not relay it, and think less of who brought it.
    pub fn reject(mut self) {
        self.send(Judgement::Reject);
    }

    /// The message is of no use here: do not relay it.
    pub fn ignore(mut self) {
        self.send(Judgement::Ignore);
    }

    fn send(&mut self, judgement: Judgement) {
        if let Some(place) = self.place.take() {
            place.send(Judged {
                id: self.id,
                judgement,
            });
        }
    }
}

impl Drop for GossipVerdict {
    fn drop(&mut self) {
        self.send(Judgement::Ignore);
    }
}

/// A peer came, left or subscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerEvent {
    /// The first connection with the peer was made.
    Connected {
        /// The peer.
        peer: PeerId,
    },
    /// The last connection with the peer ended.
    Disconnected {
        /// The peer.
        peer: PeerId,
    },
    /// The peer hears what is published on the topic: the moment to offer it a sync.
    Subscribed {
        /// The peer.
        peer: PeerId,
        /// The topic.
        topic: Topic,
    },
}
