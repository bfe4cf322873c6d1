//! The life of one child process.
//!
//! Invariants: an empty environment; a process group of its own, killed as a whole on timeout, flood
//! and drop; never more bytes kept than the bound.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{SandboxConfig, SandboxError};
use crate::exec::wire::ExecResponse;

/// What one child may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) wall: Duration,
    pub(super) stdout_bytes: u64,
}

/// A running child whose whole group dies with this value.
struct Group {
    child: Child,
    leader: Option<Pid>,
}

impl Group {
    fn spawn(config: &SandboxConfig) -> Result<Self, SandboxError> {
        let child = Command::new(&config.program)
            .args(&config.args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(SandboxError::Spawn)?;
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Ok(Self { child, leader })
    }

    /// Waits for the leader and forgets it: after this its number may belong to somebody else.
    async fn wait(&mut self) -> Result<ExitStatus, SandboxError> {
        let status = self.child.wait().await.map_err(SandboxError::Pipe)?;
        self.leader = None;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader.take() {
            // Already gone is fine; the runtime reaps the leader.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Runs one child to its end or to its bounds.
pub(super) async fn run(
    config: &SandboxConfig,
    request: &[u8],
    bounds: Bounds,
) -> Result<ExecResponse, SandboxError> {
    let mut group = Group::spawn(config)?;
    let (answer, status) = tokio::time::timeout(
        bounds.wall,
        converse(&mut group, request, bounds.stdout_bytes),
    )
    .await
    .map_err(|_| SandboxError::TimedOut {
        timeout_ms: u64::try_from(bounds.wall.as_millis()).unwrap_or(u64::MAX),
    })??;
    match (status.signal(), status.code()) {
        (Some(signal), _) if signal == Signal::XCPU.as_raw() => Err(SandboxError::CpuExhausted),
        // The hard processor limit kills outright. So does the system when memory is short on the whole
        // machine; both mean that this run cannot have what it needs.
        (Some(signal), _) if signal == Signal::KILL.as_raw() => Err(SandboxError::CpuExhausted),
        (Some(signal), _) => Err(SandboxError::Died { signal }),
        (None, Some(0)) => serde_json::from_slice(&answer).map_err(SandboxError::Response),
        (None, code) => Err(SandboxError::Exited { code }),
    }
}

async fn converse(
    group: &mut Group,
    request: &[u8],
    stdout_bytes: u64,
) -> Result<(Vec<u8>, ExitStatus), SandboxError> {
    let broken = || SandboxError::Pipe(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
    let mut stdin = group.child.stdin.take().ok_or_else(broken)?;
    let stdout = group.child.stdout.take().ok_or_else(broken)?;
    let ask = async move {
        // A child that answers without reading everything closes the pipe; its answer still counts.
        let _ = stdin.write_all(request).await;
        let _ = stdin.shutdown().await;
    };
    let listen = async move {
        let mut answer = Vec::new();
        let read = stdout
            .take(stdout_bytes.saturating_add(1))
            .read_to_end(&mut answer)
            .await;
        read.map(|_| answer).map_err(SandboxError::Pipe)
    };
    // Listening ends first on a flood, so asking must not be waited for.
    let answer = tokio::select! {
        biased;
        answer = listen => answer?,
        never = async { ask.await; std::future::pending::<Result<Vec<u8>, SandboxError>>().await } => never?,
    };
    if u64::try_from(answer.len()).unwrap_or(u64::MAX) > stdout_bytes {
        return Err(SandboxError::OutputFlood {
            limit: stdout_bytes,
        });
    }
    let status = group.wait().await?;
    Ok((answer, status))
}
