//! The task that owns the swarm: it turns commands, replies, verdicts and network events into each other.

use std::{collections::HashSet, net::TcpListener, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, TransportError,
    core::transport::ListenerId,
    swarm::{DialError, SwarmEvent},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    behaviour::{self, Behaviour, BehaviourEvent},
    gossip::GossipState,
    peers::PeersState,
    rpc::{Outgoing, RpcState},
};
use crate::{
    AddressError, DialFailure, InboundGossip, InboundRequest, NetworkConfig, NodeIdentity,
    PeerAddress, PeerEvent, PublishError, StartError, Topic,
    address::{ADDRESSES_PER_PEER, Dialable, dialable},
    frame::Budget,
    gate::{GossipGate, RequestGate},
    metrics::Metrics,
};

/// How long the last answers may take to arrive.
const LINGER: Duration = Duration::from_millis(250);
/// How long closing connections may take at the end.
const CLOSE: Duration = Duration::from_millis(500);

/// What the handle asks of the driver.
pub(super) enum Command {
    Request(Outgoing),
    Publish {
        topic: Topic,
        body: Bytes,
        reply: oneshot::Sender<Result<(), PublishError>>,
    },
}

/// What everybody may read without asking the driver.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) peers: Vec<PeerId>,
    pub(super) own: PeerAddress,
    pub(super) ready: bool,
}

/// The driver's ends of the handle's channels.
pub(super) struct Links {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) peer_events: mpsc::Sender<PeerEvent>,
    pub(super) stop: CancellationToken,
}

/// A driver that is ready to run, and the far ends of its channels.
pub(super) struct Started {
    pub(super) driver: Driver,
    pub(super) view: watch::Receiver<View>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) requests: mpsc::Receiver<InboundRequest>,
    pub(super) gossip: mpsc::Receiver<InboundGossip>,
}

pub(super) struct Driver {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) config: NetworkConfig,
    pub(super) identity: NodeIdentity,
    pub(super) metrics: Arc<Metrics>,
    pub(super) rpc: RpcState,
    pub(super) gossip: GossipState,
    pub(super) peers: PeersState,
    view: watch::Sender<View>,
    links: Links,
    began: Instant,
    heard_listeners: HashSet<ListenerId>,
}

impl Driver {
    pub(super) fn start(
        identity: NodeIdentity,
        config: NetworkConfig,
        links: Links,
    ) -> Result<Started, StartError> {
        let budget = Budget::new(config.rpc.inbound_memory_bytes);
        let mut swarm = behaviour::build(&identity, &config, budget.clone())?;
        let vetted = PeerAddress::new(identity.peer_id(), config.advertise.iter().cloned())?;
        for address in vetted.addresses() {
            swarm.add_external_address(address.clone());
        }
        for address in &config.listen {
            listen_on(&mut swarm, address)?;
        }
        let own = PeerAddress::new(identity.peer_id(), [])?;
        let ready = config.listen.is_empty();
        let (view, viewed) = watch::channel(View {
            peers: Vec::new(),
            own,
            ready,
        });
        let (request_gate, requests) = RequestGate::new(&config.rpc);
        let (gossip_gate, gossip) = GossipGate::new(&config.gossip);
        let metrics = Arc::new(Metrics::default());
        let driver = Self {
            rpc: RpcState::new(request_gate, requests.replies, budget),
            gossip: GossipState::new(gossip_gate, gossip.verdicts),
            peers: PeersState::new(&config)?,
            metrics: metrics.clone(),
            swarm,
            config,
            identity,
            view,
            links,
            began: Instant::now(),
            heard_listeners: HashSet::new(),
        };
        Ok(Started {
            driver,
            view: viewed,
            metrics,
            requests: requests.requests,
            gossip: gossip.gossip,
        })
    }

