//! `cargo demo`: builds the programs and becomes the demo, so that signals, output and the exit
//! code are the demo's own. Cargo's messages go to standard error; standard output is the demo's.

use std::{ffi::OsString, os::unix::process::CommandExt, path::PathBuf, process, time::Duration};

use serde_json::Value;

use crate::{
    cache::Cache,
    failure::Failure,
    metadata::cargo,
    tools::{Foundry, Solana},
    workspace::Workspace,
};

const PACKAGES: [&str; 2] = ["d402-node", "d402-validator-bridge"];
const PROGRAM: &str = "d402";
/// In the names of the rails that need a local chain of Base.
const BASE: &str = "base-";
/// In the names of the rails that need a local Solana.
const SOLANA: &str = "solana-";
const BUILD: Duration = Duration::from_secs(60 * 60);

pub(crate) fn run(workspace: &Workspace, flags: &[OsString]) -> Result<process::ExitCode, Failure> {
    let program = build(workspace)?;
    let mut demo = process::Command::new(&program);
    demo.arg("demo").args(flags);
    let named = |rails: &str| {
        flags
            .iter()
            .any(|flag| flag.to_string_lossy().contains(rails))
    };
    if named(BASE) {
        demo.envs(Foundry::install(workspace, &Cache::open(workspace)?)?.chain()?);
    }
    if named(SOLANA) {
        demo.envs(Solana::install(workspace, &Cache::open(workspace)?)?.chain());
    }
    let source = demo.exec();
    Err(Failure::Start {
        command: program.display().to_string(),
        source,
    })
}

/// Builds the node and the validator bridge; returns where cargo put the node.
fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let messages = cargo(workspace, BUILD)
        .args(["build", "--bins", "--message-format"])
        .arg("json-render-diagnostics")
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .quiet()
        .output()?;
    executable(&messages).ok_or_else(|| Failure::NoProgram {
        package: "d402-node",
        program: PROGRAM.to_owned(),
    })
}

fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|message| {
            message.pointer("/target/name").and_then(Value::as_str) == Some(PROGRAM)
                && message.get("executable").is_some_and(Value::is_string)
        })
        .and_then(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_where_cargo_says_it_is() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"d402"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"d402"},"executable":"/t/debug/d402"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(messages), Some(PathBuf::from("/t/debug/d402")));
        assert_eq!(executable("{}"), None);
    }
}
