//! The Solana programs: a workspace of their own, built for the chain and tested as built.
//!
//! Same target folder as everything else, so that a later clone builds none of the chain's crates again.

use std::{path::PathBuf, time::Duration};

use super::{Context, checks::locked};
use crate::{
    failure::Failure,
    idl,
    metadata::cargo,
    process::Call,
    tools::{Cluster, Sbf},
};

const BUILD: Duration = Duration::from_secs(40 * 60);
const FOLDER: &str = "programs";
/// Names the built program for its tests.
const PROGRAM_VARIABLE: &str = "D402_TASK_VAULT_SO";

pub(super) fn program(context: &Context) -> Result<(), Failure> {
    let sbf = Sbf::ensure(&context.workspace, &context.cache)?;
    let target = &context.metadata.target_directory;
    // What the tests do not run must still be a program: the chain's stack is 4 KiB per call on every cluster.
    for cluster in [Cluster::Devnet, Cluster::Mainnet] {
        sbf.build(&context.workspace, "task-vault", cluster, target)?;
    }
    let program = sbf.build(&context.workspace, "task-vault", Cluster::Local, target)?;
    // The tests' attacker lies beside it.
    sbf.build(&context.workspace, "relay", Cluster::Local, target)?;
    in_programs(context)
        .args(["fmt", "--all", "--check"])
        .run()?;
    in_programs(context)
        .args(["clippy", "--workspace", "--all-targets"])
        .args(locked(&context.workspace))
        .args(["--", "-D", "warnings"])
        .run()?;
    idl::check(&context.workspace, &print_idl(context)?)?;
    in_programs(context)
        .args(["test", "--package", "svm-tests"])
        .args(locked(&context.workspace))
        .env(PROGRAM_VARIABLE, program)
        .run()
}

/// Writes the interface description instead of comparing it.
pub(crate) fn write_idl(context: &Context) -> Result<(), Failure> {
    idl::write(&context.workspace, &print_idl(context)?)
}

/// The framework prints the parts of the description from tests it generates.
fn print_idl(context: &Context) -> Result<String, Failure> {
    in_programs(context)
        .args(["test", "--package", "task-vault", "--lib", "--quiet"])
        .args(["--features", "idl-build"])
        .args(locked(&context.workspace))
        .args(["__anchor_private_print_idl", "--", "--show-output"])
        .args(["--test-threads", "1"])
        .output()
}

fn in_programs(context: &Context) -> Call {
    let folder: PathBuf = context.workspace.join(FOLDER);
    cargo(&context.workspace, BUILD)
        .dir(&folder)
        .env("CARGO_TARGET_DIR", &context.metadata.target_directory)
}
