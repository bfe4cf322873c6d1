//! What is sold: manifests, executors, checkers and the bounded child process.
//!
//! Responsible for: doing the work ([`mod@execute`]), judging somebody else's ([`mod@judge`]), and running
//! either in a child process with hard limits ([`exec`] is the child, [`sandbox`] its parent).
//! Not: the market. Nothing here knows of tasks, leases, keys or money.
//! Invariants: executors see their input and nothing else of the machine; a result that does not fit
//! its manifest never leaves; what is `exact` is the same bytes on every run and every machine.

pub mod canonical;
pub mod capability;
pub mod corpus;
pub mod exec;
pub mod execute;
pub mod fetch;
pub mod judge;
pub mod manifest;
pub mod page;
pub mod registry;
pub mod sandbox;
pub mod similarity;

mod json_transform;
mod proof_verify;
mod web_extract_markdown;
mod web_fetch_snapshot;
mod web_page_to_markdown;
#[cfg(test)]
mod workbench;

pub use capability::{Blob, Claim, Judgement, Reason, Refusal, RefusalCode, Verdict};
pub use exec::run_exec;
pub use manifest::{Limits, Manifest};
pub use registry::{Listed, capabilities, capability};
pub use sandbox::{Sandbox, SandboxConfig, SandboxError};

/// Name and version of this build, as runtime digests carry it.
pub const BUILD_NAME: &str = concat!("d402-capabilities/", env!("CARGO_PKG_VERSION"));
