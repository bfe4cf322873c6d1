//! Tests of the chain: the suite every rail runs, restarts, faults, and the books against the pure ledger.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

mod conformance;
mod faults;
mod model;
mod restart;
mod rules;
mod stage;