    /// Runs until the stop is asked for or every handle is gone, then winds down.
    pub(super) async fn run(mut self) {
        let mut upkeep = interval(self.config.timings.upkeep);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.own_address_changed();
        loop {
            tokio::select! {
                () = self.links.stop.cancelled() => break,
                event = self.swarm.select_next_some() => self.on_event(event),
                command = self.links.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => break,
                },
                Some(reply) = self.rpc.replies.recv() => self.on_reply(reply),
                Some(judged) = self.gossip.verdicts.recv() => self.on_judged(judged),
                _ = upkeep.tick() => self.on_upkeep().await,
            }
        }
        self.wind_down().await;
    }

    /// Time since the driver began: the clock of backoffs and pauses.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// A number to spread nodes and choices with; not a secret.
    pub(super) fn random(&self) -> u64 {
        getrandom::u64().unwrap_or_default()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.view.borrow().ready
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Request(outgoing) => self.on_request(outgoing),
            Command::Publish { topic, body, reply } => {
                let published = self.on_publish(topic, body);
                // The publisher may have stopped waiting; there is nobody else to tell.
                reply.send(published).ok();
            }
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(event) => self.on_gossip_event(event),
            BehaviourEvent::Rpc(event) => self.on_rpc_event(event),
            BehaviourEvent::Exchange(event) => self.on_exchange_event(event),
            BehaviourEvent::Ping(event) => {
                if let Err(error) = event.result {
                    tracing::debug!(peer = %event.peer, %error, "ping failed");
                    self.swarm.close_connection(event.connection);
                }
            }
            BehaviourEvent::Identify(_) => {}
            BehaviourEvent::Limits(never) => match never {},
        }
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "libp2p's enum, open for additions"
    )]
    pub(super) fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                endpoint,
                num_established,
                ..
            } => {
                self.metrics.connections_opened.add_one();
                self.connection_opened(peer_id, num_established.get() == 1, endpoint.is_dialer());
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established,
                ..
            } => {
                self.metrics.connections_closed.add_one();
                if num_established == 0 {
                    self.peer_lost(peer_id);
                    self.peers_changed();
                    self.tell(PeerEvent::Disconnected { peer: peer_id });
                }
            }
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => {
                self.dial_ended(peer, &error);
            }
            SwarmEvent::IncomingConnectionError { .. } => {
                self.metrics.inbound_connections_failed.add_one();
            }
            SwarmEvent::NewListenAddr { listener_id, .. } => {
                self.heard_listeners.insert(listener_id);
                self.own_address_changed();
            }
            SwarmEvent::ExpiredListenAddr { .. } | SwarmEvent::ListenerClosed { .. } => {
                self.own_address_changed();
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "a listener reports an error");
            }
            _ => {}
        }
    }

    fn connection_opened(&mut self, peer: PeerId, first: bool, dialled: bool) {
        self.peer_reached(peer, dialled);
        if first {
            self.peers_changed();
            self.tell(PeerEvent::Connected { peer });
        }
        self.send_waiting(peer);
    }

    fn dial_ended(&mut self, peer: PeerId, error: &DialError) {
        if matches!(error, DialError::DialPeerConditionFalse(_)) {
            return;
        }
        self.metrics.dials_failed.add_one();
        self.peer_not_reached(peer);
        self.waiting_not_reached(peer, dial_failure(error));
    }

    fn own_address_changed(&mut self) {
        let addresses: Vec<_> = if self.config.advertise.is_empty() {
            self.swarm.listeners().cloned().collect()
        } else {
            self.config.advertise.clone()
        };
        let own = self.reach_changed(&addresses);
        let told = own.into_iter().take(ADDRESSES_PER_PEER);
        match PeerAddress::new(self.identity.peer_id(), told) {
            Ok(own) => {
                self.own_record_changed(&own);
                let ready = self.heard_listeners.len() >= self.config.listen.len();
                self.view.send_modify(|view| {
                    view.own = own;
                    view.ready |= ready;
                });
            }
            Err(error) => tracing::error!(%error, "our own addresses are of no use"),
        }
    }

    fn peers_changed(&mut self) {
        let peers = self.swarm.connected_peers().copied().collect();
        self.view.send_modify(|view| view.peers = peers);
    }

    pub(super) fn tell(&self, event: PeerEvent) {
        if self.links.peer_events.try_send(event).is_err() {
            self.metrics.peer_events_dropped.add_one();
        }
    }

    /// Answers what is being worked on, closes connections, keeps the peers. Bounded in time.
    async fn wind_down(mut self) {
        self.links.commands.close();
        // Commands that were already queued are dropped, which tells their senders.
        while let Ok(command) = self.links.commands.try_recv() {
            drop(command);
        }
        self.rpc.close();
        if self.rpc.is_answering() {
            let grace = self.config.timings.shutdown_grace;
            if timeout(grace, self.answer_the_rest()).await.is_err() {
                tracing::warn!("requests stay unanswered at shutdown");
            }
            // An asker that sees the connection end before it read the answer loses the answer.
            let _elapsed: Result<(), _> = timeout(LINGER, self.run_connections()).await;
        }
        let connected: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            // An error says that the peer is gone already.
            self.swarm.disconnect_peer_id(peer).ok();
        }
        if timeout(CLOSE, self.wait_until_closed()).await.is_err() {
            tracing::debug!("connections were cut at shutdown");
        }
        self.keep_peers_now().await;
    }

    async fn answer_the_rest(&mut self) {
        while self.rpc.is_answering() {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(reply) = self.rpc.replies.recv() => self.on_reply(reply),
            }
        }
    }

    async fn run_connections(&mut self) {
        loop {
            let event = self.swarm.select_next_some().await;
            self.on_event(event);
        }
    }

    async fn wait_until_closed(&mut self) {
        while self.swarm.connected_peers().next().is_some() {
            let event = self.swarm.select_next_some().await;
            self.on_event(event);
        }
    }
}

fn listen_on(swarm: &mut Swarm<Behaviour>, address: &Multiaddr) -> Result<(), StartError> {
    let failed = |source| StartError::Listen {
        address: address.clone(),
        source,
    };
    let unsupported = || {
        StartError::Address(AddressError::Unsupported {
            address: address.clone(),
        })
    };
    // libp2p shares TCP ports: without this look, two nodes would each get some of the connections.
    match dialable(address) {
        Some(Dialable::Tcp(socket)) if socket.port() != 0 => {
            drop(TcpListener::bind(socket).map_err(failed)?);
        }
        Some(Dialable::Tcp(_) | Dialable::Quic(_)) => {}
        None => return Err(unsupported()),
    }
    match swarm.listen_on(address.clone()) {
        Ok(_) => Ok(()),
        Err(TransportError::Other(error)) => Err(failed(error)),
        Err(TransportError::MultiaddrNotSupported(_)) => Err(unsupported()),
    }
}

pub(super) fn dial_failure(error: &DialError) -> DialFailure {
    match error {
        DialError::WrongPeerId { obtained, .. } => DialFailure::WrongPeer {
            obtained: Box::new(*obtained),
        },
        DialError::LocalPeerId { .. }
        | DialError::NoAddresses
        | DialError::DialPeerConditionFalse(_) => DialFailure::Transport { attempts: 0 },
        DialError::Aborted => DialFailure::Aborted,
        DialError::Denied { .. } => DialFailure::Limited,
        DialError::Transport(attempts) => DialFailure::Transport {
            attempts: attempts.len(),
        },
    }
}
