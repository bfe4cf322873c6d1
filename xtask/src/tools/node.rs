//! Node.js and the packages of a folder with a lockfile: exactly that lockfile, without install
//! scripts. The machine's own Node.js is used where it is new enough, a pinned one otherwise.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{ASK, NODE, NPM, python};
use crate::{cache::Cache, failure::Failure, process::Call, workspace::Workspace};

const LIMIT: Duration = Duration::from_secs(10 * 60);
/// The TypeScript verifier.
const VERIFIER: &str = "tools/js";
/// Stock x402 clients and the stock facilitator.
const CLIENTS: &str = "tools/x402-clients";
/// Names the folder of the stock clients, for programs that start them.
const CLIENTS_VARIABLE: &str = "D402_X402_CLIENTS";
/// Names Node.js, for the same.
const NODE_VARIABLE: &str = "D402_NODE";
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

    pub(crate) fn node(&self, limit: Duration) -> Call {
        Call::new(&self.node, limit)
    }

    /// The folder of `node` where that is not the machine's own: programs that start `node` by its
    /// name need it on the PATH.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        self.npm.as_ref()?;
        self.node.parent().map(PathBuf::from)
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

/// A folder with its npm packages in place.
pub(crate) struct Packages {
    pub(crate) runtime: Runtime,
    pub(crate) folder: PathBuf,
    name: &'static str,
}

impl Packages {
    /// Those of the TypeScript verifier.
    pub(crate) fn verifier(workspace: &Workspace, cache: &Cache) -> Result<Self, Failure> {
        Self::install(workspace, cache, VERIFIER)
    }

    /// The stock clients. They take the buyer's guard from the verifier, so its packages are there too.
    pub(crate) fn clients(workspace: &Workspace, cache: &Cache) -> Result<Self, Failure> {
        Self::verifier(workspace, cache)?;
        Self::install(workspace, cache, CLIENTS)
    }

    /// What a program needs in its environment to start the programs of this folder.
    pub(crate) fn told(&self) -> [(&'static str, &Path); 2] {
        [
            (CLIENTS_VARIABLE, &self.folder),
            (NODE_VARIABLE, &self.runtime.node),
        ]
    }

    pub(super) fn install(
        workspace: &Workspace,
        cache: &Cache,
        name: &'static str,
    ) -> Result<Self, Failure> {
        let packages = Self {
            runtime: Runtime::find(workspace, cache)?,
            folder: workspace.join(name),
            name,
        };
        let lockfile = packages.folder.join("package-lock.json");
        let wanted = fs::read(&lockfile).map_err(Failure::file("reading", &lockfile))?;
        if packages.holds(&wanted) {
            return Ok(packages);
        }
        let _lock = cache.lock("npm")?;
        if !packages.holds(&wanted) {
            packages.fill(cache)?;
            let stamp = packages.folder.join(STAMP);
            fs::write(&stamp, &wanted).map_err(Failure::file("writing", &stamp))?;
        }
        Ok(packages)
    }

    /// True where the installed packages are those of this lockfile.
    fn holds(&self, wanted: &[u8]) -> bool {
        fs::read(self.folder.join(STAMP)).is_ok_and(|installed| installed == wanted)
    }

    fn fill(&self, cache: &Cache) -> Result<(), Failure> {
        let name = self.name;
        eprintln!("installing the packages of {name}/package-lock.json");
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
                "make the npm registry reachable and run again, or by hand: cd {name} && npm ci"
            ),
        })
    }
}
