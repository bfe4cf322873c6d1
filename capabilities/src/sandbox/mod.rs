//! The parent side: one child process per run, bounded in time, bytes and number.
//!
//! [`Sandbox`] is what workers and validators hold; `child` is the life of one process.

mod child;
mod error;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

pub use error::SandboxError;

use crate::capability::{Blob, Claim, Judgement, Refusal};
use crate::exec::wire::{
    ExecRequest, ExecResponse, MAX_REQUEST_BYTES, Operation, Policy, Produced,
};
use crate::manifest::Limits;
use crate::registry::capability;

/// Wall clock on top of the manifest's, for starting the process and writing the response.
const GRACE: Duration = Duration::from_millis(500);
/// Response bytes on top of output and evidence: member names, digests, reasons.
const RESPONSE_OVERHEAD_BYTES: u64 = 64 << 10;

/// How children are run.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The program that calls [`crate::run_exec`].
    pub program: PathBuf,
    /// Its arguments, e.g. `exec`.
    pub args: Vec<OsString>,
    /// Children at the same time.
    pub max_children: usize,
    /// Requests waiting for a child beyond those running; more are refused as busy.
    pub max_waiting: usize,
    /// The operator's exceptions, as [`crate::fetch::AllowRule`] reads them.
    pub allow_hosts: Vec<String>,
}

impl SandboxConfig {
    /// The running program with the argument `exec`, two children, 64 waiting, no exceptions.
    ///
    /// # Errors
    /// When the system does not say what the running program is.
    pub fn current_exe() -> std::io::Result<Self> {
        Ok(Self {
            program: std::env::current_exe()?,
            args: vec!["exec".into()],
            max_children: 2,
            max_waiting: 64,
            allow_hosts: Vec::new(),
        })
    }
}

/// Work to be done or judged.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// Which capability.
    pub capability_id: String,
    /// The task's input document.
    pub input: Value,
    /// Blobs the input names by CID.
    pub blobs: Vec<Blob>,
    /// Tighter limits than the manifest's.
    pub limits: Option<Limits>,
}

/// What came of doing a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Execution {
    /// The work is done.
    Done(Box<Produced>),
    /// The work is refused; there is nothing to claim.
    Refused(Refusal),
}

/// What came of judging a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judging {
    /// A verdict.
    Judged(Judgement),
    /// No verdict now, e.g. because the page did not load; asking again later makes sense.
    CannotJudge(Refusal),
}

/// Runs jobs in child processes. Cheap to clone; clones share the bounds.
#[derive(Debug, Clone)]
pub struct Sandbox {
    config: Arc<SandboxConfig>,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Sandbox {
    /// A sandbox with its own bounds.
    #[must_use]
    pub fn new(config: SandboxConfig) -> Self {
        let running = Arc::new(Semaphore::new(config.max_children));
        let admitted = Arc::new(Semaphore::new(
            config.max_children.saturating_add(config.max_waiting),
        ));
        Self {
            config: Arc::new(config),
            running,
            admitted,
        }
    }

    /// Does a job. Dropping the future kills the child.
    ///
    /// # Errors
    /// [`SandboxError`] when the child did not answer within its bounds.
    pub async fn execute(&self, job: Job) -> Result<Execution, SandboxError> {
        match self.run(Operation::Execute, job, None).await? {
            ExecResponse::Ok(produced) => Ok(Execution::Done(Box::new(produced))),
            ExecResponse::Refused(refusal) => Ok(Execution::Refused(refusal)),
            ExecResponse::Misuse(misuse) => Err(SandboxError::Misuse(misuse)),
            ExecResponse::Judged(_) | ExecResponse::CannotJudge(_) => {
                Err(SandboxError::WrongAnswer)
            }
        }
    }

    /// Judges a claim about a job. Dropping the future kills the child.
    ///
    /// # Errors
    /// [`SandboxError`] when the child did not answer within its bounds: no verdict either way.
    pub async fn check(&self, job: Job, claim: Claim) -> Result<Judging, SandboxError> {
        match self.run(Operation::Check, job, Some(claim)).await? {
            ExecResponse::Judged(judgement) => Ok(Judging::Judged(judgement)),
            ExecResponse::CannotJudge(refusal) => Ok(Judging::CannotJudge(refusal)),
            ExecResponse::Misuse(misuse) => Err(SandboxError::Misuse(misuse)),
            ExecResponse::Ok(_) | ExecResponse::Refused(_) => Err(SandboxError::WrongAnswer),
        }
    }

    async fn run(
        &self,
        op: Operation,
        job: Job,
        claim: Option<Claim>,
    ) -> Result<ExecResponse, SandboxError> {
        let listed = capability(&job.capability_id).ok_or(SandboxError::UnknownCapability)?;
        let limits = job.limits.map_or(listed.manifest().limits(), |limits| {
            limits.min(listed.manifest().limits())
        });
        let request = ExecRequest {
            op,
            capability_id: job.capability_id,
            input: job.input,
            blobs: job.blobs,
            limits: Some(limits),
            policy: Policy {
                allow_hosts: self.config.allow_hosts.clone(),
            },
            claim,
        };
        let request = serde_json::to_vec(&request).map_err(SandboxError::Request)?;
        let got = u64::try_from(request.len()).unwrap_or(u64::MAX);
        if got > MAX_REQUEST_BYTES {
            return Err(SandboxError::RequestTooLong {
                got,
                limit: MAX_REQUEST_BYTES,
            });
        }
        let _admitted = self
            .admitted
            .try_acquire()
            .map_err(|_| SandboxError::Busy)?;
        let _running = self
            .running
            .acquire()
            .await
            .map_err(|_| SandboxError::Busy)?;
        let bounds = child::Bounds {
            wall: Duration::from_millis(limits.timeout_ms).saturating_add(GRACE),
            // Evidence is base64: four characters for three bytes.
            stdout_bytes: limits
                .output_bytes
                .saturating_mul(4)
                .div_ceil(3)
                .saturating_add(RESPONSE_OVERHEAD_BYTES),
        };
        child::run(&self.config, &request, bounds).await
    }
}
