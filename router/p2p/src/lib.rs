//! Nodes talk to each other: opaque bytes by request-response and by gossip, over libp2p or in memory.
//!
//! Responsible for identity of the node, connections, discovery of peers, and the bounds that keep a
//! hostile peer from costing memory or starving others. Not responsible for what the bytes mean: no
//! message of the market is parsed here, and a peer id proves a connection, never a right.
//!
//! - [`Network`] is the seam; [`Libp2pNetwork`] and [`memory::MemoryNetwork`] implement it.
//! - [`Inbox`] is what arrives: requests to answer, gossip to judge, peers that come and go.
//!
//! Invariants:
//! - Every queue, map, body and wait has a bound; what exceeds one is refused with a typed answer.
//! - A gossip message is relayed only after the application accepted it.
//! - An address of another peer is believed only from a record that peer signed, or from the operator.
//!
//! Seams for later: Kademlia and AutoNAT, relay and DCUtR are further fields of the private `Behaviour`
//! struct whose findings go through `AddressBook::ingest`; gossip scoring is `with_peer_score`
//! on the gossip behaviour, fed by the verdicts that already reach it.

mod address;
mod atomic_file;
mod config;
mod discovery;
mod error;
mod frame;
mod gate;
mod identity;
mod inbound;
mod libp2p_node;
pub mod memory;
mod metrics;
mod network;
mod quota;
mod topic;

pub use address::PeerAddress;
pub use config::{
    ConnectionLimits, DiscoveryLimits, GossipLimits, NetworkConfig, Rate, RpcLimits, Timings,
};
pub use error::{
    AddressError, ConfigError, DialFailure, IdentityError, PublishError, Refusal, ReplyTooLarge,
    RequestError, StartError,
};
pub use identity::NodeIdentity;
pub use inbound::{
    GossipVerdict, Inbound, InboundGossip, InboundRequest, Inbox, PeerEvent, Responder,
};
pub use libp2p::{Multiaddr, PeerId};
pub use libp2p_node::Libp2pNetwork;
pub use metrics::MetricsSnapshot;
pub use network::Network;
pub use topic::Topic;
