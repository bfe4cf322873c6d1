//! Steps that read the code without running it.

use std::{path::Path, time::Duration};

use super::Context;
use crate::{
    failure::Failure,
    metadata::cargo,
    process::Call,
    tidy, tools,
    vectors::{self, Mode},
    workspace::Workspace,
};

const QUICK: Duration = Duration::from_secs(10 * 60);
const BUILD: Duration = Duration::from_secs(40 * 60);

pub(super) fn fmt(context: &Context) -> Result<(), Failure> {
    cargo(&context.workspace, QUICK)
        .args(["fmt", "--all", "--check"])
        .run()
}

pub(super) fn clippy(context: &Context) -> Result<(), Failure> {
    cargo(&context.workspace, BUILD)
        .args(["clippy", "--workspace", "--all-targets"])
        .args(locked(&context.workspace))
        .args(["--", "-D", "warnings"])
        .run()
}

pub(super) fn tidy(context: &Context) -> Result<(), Failure> {
    tidy::run(&context.workspace, &context.metadata)
}

pub(super) fn vectors(context: &Context) -> Result<(), Failure> {
    vectors::run(&context.workspace, Mode::Check)
}

pub(super) fn deny(context: &Context) -> Result<(), Failure> {
    let program = tools::cargo_tool(&context.workspace, &context.cache, "cargo-deny")?;
    println!(
        "security advisories are not part of this step: their database is a git repository that \
         not every machine reaches. Check them with `cargo xtask ci --advisories`."
    );
    deny_call(&context.workspace, &program)
        // Several versions of a crate are a warning (deny.toml says why) nobody reads here.
        .args(["--allow", "duplicate", "bans", "licenses", "sources"])
        .run()
}

/// Holds the dependencies against the advisory database, which this fetches from the network.
pub(crate) fn advisories(context: &Context) -> Result<(), Failure> {
    let program = tools::cargo_tool(&context.workspace, &context.cache, "cargo-deny")?;
    deny_call(&context.workspace, &program)
        .arg("advisories")
        .run()
}

fn deny_call(workspace: &Workspace, program: &Path) -> Call {
    Call::new(program, QUICK)
        .args(locked(workspace))
        .args(["--workspace", "check", "--hide-inclusion-graph"])
        .dir(workspace.root())
}

pub(super) fn doc(context: &Context) -> Result<(), Failure> {
    cargo(&context.workspace, BUILD)
        .args(["doc", "--workspace", "--no-deps"])
        .args(locked(&context.workspace))
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
}

/// A build server refuses a lockfile that does not fit the manifests instead of mending it.
pub(super) fn locked(workspace: &Workspace) -> &'static [&'static str] {
    if workspace.ci() { &["--locked"] } else { &[] }
}
