//! What cargo says about the workspace: members, the targets they build, and what they depend on.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use crate::{failure::Failure, process::Call, workspace::Workspace};

const LIMIT: Duration = Duration::from_secs(300);

#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Set for path dependencies, which here means a member of the workspace.
    pub(crate) path: Option<PathBuf>,
}

#[derive(Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
    pub(crate) src_path: PathBuf,
}

impl Metadata {
    pub(crate) fn read(workspace: &Workspace) -> Result<Self, Failure> {
        let call = cargo(workspace, LIMIT)
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .quiet();
        let command = call.shown();
        let text = call.output()?;
        serde_json::from_str(&text).map_err(|source| Failure::Json { command, source })
    }

    /// The names of a package's targets of one kind, such as `bin` or `example`.
    pub(crate) fn targets(&self, package: &str, kind: &str) -> Vec<&str> {
        self.packages
            .iter()
            .filter(|candidate| candidate.name == package)
            .flat_map(|candidate| &candidate.targets)
            .filter(|target| target.kind.iter().any(|found| found == kind))
            .map(|target| target.name.as_str())
            .collect()
    }
}

/// The cargo that runs this command, at the root of the clone.
pub(crate) fn cargo(workspace: &Workspace, limit: Duration) -> Call {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let call = Call::new(program, limit).dir(workspace.root());
    if workspace.ci() {
        call.env("CARGO_INCREMENTAL", "0")
    } else {
        call
    }
}
