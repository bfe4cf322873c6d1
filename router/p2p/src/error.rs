//! What can go wrong, split by what the caller does about it.

use std::{io, path::PathBuf, time::Duration};

use libp2p::{Multiaddr, PeerId};

/// A remote node did not answer the request with a body, and says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its queue or one of its in-flight bounds is full. Try again later.
    #[error("the peer is busy")]
    Busy,
    /// We exceed its quota for us.
    #[error("the peer limits our rate; try again in {retry_after_ms} ms")]
    RateLimited {
        /// How long to wait, in milliseconds.
        retry_after_ms: u32,
    },
    /// Its limit for requests is lower than this request. Final.
    #[error("the peer takes requests of at most {limit} bytes")]
    RequestTooLarge {
        /// Its limit in bytes.
        limit: u32,
    },
    /// Its answer would exceed its limit for responses. Final.
    #[error("the answer exceeds the peer's limit of {limit} bytes")]
    ResponseTooLarge {
        /// Its limit in bytes.
        limit: u32,
    },
    /// The application there gave no answer.
    #[error("the peer gave no answer")]
    NoAnswer,
}

/// Why no connection could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialFailure {
    /// Nobody took the connection at any of the addresses.
    #[error("no address took the connection ({attempts} tried)")]
    Transport {
        /// Addresses tried.
        attempts: usize,
    },
    /// Somebody else lives at the address.
    #[error("peer {obtained} answered instead")]
    WrongPeer {
        /// Who answered.
        obtained: Box<PeerId>,
    },
    /// Our own connection limits refuse another connection.
    #[error("our connection limits are reached")]
    Limited,
    /// The attempt was given up, for example by a shutdown.
    #[error("the attempt was aborted")]
    Aborted,
}

/// Why a request has no response. Except for the variants named by [`RequestError::was_not_sent`], it is
/// not known whether the peer acted on the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No address was given, and none is known that this node may dial.
    #[error("no usable address of peer {peer} is known")]
    UnknownPeer {
        /// Who was asked for.
        peer: PeerId,
    },
    /// The peer is this node.
    #[error("a node does not send requests to itself")]
    ToSelf,
    /// The request exceeds our own limit.
    #[error("request of {got} bytes exceeds the limit of {limit}")]
    RequestTooLarge {
        /// Bytes given.
        got: usize,
        /// Our limit in bytes.
        limit: u32,
    },
    /// The peer announced a response beyond our limit; nothing of it was read.
    #[error("response of {got} bytes exceeds the limit of {limit}")]
    ResponseTooLarge {
        /// Bytes announced.
        got: u32,
        /// Our limit in bytes.
        limit: u32,
    },
    /// Too many of our requests to this peer are unanswered.
    #[error("{limit} requests to the peer are already in flight")]
    TooManyInFlight {
        /// Our limit per peer.
        limit: u32,
    },
    /// No connection could be made.
    #[error("peer {peer} cannot be reached")]
    Unreachable {
        /// Who was asked for.
        peer: PeerId,
        /// Why not.
        #[source]
        failure: DialFailure,
    },
    /// The peer does not speak our request protocol.
    #[error("the peer does not speak the request protocol")]
    NotSpoken,
    /// No response in time.
    #[error("no response within {after:?}")]
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended, or the response could not be read.
    #[error("the connection failed before the response was read")]
    Interrupted,
    /// The peer answered that it will not.
    #[error("the peer refused the request")]
    Refused(#[source] Refusal),
    /// This node is shutting down.
    #[error("the network is shut down")]
    Closed,
}

impl RequestError {
    /// True when the peer certainly never saw the request.
    pub fn was_not_sent(&self) -> bool {
        match self {
            Self::UnknownPeer { .. }
            | Self::ToSelf
            | Self::RequestTooLarge { .. }
            | Self::TooManyInFlight { .. }
            | Self::Unreachable { .. }
            | Self::NotSpoken => true,
            Self::ResponseTooLarge { .. }
            | Self::Timeout { .. }
            | Self::Interrupted
            | Self::Refused(_)
            | Self::Closed => false,
        }
    }

