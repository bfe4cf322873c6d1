//! The request and response of one child process.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::capability::{Blob, Claim, Judgement, Refusal};
use crate::manifest::Limits;

/// A request is at most this long; both sides check.
pub const MAX_REQUEST_BYTES: u64 = 32 << 20;

/// What the child should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// Do the work.
    Execute,
    /// Judge the claim.
    Check,
}

/// What the operator allows beyond the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// Rules as [`crate::fetch::AllowRule`] reads them.
    #[serde(default)]
    pub allow_hosts: Vec<String>,
}

/// One request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecRequest {
    /// What to do.
    pub op: Operation,
    /// Which capability.
    pub capability_id: String,
    /// The task's input document.
    pub input: Value,
    /// Blobs the input names by CID. They are addressed by what they hash to; `name` is a label.
    #[serde(default)]
    pub blobs: Vec<Blob>,
    /// Tighter limits than the manifest's; looser ones change nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// The operator's exceptions.
    #[serde(default)]
    pub policy: Policy,
    /// What to judge; required by `check`, refused by `execute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
}

/// Work that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Produced {
    /// The output document. Its canonical bytes are the claim's output.
    pub output: Value,
    /// Evidence, named as in the manifest.
    pub blobs: Vec<Blob>,
    /// The digest agreeing workers are grouped by.
    pub canonical_digest: String,
    /// Units used, a decimal string.
    pub units: String,
    /// Which build ran.
    pub runtime_digest: String,
}

/// A request the child could not make sense of: a bug or a version mismatch of its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub enum Misuse {
    /// Not a request.
    #[error("the request does not parse")]
    Request,
    /// Longer than [`MAX_REQUEST_BYTES`].
    #[error("the request is too long")]
    TooLong,
    /// This build has no such capability.
    #[error("this build has no such capability")]
    UnknownCapability,
    /// A claim with `execute`, or `check` without one.
    #[error("claim and operation do not fit")]
    Claim,
    /// An allow rule does not parse.
    #[error("an allow rule does not parse")]
    AllowRule,
    /// The limits could not be put on, so nothing was run.
    #[error("the limits could not be put on")]
    Confine,
    /// The event loop or TLS did not start.
    #[error("the network side did not start")]
    Fetcher,
}

/// One response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExecResponse {
    /// The work is done.
    Ok(Produced),
    /// The work is refused; there is nothing to claim.
    Refused(Refusal),
    /// The claim is judged.
    Judged(Judgement),
    /// This validator cannot judge the claim now.
    CannotJudge(Refusal),
    /// The request makes no sense.
    Misuse(Misuse),
}
