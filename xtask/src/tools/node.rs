//! Node.js and the packages of the TypeScript verifier: exactly its lockfile, without install
//! scripts. The machine's own Node.js is used where it is new enough, a pinned one otherwise.

use std::{fs, path::PathBuf, time::Duration};

use super::{ASK, NODE, NPM, python};
use crate::{cache::Cache, failure::Failure, process::Call, workspace::Workspace};

const LIMIT: Duration = Duration::from_secs(10 * 60);
const FOLDER: &str = "tools/js";
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

/// The TypeScript package with its dependencies in place.
pub(crate) struct Verifier {
    pub(crate) runtime: Runtime,
    pub(crate) folder: PathBuf,
}

impl Verifier {
    pub(crate) fn install(workspace: &Workspace, cache: &Cache) -> Result<Self, Failure> {
        let verifier = Self {
            runtime: Runtime::find(workspace, cache)?,
            folder: workspace.join(FOLDER),
        };
        let lockfile = verifier.folder.join("package-lock.json");
        let wanted = fs::read(&lockfile).map_err(Failure::file("reading", &lockfile))?;
        if verifier.holds(&wanted) {
            return Ok(verifier);
        }
        let _lock = cache.lock("npm")?;
        if !verifier.holds(&wanted) {
            verifier.fill(cache)?;
            let stamp = verifier.folder.join(STAMP);
            fs::write(&stamp, &wanted).map_err(Failure::file("writing", &stamp))?;
        }
        Ok(verifier)
    }

    /// True where the installed packages are those of this lockfile.
    fn holds(&self, wanted: &[u8]) -> bool {
        fs::read(self.folder.join(STAMP)).is_ok_and(|installed| installed == wanted)
    }

    fn fill(&self, cache: &Cache) -> Result<(), Failure> {
        eprintln!("installing the packages of {FOLDER}/package-lock.json");
        let install = self
            .runtime
            .npm()
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .args(["--loglevel", "error"])
            .env("npm_config_cache", cache.join("npm"))
            .dir(&self.folder);
        let command = install.shown();
        install.run().map_err(|_| Failure::Install {
            what: "the TypeScript packages",
            command,
            fix: format!(
                "make the npm registry reachable and run again, or by hand: cd {FOLDER} && npm ci"
            ),
        })
    }
}
