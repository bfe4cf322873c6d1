//! Counters of the network, for the operator's metrics page.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Refusal, gate::GossipRefusal};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The live counters. They only grow, and wrap after 2^64.
        #[derive(Debug, Default)]
        pub(crate) struct Metrics {
            $(pub(crate) $name: Counter,)*
        }

        /// The counters at one moment. Each only grows while the node runs.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct MetricsSnapshot {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Metrics {
            pub(crate) fn snapshot(&self) -> MetricsSnapshot {
                MetricsSnapshot { $($name: self.$name.get(),)* }
            }
        }

        impl MetricsSnapshot {
            /// Every counter with its name, for exporters.
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Connections that were established.
    connections_opened,
    /// Connections that ended.
    connections_closed,
    /// Attempts of ours to connect that failed.
    dials_failed,
    /// Connections of others that failed or were refused.
    inbound_connections_failed,
    /// Requests of ours that were handed to a connection.
    requests_sent,
    /// Requests of ours that ended with a body.
    requests_answered,
    /// Requests of ours that ended otherwise.
    requests_failed,
    /// Requests of others given to the application.
    requests_received,
    /// Requests of others refused because a queue or bound was full.
    requests_refused_busy,
    /// Requests of others refused by their rate.
    requests_refused_rate,
    /// Requests of others refused by their size.
    requests_refused_size,
    /// Gossip messages published.
    gossip_published,
    /// Gossip messages given to the application.
    gossip_received,
    /// Gossip messages the application accepted.
    gossip_accepted,
    /// Gossip messages the application rejected.
    gossip_rejected,
    /// Gossip messages dropped because of their signer's rate.
    gossip_refused_source_rate,
    /// Gossip messages dropped because of the neighbour's rate.
    gossip_refused_peer_rate,
    /// Gossip messages dropped because the application was behind.
    gossip_refused_busy,
    /// Gossip messages refused by their form: size or topic.
    gossip_refused_form,
    /// Verdicts that came too late to relay the message.
    gossip_verdicts_late,
    /// Peer events dropped because the application was behind.
    peer_events_dropped,
    /// Signed records added to the address book or renewed there.
    records_taken,
    /// Records refused: forged, malformed, without a usable address, or beyond a cap.
    records_refused,
    /// Writes of the peerstore that failed.
    peerstore_failures,
}

impl Metrics {
    pub(crate) fn gossip_refused(&self, refusal: GossipRefusal) {
        match refusal {
            GossipRefusal::TooLarge => self.gossip_refused_form.add_one(),
            GossipRefusal::PeerRate => self.gossip_refused_peer_rate.add_one(),
            GossipRefusal::SourceRate => self.gossip_refused_source_rate.add_one(),
            GossipRefusal::Busy => self.gossip_refused_busy.add_one(),
        }
    }

    pub(crate) fn request_refused(&self, refusal: Refusal) {
        match refusal {
            Refusal::Busy | Refusal::NoAnswer => self.requests_refused_busy.add_one(),
            Refusal::RateLimited { .. } => self.requests_refused_rate.add_one(),
            Refusal::RequestTooLarge { .. } | Refusal::ResponseTooLarge { .. } => {
                self.requests_refused_size.add_one();
            }
        }
    }
}

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
