//! Random lives of escrows on Base as the Rust ledger tells them, for the contract to repeat. Deterministic.
//!
//! `cargo run -p d402-settlement --example base-sequences -- <file>`. The file is JSON: `ledger`, `chainId`,
//! `asset`, `parties` (accounts), `sets` (`m` and secret `keys` in set order) and `sequences`, each packed, big
//! endian: `bytes544 terms ‖ u8 set ‖ step…` with
//!
//! ```text
//! step    = u64 now ‖ u8 frozen (bit i: parties[i] cannot be paid) ‖ u8 kind ‖ command ‖ u8 done ‖ world
//! command = 0 deposit u64 | 1 pay u64 | 2 settle | 3 claim u8 | 4 claimTo u8 payee u8 to | 5 sweep
//!         | 6 sweepTo u8 caller u8 to | 7 sweep of another token u64 | 8 sweep of ether u64
//! settle  = bytes32 receiptCid ‖ u8 outcome ‖ u8 signers ‖ u8 rows ‖ (u8 party ‖ u8 role ‖ u64 amount)…
//! world   = u8 marked ‖ u64 balance ‖ u64 credits ‖ (u64 paid ‖ u64 credit) of each party
//! ```
//! `to` beyond the parties is, in this order: the escrow, the asset, the ledger, zero.
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
    clippy::unwrap_used,
    reason = "a tool for developers: it stops at the first surprise"
)]

#[path = "../../tests/base/scene.rs"]
mod base_scene;
mod dice;
mod life;

use base_scene::{ASSET, SEPOLIA};
use serde_json::{Value, json};

/// How many escrows live.
const LIVES: u32 = 500;

fn main() {
    let path = std::env::args_os().nth(1);
    let path = path.expect("usage: base-sequences <file>");
    let lives: Vec<life::Life> = (0..LIVES).map(life::Life::tell).collect();
    let done: usize = lives.iter().map(|life| life.done).sum();
    let refused: usize = lives.iter().map(|life| life.refused).sum();
    // A generator that only ever finds refusals, or none, would compare nothing.
    assert!(
        done > 1_500 && refused > 1_500,
        "{done} done, {refused} refused"
    );
    let file: Value = json!({
        "ledger": hex0x(SEPOLIA.ledger.0),
        "chainId": SEPOLIA.chain_id.to_string(),
        "asset": hex0x(ASSET.0),
        "parties": life::PARTIES.iter().map(|party| hex0x(party.0)).collect::<Vec<_>>(),
        "sets": life::sets(),
        "sequences": lives.iter().map(|life| hex0x(&life.bytes)).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string(&file).unwrap();
    std::fs::write(&path, text).expect("the file can be written");
    println!("{LIVES} lives, {done} commands done, {refused} refused");
}

fn hex0x(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}
