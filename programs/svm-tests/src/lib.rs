//! A simulated chain with the built program on it, and actors that use it.
//!
//! Instructions are encoded here by hand, from the spec and not from the program's own types: what the tests send is
//! what a client in another language would send.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::too_many_arguments,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    reason = "test support: a failure here is a failed test"
)]

pub mod chain;
pub mod idl;
pub mod program;
pub mod scene;
pub mod sizes;
pub mod token;
