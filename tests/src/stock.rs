//! The stock x402 clients of `tools/x402-clients`, one purchase per process.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Names the folder of the clients.
pub(crate) const FOLDER: &str = "D402_X402_CLIENTS";
/// Names Node.js.
pub(crate) const NODE: &str = "D402_NODE";
/// One purchase, with the start of Node.js on a busy machine.
const PURCHASE: Duration = Duration::from_secs(120);

/// The path an environment variable of `cargo xtask` names.
pub(crate) fn named(variable: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(
        || panic!("{variable} is not set; run these tests with: cargo xtask test"),
        PathBuf::from,
    )
}

/// Runs a job of `src/main.ts` and reads what came of it: `{status, body, receipt}` or `{error}`.
pub async fn buy_with_stock_client(job: &Value) -> Value {
    let mut node = Command::new(named(NODE))
        .args(["--import", "tsx", "src/main.ts"])
        .current_dir(named(FOLDER))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Node.js starts");
    let mut input = node.stdin.take().expect("its input");
    let text = serde_json::to_vec(job).expect("JSON");
    input.write_all(&text).await.expect("it reads");
    drop(input);
    let output = tokio::time::timeout(PURCHASE, node.wait_with_output())
        .await
        .unwrap_or_else(|_| panic!("a stock client does not end within {PURCHASE:?}"))
        .expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}
