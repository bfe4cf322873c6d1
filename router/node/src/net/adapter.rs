//! `MarketNetwork` over `d402_p2p::Network`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use d402_core::ports::{MarketNetwork, NetworkError, Topic};
use d402_p2p::{Network, PeerAddress, RequestError};
use d402_wire::peer::MAX_MESSAGE_BYTES;
use d402_wire::{NodeAddress, RawEnvelope, Request, Response};

use super::Roles;

/// Longest wait for an answer of a peer.
const TIMEOUT: Duration = Duration::from_secs(8);

/// The market's view of a peer-to-peer network.
///
/// A node with several roles talks to itself, too: such requests and announcements never touch the network.
#[derive(Clone)]
pub struct P2pMarket {
    network: Arc<dyn Network>,
    own_roles: Arc<OnceLock<Roles>>,
}

impl P2pMarket {
    /// A market view of `network`.
    #[must_use]
    pub fn new(network: Arc<dyn Network>) -> Self {
        Self {
            network,
            own_roles: Arc::new(OnceLock::new()),
        }
    }

    /// From here on requests to this node go to its own roles.
    pub fn serve_self(&self, roles: Roles) {
        let _set_once = self.own_roles.set(roles);
    }

    /// The network below.
    #[must_use]
    pub fn network(&self) -> &Arc<dyn Network> {
        &self.network
    }
}

/// The p2p crate's topic of a market topic.
#[must_use]
pub(super) fn p2p_topic(topic: Topic) -> d402_p2p::Topic {
    match topic {
        Topic::Registrations => d402_p2p::Topic::Registrations,
        Topic::Deprecations => d402_p2p::Topic::Deprecations,
        Topic::NodeOffers => d402_p2p::Topic::NodeOffers,
        Topic::ValidatorOffers => d402_p2p::Topic::ValidatorOffers,
        Topic::TaskAnnouncements => d402_p2p::Topic::TaskAnnouncements,
        Topic::Receipts => d402_p2p::Topic::Receipts,
        Topic::Reputation => d402_p2p::Topic::Reputation,
    }
}

#[async_trait]
impl MarketNetwork for P2pMarket {
    async fn request(&self, to: &NodeAddress, request: Request) -> Result<Response, NetworkError> {
        let own = self.network.local_peer().to_string();
        if to.node_id == own {
            let roles = self.own_roles.get().ok_or(NetworkError::Unreachable)?;
            return Ok(roles.dispatch(&own, request).await);
        }
        let peer = PeerAddress::parse(&to.node_id, to.addresses.iter().map(String::as_str))
            .map_err(|_| NetworkError::Unreachable)?;
        let body = d402_wire::encode(&request).map_err(|_| NetworkError::Malformed)?;
        let answer = self
            .network
            .request(&peer, Bytes::from(body), TIMEOUT)
            .await
            .map_err(|error| match error {
                RequestError::Timeout { .. } | RequestError::Interrupted => NetworkError::TimedOut,
                RequestError::TooManyInFlight { .. } => NetworkError::Busy,
                RequestError::RequestTooLarge { .. } | RequestError::ResponseTooLarge { .. } => {
                    NetworkError::Malformed
                }
                RequestError::UnknownPeer { .. }
                | RequestError::ToSelf
                | RequestError::Unreachable { .. }
                | RequestError::NotSpoken
                | RequestError::Refused(_)
                | RequestError::Closed => NetworkError::Unreachable,
            })?;
        d402_wire::decode_message(&answer, MAX_MESSAGE_BYTES).map_err(|_| NetworkError::Malformed)
    }

    async fn publish(&self, topic: Topic, object: &RawEnvelope) -> Result<(), NetworkError> {
        if let (Topic::TaskAnnouncements, Some(roles)) = (topic, self.own_roles.get()) {
            roles.task_announced(object.clone());
        }
        let body = d402_wire::encode(object).map_err(|_| NetworkError::Malformed)?;
        self.network
            .publish(p2p_topic(topic), Bytes::from(body))
            .await
            .map_err(|error| {
                tracing::debug!(%error, "not published");
                NetworkError::Unreachable
            })
    }

    fn local(&self) -> NodeAddress {
        let own = self.network.own_address();
        NodeAddress {
            node_id: own.peer().to_string(),
            addresses: own
                .addresses()
                .iter()
                .take(8)
                .map(ToString::to_string)
                .collect(),
        }
    }
}
