//! Debian packages: the one thing installed outside the cache folder, and only as root.

use std::{fs, path::Path, time::Duration};

use super::on_path;
use crate::{failure::Failure, process::Call};

const LIMIT: Duration = Duration::from_secs(15 * 60);
const POSTGRES_RULES: &str = "/etc/postgresql-common/createcluster.d";

pub(crate) fn is_root() -> bool {
    Call::new("id", Duration::from_secs(10))
        .arg("-u")
        .quiet()
        .output()
        .is_ok_and(|id| id.trim() == "0")
}

pub(crate) fn can_install() -> bool {
    on_path("apt-get").is_some() && is_root()
}

/// Installs packages with apt, saying so first. The caller checked `can_install`.
pub(crate) fn install(
    what: &'static str,
    packages: &[&str],
    fix: &'static str,
) -> Result<(), Failure> {
    eprintln!(
        "{what} is missing: installing the Debian package(s) {}",
        packages.join(" ")
    );
    let refused = |command: String| Failure::Install {
        what,
        command,
        fix: fix.to_owned(),
    };
    let update = apt().arg("update");
    let command = update.shown();
    update.run().map_err(|_| refused(command))?;
    let add = apt()
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages);
    let command = add.shown();
    add.run().map_err(|_| refused(command))
}

/// The server package would create and start a cluster of the machine; the tests want none.
pub(crate) fn refuse_system_cluster() -> Result<(), Failure> {
    fs::create_dir_all(POSTGRES_RULES).map_err(Failure::file("creating", POSTGRES_RULES))?;
    let rule = Path::new(POSTGRES_RULES).join("d402.conf");
    let text = "# Written by cargo xtask: its tests start a private cluster of their own.\n\
                create_main_cluster = false\n";
    fs::write(&rule, text).map_err(Failure::file("writing", &rule))
}

fn apt() -> Call {
    Call::new("apt-get", LIMIT)
        .arg("-qq")
        .env("DEBIAN_FRONTEND", "noninteractive")
}
