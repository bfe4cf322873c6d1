//! The protocols of a node and their settings.

use std::{collections::HashSet, num::NonZeroU8, time::Duration};

use libp2p::{
    Swarm, SwarmBuilder,
    connection_limits::{self, ConnectionLimits},
    gossipsub::{
        self, IdentTopic, IdentityTransform, MessageAuthenticity, MessageId, ValidationMode,
        WhitelistSubscriptionFilter,
    },
    identify, noise, ping,
    request_response::{self, ProtocolSupport},
    swarm::{NetworkBehaviour, StreamProtocol},
    tcp, yamux,
};
use sha2::{Digest, Sha256};

use crate::{
    GossipLimits, NetworkConfig, NodeIdentity, StartError, Topic,
    discovery::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX},
    frame::{Budget, FrameCodec},
};

const IDENTIFY: &str = "/d402/1";
const GOSSIP: &str = "/d402/meshsub/1.1.0";
const RPC: StreamProtocol = StreamProtocol::new("/d402/rpc/1");
const PEERS: StreamProtocol = StreamProtocol::new("/d402/peers/1");

/// Room for signature, key, topic and framing beside a gossip message.
const GOSSIP_OVERHEAD: usize = 1024;
/// How long a peer exchange may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bodies of peer exchanges held at once.
const EXCHANGE_MEMORY: u32 = 1 << 20;
/// Streams of one connection: yamux's own bound, and QUIC's here.
const STREAMS: u32 = 512;
/// Addresses of one peer dialled at once.
const DIALS_AT_ONCE: NonZeroU8 = NonZeroU8::MIN.saturating_add(7);

pub(super) type Gossip = gossipsub::Behaviour<IdentityTransform, WhitelistSubscriptionFilter>;

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(super) gossip: Gossip,
    pub(super) rpc: request_response::Behaviour<FrameCodec>,
    pub(super) exchange: request_response::Behaviour<FrameCodec>,
}

pub(super) fn build(
    identity: &NodeIdentity,
    config: &NetworkConfig,
    budget: Budget,
) -> Result<Swarm<Behaviour>, StartError> {
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(connection_limits(config)),
        identify: identify::Behaviour::new(
            identify::Config::new(IDENTIFY.into(), identity.keypair().public())
                .with_agent_version(concat!("d402/", env!("CARGO_PKG_VERSION")).into())
                .with_cache_size(0),
        ),
        ping: ping::Behaviour::new(
            ping::Config::new()
                .with_interval(config.timings.ping)
                .with_timeout(config.timings.ping_timeout),
        ),
        gossip: gossip(identity, &config.gossip)?,
        rpc: rpc(config, budget),
        exchange: exchange(),
    };
    let built = SwarmBuilder::with_existing_identity(identity.keypair().clone())
        .with_tokio()
        .with_tcp(
            tcp::Config::new().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )
        .map_err(StartError::Encryption)?
        .with_quic_config(|mut quic| {
            quic.max_concurrent_stream_limit = STREAMS;
            quic
        })
        .with_behaviour(|_| behaviour);
    let builder = match built {
        Ok(builder) => builder,
        Err(never) => match never {},
    };
    let swarm = builder.with_swarm_config(|swarm| {
        swarm
            .with_idle_connection_timeout(config.timings.idle)
            .with_dial_concurrency_factor(DIALS_AT_ONCE)
    });
    Ok(swarm.build())
}

fn connection_limits(config: &NetworkConfig) -> ConnectionLimits {
    let limits = &config.connections;
    ConnectionLimits::default()
        .with_max_established_incoming(Some(limits.inbound))
        .with_max_established_outgoing(Some(limits.outbound))
        .with_max_established_per_peer(Some(limits.per_peer))
        .with_max_pending_incoming(Some(limits.pending))
        .with_max_pending_outgoing(Some(limits.pending))
}

