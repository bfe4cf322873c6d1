//! The network in memory: the same doors and bounds as over libp2p, without sockets.
//!
//! For tests and for markets in one process. Nodes meet in a [`MemoryHub`]; the test links them, and gossip
//! travels along links only. A request reaches a linked node, or any node of the hub when the address
//! given is not empty. There is no discovery, no encryption, and no memory budget for bodies.

mod hub;
mod node;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

pub use self::hub::MemoryHub;
use self::node::Node;
use crate::{
    MetricsSnapshot, Network, PeerAddress, PublishError, RequestError, Topic, gate::Heard,
    libp2p_node::message_id,
};

/// A lock that survives a panic of another test thread: every section leaves the state whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frees the asker's place also when the asker stops waiting.
struct InFlight<'a> {
    node: &'a Node,
    to: PeerId,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(state) = lock(&self.node.state).as_mut() {
            state.returned(self.to);
        }
    }
}

/// A node in a [`MemoryHub`].
pub struct MemoryNetwork {
    node: Arc<Node>,
    stop: CancellationToken,
    pump: Mutex<Option<JoinHandle<()>>>,
}

impl MemoryNetwork {
    async fn request_unbounded(
        &self,
        to: &PeerAddress,
        body: Bytes,
    ) -> Result<Bytes, RequestError> {
        let peer = to.peer();
        let far = self
            .node
            .find(to)
            .ok_or(RequestError::UnknownPeer { peer })?;
        lock(&self.node.state)
            .as_mut()
            .ok_or(RequestError::Closed)?
            .sent(peer, self.node.rpc.outbound_per_peer)?;
        let _in_flight = InFlight {
            node: &self.node,
            to: peer,
        };
        self.node.metrics.requests_sent.add_one();
        let answer = far.ask(self.node.peer, body)?;
        drop(far);
        let body = answer
            .await
            .map_err(|_| RequestError::Interrupted)?
            .map_err(RequestError::Refused)?;
        match u32::try_from(body.len()) {
            Ok(len) if len <= self.node.rpc.response_bytes_max => Ok(body),
            Ok(got) => Err(RequestError::ResponseTooLarge {
                got,
                limit: self.node.rpc.response_bytes_max,
            }),
            Err(_) => Err(RequestError::Interrupted),
        }
    }
}

#[async_trait]
impl Network for MemoryNetwork {
    fn local_peer(&self) -> PeerId {
        self.node.peer
    }

    fn own_address(&self) -> PeerAddress {
        // The form of a socket address, so that it passes through signed objects like one.
        let address = Multiaddr::empty()
            .with(Protocol::Ip4(std::net::Ipv4Addr::LOCALHOST))
            .with(Protocol::Tcp(1));
        PeerAddress::from_parts(self.node.peer, vec![address])
    }

    fn peers(&self) -> Vec<PeerId> {
        let Some(hub) = self.node.hub.upgrade() else {
            return Vec::new();
        };
        lock(&hub)
            .links
            .get(&self.node.peer)
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }

    async fn request(
        &self,
        to: &PeerAddress,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, RequestError> {
        let (got, limit) = (body.len(), self.node.rpc.request_bytes_max);
        if self.stop.is_cancelled() {
            return Err(RequestError::Closed);
        }
        if to.peer() == self.node.peer {
            return Err(RequestError::ToSelf);
        }
        if !u32::try_from(got).is_ok_and(|got| got <= limit) {
            return Err(RequestError::RequestTooLarge { got, limit });
        }
        let after = within.min(self.node.rpc.timeout_max);
        let result = match timeout(after, self.request_unbounded(to, body)).await {
            Ok(result) => result,
            Err(_) => Err(RequestError::Timeout { after }),
        };
        match &result {
            Ok(_) => self.node.metrics.requests_answered.add_one(),
            Err(_) => self.node.metrics.requests_failed.add_one(),
        }
        result
    }

    async fn publish(&self, topic: Topic, body: Bytes) -> Result<(), PublishError> {
        let (got, limit) = (body.len(), self.node.gossip.message_bytes_max);
        if self.stop.is_cancelled() {
            return Err(PublishError::Closed);
        }
        if !u32::try_from(got).is_ok_and(|got| got <= limit) {
            return Err(PublishError::TooLarge { got, limit });
        }
        if self.node.neighbours(topic).is_empty() {
            return Err(PublishError::NoListeners { topic });
        }
        let source = self.node.peer;
        let id = message_id(Some(source), topic.name(), &body);
        if !lock(&self.node.state)
            .as_mut()
            .ok_or(PublishError::Closed)?
            .remember(id)
        {
            return Err(PublishError::Duplicate);
        }
        self.node.spread(
            &Heard {
                from: source,
                source,
                topic,
                body,
            },
            |_| true,
        );
        self.node.metrics.gossip_published.add_one();
        Ok(())
    }

    fn metrics(&self) -> MetricsSnapshot {
        self.node.metrics.snapshot()
    }

    async fn shutdown(&self) {
        if let Some(hub) = self.node.hub.upgrade() {
            MemoryHub(hub).leave(self.node.peer);
        }
        self.stop.cancel();
        let pump = lock(&self.pump).take();
        if let Some(pump) = pump
            && let Err(error) = pump.await
        {
            tracing::error!(%error, "the memory network did not end by itself");
        }
        // Whoever still waits for an answer from here learns that there will be none.
        drop(lock(&self.node.state).take());
    }
}

impl Drop for MemoryNetwork {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
