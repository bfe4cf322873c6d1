//! The child side of `d402 exec`: one JSON request on stdin, one JSON response on stdout, then exit.
//!
//! [`wire`] is the shape of both, `confine` puts the limits on, `run` does the work.
//! The parent is [`crate::sandbox`]; it believes nothing the child says beyond the wire's types.

pub mod base64_bytes;
mod confine;
mod run;
pub mod wire;

pub use run::run_exec;
pub use wire::{ExecRequest, ExecResponse, Operation, Policy, Produced};
