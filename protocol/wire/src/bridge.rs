//! Frames between a validator bridge and its network front.
//!
//! The bridge holds the keys and judges; the front holds the sockets and no key. A front that is taken
//! over can drop or delay messages, never sign one. Frames travel over a Unix socket, each preceded by its
//! length as a big-endian `u32`, at most [`MAX_FRAME_BYTES`].

use crate::codec::RawEnvelope;
use crate::peer::{MAX_MESSAGE_BYTES, NodeAddress, Request, Response};
use crate::tagged::messages;

/// Largest frame: one peer message and its wrapping.
pub const MAX_FRAME_BYTES: usize = MAX_MESSAGE_BYTES + 64 * 1024;

messages! {
    /// From the front to the bridge.
    pub enum ToBridge {
        /// First frame: where the front is reached, for the validator offer.
        Hello {
            /// The front's own address.
            front: NodeAddress,
        },
        /// A peer's request; answered by [`FromBridge::Reply`] with the same id.
        Inbound {
            /// Chosen by the front, unique per connection.
            id: u64,
            /// libp2p peer id of the sender, as authenticated by noise.
            from: String,
            /// The request.
            request: Request,
        },
    }
}

messages! {
    /// From the bridge to the front.
    pub enum FromBridge {
        /// Answer to an inbound request.
        Reply {
            /// Id of the request.
            id: u64,
            /// The answer.
            response: Response,
        },
        /// A message to send to another node; best effort, the other side can always ask again.
        Send {
            /// Receiver.
            to: NodeAddress,
            /// The request.
            request: Request,
        },
        /// An object to publish by gossip and to keep in the directory (offers, reputation events).
        Publish {
            /// Signed object.
            object: RawEnvelope,
        },
    }
}
