//! The invariants of settlement spec §6 that need no chain, and the attacks of the threat review that
//! the ledger answers. A test is named after its id: `m…` invariant, `threat_…` finding.
#![allow(
    missing_docs,
    unreachable_pub,
    unused_must_use,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test has no callers, and the scene itself keeps the effects"
)]

mod authority;
mod ed25519_cases;
mod exits;
mod model;
mod money;
mod payees;
mod scene;
mod signatures;
mod threats;
mod time;
