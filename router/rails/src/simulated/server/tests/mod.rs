//! Tests of the chain: the suite every rail runs, restarts, faults, and the books against the pure ledger.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "tests compute with small numbers they chose, and tell one story each"
)]

mod conformance;
mod faults;
mod model;
mod restart;
mod rules;
mod stage;
