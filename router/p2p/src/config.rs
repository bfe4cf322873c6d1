//! Every bound of the network, with a default that suits a node with a few hundred peers.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use libp2p::Multiaddr;

use crate::{ConfigError, PeerAddress, Topic};

/// A rate: `burst` at once, refilled at `per_second`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Cells regained each second.
    pub per_second: NonZeroU32,
    /// Cells that may be used at once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// A rate; zeros count as one.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: at_least_one(per_second),
            burst: at_least_one(burst),
        }
    }
}

const fn at_least_one(n: u32) -> NonZeroU32 {
    match NonZeroU32::new(n) {
        Some(n) => n,
        None => NonZeroU32::MIN,
    }
}

/// Bounds of request-response.
#[derive(Debug, Clone)]
pub struct RpcLimits {
    /// Largest request body we send or take, bytes.
    pub request_bytes_max: u32,
    /// Largest response body we send or take, bytes.
    pub response_bytes_max: u32,
    /// Bytes that bodies of inbound requests and of our responses to them may hold at once.
    pub inbound_memory_bytes: u32,
    /// Requests of one peer that may be unanswered here.
    pub inbound_per_peer: u32,
    /// Requests of all peers that may be unanswered here.
    pub inbound_total: u32,
    /// Requests that may wait for the application to take them.
    pub inbound_queue: u32,
    /// Our unanswered requests to one peer.
    pub outbound_per_peer: u32,
    /// Our unanswered requests to all peers; more wait within their timeout.
    pub outbound_total: u32,
    /// Requests one peer may send.
    pub per_peer_rate: Rate,
    /// Upper bound of every request's timeout, and how long an application may take to answer.
    pub timeout_max: Duration,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self {
            request_bytes_max: 8 << 20,
            response_bytes_max: 8 << 20,
            inbound_memory_bytes: 128 << 20,
            inbound_per_peer: 64,
            inbound_total: 1024,
            inbound_queue: 256,
            outbound_per_peer: 64,
            outbound_total: 512,
            per_peer_rate: Rate::new(1000, 2000),
            timeout_max: Duration::from_secs(60),
        }
    }
}

/// Bounds of gossip.
#[derive(Debug, Clone)]
pub struct GossipLimits {
    /// Topics this node listens to and relays.
    pub topics: Vec<Topic>,
    /// Largest message, bytes.
    pub message_bytes_max: u32,
    /// Messages signed by one key.
    pub per_source_rate: Rate,
    /// New messages brought by one neighbour. A neighbour beyond it is not heard for `mute`.
    pub per_peer_rate: Rate,
    /// How long a neighbour beyond its rate is not heard.
    pub mute: Duration,
    /// Messages that may wait for the application to take them or to judge them.
    pub undecided: u32,
    /// Interval of mesh upkeep. A verdict later than ten intervals no longer relays the message.
    pub heartbeat: Duration,
}

impl Default for GossipLimits {
    fn default() -> Self {
        Self {
            topics: Topic::ALL.to_vec(),
            message_bytes_max: 128 << 10,
            per_source_rate: Rate::new(256, 1024),
            per_peer_rate: Rate::new(1024, 4096),
            mute: Duration::from_secs(10),
            undecided: 1024,
            heartbeat: Duration::from_millis(700),
        }
    }
}

/// Bounds of discovery and of the address book.
#[derive(Debug, Clone)]
pub struct DiscoveryLimits {
    /// Below this number of connected peers, known peers are dialled.
    pub peers_wanted: usize,
    /// Peers in the address book.
    pub book_peers: usize,
    /// Peers in the book that share one /24 (IPv4) or /48 (IPv6). Loopback is exempt.
    pub book_per_subnet: usize,
    /// Records asked for and given in one exchange, at most 32.
    pub exchange_records: u8,
    /// Exchanges one peer may ask of us.
    pub exchange_rate: Rate,
    /// Pause between exchanges we start.
    pub exchange_interval: Duration,
    /// First pause before a failed peer is dialled again; doubles with each failure.
    pub redial_min: Duration,
    /// Longest pause before a failed peer is dialled again.
    pub redial_max: Duration,
    /// Pause between writes of a changed peerstore.
    pub save_interval: Duration,
}

impl Default for DiscoveryLimits {
    fn default() -> Self {
        Self {
            peers_wanted: 12,
            book_peers: 1024,
            book_per_subnet: 16,
            exchange_records: 32,
            exchange_rate: Rate::new(1, 8),
            exchange_interval: Duration::from_secs(30),
            redial_min: Duration::from_millis(500),
            redial_max: Duration::from_secs(60),
            save_interval: Duration::from_secs(5),
        }
    }
}

/// Bounds of connections.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Established, opened by others.
    pub inbound: u32,
    /// Established, opened by us.
    pub outbound: u32,
    /// Established with one peer. Two nodes that dial each other at once have two for a while.
    pub per_peer: u32,
    /// In their handshake, each way.
    pub pending: u32,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            inbound: 256,
            outbound: 128,
            per_peer: 4,
            pending: 64,
        }
    }
}

