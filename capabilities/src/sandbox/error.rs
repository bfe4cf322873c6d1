//! Why a child gave no usable answer.

use std::io;

use crate::exec::wire::Misuse;

/// Why a child gave no usable answer. None of these says anything about the quality of a claim.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Too many requests are waiting; try again later.
    #[error("all children are busy and the queue is full")]
    Busy,
    /// The registry of this build has no such capability.
    #[error("this build has no such capability")]
    UnknownCapability,
    /// The request does not serialise.
    #[error("the request does not serialise")]
    Request(#[source] serde_json::Error),
    /// The request exceeds what a child reads.
    #[error("the request has {got} bytes, a child reads {limit}")]
    RequestTooLong {
        /// Bytes of the request.
        got: u64,
        /// Bytes a child reads.
        limit: u64,
    },
    /// The program could not be started.
    #[error("the executor does not start")]
    Spawn(#[source] io::Error),
    /// A pipe to the child broke.
    #[error("the pipe to the executor broke")]
    Pipe(#[source] io::Error),
    /// The wall clock ran out; the process group was killed.
    #[error("the executor took longer than {timeout_ms} ms and was killed")]
    TimedOut {
        /// The bound that ran out, in milliseconds.
        timeout_ms: u64,
    },
    /// The child wrote more than its answer can have; the process group was killed.
    #[error("the executor wrote more than {limit} bytes and was killed")]
    OutputFlood {
        /// The bound, in bytes.
        limit: u64,
    },
    /// A processor-time limit ended the child.
    #[error("the executor used up its processor time")]
    CpuExhausted,
    /// The child died of a signal: mostly memory or stack used up.
    #[error("the executor died of signal {signal}")]
    Died {
        /// The signal's number.
        signal: i32,
    },
    /// The child exited without an answer.
    #[error("the executor exited with {code:?} and no answer")]
    Exited {
        /// Its exit code.
        code: Option<i32>,
    },
    /// The answer does not parse.
    #[error("the executor's answer does not parse")]
    Response(#[source] serde_json::Error),
    /// A verdict was asked for and work came back, or the other way round.
    #[error("the executor answered another question")]
    WrongAnswer,
    /// The child could not make sense of the request.
    #[error("the executor refused the request")]
    Misuse(#[source] Misuse),
}

impl SandboxError {
    /// Whether the work itself used up its limits, so that running it again would end the same way.
    #[must_use]
    pub const fn is_exhaustion(&self) -> bool {
        matches!(
            self,
            Self::TimedOut { .. }
                | Self::OutputFlood { .. }
                | Self::CpuExhausted
                | Self::Died { .. }
        )
    }
}
