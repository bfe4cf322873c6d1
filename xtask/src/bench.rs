//! Benchmarks are programs of the `tests` crate, named `bench-NAME` and run optimised.

use std::{ffi::OsString, time::Duration};

use crate::{
    cache::Cache,
    failure::Failure,
    metadata::{Metadata, cargo},
    process::Call,
    steps::PROGRAMS_VARIABLE,
    tools::{Foundry, Packages, Solana},
    workspace::Workspace,
};

const PACKAGE: &str = "d402-tests";
/// The benchmarks that need a local chain.
const BASE: &str = "base";
const SOLANA: &str = "solana";
/// What those run, and themselves.
const NODES: [&str; 4] = [
    "d402-node",
    "d402-validator-bridge",
    "d402-capabilities",
    PACKAGE,
];
const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);

pub(crate) fn run(workspace: &Workspace, name: &str, flags: &[OsString]) -> Result<(), Failure> {
    let program = format!("bench-{name}");
    let metadata = Metadata::read(workspace)?;
    let known = benchmarks(&metadata.targets(PACKAGE, "bin"));
    if !known.contains(&name) {
        return Err(Failure::UnknownBenchmark {
            name: name.to_owned(),
            known: known.join(", "),
        });
    }
    if name == BASE || name == SOLANA {
        return chain(workspace, &metadata, (&program, flags));
    }
    cargo(workspace, LIMIT)
        .args(["run", "--release", "--package", PACKAGE, "--bin", &program])
        .arg("--")
        .args(flags)
        .run()
}

/// Measures real nodes against a program of Node.js on a local chain: all of them must be there.
fn chain(
    workspace: &Workspace,
    metadata: &Metadata,
    (program, flags): (&str, &[OsString]),
) -> Result<(), Failure> {
    let cache = Cache::open(workspace)?;
    let clients = Packages::clients(workspace, &cache)?;
    cargo(workspace, LIMIT)
        .args(["build", "--release", "--bins"])
        .args(NODES.iter().flat_map(|package| ["--package", package]))
        .run()?;
    let programs = metadata.target_directory.join("release");
    let mut call = Call::new(programs.join(program), LIMIT)
        .args(flags)
        .env(PROGRAMS_VARIABLE, &programs);
    if program.ends_with(SOLANA) {
        for (variable, value) in Solana::install(workspace, &cache)?.chain() {
            call = call.env(variable, value);
        }
    } else {
        for (variable, value) in Foundry::install(workspace, &cache)?.chain()? {
            call = call.env(variable, value);
        }
    }
    for (variable, value) in clients.told() {
        call = call.env(variable, value);
    }
    call.run()
}

fn benchmarks<'a>(programs: &[&'a str]) -> Vec<&'a str> {
    programs
        .iter()
        .filter_map(|program| program.strip_prefix("bench-"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarks_are_the_programs_named_for_it() {
        assert_eq!(benchmarks(&["bench-market", "harness"]), ["market"]);
    }
}
