//! Node.js and the npm packages of this project: exactly their lockfiles, without install scripts.
//! The machine's own Node.js is used where it is new enough, a pinned one otherwise.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{ASK, NODE, NPM, python};
use crate::{cache::Cache, failure::Failure, process::Call, workspace::Workspace};

const LIMIT: Duration = Duration::from_secs(10 * 60);
/// The TypeScript implementation.
pub(crate) const VERIFIER: &str = "tools/js";
/// Stock x402 clients and the stock facilitator.
pub(crate) const CLIENTS: &str = "tools/x402-clients";
/// Contract toolchain: compiler, forge, anvil, libraries.
pub(crate) const EVM: &str = "tools/evm";
const STAMP: &str = "node_modules/.d402-lock.json";
const NPM_SCRIPT: &str = "lib/node_modules/npm/bin/npm-cli.js";

/// How to start `node` and `npm`.
pub(crate) struct Runtime {
    node: PathBuf,
    /// The script to hand to `node`; `None` where `npm` is a program of the machine.
    npm: Option<PathBuf>,
}

impl Runtime {
    /// The machine's Node.js, or the pinned one after installing it into the cache.
    pub(crate) fn find(workspace: &Workspace, cache: &Cache) -> Result<Self, Failure> {
        if NODE.present().is_some() && NPM.present().is_some() {
            return Ok(Self {
                node: PathBuf::from("node"),
                npm: None,
            });
        }
        let home = python::node_home(workspace, cache)?;
        Ok(Self {
            node: home.join("bin/node"),
            npm: Some(home.join(NPM_SCRIPT)),
        })
    }

    /// The folder to look for `node` in; `None` where it is a program of the machine.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        let folder = self.node.parent()?;
        (!folder.as_os_str().is_empty()).then(|| folder.to_path_buf())
    }

    /// The program itself.
    pub(crate) fn program(&self) -> &Path {
        &self.node
    }

    pub(crate) fn node(&self, limit: Duration) -> Call {
        Call::new(&self.node, limit)
    }

    fn npm(&self) -> Call {
        match &self.npm {
            Some(script) => self.node(LIMIT).arg(script),
            None => Call::new("npm", LIMIT),
        }
    }

    /// The version of `node`, as it prints it.
    pub(crate) fn version(&self) -> Result<String, Failure> {
        let printed = self.node(ASK).arg("--version").quiet().output()?;
        Ok(printed.trim().to_owned())
    }
}

/// A package of this project with its dependencies in place.
pub(crate) struct Package {
    pub(crate) runtime: Runtime,
    pub(crate) folder: PathBuf,
}

impl Package {
    /// Installs what the lockfile in `folder` names, unless that is there already.
    pub(crate) fn install(
        workspace: &Workspace,
        cache: &Cache,
        folder: &'static str,
    ) -> Result<Self, Failure> {
        let package = Self {
            runtime: Runtime::find(workspace, cache)?,
            folder: workspace.join(folder),
        };
        let lockfile = package.folder.join("package-lock.json");
        let wanted = fs::read(&lockfile).map_err(Failure::file("reading", &lockfile))?;
        if package.holds(&wanted) {
            return Ok(package);
        }
        let _lock = cache.lock("npm")?;
        if !package.holds(&wanted) {
            package.fill(cache, folder)?;
            let stamp = package.folder.join(STAMP);
            fs::write(&stamp, &wanted).map_err(Failure::file("writing", &stamp))?;
        }
        Ok(package)
    }

    /// True where the installed packages are those of this lockfile.
    fn holds(&self, wanted: &[u8]) -> bool {
        fs::read(self.folder.join(STAMP)).is_ok_and(|installed| installed == wanted)
    }

    fn fill(&self, cache: &Cache, folder: &str) -> Result<(), Failure> {
        eprintln!("installing the packages of {folder}/package-lock.json");
        let install = self
            .runtime
            .npm()
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .args(["--loglevel", "error"])
            .env("npm_config_cache", cache.join("npm"))
            .dir(&self.folder);
        let command = install.shown();
        install.run().map_err(|_| Failure::Install {
            what: "npm packages",
            command,
            fix: format!(
                "make the npm registry reachable and run again, or by hand: cd {folder} && npm ci"
            ),
        })
    }
}
