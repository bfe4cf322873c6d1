//! The built programs under test.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

/// Names the folder with the programs.
const FOLDER: &str = "D402_BIN_DIR";

/// Path of a built program.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os(FOLDER)
        .unwrap_or_else(|| panic!("{FOLDER} is not set; run these tests with: cargo xtask test"));
    let path = PathBuf::from(folder).join(name);
    assert!(
        path.is_file(),
        "{} is not built; run these tests with: cargo xtask test",
        path.display()
    );
    path
}

/// Runs `d402` with arguments to its end.
pub async fn run(arguments: &[&str], limit: Duration) -> Output {
    let running = Command::new(program("d402"))
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(limit, running)
        .await
        .unwrap_or_else(|_| panic!("d402 {arguments:?} does not end within {limit:?}"))
        .expect("d402 starts")
}
