//! Where the clone is, and how this run was asked to behave.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// One clone of the project. Found from where the command runs, never compiled in: several clones
/// may share a target folder, and with it this binary.
#[derive(Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
    ci: bool,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self, Failure> {
        let from_cargo = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let start = from_cargo
            .or_else(|| env::current_dir().ok())
            .ok_or(Failure::NoWorkspace)?;
        let root = start
            .ancestors()
            .find(|folder| is_root(folder))
            .ok_or(Failure::NoWorkspace)?;
        Ok(Self {
            root: root.to_path_buf(),
            ci: env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false"),
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// True on a build server: lockfiles are held fixed and every test failure is shown.
    pub(crate) fn ci(&self) -> bool {
        self.ci
    }

    /// The same clone, run the way a build server runs it.
    pub(crate) fn into_ci(self) -> Self {
        Self { ci: true, ..self }
    }

    pub(crate) fn join(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }
}

fn is_root(folder: &Path) -> bool {
    fs::read_to_string(folder.join("Cargo.toml"))
        .is_ok_and(|manifest| manifest.lines().any(|line| line.trim() == "[workspace]"))
}
