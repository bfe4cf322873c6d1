//! The crate's public behaviour: golden vectors, properties of every kind, rules, fuzzing.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines
)]

mod fuzzing;
mod golden;
mod properties;
mod rules;
mod samples;
mod vectors;
