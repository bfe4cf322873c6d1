//! The network over libp2p: TCP with noise and yamux, QUIC, identify, ping, gossip, request-response.
//!
//! One task, the driver, owns the swarm and all state; [`Libp2pNetwork`] is a handle that sends it
//! commands. Dropping every handle stops the driver as [`Network::shutdown`] does, without waiting.

mod behaviour;
mod driver;
#[cfg(test)]
mod forger;
mod gossip;
mod peers;
mod rpc;

pub(crate) use self::behaviour::message_id;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use libp2p::PeerId;
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::{
    driver::{Command, Driver, View},
    rpc::Outgoing,
};
use crate::{
    Inbox, MetricsSnapshot, Network, NetworkConfig, NodeIdentity, PeerAddress, PublishError,
    RequestError, StartError, Topic, metrics::Metrics,
};

/// Commands that may wait for the driver.
const COMMANDS: usize = 256;
/// Peer events that may wait for the application.
const PEER_EVENTS: usize = 1024;

/// A node on a libp2p network.
pub struct Libp2pNetwork {
    local: PeerId,
    config: NetworkConfig,
    commands: mpsc::Sender<Command>,
    outbound: Arc<Semaphore>,
    view: watch::Receiver<View>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    driver: Mutex<Option<JoinHandle<()>>>,
}

impl Libp2pNetwork {
    /// Starts a node and returns when it listens on every configured address.
    pub async fn start(
        identity: NodeIdentity,
        config: NetworkConfig,
    ) -> Result<(Self, Inbox), StartError> {
        config.check()?;
        let (commands, commanded) = mpsc::channel(COMMANDS);
        let (peer_events, peers) = mpsc::channel(PEER_EVENTS);
        let stop = CancellationToken::new();
        let local = identity.peer_id();
        let links = driver::Links {
            commands: commanded,
            peer_events,
            stop: stop.clone(),
        };
        let started = Driver::start(identity, config.clone(), links)?;
        let driver = tokio::spawn(started.driver.run());
        let network = Self {
            local,
            commands,
            outbound: Arc::new(Semaphore::new(semaphore_size(config.rpc.outbound_total))),
            view: started.view,
            metrics: started.metrics,
            stop,
            driver: Mutex::new(Some(driver)),
            config,
        };
        network.listening().await?;
        let inbox = Inbox {
            requests: started.requests,
            gossip: started.gossip,
            peers,
        };
        Ok((network, inbox))
    }

    async fn listening(&self) -> Result<(), StartError> {
        let after = self.config.timings.listen;
        let mut view = self.view.clone();
        match timeout(after, view.wait_for(|view| view.ready)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                self.shutdown().await;
                Err(StartError::ListenTimeout { after })
            }
        }
    }

    async fn request_unbounded(
        &self,
        to: &PeerAddress,
        body: Bytes,
    ) -> Result<Bytes, RequestError> {
        let slot = self
            .outbound
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| RequestError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let outgoing = Outgoing {
            to: to.clone(),
            body,
            reply,
            dialed: false,
            slot,
        };
        self.commands
            .send(Command::Request(outgoing))
            .await
            .map_err(|_| RequestError::Closed)?;
        answer.await.map_err(|_| RequestError::Closed)?
    }
}

fn semaphore_size(bound: u32) -> usize {
    usize::try_from(bound)
        .unwrap_or(usize::MAX)
        .min(Semaphore::MAX_PERMITS)
}

#[async_trait]
impl Network for Libp2pNetwork {
    fn local_peer(&self) -> PeerId {
        self.local
    }

    fn own_address(&self) -> PeerAddress {
        self.view.borrow().own.clone()
    }

    fn peers(&self) -> Vec<PeerId> {
        self.view.borrow().peers.clone()
    }

    async fn request(
        &self,
        to: &PeerAddress,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, RequestError> {
        let (got, limit) = (body.len(), self.config.rpc.request_bytes_max);
        if to.peer() == self.local {
            return Err(RequestError::ToSelf);
        }
        if !u32::try_from(got).is_ok_and(|got| got <= limit) {
            return Err(RequestError::RequestTooLarge { got, limit });
        }
        let after = within.min(self.config.rpc.timeout_max);
        match timeout(after, self.request_unbounded(to, body)).await {
            Ok(result) => result,
            Err(_) => Err(RequestError::Timeout { after }),
        }
    }

    async fn publish(&self, topic: Topic, body: Bytes) -> Result<(), PublishError> {
        let (got, limit) = (body.len(), self.config.gossip.message_bytes_max);
        if !u32::try_from(got).is_ok_and(|got| got <= limit) {
            return Err(PublishError::TooLarge { got, limit });
        }
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::Publish { topic, body, reply })
            .await
            .map_err(|_| PublishError::Closed)?;
        answer.await.map_err(|_| PublishError::Closed)?
    }

    fn metrics(&self) -> MetricsSnapshot {
        self.metrics.snapshot()
    }

    async fn shutdown(&self) {
        self.stop.cancel();
        let driver = match self.driver.lock() {
            Ok(mut driver) => driver.take(),
            Err(poisoned) => poisoned.into_inner().take(),
        };
        if let Some(driver) = driver
            && let Err(error) = driver.await
        {
            tracing::error!(%error, "the network driver did not end by itself");
        }
    }
}

impl Drop for Libp2pNetwork {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
