//! A local Solana: the node of `tools/solnode` and the program built for devnet, whose genesis hash the node has.
//! Both are built once and kept in the cache, in folders named by what they are made of, so that a later clone
//! builds neither.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    digest,
    sbf::{Cluster, Sbf},
};
use crate::{
    cache::Cache,
    failure::Failure,
    metadata::{Metadata, cargo},
    workspace::Workspace,
};

/// Names the node for tests and programs that start a local chain.
const NODE_VARIABLE: &str = "D402_SOLNODE";
/// Names the program such a node loads.
const PROGRAM_VARIABLE: &str = "D402_TASK_VAULT_DEVNET_SO";
const FOLDER: &str = "tools/solnode";
/// A thousand crates.
const BUILD: Duration = Duration::from_secs(60 * 60);
/// What the node is made of; the compiler is named in the first.
const NODE_SOURCES: &[&str] = &[
    "rust-toolchain.toml",
    "tools/solnode/Cargo.toml",
    "tools/solnode/Cargo.lock",
    "tools/solnode/src",
];
/// What the program is made of.
const PROGRAM_SOURCES: &[&str] = &[
    "Cargo.toml",
    "programs/Cargo.toml",
    "programs/Cargo.lock",
    "programs/task-vault",
    "protocol/settlement/Cargo.toml",
    "protocol/settlement/src",
    "tools/sbf",
];

/// Both, ready to run.
pub(crate) struct Solana {
    pub(crate) node: PathBuf,
    pub(crate) program: PathBuf,
}

impl Solana {
    /// Finds or builds them. Quick when nothing changed.
    pub(crate) fn install(workspace: &Workspace, cache: &Cache) -> Result<Self, Failure> {
        let target = Metadata::read(workspace)?.target_directory;
        let scratch = target.join("solnode");
        let node = kept(workspace, cache, "solnode", NODE_SOURCES, || {
            build_node(workspace, &scratch)
        })?;
        // Two gigabytes nobody needs once the node is in the cache. What cannot be removed is only in the way.
        let _ = fs::remove_dir_all(&scratch);
        let program = kept(workspace, cache, "task_vault.so", PROGRAM_SOURCES, || {
            let sbf = Sbf::ensure(workspace, cache)?;
            sbf.build(workspace, "task-vault", Cluster::Devnet, &target)
        })?;
        Ok(Self { node, program })
    }

    /// What a program needs in its environment to start a local Solana.
    pub(crate) fn chain(&self) -> [(&'static str, &Path); 2] {
        [
            (NODE_VARIABLE, &self.node),
            (PROGRAM_VARIABLE, &self.program),
        ]
    }
}

/// A file of the cache; built where it is missing. It appears whole or not at all.
fn kept(
    workspace: &Workspace,
    cache: &Cache,
    name: &str,
    sources: &[&str],
    build: impl FnOnce() -> Result<PathBuf, Failure>,
) -> Result<PathBuf, Failure> {
    let digest = digest::of_files(workspace.root(), sources)?;
    let folder = cache.join(&format!("solana/{digest:016x}"));
    let file = folder.join(name);
    if file.is_file() {
        return Ok(file);
    }
    let _lock = cache.lock(name)?;
    if file.is_file() {
        return Ok(file);
    }
    let built = build()?;
    fs::create_dir_all(&folder).map_err(Failure::file("creating", &folder))?;
    let half = folder.join(format!("{name}.part"));
    fs::copy(&built, &half).map_err(Failure::file("copying", &built))?;
    fs::rename(&half, &file).map_err(Failure::file("renaming", &half))?;
    Ok(file)
}

fn build_node(workspace: &Workspace, target: &Path) -> Result<PathBuf, Failure> {
    eprintln!("building the local Solana node, once: some minutes");
    // Its own tests too: no other step has its thousand crates.
    for command in ["test", "build"] {
        cargo(workspace, BUILD)
            .args([command, "--locked", "--manifest-path"])
            .arg(workspace.join(FOLDER).join("Cargo.toml"))
            .env("CARGO_TARGET_DIR", target)
            // Incremental files would triple its size.
            .env("CARGO_INCREMENTAL", "0")
            .run()?;
    }
    Ok(target.join("debug/solnode"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names the harness reads (`router/rails/src/svm/devnet.rs`), and files that are there.
    #[test]
    fn what_the_cache_is_named_after_exists() {
        let workspace = Workspace::find().unwrap();
        for sources in [NODE_SOURCES, PROGRAM_SOURCES] {
            digest::of_files(workspace.root(), sources).unwrap();
        }
        let harness = workspace.join("router/rails/src/svm/devnet.rs");
        let text = fs::read_to_string(harness).unwrap();
        for variable in [NODE_VARIABLE, PROGRAM_VARIABLE] {
            assert!(text.contains(&format!("\"{variable}\"")), "{variable}");
        }
    }
}
