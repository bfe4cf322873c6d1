//! The PostgreSQL programs of the machine: where they are, how to get them, who may run them.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    failure::Failure,
    process::{Call, is_package_variable},
    tools::{debian, on_path},
};

/// The only role of the cluster.
pub(super) const USER: &str = "d402";

const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";
const ASK: Duration = Duration::from_secs(30);
const FIX: &str = "apt-get install postgresql, as root, or put `initdb` and `postgres` on the PATH";

/// The folder with `initdb` and `postgres`.
pub(crate) struct Server {
    programs: PathBuf,
}

/// The version of the installed server, for the tool list.
pub(crate) fn version() -> Result<String, Failure> {
    Server::find_or_install()?.version()
}

impl Server {
    pub(crate) fn find_or_install() -> Result<Self, Failure> {
        if let Some(server) = Self::find() {
            return Ok(server);
        }
        if debian::can_install() {
            debian::refuse_system_cluster()?;
            debian::install("PostgreSQL", &["postgresql"], FIX)?;
        }
        Self::find().ok_or_else(|| Failure::Tool {
            tool: "PostgreSQL",
            found: "not found".to_owned(),
            needed: "any supported version, server included",
            fix: FIX,
        })
    }

    /// Programs beside the real `initdb` on the PATH, else Debian's newest version.
    pub(super) fn find() -> Option<Self> {
        let on_path = on_path("initdb")
            .and_then(|link| link.canonicalize().ok())
            .and_then(|file| file.parent().map(Path::to_path_buf));
        on_path
            .into_iter()
            .chain(newest_first(Path::new(DEBIAN_FOLDER)))
            .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
            .map(|programs| Self { programs })
    }

    pub(crate) fn version(&self) -> Result<String, Failure> {
        let printed = Call::new(self.programs.join("postgres"), ASK)
            .arg("--version")
            .quiet()
            .output()?;
        Ok(printed
            .trim()
            .trim_start_matches("postgres (PostgreSQL) ")
            .to_owned())
    }

    /// A call of one of the programs as `owner`, in `folder`.
    pub(super) fn command(&self, program: &str, owner: Option<Owner>, folder: &Path) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(folder).env("LC_ALL", "C");
        for (name, _) in std::env::vars_os() {
            // Connection settings of the caller's own databases must not leak in.
            if is_package_variable(&name) || name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        if let Some(owner) = owner {
            command.uid(owner.user).gid(owner.group);
        }
        command
    }
}

/// Version folders such as `15/bin`, the highest number first.
fn newest_first(folder: &Path) -> Vec<PathBuf> {
    let mut versions = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_string_lossy().parse::<u32>().ok()?;
            Some((number, entry.path().join("bin")))
        })
        .collect::<Vec<_>>();
    versions.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    versions.into_iter().map(|(_, path)| path).collect()
}

/// The account a server runs as when this process is root, which PostgreSQL refuses to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Owner {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Owner {
    /// `None` for anybody but root: the server then runs as the caller.
    pub(super) fn needed() -> Option<Self> {
        if !debian::is_root() {
            return None;
        }
        let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self::named(&accounts, "postgres").or_else(|| Self::named(&accounts, "nobody"))
    }

    fn named(accounts: &str, name: &str) -> Option<Self> {
        let line = accounts
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(str::parse::<u32>);
        Some(Self {
            user: ids.next()?.ok()?,
            group: ids.next()?.ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_installed_version_is_preferred() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["9", "15", "17", "notes"] {
            fs::create_dir(folder.path().join(version)).unwrap();
        }
        let found = newest_first(folder.path());
        let expected = ["17/bin", "15/bin", "9/bin"].map(|version| folder.path().join(version));
        assert_eq!(found, expected);
    }

    #[test]
    fn an_account_is_read_with_its_user_and_group() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104:,,,:/var:/bin/sh\n";
        let expected = Owner {
            user: 101,
            group: 104,
        };
        assert_eq!(Owner::named(accounts, "postgres"), Some(expected));
        assert_eq!(Owner::named(accounts, "nobody"), None);
    }
}
