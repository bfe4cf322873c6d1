//! The seam between the node and its network.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use libp2p::PeerId;

use crate::{MetricsSnapshot, PeerAddress, PublishError, RequestError, Topic};

/// Sends bytes to peers. What arrives comes through the [`crate::Inbox`] given at the start.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// The name of this node.
    fn local_peer(&self) -> PeerId;

    /// This node with the addresses it tells others: the advertised ones, else those it listens on.
    fn own_address(&self) -> PeerAddress;

    /// Peers with at least one connection.
    fn peers(&self) -> Vec<PeerId>;

    /// Sends a request and waits for the response, connecting first if needed: by the addresses given and
    /// those known of the peer. `timeout` covers everything and is capped by
    /// [`crate::RpcLimits::timeout_max`].
    ///
    /// Nothing is sent twice. After an error that is not [`RequestError::was_not_sent`], the peer may have
    /// acted: requests that are repeated must be idempotent.
    async fn request(
        &self,
        to: &PeerAddress,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, RequestError>;

    /// Signs the message with the node key and hands it to the neighbours. Not delivered to ourselves.
    /// Late joiners are not served: they ask for a sync by request.
    async fn publish(&self, topic: Topic, body: Bytes) -> Result<(), PublishError>;

    /// The counters of this node.
    fn metrics(&self) -> MetricsSnapshot;

    /// Stops taking requests, waits a bounded time for answers being worked on, closes connections, and
    /// returns when every task has ended. Later calls return at once.
    async fn shutdown(&self);
}
