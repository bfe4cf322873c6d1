//! `cargo demo`: builds the programs and becomes the demo, so that signals, output and the exit
//! code are the demo's own. Cargo's messages go to standard error; standard output is the demo's.

use std::{ffi::OsString, os::unix::process::CommandExt, path::PathBuf, process, time::Duration};

use serde_json::Value;

use crate::{
    cache::Cache, failure::Failure, metadata::cargo, tools::devnet::Devnet, workspace::Workspace,
};

const PACKAGES: [&str; 2] = ["d402-node", "d402-validator-bridge"];
const PROGRAM: &str = "d402";
const BUILD: Duration = Duration::from_secs(60 * 60);

pub(crate) fn run(workspace: &Workspace, flags: &[OsString]) -> Result<process::ExitCode, Failure> {
    let program = build(workspace)?;
    let mut demo = process::Command::new(&program);
    if needs_chain(flags) {
        demo.envs(Devnet::prepare(workspace, &Cache::open(workspace)?)?.variables());
    }
    let source = demo.arg("demo").args(flags).exec();
    Err(Failure::Start {
        command: program.display().to_string(),
        source,
    })
}

/// Whether the demo pays on a Base chain: `--rail base-escrow`, `--rail=base-escrow`.
fn needs_chain(flags: &[OsString]) -> bool {
    flags.iter().any(|flag| {
        let flag = flag.to_string_lossy();
        flag.strip_prefix("--rail=")
            .unwrap_or(&flag)
            .starts_with("base-")
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
    fn a_chain_is_prepared_for_the_rails_of_base_alone() {
        let asked = |flags: &[&str]| {
            let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
            needs_chain(&flags)
        };
        assert!(asked(&["--rail", "base-escrow"]) && asked(&["--rail=base-escrow", "--json"]));
        assert!(!asked(&[]) && !asked(&["--rail", "simulated"]) && !asked(&["--json"]));
    }

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
