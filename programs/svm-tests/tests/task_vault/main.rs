//! The built program in a simulated chain: one file for each instruction, then what holds across them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod approve;
mod close;
mod codes;
mod credits;
mod golden;
mod lifecycle;
mod open;
mod payable;
mod precompile;
mod property;
mod publish_set;
mod settle;
mod settle_accounts;
mod sizes;
mod sweep;
mod units;
