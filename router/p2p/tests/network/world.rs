//! Nodes to test with: over TCP, over QUIC, in memory.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use d402_p2p::{
    GossipLimits, Inbound, InboundRequest, Inbox, Libp2pNetwork, Network, NetworkConfig,
    NodeIdentity, PeerAddress, PeerEvent, PeerId, RequestError, RpcLimits, Topic,
    memory::MemoryHub,
};
use tokio::task::JoinHandle;

/// Longest wait for anything that must happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Waits for what must happen soon.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what)
        .await
        .expect("it happens soon")
}

/// Tries again, bounded, until the condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    soon(async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Bounds of a node and the nodes it starts connected with.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) rpc: RpcLimits,
    pub(crate) gossip: GossipLimits,
    pub(crate) linked: Vec<PeerAddress>,
}

impl Setup {
    pub(crate) fn linked(to: &[&Node]) -> Self {
        Self {
            linked: to.iter().map(|node| node.net.own_address()).collect(),
            ..Self::default()
        }
    }
}

pub(crate) struct Node {
    pub(crate) net: Arc<dyn Network>,
    pub(crate) inbox: Inbox,
}

impl Node {
    pub(crate) fn peer(&self) -> PeerId {
        self.net.local_peer()
    }

    pub(crate) fn address(&self) -> PeerAddress {
        self.net.own_address()
    }

    pub(crate) async fn request(
        &self,
        to: &Node,
        body: &'static [u8],
    ) -> Result<Bytes, RequestError> {
        self.net
            .request(&to.address(), Bytes::from_static(body), SOON)
            .await
    }

    /// Waits until the peer hears what this node publishes on the topic.
    pub(crate) async fn heard_by(&mut self, peer: PeerId, topic: Topic) {
        soon(async {
            let expected = PeerEvent::Subscribed { peer, topic };
            while self.inbox.peers.recv().await.expect("the network runs") != expected {}
        })
        .await;
    }

    /// Answers every request with `answer` and accepts every message.
    pub(crate) fn serve<F>(self, mut answer: F) -> Served
    where
        F: FnMut(InboundRequest) + Send + 'static,
    {
        let Node { net, mut inbox } = self;
        let task = tokio::spawn(async move {
            while let Some(inbound) = inbox.recv().await {
                match inbound {
                    Inbound::Request(request) => answer(request),
                    Inbound::Gossip(gossip) => gossip.verdict.accept(),
                    Inbound::Peer(_) => {}
                }
            }
        });
        Served { net, task }
    }

    /// Answers every request with its own body.
    pub(crate) fn echo(self) -> Served {
        self.serve(|request| {
            request
                .responder
                .reply(request.body)
                .expect("within the limit");
        })
    }
}

/// A node whose inbox is served by a task.
pub(crate) struct Served {
    pub(crate) net: Arc<dyn Network>,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn shutdown(self) {
        soon(self.net.shutdown()).await;
        soon(self.task).await.expect("the server does not panic");
    }
}

/// One implementation of the network.
pub(crate) enum World {
    Tcp,
    Quic,
    Memory(MemoryHub),
}

impl World {
    pub(crate) async fn node(&self, setup: Setup) -> Node {
        let identity = NodeIdentity::generate().expect("randomness");
        let listen = match self {
            World::Tcp => "/ip4/127.0.0.1/tcp/0",
            World::Quic => "/ip4/127.0.0.1/udp/0/quic-v1",
            World::Memory(hub) => {
                let (net, inbox) = hub
                    .join(&identity, setup.rpc, setup.gossip)
                    .expect("a valid setup");
                for address in setup.linked {
                    hub.link(identity.peer_id(), address.peer());
                }
                return Node {
                    net: Arc::new(net),
                    inbox,
                };
            }
        };
        let mut config = quick();
        config.listen = vec![listen.parse().expect("an address")];
        config.rpc = setup.rpc;
        config.gossip.heartbeat = Duration::from_millis(200);
        config.gossip = GossipLimits {
            heartbeat: Duration::from_millis(200),
            ..setup.gossip
        };
        config.bootstrap = setup.linked;
        // The tests decide who is connected with whom.
        config.discovery.peers_wanted = 0;
        start(identity, config).await
    }
}

/// A configuration with short timers.
pub(crate) fn quick() -> NetworkConfig {
    let mut config = NetworkConfig::default();
    config.timings.upkeep = Duration::from_millis(20);
    config.discovery.redial_min = Duration::from_millis(50);
    config.discovery.redial_max = Duration::from_millis(200);
    config.discovery.exchange_interval = Duration::from_millis(300);
    config.discovery.save_interval = Duration::from_millis(50);
    config
}

pub(crate) async fn start(identity: NodeIdentity, config: NetworkConfig) -> Node {
    let (net, inbox) = soon(Libp2pNetwork::start(identity, config))
        .await
        .expect("it starts");
    Node {
        net: Arc::new(net),
        inbox,
    }
}
