//! `cargo xtask`: builds, tests and shows the project with one command each.
//!
//! Responsible for: finding or installing the tools the project needs, running every check in a
//! fixed order, and handing the demo its flags. Not responsible for what the checks check: rules
//! about the market live in the crates they are about.
//!
//! Invariants: nothing is skipped in silence (a missing tool is an error that names its fix);
//! whatever is started is stopped again; nothing outside the cache folder and the clone is
//! written, except Debian packages installed as root and named on screen first.

mod api;
mod arguments;
mod bench;
mod cache;
mod clock;
mod demo;
mod failure;
mod idl;
mod market;
mod metadata;
mod postgres;
mod process;
mod setup;
mod steps;
mod tidy;
mod tools;
mod vectors;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    arguments::run().unwrap_or_else(|failure| failure.report())
}
