//! Where nodes in memory meet, and the links between them.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use libp2p::PeerId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    MemoryNetwork, lock,
    node::{Node, State, pump},
};
use crate::{
    GossipLimits, Inbox, NodeIdentity, PeerEvent, RpcLimits, StartError,
    gate::{GossipGate, RequestGate},
    metrics::Metrics,
};

/// Peer events that may wait for the application.
const PEER_EVENTS: usize = 1024;

/// Where nodes in memory meet.
#[derive(Clone, Default)]
pub struct MemoryHub(pub(super) Arc<Mutex<Hub>>);

#[derive(Default)]
pub(super) struct Hub {
    pub(super) nodes: HashMap<PeerId, Arc<Node>>,
    pub(super) links: HashMap<PeerId, HashSet<PeerId>>,
}

impl MemoryHub {
    /// An empty hub.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node with these bounds. It replaces an earlier node of the same identity.
    pub fn join(
        &self,
        identity: &NodeIdentity,
        rpc: RpcLimits,
        gossip: GossipLimits,
    ) -> Result<(MemoryNetwork, Inbox), StartError> {
        rpc.check()?;
        gossip.check()?;
        let (request_gate, requests) = RequestGate::new(&rpc);
        let (gossip_gate, gossiped) = GossipGate::new(&gossip);
        let (peer_events, peers) = mpsc::channel(PEER_EVENTS);
        let node = Arc::new(Node {
            peer: identity.peer_id(),
            hub: Arc::downgrade(&self.0),
            rpc,
            gossip,
            metrics: Metrics::default(),
            state: Mutex::new(Some(State::new(peer_events, request_gate, gossip_gate))),
        });
        let stop = CancellationToken::new();
        let ends = (requests.replies, gossiped.verdicts);
        let pump = tokio::spawn(pump(node.clone(), ends, stop.clone()));
        lock(&self.0).nodes.insert(node.peer, node.clone());
        let network = MemoryNetwork {
            node,
            stop,
            pump: Mutex::new(Some(pump)),
        };
        Ok((
            network,
            Inbox {
                requests: requests.requests,
                gossip: gossiped.gossip,
                peers,
            },
        ))
    }

    /// Connects two nodes. Both hear of it, and of each other's topics.
    pub fn link(&self, a: PeerId, b: PeerId) {
        let mut hub = lock(&self.0);
        let is_new = hub.links.entry(a).or_default().insert(b);
        hub.links.entry(b).or_default().insert(a);
        if !is_new {
            return;
        }
        for (here, there) in [(a, b), (b, a)] {
            if let (Some(node), Some(other)) = (hub.nodes.get(&here), hub.nodes.get(&there)) {
                node.tell(PeerEvent::Connected { peer: there });
                for topic in &other.gossip.topics {
                    node.tell(PeerEvent::Subscribed {
                        peer: there,
                        topic: *topic,
                    });
                }
            }
        }
    }

    /// Separates two nodes.
    pub fn unlink(&self, a: PeerId, b: PeerId) {
        let mut hub = lock(&self.0);
        for (here, there) in [(a, b), (b, a)] {
            let was_linked = hub
                .links
                .get_mut(&here)
                .is_some_and(|links| links.remove(&there));
            if was_linked && let Some(node) = hub.nodes.get(&here) {
                node.tell(PeerEvent::Disconnected { peer: there });
            }
        }
    }

    pub(super) fn leave(&self, peer: PeerId) {
        let others: Vec<PeerId> = lock(&self.0)
            .links
            .get(&peer)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        for other in others {
            self.unlink(peer, other);
        }
        let mut hub = lock(&self.0);
        hub.nodes.remove(&peer);
        hub.links.remove(&peer);
    }
}