fn rpc(config: &NetworkConfig, budget: Budget) -> request_response::Behaviour<FrameCodec> {
    let limits = &config.rpc;
    // Streams beyond this are cut without an answer, so it is no lower than what the transports carry: the
    // bounds that answer "busy" are met first. A stream is small until its body has arrived.
    let streams = limits
        .inbound_per_peer
        .saturating_add(limits.outbound_per_peer)
        .max(STREAMS);
    let codec = FrameCodec {
        request_bytes_max: limits.request_bytes_max,
        response_bytes_max: limits.response_bytes_max,
        budget,
    };
    request_response::Behaviour::with_codec(
        codec,
        [(RPC, ProtocolSupport::Full)],
        request_response::Config::default()
            .with_request_timeout(limits.timeout_max)
            .with_max_concurrent_streams(usize::try_from(streams).unwrap_or(usize::MAX)),
    )
}

fn exchange() -> request_response::Behaviour<FrameCodec> {
    let codec = FrameCodec {
        request_bytes_max: REQUEST_BYTES_MAX,
        response_bytes_max: RESPONSE_BYTES_MAX,
        budget: Budget::new(EXCHANGE_MEMORY),
    };
    request_response::Behaviour::with_codec(
        codec,
        [(PEERS, ProtocolSupport::Full)],
        request_response::Config::default()
            .with_request_timeout(EXCHANGE_TIMEOUT)
            .with_max_concurrent_streams(4),
    )
}

fn gossip(identity: &NodeIdentity, limits: &GossipLimits) -> Result<Gossip, StartError> {
    let message_bytes_max = usize::try_from(limits.message_bytes_max).unwrap_or(usize::MAX);
    let config = gossipsub::ConfigBuilder::default()
        // One protocol version: 1.2 would let a message that is refused here suppress an honest copy.
        .protocol_id(GOSSIP, gossipsub::Version::V1_1)
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        .message_id_fn(|message| message_id(message.source, message.topic.as_str(), &message.data))
        .max_transmit_size(message_bytes_max.saturating_add(GOSSIP_OVERHEAD))
        .heartbeat_initial_delay(limits.heartbeat)
        .heartbeat_interval(limits.heartbeat)
        // A verdict may take ten heartbeats; what the application accepted later is not relayed.
        .history_length(10)
        .history_gossip(4)
        .duplicate_cache_time(Duration::from_secs(120))
        // Our own messages go to every listening neighbour, so small networks do not depend on the mesh.
        .flood_publish(true)
        .prune_backoff(Duration::from_secs(10))
        .connection_handler_queue_len(512)
        .build()
        .map_err(|_| StartError::Gossip)?;
    // Peers cannot make us remember subscriptions to topics of their own.
    let ours = Topic::ALL
        .iter()
        .map(|topic| IdentTopic::new(topic.name()).hash());
    let mut gossip = Gossip::new_with_subscription_filter(
        MessageAuthenticity::Signed(identity.keypair().clone()),
        config,
        WhitelistSubscriptionFilter(ours.collect::<HashSet<_>>()),
    )
    .map_err(|_| StartError::Gossip)?;
    for topic in &limits.topics {
        gossip
            .subscribe(&IdentTopic::new(topic.name()))
            .map_err(|_| StartError::Gossip)?;
    }
    Ok(gossip)
}

/// The identity of a message for duplicate detection: signer, topic and content, not the sequence number.
///
/// Content alone would let anybody make a copy that is refused (wrong topic, or signed by a key beyond
/// its quota) and so shadow the genuine message for the time duplicates are remembered.
pub(crate) fn message_id(source: Option<libp2p::PeerId>, topic: &str, data: &[u8]) -> MessageId {
    let source = source.map(libp2p::PeerId::to_bytes).unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [source.as_slice(), topic.as_bytes(), data] {
        let len = u64::try_from(part.len()).unwrap_or(u64::MAX);
        hash.update(len.to_be_bytes());
        hash.update(part);
    }
    MessageId::new(hash.finalize().as_slice())
}

#[cfg(test)]
mod tests {
    use libp2p::PeerId;

    use super::*;

    #[test]
    fn a_copy_under_another_key_or_topic_does_not_shadow_the_message() {
        let (a, b) = (PeerId::random(), PeerId::random());
        let id = message_id(Some(a), "/t", b"data");
        assert_eq!(id, message_id(Some(a), "/t", b"data"));
        assert_ne!(id, message_id(Some(b), "/t", b"data"));
        assert_ne!(id, message_id(Some(a), "/td", b"ata"));
        assert_ne!(id, message_id(Some(a), "/t", b"dat"));
    }
}
