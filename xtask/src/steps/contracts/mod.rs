//! Steps of `contracts/`: the deployed build is what is tested, and the proofs about it can fail.

mod anvil;
mod coverage;
mod findings;
mod proofs;

pub(super) use proofs::proofs;

use std::{fs, time::Duration};

use super::{Context, checks::locked};
use crate::{failure::Failure, metadata::cargo, tools::Foundry};
use anvil::Anvil;

const LIVES: &str = "target/foundry/dev/base-sequences.json";
const GENERATE: Duration = Duration::from_secs(40 * 60);
/// Gas is measured per transaction, in a run of its own; proofs have their own step.
const OTHER_SUITES: &str = "contracts/test/{gas,symbolic}/*";
const GAS_SUITE: &str = "contracts/test/gas/*";
/// The deployer of the proof: anvil's first account, whose key everybody knows.
const KNOWN_KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// Format, build, every test against the Rust ledger and its vectors, gas, deployment.
pub(super) fn contracts(context: &Context) -> Result<(), Failure> {
    let foundry = Foundry::install(&context.workspace, &context.cache)?;
    foundry
        .forge()
        .args(["fmt", "--check", "contracts"])
        .run()?;
    lives(context)?;
    foundry
        .forge()
        .args(["test", "--no-match-path", OTHER_SUITES, "--show-progress"])
        .run()?;
    foundry
        .forge()
        .args(["test", "--isolate", "--match-path", GAS_SUITE])
        .env("FORGE_SNAPSHOT_CHECK", "true")
        .run()?;
    deployment(&foundry)
}

/// The lives of escrows as the Rust ledger tells them, for the contract to repeat.
fn lives(context: &Context) -> Result<(), Failure> {
    let file = context.workspace.join(LIVES);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(Failure::file("creating", folder))?;
    }
    cargo(&context.workspace, GENERATE)
        .args(["run", "--quiet", "--package", "d402-settlement"])
        .args(["--example", "base-sequences"])
        .args(locked(&context.workspace))
        .arg("--")
        .arg(file)
        .run()
}

/// The deploy script on a chain that has only what every chain has, twice, and once against other code.
fn deployment(foundry: &Foundry) -> Result<(), Failure> {
    let chain = Anvil::start(foundry)?;
    chain.set_code("0x036CbD53842c5426634e7929541eC2318f3dCF7e", "0x00")?;
    for _ in 0..2 {
        script(foundry, &chain)
            .args(["--broadcast", "--private-key", KNOWN_KEY])
            .run()?;
    }
    script(foundry, &chain).args(["--sig", "verify()"]).run()?;
    let ledger = foundry
        .forge()
        .args(["script", "contracts/script/Deployments.s.sol"])
        .quiet()
        .output()?;
    let ledger = printed(&ledger, "ledger ").ok_or_else(|| Failure::Nothing {
        what: "ledger address",
        place: "contracts/script/Deployments.s.sol".into(),
    })?;
    chain.set_code(&ledger, "0x00")?;
    let found = script(foundry, &chain)
        .args(["--sig", "verify()"])
        .status()?;
    if found.success() {
        return Err(Failure::Unproven {
            what: "other code at the ledger's address passed for the build's",
        });
    }
    Ok(())
}

fn script(foundry: &Foundry, chain: &Anvil) -> crate::process::Call {
    foundry
        .forge()
        .args(["script", "contracts/script/Deploy.s.sol"])
        .args(["--rpc-url", chain.url()])
}

/// The word after `name` in what a script logged.
fn printed(log: &str, name: &str) -> Option<String> {
    log.lines()
        .find_map(|line| line.trim().strip_prefix(name))
        .map(|rest| rest.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_word_is_found_by_its_name() {
        let log = "== Logs ==\n  salt            0x64\n  ledger          0xAF6b\n";
        assert_eq!(printed(log, "ledger ").as_deref(), Some("0xAF6b"));
        assert_eq!(printed(log, "account "), None);
    }
}
