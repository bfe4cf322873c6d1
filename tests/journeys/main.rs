//! Journeys: what a person does with the product, on real nodes.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod demo;
mod direct;
mod stock_clients;
mod stock_clients_solana;
