//! The rail against a real node on this machine.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "tests fail by panicking, on numbers chosen here"
)]

mod conformance;
mod cosigning;
mod opening;
mod proxy;
mod sending;
mod stage;
mod tidying;
