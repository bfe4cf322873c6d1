//! One node in memory: its doors, and what it waits for.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, Weak},
};

use bytes::Bytes;
use libp2p::{PeerId, gossipsub::MessageId};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{hub::Hub, lock};
use crate::{
    GossipLimits, PeerAddress, PeerEvent, Refusal, RequestError, RpcLimits, Topic,
    gate::{GossipGate, Heard, RequestGate},
    inbound::{Judged, Judgement, Reply},
    libp2p_node::message_id,
    metrics::Metrics,
};

/// Gossip messages a node remembers as seen.
const SEEN: usize = 1 << 14;

pub(super) struct Node {
    pub(super) peer: PeerId,
    pub(super) hub: Weak<Mutex<Hub>>,
    pub(super) rpc: RpcLimits,
    pub(super) gossip: GossipLimits,
    pub(super) metrics: Metrics,
    /// None after the shutdown, which closes the inbox.
    pub(super) state: Mutex<Option<State>>,
}

pub(super) struct State {
    pub(super) peer_events: mpsc::Sender<PeerEvent>,
    pub(super) requests: RequestGate,
    pub(super) gossip: GossipGate,
    pub(super) asked: HashMap<u64, Asked>,
    pub(super) undecided: HashMap<u64, Heard>,
    pub(super) in_flight_to: HashMap<PeerId, u32>,
    pub(super) seen: HashSet<MessageId>,
    pub(super) seen_order: VecDeque<MessageId>,
}

pub(super) struct Asked {
    pub(super) from: PeerId,
    pub(super) reply: oneshot::Sender<Result<Bytes, Refusal>>,
}

/// Where an asker waits.
pub(super) type Answer = oneshot::Receiver<Result<Bytes, Refusal>>;

impl Node {
    pub(super) fn tell(&self, event: PeerEvent) {
        if let Some(state) = lock(&self.state).as_ref()
            && state.peer_events.try_send(event).is_err()
        {
            self.metrics.peer_events_dropped.add_one();
        }
    }

    pub(super) fn neighbours(&self, topic: Topic) -> Vec<Arc<Node>> {
        let Some(hub) = self.hub.upgrade() else {
            return Vec::new();
        };
        let hub = lock(&hub);
        let linked = hub.links.get(&self.peer).into_iter().flatten();
        linked
            .filter_map(|peer| hub.nodes.get(peer))
            .filter(|node| node.gossip.topics.contains(&topic))
            .cloned()
            .collect()
    }

    pub(super) fn find(&self, to: &PeerAddress) -> Option<Arc<Node>> {
        let hub = self.hub.upgrade()?;
        let hub = lock(&hub);
        let linked = hub
            .links
            .get(&self.peer)
            .is_some_and(|links| links.contains(&to.peer()));
        let node = hub.nodes.get(&to.peer())?;
        (linked || !to.addresses().is_empty()).then(|| node.clone())
    }

    /// Takes a request in, as the far end of a connection would.
    pub(super) fn ask(&self, from: PeerId, body: Bytes) -> Result<Answer, RequestError> {
        let limit = self.rpc.request_bytes_max;
        let mut state = lock(&self.state);
        let state = state.as_mut().ok_or(RequestError::Interrupted)?;
        let admitted = state.requests.charge(&from).and_then(|()| {
            if !u32::try_from(body.len()).is_ok_and(|len| len <= limit) {
                return Err(Refusal::RequestTooLarge { limit });
            }
            state.requests.admit(from, body)
        });
        match admitted {
            Ok(id) => {
                self.metrics.requests_received.add_one();
                let (reply, answer) = oneshot::channel();
                state.asked.insert(id, Asked { from, reply });
                Ok(answer)
            }
            Err(refusal) => {
                self.metrics.request_refused(refusal);
                Err(RequestError::Refused(refusal))
            }
        }
    }

    fn on_reply(&self, reply: Reply) {
        let mut state = lock(&self.state);
        if let Some(state) = state.as_mut()
            && let Some(asked) = state.asked.remove(&reply.id)
        {
            state.requests.release(&asked.from);
            // The asker may have stopped waiting; there is nobody else to tell.
            asked.reply.send(reply.result).ok();
        }
    }

    /// Takes a message in, unless it was seen.
    fn hear(&self, heard: Heard) {
        let id = message_id(Some(heard.source), heard.topic.name(), &heard.body);
        let mut state = lock(&self.state);
        let Some(state) = state.as_mut() else {
            return;
        };
        if heard.source == self.peer || !state.remember(id) {
            return;
        }
        let copy = Heard {
            body: heard.body.clone(),
            ..heard
        };
        match state.gossip.admit(heard) {
            Ok(id) => {
                self.metrics.gossip_received.add_one();
                state.undecided.insert(id, copy);
            }
            Err(refusal) => self.metrics.gossip_refused(refusal),
        }
    }

    fn on_judged(&self, judged: Judged) {
        let undecided = lock(&self.state)
            .as_mut()
            .and_then(|state| state.undecided.remove(&judged.id));
        let Some(heard) = undecided else {
            return;
        };
        match judged.judgement {
            Judgement::Accept => {
                self.metrics.gossip_accepted.add_one();
                let (from, source) = (heard.from, heard.source);
                self.spread(&heard, |to| to != from && to != source);
            }
            Judgement::Reject => self.metrics.gossip_rejected.add_one(),
            Judgement::Ignore => {}
        }
    }

    pub(super) fn spread(&self, heard: &Heard, wanted: impl Fn(PeerId) -> bool) -> usize {
        let neighbours = self.neighbours(heard.topic);
        for node in neighbours.iter().filter(|node| wanted(node.peer)) {
            let Heard { source, topic, .. } = *heard;
            node.hear(Heard {
                from: self.peer,
                source,
                topic,
                body: heard.body.clone(),
            });
        }
        neighbours.len()
    }
}

impl State {
    pub(super) fn new(
        peer_events: mpsc::Sender<PeerEvent>,
        requests: RequestGate,
        gossip: GossipGate,
    ) -> Self {
        Self {
            peer_events,
            requests,
            gossip,
            asked: HashMap::new(),
            undecided: HashMap::new(),
            in_flight_to: HashMap::new(),
            seen: HashSet::new(),
            seen_order: VecDeque::new(),
        }
    }

    /// Notes a message; false if it was noted before.
    pub(super) fn remember(&mut self, id: MessageId) -> bool {
        if !self.seen.insert(id.clone()) {
            return false;
        }
        self.seen_order.push_back(id);
        if self.seen_order.len() > SEEN
            && let Some(oldest) = self.seen_order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }

    pub(super) fn sent(&mut self, to: PeerId, limit: u32) -> Result<(), RequestError> {
        let in_flight = self.in_flight_to.entry(to).or_insert(0);
        if *in_flight >= limit {
            return Err(RequestError::TooManyInFlight { limit });
        }
        *in_flight = in_flight.saturating_add(1);
        Ok(())
    }

    pub(super) fn returned(&mut self, to: PeerId) {
        if let Some(in_flight) = self.in_flight_to.get_mut(&to) {
            *in_flight = in_flight.saturating_sub(1);
            if *in_flight == 0 {
                self.in_flight_to.remove(&to);
            }
        }
    }
}

pub(super) async fn pump(
    node: Arc<Node>,
    (mut replies, mut verdicts): (mpsc::Receiver<Reply>, mpsc::Receiver<Judged>),
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(reply) = replies.recv() => node.on_reply(reply),
            Some(judged) = verdicts.recv() => node.on_judged(judged),
        }
    }
}
