//! Steps that build and run the tests.
//!
//! All of them select the whole workspace and filter what runs, not what is built: cargo unifies
//! features over the selected packages, so a narrower selection would build dependencies again.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Context, checks::locked};
use crate::{
    api, failure::Failure, market::Market, metadata::cargo, postgres::URL_VARIABLE, process::Call,
    tools, tools::Packages,
};

/// Names the folder with the built programs for tests that start real nodes.
pub(crate) const PROGRAMS_VARIABLE: &str = "D402_BIN_DIR";
const BUILD: Duration = Duration::from_secs(40 * 60);
const RUN: Duration = Duration::from_secs(40 * 60);

pub(super) fn build(context: &Context) -> Result<(), Failure> {
    cargo(&context.workspace, BUILD)
        .args(["build", "--workspace", "--bins", "--tests", "--examples"])
        .args(locked(&context.workspace))
        .run()
}

pub(super) fn test(context: &Context) -> Result<(), Failure> {
    nextest(context, "not package(d402-tests)")
}

pub(super) fn e2e(context: &Context) -> Result<(), Failure> {
    build(context)?;
    nextest(context, "package(d402-tests)")
}

/// Starts a market of its own and lets the tester send it what its OpenAPI document allows and forbids.
pub(super) fn api(context: &Context) -> Result<(), Failure> {
    build(context)?;
    let programs = context.metadata.target_directory.join("debug");
    let market = Market::start(&programs, PROGRAMS_VARIABLE)?;
    api::run(context, market.url(), Some(market.told()))
}

fn nextest(context: &Context, filter: &str) -> Result<(), Failure> {
    let program = tools::cargo_tool(&context.workspace, &context.cache, "cargo-nextest")?;
    let profile = if context.workspace.ci() {
        "ci"
    } else {
        "default"
    };
    let foundry = tools::Foundry::install(&context.workspace, &context.cache)?;
    let mut call = Call::new(program, RUN)
        .args(["nextest", "run", "--workspace", "--profile", profile])
        .args(locked(&context.workspace))
        .args(["--filterset", filter])
        .env(URL_VARIABLE, context.database()?)
        .env(
            PROGRAMS_VARIABLE,
            context.metadata.target_directory.join("debug"),
        )
        .dir(context.workspace.root());
    for (variable, value) in foundry.chain()? {
        call = call.env(variable, value);
    }
    let solana = tools::Solana::install(&context.workspace, &context.cache)?;
    for (variable, value) in solana.chain() {
        call = call.env(variable, value);
    }
    if context.workspace.ci() {
        call = call.env("CARGO_INCREMENTAL", "0");
    }
    for (variable, value) in Packages::clients(&context.workspace, &context.cache)?.told() {
        call = call.env(variable, value);
    }
    call.run()
}

pub(super) fn doctest(context: &Context) -> Result<(), Failure> {
    cargo(&context.workspace, RUN)
        .args(["test", "--doc", "--workspace", "--quiet"])
        .args(locked(&context.workspace))
        .run()
}

pub(super) fn typescript(context: &Context) -> Result<(), Failure> {
    let verifier = Packages::verifier(&context.workspace, &context.cache)?;
    typescript_tests(&verifier, &verifier.folder)
}

/// The stock clients against a stand-in gateway; against a real one they are in `e2e`.
pub(super) fn clients(context: &Context) -> Result<(), Failure> {
    let (workspace, cache) = (&context.workspace, &context.cache);
    let verifier = Packages::verifier(workspace, cache)?;
    typescript_tests(&Packages::clients(workspace, cache)?, &verifier.folder)
}

/// Types, then tests. The compiler is that of another folder too: one copy of it is enough.
fn typescript_tests(packages: &Packages, compiler: &Path) -> Result<(), Failure> {
    let Packages {
        runtime, folder, ..
    } = packages;
    runtime
        .node(RUN)
        .arg(compiler.join("node_modules/typescript/bin/tsc"))
        .arg("--noEmit")
        .dir(folder)
        .run()?;
    let mut tests = test_files(&folder.join("test"))?;
    tests.sort();
    if tests.is_empty() {
        return Err(Failure::Nothing {
            what: "TypeScript test (*.test.ts)",
            place: folder.join("test"),
        });
    }
    runtime
        .node(RUN)
        .args(["--import", "tsx", "--test"])
        .args(tests)
        .dir(folder)
        .run()
}

fn test_files(folder: &PathBuf) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(folder).map_err(Failure::file("listing", folder))?;
    Ok(entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(".test.ts"))
        .collect())
}
