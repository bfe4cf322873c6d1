//! Messages between nodes, between a validator bridge and its front, and of the simulated chain.
//!
//! Types and their strict JSON form only: no IO, no clock, no decisions. Every decoder checks the size
//! before it parses and refuses duplicate keys (threat #27). Nothing here is signed: what carries trust
//! inside a message is a signed object of `d402-objects`, verified by whoever receives it.
#![warn(missing_docs)]

pub mod bridge;
pub mod codec;
pub mod dossier;
pub mod peer;
pub mod simchain;
pub mod tagged;
pub mod watch;

pub use codec::{Blob, CodecError, RawEnvelope, decode, decode_message, encode};
pub use dossier::{RawDossier, RawDossierError};
pub use peer::{NodeAddress, Refusal, Request, Response};
pub use watch::watch_message;
