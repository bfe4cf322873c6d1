//! Foundry: forge and anvil as prebuilt programs, the compiler and the Solidity libraries, all from the
//! lockfile of `tools/evm`.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Packages, Runtime};
use crate::{cache::Cache, failure::Failure, process::Call, workspace::Workspace};

const FOLDER: &str = "tools/evm";
const GENESIS: &str = "target/foundry/dev/genesis.json";
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Names anvil for tests and programs that start a local chain.
const ANVIL_VARIABLE: &str = "D402_ANVIL";
/// Names the genesis of a local Base Sepolia.
const GENESIS_VARIABLE: &str = "D402_ANVIL_GENESIS";

/// The programs, ready to run on this workspace.
pub(crate) struct Foundry {
    pub(crate) folder: PathBuf,
    root: PathBuf,
    runtime: Runtime,
}

impl Foundry {
    pub(crate) fn install(workspace: &Workspace, cache: &Cache) -> Result<Self, Failure> {
        let Packages {
            runtime, folder, ..
        } = Packages::install(workspace, cache, FOLDER)?;
        Ok(Self {
            folder,
            root: workspace.root().to_owned(),
            runtime,
        })
    }

    pub(crate) fn forge(&self) -> Call {
        self.call(&self.program("forge"))
    }

    /// Another program that calls forge, and the compiler through it.
    pub(crate) fn call(&self, program: &Path) -> Call {
        Call::new(program, LIMIT)
            .dir(&self.root)
            .env("PATH", self.path())
            .env("FOUNDRY_DISABLE_NIGHTLY_WARNING", "1")
    }

    pub(crate) fn anvil(&self) -> PathBuf {
        self.program("anvil")
    }

    /// What a program needs in its environment to start a local Base Sepolia. The genesis is written
    /// fresh from the contracts as they are.
    pub(crate) fn chain(&self) -> Result<[(&'static str, PathBuf); 2], Failure> {
        self.forge()
            .args(["script", "contracts/dev/Genesis.s.sol", "--quiet"])
            .run()?;
        Ok([
            (ANVIL_VARIABLE, self.anvil()),
            (GENESIS_VARIABLE, self.root.join(GENESIS)),
        ])
    }

    /// npm puts the program for this machine into a package of its own; the wrapper around it costs a
    /// start of node.
    fn program(&self, name: &str) -> PathBuf {
        let system = match env::consts::OS {
            "macos" => "darwin",
            other => other,
        };
        let machine = match env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        self.folder
            .join("node_modules/@foundry-rs")
            .join(format!("{name}-{system}-{machine}/bin/{name}"))
    }

    /// With forge for the analysers, and node for the compiler.
    fn path(&self) -> OsString {
        let forge = self.program("forge");
        let own = forge.parent().map(PathBuf::from).into_iter();
        let given = env::var_os("PATH").unwrap_or_default();
        let folders = own.chain(self.runtime.folder());
        let all = folders.chain(env::split_paths(&given));
        env::join_paths(all).unwrap_or(given)
    }
}
