//! The rail against a real chain on this machine.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::panic,
    reason = "tests fail by panicking, on numbers chosen here"
)]

mod conformance;
mod direct;
mod proxy;
mod rules;
mod sending;
mod stage;
mod undone;
