//! Attacks and accidents on real nodes, judged by the chain's own books.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "numbers chosen here are small"
)]

mod absent;
mod deposits;
mod paying;
mod sigkill;
