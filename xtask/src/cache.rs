//! The folder this tool owns outside the clone: tools and package caches that outlive a clone.
//!
//! `D402_CACHE` names it; the default is `$HOME/.cache/d402`, or `.cache` in the clone where there
//! is no home. Deleting it is always safe. Writers hold a lock file, so that runs side by side
//! wait for each other instead of mixing their files.

use std::{
    env,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{clock::Stopwatch, failure::Failure, workspace::Workspace};

const LOCK_WAIT: Duration = Duration::from_secs(15 * 60);
const LOCK_POLL: Duration = Duration::from_millis(200);

pub(crate) struct Cache(PathBuf);

impl Cache {
    pub(crate) fn open(workspace: &Workspace) -> Result<Self, Failure> {
        let named = env::var_os("D402_CACHE").filter(|value| !value.is_empty());
        let home = env::var_os("HOME").filter(|value| !value.is_empty());
        let folder = match (named, home) {
            (Some(folder), _) => PathBuf::from(folder),
            (None, Some(home)) => PathBuf::from(home).join(".cache/d402"),
            (None, None) => workspace.join(".cache"),
        };
        fs::create_dir_all(&folder).map_err(Failure::file("creating", &folder))?;
        let folder = folder
            .canonicalize()
            .map_err(Failure::file("resolving", &folder))?;
        Ok(Self(folder))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, relative: &str) -> PathBuf {
        self.0.join(relative)
    }

    /// Waits until this process is the only one writing `what`. The lock ends with the value, or
    /// with the process.
    pub(crate) fn lock(&self, what: &str) -> Result<File, Failure> {
        let path = self.join(&format!("{what}.lock"));
        let file = File::create(&path).map_err(Failure::file("creating", &path))?;
        let waiting = Stopwatch::start();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(source)) => {
                    return Err(Failure::file("locking", path)(source));
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if waiting.elapsed() > LOCK_WAIT {
                return Err(Failure::Locked {
                    lock: path,
                    waited: LOCK_WAIT,
                });
            }
            if !told {
                eprintln!("waiting for another run that is installing {what}");
                told = true;
            }
            thread::sleep(LOCK_POLL);
        }
    }
}
