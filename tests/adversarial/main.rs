//! Attacks and accidents on real nodes, judged by the chain's own books.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod absent;
mod base;
mod deposits;
mod paying;
mod sigkill;
mod solana;
