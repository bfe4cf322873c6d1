//! A Base chain of this machine, for tests, demo and benchmarks: anvil and its first block, which holds the
//! contracts as the build makes them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{EVM, Package};
use crate::{cache::Cache, failure::Failure, process::Call, workspace::Workspace};

const ANVIL_VARIABLE: &str = "D402_ANVIL";
const GENESIS_VARIABLE: &str = "D402_ANVIL_GENESIS";
const GENESIS: &str = "target/foundry/dev/genesis.json";
const SCRIPT: &str = "contracts/dev/Genesis.s.sol";
/// What the first block is made from; tests of contracts are not in it, their tokens are.
const SOURCES: &[&str] = &[
    "foundry.toml",
    "tools/evm/package-lock.json",
    "contracts/deployments.json",
    "contracts/dev",
    "contracts/script",
    "contracts/src",
    "contracts/test/tokens",
];
/// The compiler is a WebAssembly program.
const BUILD: Duration = Duration::from_secs(15 * 60);

/// Where anvil and the first block are.
pub(crate) struct Devnet {
    anvil: PathBuf,
    genesis: PathBuf,
}

impl Devnet {
    /// Installs the toolchain and makes the first block, unless both are there and newer than the contracts.
    pub(crate) fn prepare(workspace: &Workspace, cache: &Cache) -> Result<Self, Failure> {
        let package = Package::install(workspace, cache, EVM)?;
        let genesis = workspace.join(GENESIS);
        if !is_current(workspace, &genesis)? {
            let _lock = cache.lock("devnet")?;
            eprintln!("building the contracts and {GENESIS}");
            Call::new(tool(&package, "forge"), BUILD)
                .args(["script", SCRIPT])
                .env("PATH", path_with(package.runtime.folder()))
                .dir(workspace.root())
                .quiet()
                .output()?;
        }
        Ok(Self {
            anvil: tool(&package, "anvil"),
            genesis,
        })
    }

    /// What a program that starts such a chain must be told.
    pub(crate) fn variables(&self) -> [(&'static str, &Path); 2] {
        [
            (ANVIL_VARIABLE, &self.anvil),
            (GENESIS_VARIABLE, &self.genesis),
        ]
    }
}

/// The native program of a toolchain package; its script would start a second Node.js.
fn tool(package: &Package, name: &str) -> PathBuf {
    let folder = format!("node_modules/@foundry-rs/{name}-linux-amd64/bin");
    package.folder.join(folder).join(name)
}

/// The compiler's script asks the environment for Node.js.
fn path_with(first: Option<PathBuf>) -> std::ffi::OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = first.into_iter().chain(env::split_paths(&path));
    env::join_paths(folders).unwrap_or(path)
}

fn is_current(workspace: &Workspace, genesis: &Path) -> Result<bool, Failure> {
    let Some(made) = fs::metadata(genesis)
        .and_then(|found| found.modified())
        .ok()
    else {
        return Ok(false);
    };
    for source in SOURCES {
        if changed(&workspace.join(source))? >= made {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When the newest file in here was written.
fn changed(path: &Path) -> Result<SystemTime, Failure> {
    let found = fs::metadata(path).map_err(Failure::file("reading", path))?;
    let mut newest = found.modified().map_err(Failure::file("reading", path))?;
    if found.is_dir() {
        for entry in fs::read_dir(path).map_err(Failure::file("listing", path))? {
            let entry = entry.map_err(Failure::file("listing", path))?;
            newest = newest.max(changed(&entry.path())?);
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_file_decides_however_deep() {
        let folder = env::temp_dir().join(format!("d402-devnet-{}", std::process::id()));
        let deep = folder.join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(folder.join("old.sol"), "").unwrap();
        let before = changed(&folder).unwrap();
        let later = before.checked_add(Duration::from_secs(60)).unwrap();
        let file = fs::File::create(deep.join("new.sol")).unwrap();
        file.set_modified(later).unwrap();
        assert_eq!(changed(&folder).unwrap(), later);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_source_that_is_gone_is_an_error_not_old() {
        assert!(changed(Path::new("contracts/nowhere")).is_err());
    }
}
