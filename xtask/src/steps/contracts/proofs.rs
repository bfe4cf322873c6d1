//! Static analysis, symbolic proofs with their negative controls, and coverage.

use super::{coverage, findings};
use crate::{
    failure::Failure,
    process::Call,
    steps::Context,
    tools::{self, Foundry},
};

/// Analysers clean and rebuild; this profile keeps that away from the tests' build.
const PROFILE: &str = "proofs";
const LCOV: &str = "target/foundry/lcov.info";
/// Six covers every loop of the proofs (the prover reports none that it cut); payouts are five at most.
const LOOPS: &str = "6";
const SOLVER_MS: &str = "120000";

pub(in crate::steps) fn proofs(context: &Context) -> Result<(), Failure> {
    let foundry = Foundry::install(&context.workspace, &context.cache)?;
    let programs = tools::contract_analysers(&context.workspace, &context.cache)?;
    let analyser = |name: &str| {
        foundry
            .call(&programs.join(name))
            .env("FOUNDRY_PROFILE", PROFILE)
    };
    findings::expect_accepted(context, analyser("slither"))?;
    halmos(analyser("halmos"), "check_").run()?;
    refuted(halmos(analyser("halmos"), "control_"))?;
    covered(context, &foundry)
}

fn halmos(program: Call, prefix: &str) -> Call {
    program
        .args(["--forge-build-out", "target/foundry/proofs"])
        .args(["--contract", "EscrowProofs", "--function", prefix])
        .args(["--loop", LOOPS, "--solver-timeout-assertion", SOLVER_MS])
}

/// Every control must have been refuted with a counterexample: a proof that cannot fail proves nothing.
fn refuted(controls: Call) -> Result<(), Failure> {
    let (status, text) = controls.outcome()?;
    print!("{text}");
    let failed = text.lines().filter(|line| line.contains("[FAIL]")).count();
    let passed = text.lines().filter(|line| line.contains("[PASS]")).count();
    if status.success() || passed > 0 || failed == 0 {
        return Err(Failure::Unproven {
            what: "a negative control of the proofs was not refuted",
        });
    }
    println!("{failed} negative controls refuted, as they must be");
    Ok(())
}

/// Coverage is measured on the pipeline without the IR, where source lines and code correspond.
fn covered(context: &Context, foundry: &Foundry) -> Result<(), Failure> {
    foundry
        .forge()
        .args(["coverage", "--report", "lcov", "--report-file", LCOV])
        .args(["--no-match-coverage", "contracts/(test|script|dev)/"])
        // The record of deployments is of the other pipeline.
        .args([
            "--match-path",
            "contracts/test/unit/*",
            "--no-match-contract",
            "DeploymentsTest",
        ])
        .env("FOUNDRY_PROFILE", "coverage")
        .run()?;
    coverage::expect(&context.workspace.join(LCOV))
}
