//! The validator bridge: judges claims and co-signs settlements; the only holder of validator keys.
//!
//! Its own trust domain: it imports the protocol and the capabilities, never the router, and reaches the
//! network through a front that holds no key ([`link`]). It recomputes every claim from its content, derives
//! the outcome itself, looks at the chain itself, and writes what it is about to sign into the journal
//! before it touches a key ([`journal`]).
//!
//! Invariants: one ack per lease, one ready answer per round, one settlement signature per terms hash, across
//! restarts (spec §6 R2); a proposal that omits what it acked or judged is refused (R3, threat #13); output
//! leaves only against signatures (R5).

pub mod case;
pub mod chain;
pub mod config;
pub mod journal;
pub mod judge;
pub mod keys;
pub mod link;
pub mod offer;
pub mod service;

pub use config::{BridgeConfig, ConfigError, Misbehaviour, RailConfig};
pub use service::Bridge;
