//! The programs the project needs from outside: found, checked for their version, installed where
//! this tool may, and otherwise refused with the exact fix.

mod contracts;
pub(crate) mod debian;
mod digest;
mod node;
mod python;
mod sbf;
mod solana;
mod version;

pub(crate) use contracts::Foundry;
pub(crate) use node::{Packages, Runtime};
pub(crate) use python::{api_tester, cargo_tool, contract_analysers};
pub(crate) use sbf::{Cluster, Sbf};
pub(crate) use solana::Solana;

use std::{path::PathBuf, time::Duration};

use crate::{failure::Failure, process::Call};
use version::Version;

const ASK: Duration = Duration::from_secs(60);

/// A program of the machine this project relies on.
pub(crate) struct Requirement {
    pub(crate) tool: &'static str,
    program: &'static str,
    args: &'static [&'static str],
    minimum: Version,
    pub(crate) needed: &'static str,
    debian: &'static [&'static str],
    fix: &'static str,
}

pub(crate) const RUST: Requirement = Requirement {
    tool: "rust",
    program: "rustc",
    args: &["--version"],
    minimum: Version(1, 95),
    needed: "1.95 (rust-toolchain.toml)",
    debian: &[],
    fix: "install rustup; it reads rust-toolchain.toml and fetches the rest",
};

pub(crate) const LINKER: Requirement = Requirement {
    tool: "C compiler",
    program: "cc",
    args: &["--version"],
    minimum: Version(0, 0),
    needed: "any (links Rust programs, builds SQLite)",
    debian: &["gcc", "libc6-dev"],
    fix: "apt-get install gcc libc6-dev, as root",
};

pub(crate) const GIT: Requirement = Requirement {
    tool: "git",
    program: "git",
    args: &["--version"],
    minimum: Version(2, 30),
    needed: "2.30 or newer",
    debian: &["git"],
    fix: "apt-get install git, as root",
};

pub(crate) const PYTHON: Requirement = Requirement {
    tool: "python",
    program: "python3",
    args: &[
        "-c",
        "import ensurepip, sys, venv; print('Python', sys.version)",
    ],
    minimum: Version(3, 11),
    needed: "3.11 or newer, with venv",
    debian: &["python3", "python3-venv"],
    fix: "apt-get install python3 python3-venv, as root (Debian 12 or newer)",
};

pub(crate) const NODE: Requirement = Requirement {
    tool: "node",
    program: "node",
    args: &["--version"],
    minimum: Version(20, 19),
    needed: "20.19 or newer",
    debian: &[],
    fix: "install Node.js 20.19 or newer and put `node` on the PATH",
};

pub(crate) const NPM: Requirement = Requirement {
    tool: "npm",
    program: "npm",
    args: &["--version"],
    minimum: Version(9, 0),
    needed: "9 or newer",
    debian: &[],
    fix: "install npm 9 or newer (it comes with Node.js)",
};

impl Requirement {
    /// Returns the version found, after installing the program where that is possible.
    pub(crate) fn ensure(&self) -> Result<String, Failure> {
        if let Found::Good(version) = self.look() {
            return Ok(version);
        }
        if !self.debian.is_empty() && debian::can_install() {
            debian::install(self.tool, self.debian, self.fix)?;
        }
        match self.look() {
            Found::Good(version) => Ok(version),
            Found::Old(found) => Err(self.refuse(found)),
            Found::Missing => Err(self.refuse("not found".to_owned())),
        }
    }

    /// The version found, where it will do. Installs nothing.
    pub(crate) fn present(&self) -> Option<String> {
        match self.look() {
            Found::Good(version) => Some(version),
            Found::Old(_) | Found::Missing => None,
        }
    }

    fn refuse(&self, found: String) -> Failure {
        Failure::Tool {
            tool: self.tool,
            found,
            needed: self.needed,
            fix: self.fix,
        }
    }

    fn look(&self) -> Found {
        let answer = Call::new(self.program, ASK)
            .args(self.args)
            .quiet()
            .output();
        match answer {
            Ok(text) => judge(&text, self.minimum),
            Err(_) => Found::Missing,
        }
    }
}

#[derive(Debug, PartialEq)]
enum Found {
    Good(String),
    Old(String),
    Missing,
}

/// Reads the version a program printed and holds it against the lowest one that will do.
fn judge(printed: &str, minimum: Version) -> Found {
    let line = printed.lines().next().unwrap_or_default().trim().to_owned();
    match Version::find(&line) {
        Some(version) if version >= minimum => Found::Good(line),
        None if minimum == Version(0, 0) => Found::Good(line),
        Some(_) | None => Found::Old(line),
    }
}

/// The first program of that name on the PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_version_than_needed_is_refused() {
        assert_eq!(
            judge("v18.19.0\n", Version(20, 19)),
            Found::Old("v18.19.0".into())
        );
        assert_eq!(
            judge("v20.20.2\n", Version(20, 19)),
            Found::Good("v20.20.2".into())
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_refused_with_its_fix() {
        let missing = Requirement {
            program: "d402-no-such-program",
            debian: &[],
            ..NODE
        };
        let failure = missing.ensure().unwrap_err().to_string();
        assert!(failure.contains("fix: install Node.js 20.19"), "{failure}");
    }
}
