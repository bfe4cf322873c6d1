//! The compiler of the Solana programs: the chain's own tools where the machine has them, otherwise a
//! toolchain made once out of Debian packages (ADR 19) and kept in the cache.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Requirement, on_path, version::Version};
use crate::{cache::Cache, failure::Failure, process::Call, workspace::Workspace};

const SETUP: Duration = Duration::from_secs(40 * 60);
const BUILD: Duration = Duration::from_secs(40 * 60);
/// The command of the chain's own tools; `anchor build` runs it too.
const OFFICIAL: &str = "cargo-build-sbf";
const FOLDER: &str = "sbf";
const FIX: &str = "on Debian 12, as root: apt-get install --no-install-recommends rustc-web \
    cargo-web rust-web-src llvm-22-dev llvm-22 clang-22 libpolly-22-dev libzstd-dev g++ python3; \
    or install the chain's own tools, so that `cargo build-sbf` works";
const PACKAGES: &[&str] = &[
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "llvm-22-dev",
    "llvm-22",
    "clang-22",
    "libpolly-22-dev",
    "libzstd-dev",
    "g++",
    "python3",
];

/// What `tools/sbf/setup.sh` holds to the exact version; here only whether packages are missing.
const MACHINE: &[Requirement] = &[
    Requirement {
        tool: "rustc-web",
        program: "/usr/bin/rustc",
        args: &["--version"],
        minimum: Version(1, 96),
        needed: "Debian's rustc-web 1.96.0",
        debian: PACKAGES,
        fix: FIX,
    },
    Requirement {
        tool: "LLVM",
        program: "llc-22",
        args: &["--version"],
        minimum: Version(22, 1),
        needed: "LLVM 22.1",
        debian: PACKAGES,
        fix: FIX,
    },
    Requirement {
        tool: "clang",
        program: "clang-22",
        args: &["--version"],
        minimum: Version(22, 1),
        needed: "clang 22.1",
        debian: PACKAGES,
        fix: FIX,
    },
];

/// A compiler for programs of the chain.
pub(crate) enum Sbf {
    /// `cargo build-sbf` is on the PATH.
    Official,
    /// The folder `tools/sbf/setup.sh` filled.
    Cached(PathBuf),
}

impl Sbf {
    /// Finds or makes the toolchain. Quick when nothing changed.
    pub(crate) fn ensure(workspace: &Workspace, cache: &Cache) -> Result<Self, Failure> {
        if on_path(OFFICIAL).is_some() {
            return Ok(Self::Official);
        }
        for requirement in MACHINE {
            requirement.ensure()?;
        }
        let home = cache.join(FOLDER);
        let _lock = cache.lock(FOLDER)?;
        Call::new(workspace.join("tools/sbf/setup.sh"), SETUP)
            .env("SBF_HOME", &home)
            .run()?;
        Ok(Self::Cached(home))
    }

    /// What `cargo xtask setup` prints.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Official => format!("{OFFICIAL}, on the PATH"),
            Self::Cached(home) => home.display().to_string(),
        }
    }

    /// Builds one package of `programs/` and returns the program.
    pub(crate) fn build(
        &self,
        workspace: &Workspace,
        package: &str,
        target: &Path,
    ) -> Result<PathBuf, Failure> {
        let out = target.join("deploy");
        fs::create_dir_all(&out).map_err(Failure::file("creating", &out))?;
        match self {
            Self::Official => Call::new("cargo", BUILD)
                .arg("build-sbf")
                .arg("--manifest-path")
                .arg(workspace.join(&format!("programs/{package}/Cargo.toml")))
                .arg("--sbf-out-dir")
                .arg(&out)
                .run()?,
            Self::Cached(home) => Call::new(workspace.join("tools/sbf/build-program.sh"), BUILD)
                .arg(package)
                .env("SBF_HOME", home)
                .env("SBF_TARGET", target.join("sbf"))
                .env("SBF_OUT", &out)
                .run()?,
        }
        Ok(out.join(format!("{}.so", package.replace('-', "_"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_the_packages_is_told_which() {
        let missing = Requirement {
            program: "/nowhere/rustc",
            debian: &[],
            ..MACHINE[0]
        };
        let failure = missing.ensure().unwrap_err().to_string();
        assert!(failure.contains("rustc-web"), "{failure}");
        assert!(failure.contains("as root"), "{failure}");
    }
}
