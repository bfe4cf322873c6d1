//! On a build server nothing may differ from the commit: a tracked file that building changed was
//! generated, and was committed stale.

use std::time::Duration;

use super::Finding;
use crate::{failure::Failure, process::Call, workspace::Workspace};

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Finding>, Failure> {
    let changed = Call::new("git", Duration::from_secs(60))
        .args(["diff", "--name-only", "HEAD"])
        .dir(workspace.root())
        .quiet()
        .output()?;
    let finding = |path| Finding::new(path, 0, "differs from the commit after building");
    Ok(changed.lines().map(finding).collect())
}
