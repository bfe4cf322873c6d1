//! Deterministic actors and whole task stories, for the tests of every crate (feature `testkit`).
//!
//! Everything follows from a [`TaskSpec`]: same spec, same keys, same bytes. Panics when a test asks for
//! something impossible; never part of a product build.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::missing_panics_doc,
    reason = "test support: a wrong spec should stop the test where it is"
)]

mod actors;
mod scene;
mod spec;
mod story;

pub use actors::{Actors, ValidatorActor, WorkerActor, evm_key, key, wallet, wallet_on};
pub use scene::Scene;
pub use spec::{TaskSpec, echo_manifest};
pub use story::{TaskStory, funded_at};
