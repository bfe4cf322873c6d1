//! The signed objects of the market: types, strict JSON, canonical bytes, CIDs, envelope.
//!
//! Responsible for: what an object may contain, the exact bytes it is hashed and signed as, and
//! refusing everything else. Not responsible for: time (no clock is read here), chain digests
//! (settlement crate), and whether two objects fit each other (core and validator-bridge).
//!
//! Invariants: a [`Signed`] value was verified when it was made and never changes; its CID and
//! signature cover the bytes it was parsed from, unknown payload fields included; every decoder
//! checks the size before it parses and returns an error instead of panicking.

#![warn(missing_docs)]

mod any;
mod cid;
mod error;
mod fixed_bytes;
mod keys;
mod numbers;
mod objects;
mod payload;
mod recent;
mod shelf;
mod signed;
mod text;

pub mod canonical;
pub mod fuzz;
pub mod preimage;
pub mod signature;
pub mod strict;

pub use any::{AnySigned, ObjectKind, peek_kind};
pub use cid::Cid;
pub use error::{Invalid, ObjectError, SignatureFault};
pub use fixed_bytes::{Hex32, Nonce16, SignatureBytes};
pub use keys::{Ed25519Id, EvmAddress, SignerId};
pub use numbers::{Amount, Bps, UnixMs};
pub use objects::*;
pub use payload::{Document, Payload, cid_of, parse_payload};
pub use preimage::preimage;
pub use signed::Signed;
pub use strict::{Floats, Limits, StrictError};
pub use text::{
    Address, Caip2, CapabilityId, Label, MediaType, Multiaddr, Namespace, NodeId, Text, Url,
};

/// The Ed25519 key types of this API, so that callers need not name their crate.
pub use ed25519_dalek::{SigningKey, VerifyingKey};
/// The JSON value of this API.
pub use serde_json::Value;
