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
/// The command of the chain's own tools; `anchor build` runs it too, so either of them is enough.
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

/// The cluster a program is built for (#44): its genesis hash and the program's id there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cluster {
    /// The tests' own: devnet's genesis under another program id.
    Local,
    Devnet,
    Mainnet,
}

impl Cluster {
    /// The feature of the package.
    pub(crate) fn features(self) -> &'static [&'static str] {
        match self {
            Self::Local => &[],
            Self::Devnet => &["--features", "devnet"],
            Self::Mainnet => &["--features", "mainnet"],
        }
    }

    /// Programs of one name lie in folders of their own.
    fn folder(self) -> &'static str {
        match self {
            Self::Local => "deploy",
            Self::Devnet => "deploy/devnet",
            Self::Mainnet => "deploy/mainnet",
        }
    }
}

/// A compiler for programs of the chain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sbf {
    /// `cargo build-sbf` is on the PATH.
    Official,
    /// The folder `tools/sbf/setup.sh` filled.
    Cached(PathBuf),
}

impl Sbf {
    /// Finds or makes the toolchain. Quick when nothing changed.
    pub(crate) fn ensure(workspace: &Workspace, cache: &Cache) -> Result<Self, Failure> {
        if let Some(official) = Self::preferred(on_path) {
            return Ok(official);
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

    /// The chain's own tools, where the machine has them: what is deployed is built with them, so what is
    /// tested should be too.
    fn preferred(find: impl Fn(&str) -> Option<PathBuf>) -> Option<Self> {
        find(OFFICIAL).map(|_| Self::Official)
    }

    /// What `cargo xtask setup` prints.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Official => format!("{OFFICIAL}, on the PATH"),
            Self::Cached(home) => home.display().to_string(),
        }
    }

    /// Builds one package of `programs/` for a cluster and returns the program.
    pub(crate) fn build(
        &self,
        workspace: &Workspace,
        package: &str,
        cluster: Cluster,
        target: &Path,
    ) -> Result<PathBuf, Failure> {
        let out = target.join(cluster.folder());
        fs::create_dir_all(&out).map_err(Failure::file("creating", &out))?;
        match self {
            Self::Official => Call::new("cargo", BUILD)
                .arg("build-sbf")
                .arg("--manifest-path")
                .arg(workspace.join(&format!("programs/{package}/Cargo.toml")))
                .arg("--sbf-out-dir")
                .arg(&out)
                .args(cluster.features())
                .run()?,
            Self::Cached(home) => Call::new(workspace.join("tools/sbf/build-program.sh"), BUILD)
                .arg(package)
                .args(cluster.features())
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
    fn the_chains_own_tools_are_preferred_where_they_are() {
        let has = |name: &'static str| {
            move |asked: &str| (asked == name).then(|| PathBuf::from("/tools").join(name))
        };
        assert_eq!(Sbf::preferred(has("cargo-build-sbf")), Some(Sbf::Official));
        // Anchor alone builds nothing: it calls the other.
        assert_eq!(Sbf::preferred(has("anchor")), None);
        assert_eq!(Sbf::preferred(|_| None), None);
    }

    #[test]
    fn programs_of_different_clusters_never_overwrite_each_other() {
        let clusters = [Cluster::Local, Cluster::Devnet, Cluster::Mainnet];
        let mut folders = clusters.map(Cluster::folder);
        folders.sort_unstable();
        assert!(folders.windows(2).all(|pair| pair[0] != pair[1]));
    }

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