    /// True when the same request may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TooManyInFlight { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Interrupted
            | Self::Refused(Refusal::Busy | Refusal::RateLimited { .. } | Refusal::NoAnswer) => {
                true
            }
            Self::UnknownPeer { .. }
            | Self::ToSelf
            | Self::RequestTooLarge { .. }
            | Self::ResponseTooLarge { .. }
            | Self::NotSpoken
            | Self::Refused(Refusal::RequestTooLarge { .. } | Refusal::ResponseTooLarge { .. })
            | Self::Closed => false,
        }
    }
}

/// Why a message was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The message exceeds the limit of gossip.
    #[error("message of {got} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Bytes given.
        got: usize,
        /// Limit in bytes.
        limit: u32,
    },
    /// Nobody connected listens to the topic. Nothing was sent and nothing is kept.
    #[error("no connected peer listens to {topic}")]
    NoListeners {
        /// The topic.
        topic: crate::Topic,
    },
    /// The same bytes were published on the topic a moment ago.
    #[error("the same message was already published")]
    Duplicate,
    /// The queues to all peers, or our own, are full.
    #[error("the queues are full")]
    Busy,
    /// The message could not be signed or encoded.
    #[error("the message could not be prepared")]
    Unpublishable,
    /// This node is shutting down.
    #[error("the network is shut down")]
    Closed,
}

/// A reply exceeds the limit of responses; the asker was told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("reply of {got} bytes exceeds the limit of {limit}")]
pub struct ReplyTooLarge {
    /// Bytes given.
    pub got: usize,
    /// Limit in bytes.
    pub limit: u32,
}

/// An address is not of a form this network can dial.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Not a multiaddr.
    #[error("not a multiaddr")]
    Malformed(#[source] libp2p::multiaddr::Error),
    /// Not a peer id.
    #[error("not a peer id")]
    PeerId(#[source] libp2p::identity::ParseError),
    /// Neither `/ip4|ip6/…/tcp/…` nor `/ip4|ip6/…/udp/…/quic-v1`.
    #[error("{address} is neither ip/tcp nor ip/udp/quic-v1")]
    Unsupported {
        /// The address.
        address: Multiaddr,
    },
    /// A bootstrap address must end with `/p2p/<peer id>`.
    #[error("{address} does not name its peer with /p2p/")]
    NoPeer {
        /// The address.
        address: Multiaddr,
    },
    /// The address names another peer than the one it is given for.
    #[error("the address names peer {named}, not {expected}")]
    OtherPeer {
        /// Peer in the address.
        named: Box<PeerId>,
        /// Peer it was given for.
        expected: Box<PeerId>,
    },
    /// More addresses than a peer may have.
    #[error("{got} addresses exceed the limit of {limit}")]
    TooMany {
        /// Addresses given.
        got: usize,
        /// Limit.
        limit: usize,
    },
}

/// The node key cannot be loaded or made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file system refused.
    #[error("cannot use {path}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// Others may read or write the key file.
    #[error("{path} has mode {mode:o}; it must be readable by its owner only (chmod 600)")]
    OpenToOthers {
        /// Key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a key of ours.
    #[error("{path} does not hold an ed25519 node key")]
    NotAKey {
        /// Key file.
        path: PathBuf,
    },
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system")]
    NoRandomness(#[source] getrandom::Error),
}

/// The configuration contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A bound that must be at least one is zero.
    #[error("{field} must not be zero")]
    Zero {
        /// Field of the configuration.
        field: &'static str,
    },
    /// A bound exceeds what the implementation can honour.
    #[error("{field} is {got}, at most {limit}")]
    TooHigh {
        /// Field of the configuration.
        field: &'static str,
        /// Value given.
        got: u64,
        /// Highest value.
        limit: u64,
    },
}

/// The network could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error("bad network configuration")]
    Config(#[from] ConfigError),
    /// An address of the configuration is of no use.
    #[error("bad address in the network configuration")]
    Address(#[from] AddressError),
    /// The peerstore's folder cannot be used.
    #[error("cannot use the peerstore {path}")]
    Peerstore {
        /// Peerstore file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// A listen address cannot be bound, for example because another process has it.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The listeners did not come up in time.
    #[error("the listeners did not come up within {after:?}")]
    ListenTimeout {
        /// How long was waited.
        after: Duration,
    },
    /// The encryption layer rejected our key.
    #[error("the encryption layer rejected the node key")]
    Encryption(#[source] libp2p::noise::Error),
    /// The gossip layer rejected its configuration.
    #[error("the gossip layer rejected its configuration")]
    Gossip,
}
