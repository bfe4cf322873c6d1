//! Writes the golden vectors of this crate: `cargo run -p d402-objects --example vectors -- DIR`.
//!
//! The same cases on every run: keys are fixed and Ed25519 and RFC 6979 are deterministic.

#![allow(
    dead_code,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a generator of test data, shared with the tests"
)]

use std::{fs, path::PathBuf};

#[path = "../tests/objects/golden/mod.rs"]
mod golden;
#[path = "../tests/objects/samples.rs"]
mod samples;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(
        std::env::args_os()
            .nth(1)
            .unwrap_or_else(|| "protocol/vectors".into()),
    );
    fs::create_dir_all(&folder)?;
    for (file, text) in golden::files() {
        fs::write(folder.join(file), text)?;
        println!("{file}");
    }
    Ok(())
}