/// Timers of the node.
#[derive(Debug, Clone)]
pub struct Timings {
    /// Pause between upkeep of connections.
    pub upkeep: Duration,
    /// A connection nobody uses is closed after this.
    pub idle: Duration,
    /// Pause between pings.
    pub ping: Duration,
    /// How long a ping may take.
    pub ping_timeout: Duration,
    /// How long listeners may take to come up.
    pub listen: Duration,
    /// How long a shutdown waits for answers that are being worked on.
    pub shutdown_grace: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            upkeep: Duration::from_millis(250),
            idle: Duration::from_secs(300),
            ping: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(20),
            listen: Duration::from_secs(10),
            shutdown_grace: Duration::from_secs(2),
        }
    }
}

/// The configuration of a libp2p node.
#[derive(Debug, Clone, Default)]
pub struct NetworkConfig {
    /// `/ip4|ip6/…/tcp/…` and `/ip4|ip6/…/udp/…/quic-v1`; port 0 takes a free one.
    pub listen: Vec<Multiaddr>,
    /// Addresses told to others instead of the listen addresses.
    pub advertise: Vec<Multiaddr>,
    /// Peers to stay connected with. The operator vouches for their addresses.
    pub bootstrap: Vec<PeerAddress>,
    /// Where known peers are kept between runs; none keeps them in memory only.
    pub peerstore: Option<PathBuf>,
    /// Bounds of request-response.
    pub rpc: RpcLimits,
    /// Bounds of gossip.
    pub gossip: GossipLimits,
    /// Bounds of discovery.
    pub discovery: DiscoveryLimits,
    /// Bounds of connections.
    pub connections: ConnectionLimits,
    /// Timers.
    pub timings: Timings,
}

/// Largest body a configuration may allow: the drain of a refused body is bounded by it too.
pub(crate) const BODY_BYTES_CEILING: u32 = 64 << 20;

impl RpcLimits {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let bounds = [
            ("rpc.request_bytes_max", self.request_bytes_max),
            ("rpc.response_bytes_max", self.response_bytes_max),
            ("rpc.inbound_per_peer", self.inbound_per_peer),
            ("rpc.inbound_total", self.inbound_total),
            ("rpc.inbound_queue", self.inbound_queue),
            ("rpc.outbound_per_peer", self.outbound_per_peer),
            ("rpc.outbound_total", self.outbound_total),
        ];
        for (field, value) in bounds {
            in_range(field, u64::from(value), u64::from(BODY_BYTES_CEILING))?;
        }
        in_range(
            "rpc.inbound_memory_bytes",
            u64::from(self.inbound_memory_bytes),
            u64::from(u32::MAX),
        )?;
        not_zero("rpc.timeout_max", self.timeout_max)
    }
}

impl GossipLimits {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        in_range(
            "gossip.message_bytes_max",
            u64::from(self.message_bytes_max),
            1 << 20,
        )?;
        in_range("gossip.undecided", u64::from(self.undecided), 1 << 16)?;
        not_zero("gossip.heartbeat", self.heartbeat)
    }
}

impl NetworkConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.rpc.check()?;
        self.gossip.check()?;
        in_range(
            "connections.per_peer",
            u64::from(self.connections.per_peer),
            64,
        )?;
        in_range(
            "connections.pending",
            u64::from(self.connections.pending),
            1 << 16,
        )?;
        in_range(
            "discovery.exchange_records",
            u64::from(self.discovery.exchange_records),
            32,
        )?;
        not_zero(
            "discovery.exchange_interval",
            self.discovery.exchange_interval,
        )?;
        not_zero("discovery.redial_min", self.discovery.redial_min)?;
        not_zero("discovery.save_interval", self.discovery.save_interval)?;
        not_zero("timings.upkeep", self.timings.upkeep)
    }
}

fn in_range(field: &'static str, got: u64, limit: u64) -> Result<(), ConfigError> {
    if got == 0 {
        return Err(ConfigError::Zero { field });
    }
    if got > limit {
        return Err(ConfigError::TooHigh { field, got, limit });
    }
    Ok(())
}

fn not_zero(field: &'static str, value: Duration) -> Result<(), ConfigError> {
    if value.is_zero() {
        Err(ConfigError::Zero { field })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_valid_configuration() {
        assert_eq!(NetworkConfig::default().check(), Ok(()));
    }

    #[test]
    fn a_zero_bound_is_named() {
        let mut config = NetworkConfig::default();
        config.rpc.inbound_queue = 0;
        assert_eq!(
            config.check(),
            Err(ConfigError::Zero {
                field: "rpc.inbound_queue"
            })
        );
    }

    #[test]
    fn a_body_limit_beyond_the_ceiling_is_refused() {
        let mut config = NetworkConfig::default();
        config.rpc.request_bytes_max = BODY_BYTES_CEILING + 1;
        let limit = u64::from(BODY_BYTES_CEILING);
        assert_eq!(
            config.check(),
            Err(ConfigError::TooHigh {
                field: "rpc.request_bytes_max",
                got: limit + 1,
                limit
            })
        );
    }
}
