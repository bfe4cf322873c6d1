//! The behaviour of the network, over real loopback sockets and in memory.
//!
//! `shared` runs on every implementation through the trait; `discovery` needs sockets.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]

mod discovery;
mod shared;
mod world;
