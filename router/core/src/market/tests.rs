//! Tests of the task machine: a row of `docs/state-machines.md` each, failure edges, whole tasks in a small
//! world, and properties over arbitrary commands.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a wrong expectation should stop the test where it is"
)]

mod answers;
mod collecting;
mod direct;
mod failures;
mod ledger;
mod properties;
mod transitions;
mod whole;
mod world;
