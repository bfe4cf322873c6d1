//! Every rule of who is paid, one test per rule.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod certificates;
mod money;
mod properties;
mod quorum;
mod race;
mod rejection;
mod scene;
mod single;
mod vectors;
