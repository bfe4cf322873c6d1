//! Writes this crate's golden vectors into the directory given as first argument. Deterministic.
//!
//! `cargo run -p d402-settlement --example settlement-vectors -- protocol/vectors`
#![allow(
    missing_docs,
    unreachable_pub,
    unused_must_use,
    dead_code,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a tool for developers: it stops at the first surprise, and its tables are long"
)]

mod address;
mod arithmetic;
mod base;
#[path = "../../tests/base/scene.rs"]
mod base_scene;
mod bundles;
#[path = "../../tests/base/corpus.rs"]
mod corpus;
mod derive;
#[path = "../../tests/invariants/ed25519_cases.rs"]
mod ed25519_cases;
mod json;
mod ledger;
#[path = "../../tests/invariants/scene.rs"]
mod scene;
mod settlement;
mod terms;
mod vset;

use std::path::PathBuf;

fn main() {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.expect("usage: settlement-vectors <directory>");
    let files = [
        ("terms-solana.json", terms::vectors()),
        ("vset-ed25519.json", vset::vectors()),
        ("settlement-solana.json", settlement::vectors()),
        ("arithmetic.json", arithmetic::vectors()),
        ("derive.json", derive::vectors()),
        ("bundles.json", bundles::vectors()),
        ("ledger.json", ledger::vectors()),
        ("vault-address.json", address::vectors()),
    ];
    for (name, value) in files.into_iter().chain(base::files()) {
        let path = directory.join(name);
        std::fs::write(&path, json::text(value)).expect("the directory can be written");
        println!("{}", path.display());
    }
}
