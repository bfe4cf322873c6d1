//! Everything that can stop a command, each with what to do next.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use crate::clock;

/// Why a command stopped. The message says the context; `source` the cause.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{tool} is missing or too old ({found}); this project needs {needed}\n  fix: {fix}")]
    Tool {
        tool: &'static str,
        found: String,
        needed: &'static str,
        fix: &'static str,
    },
    #[error("`{command}` cannot be started")]
    Start {
        command: String,
        source: std::io::Error,
    },
    #[error("`{command}` ended with {status}")]
    Command {
        command: String,
        status: std::process::ExitStatus,
    },
    #[error("installing {what} with `{command}` failed\n  fix: {fix}")]
    Install {
        what: &'static str,
        command: String,
        fix: String,
    },
    #[error("`{command}` was still running after {}, so it was stopped", clock::show(*limit))]
    Timeout { command: String, limit: Duration },
    #[error("{action} {}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{command}` printed something that is not the JSON this tool reads")]
    Json {
        command: String,
        source: serde_json::Error,
    },
    #[error("no folder above this one holds the d402 workspace; run this inside a clone")]
    NoWorkspace,
    #[error("another run has held {} for {}\n  fix: wait for that run, or delete the file if none is left", lock.display(), clock::show(*waited))]
    Locked { lock: PathBuf, waited: Duration },
    #[error("{count} finding(s) in {rule}")]
    Findings { rule: &'static str, count: usize },
    #[error("no {what} found in {}; a suite that runs nothing proves nothing", place.display())]
    Nothing { what: &'static str, place: PathBuf },
    #[error("the package {package} builds no program named `{program}`")]
    NoProgram {
        package: &'static str,
        program: String,
    },
    #[error("there is no benchmark `{name}`; there is: {known}")]
    UnknownBenchmark { name: String, known: String },
    #[error("{url} is not an address of this machine; the API tester sends nothing elsewhere")]
    NotLocal { url: String },
    #[error("there is no step `{name}`; the steps are {known}")]
    UnknownStep { name: String, known: String },
    #[error("no step is left to run: --only and --skip exclude each other here")]
    NoSteps,
    #[error("PostgreSQL did not start: {reason}\n{log}")]
    Postgres { reason: &'static str, log: String },
    #[error("{what}")]
    Unproven { what: &'static str },
    #[error("step `{step}` failed")]
    Step {
        step: &'static str,
        #[source]
        source: Box<Failure>,
    },
}

impl Failure {
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    /// Prints the failure with its causes to standard error.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("error: {self}");
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            eprintln!("  because: {inner}");
            cause = inner.source();
        }
        ExitCode::FAILURE
    }
}
