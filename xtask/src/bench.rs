//! Benchmarks are programs of the `tests` crate, named `bench-NAME` and run optimised.

use std::{ffi::OsString, time::Duration};

use crate::{
    cache::Cache,
    failure::Failure,
    metadata::{Metadata, cargo},
    process::Call,
    steps::{CLIENTS_VARIABLE, NODE_VARIABLE},
    tools::{self, Package, devnet::Devnet},
    workspace::Workspace,
};

const PACKAGE: &str = "d402-tests";
/// Measures against a chain and against programs of Node.js.
const BASE: &str = "base";
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
    let mut call =
        cargo(workspace, LIMIT).args(["run", "--release", "--package", PACKAGE, "--bin"]);
    if name == BASE {
        call = told(workspace, call)?;
    }
    call.arg(&program).arg("--").args(flags).run()
}

/// Where anvil, Node.js and the stock facilitator are.
fn told(workspace: &Workspace, mut call: Call) -> Result<Call, Failure> {
    let cache = Cache::open(workspace)?;
    let devnet = Devnet::prepare(workspace, &cache)?;
    let clients = Package::install(workspace, &cache, tools::CLIENTS)?;
    for (name, value) in devnet.variables() {
        call = call.env(name, value);
    }
    Ok(call
        .env(CLIENTS_VARIABLE, &clients.folder)
        .env(NODE_VARIABLE, clients.runtime.program()))
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
