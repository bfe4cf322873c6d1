//! The demo's processes: started, waited for, and ended.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::cli::Failure;
use crate::config::NodeConfig;

/// How long a node may take to come up.
pub(super) const START: Duration = Duration::from_secs(40);
/// How long a node may take to leave.
const LEAVE: Duration = Duration::from_secs(5);

/// Nodes as processes of their own.
#[derive(Default)]
pub(super) struct Processes(Vec<(String, Child)>);

impl Processes {
    /// Starts a node; its log is a file beside its state. Returns the file it writes once it is up.
    pub(super) fn spawn(
        &mut self,
        label: &str,
        mut config: NodeConfig,
    ) -> Result<PathBuf, Failure> {
        std::fs::create_dir_all(&config.state_dir)?;
        let ready_file = config.state_dir.join("ready.json");
        config.ready_file = Some(ready_file.clone());
        let path = config.state_dir.join("node.toml");
        std::fs::write(&path, toml::to_string(&config)?)?;
        let log = std::fs::File::create(config.state_dir.join("node.log"))?;
        let child = Command::new(std::env::current_exe()?)
            .args(["--json", "node", "--config"])
            .arg(&path)
            .env(
                "RUST_LOG",
                std::env::var("D402_DEMO_LOG").unwrap_or_else(|_| "info,libp2p=warn".to_owned()),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .kill_on_drop(true)
            .spawn()?;
        self.0.push((label.to_owned(), child));
        Ok(ready_file)
    }

    /// What a node says about itself once it is up.
    pub(super) async fn wait_ready(&mut self, label: &str, file: &Path) -> Result<Value, Failure> {
        let waiting = async {
            loop {
                if let Ok(bytes) = std::fs::read(file) {
                    return serde_json::from_slice::<Value>(&bytes).map_err(Failure::from);
                }
                if let Some((_, child)) = self.0.iter_mut().find(|(l, _)| l == label)
                    && let Some(status) = child.try_wait()?
                {
                    let log = file.with_file_name("node.log");
                    return Err(format!(
                        "{label} ended at its start ({status}); see {}",
                        log.display()
                    )
                    .into());
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        };
        tokio::time::timeout(START, waiting)
            .await
            .map_err(|_| format!("{label} did not come up in time"))?
    }

    /// Asks every process to leave, and ends those that do not.
    pub(super) async fn stop(&mut self) {
        for (_, child) in &self.0 {
            if let Some(id) = child.id() {
                // `kill` of the system: SIGTERM needs no unsafe code this way.
                let _asked = Command::new("kill")
                    .arg("-TERM")
                    .arg(id.to_string())
                    .status()
                    .await;
            }
        }
        for (label, child) in &mut self.0 {
            if tokio::time::timeout(LEAVE, child.wait()).await.is_err() {
                tracing::warn!(label, "did not leave, ending it");
                let _ended = child.kill().await;
            }
        }
    }
}

/// A port nobody listens on right now.
pub(super) fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
