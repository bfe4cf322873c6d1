//! The bytes, signatures and ledger of Base (spec §2.3, §3.1): golden vectors read back, properties, and the
//! refusals between chains.
#![allow(
    missing_docs,
    unreachable_pub,
    unused_must_use,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod corpus;
mod cross_chain;
mod escrow;
mod properties;
mod scene;
mod vectors;
