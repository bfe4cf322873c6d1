//! The packages of the TypeScript verifier: exactly its lockfile, without install scripts.

use std::{fs, path::PathBuf, time::Duration};

use super::{NODE, NPM};
use crate::{cache::Cache, failure::Failure, process::Call, workspace::Workspace};

const LIMIT: Duration = Duration::from_secs(10 * 60);
const FOLDER: &str = "tools/js";
const STAMP: &str = "node_modules/.d402-lock.json";

/// Returns the folder of the TypeScript package with its dependencies in place.
pub(crate) fn packages(workspace: &Workspace, cache: &Cache) -> Result<PathBuf, Failure> {
    NODE.ensure()?;
    let folder = workspace.join(FOLDER);
    let (lockfile, stamp) = (folder.join("package-lock.json"), folder.join(STAMP));
    let wanted = fs::read(&lockfile).map_err(Failure::file("reading", &lockfile))?;
    let present = || fs::read(&stamp).is_ok_and(|installed| installed == wanted);
    if present() {
        return Ok(folder);
    }
    let _lock = cache.lock("npm")?;
    if present() {
        return Ok(folder);
    }
    NPM.ensure()?;
    eprintln!("installing the packages of {FOLDER}/package-lock.json");
    let install = Call::new("npm", LIMIT)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(["--loglevel", "error"])
        .env("npm_config_cache", cache.join("npm"))
        .dir(&folder);
    let command = install.shown();
    install.run().map_err(|_| Failure::Install {
        what: "the TypeScript packages",
        command,
        fix: format!(
            "make the npm registry reachable and run again, or by hand: cd {FOLDER} && npm ci"
        ),
    })?;
    fs::write(&stamp, &wanted).map_err(Failure::file("writing", &stamp))?;
    Ok(folder)
}
