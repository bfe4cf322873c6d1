//! Benchmarks are programs of the `tests` crate, named `bench-NAME` and run optimised.

use std::{ffi::OsString, time::Duration};

use crate::{
    cache::Cache,
    failure::Failure,
    metadata::{Metadata, cargo},
    tools::Foundry,
    workspace::Workspace,
};

const PACKAGE: &str = "d402-tests";
/// The benchmark that needs a local chain of Base.
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
    let mut call = cargo(workspace, LIMIT)
        .args(["run", "--release", "--package", PACKAGE, "--bin", &program])
        .arg("--")
        .args(flags);
    if name == BASE {
        let foundry = Foundry::install(workspace, &Cache::open(workspace)?)?;
        for (variable, value) in foundry.chain()? {
            call = call.env(variable, value);
        }
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
