//! What a capability is: one executor and one checker behind one trait.
//!
//! Responsible for: the vocabulary that executors, checkers, the child process and its parent share.
//! Not: running anything, and not the market's signed objects.
//! Invariants: a capability is a pure function of its input, the blobs it was given and, where its
//! manifest allows the network, what [`Fetcher`] returns. It sees no clock, environment or file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::sha256_cid;
use crate::fetch::{FetchRequest, Fetched};
use crate::manifest::Manifest;

/// Why work was refused. Refused work is not paid; the buyer's money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RefusalCode {
    /// The input does not fit the manifest's input schema, or contradicts itself.
    BadInput,
    /// A jq program does not compile or raised an error.
    ProgramError,
    /// The result holds a number that no canonical form exists for.
    UnsafeNumber,
    /// The result does not fit the manifest's output schema.
    OutputSchema,
    /// More bytes than the manifest or the input allows.
    TooLarge,
    /// A blob that the input names was not handed over.
    MissingBlob,
    /// The address is private, reserved or not allowed, or the URL is not one we fetch.
    Ssrf,
    /// Not an HTML page.
    ContentType,
    /// The server said no for good (4xx).
    HttpStatus,
    /// The server said no for now (429, 5xx).
    Unavailable,
    /// More redirects than are followed.
    TooManyRedirects,
    /// An interstitial or a refusal page instead of the page.
    Blocked,
    /// A CAPTCHA or a bot challenge instead of the page.
    Captcha,
    /// A paywall or a login wall instead of the page.
    Paywall,
    /// The page holds no text.
    Empty,
    /// The time named in the input ran out.
    Timeout,
    /// The name did not resolve, or the connection failed.
    Network,
}

impl RefusalCode {
    /// Whether the same work may succeed a moment later, so that a validator that meets this can not
    /// judge, rather than reject.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        match self {
            Self::MissingBlob | Self::Unavailable | Self::Timeout | Self::Network => true,
            Self::BadInput
            | Self::ProgramError
            | Self::UnsafeNumber
            | Self::OutputSchema
            | Self::TooLarge
            | Self::Ssrf
            | Self::ContentType
            | Self::HttpStatus
            | Self::TooManyRedirects
            | Self::Blocked
            | Self::Captcha
            | Self::Paywall
            | Self::Empty => false,
        }
    }
}

/// A refusal: the code decides, the detail is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("refused ({code:?}): {detail}")]
pub struct Refusal {
    /// What decides.
    pub code: RefusalCode,
    /// At most [`Refusal::MAX_DETAIL_CHARS`] characters; never parsed by anybody.
    pub detail: String,
}

impl Refusal {
    /// Longer details are cut.
    pub const MAX_DETAIL_CHARS: usize = 256;

    /// A refusal with its detail cut to size.
    pub fn new(code: RefusalCode, detail: impl AsRef<str>) -> Self {
        let detail = detail
            .as_ref()
            .chars()
            .take(Self::MAX_DETAIL_CHARS)
            .collect();
        Self { code, detail }
    }
}

/// A piece of evidence or a side output: named bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Blob {
    /// The name the manifest's `evidence` list uses.
    pub name: String,
    /// Media type, as an HTTP `Content-Type`.
    pub media_type: String,
    /// The bytes; base64 on the wire.
    #[serde(rename = "base64", with = "crate::exec::base64_bytes")]
    pub bytes: Vec<u8>,
}

/// What an executor made: the output document and the evidence for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// The output document.
    pub output: Value,
    /// Evidence, named as in the manifest.
    pub blobs: Vec<Blob>,
    /// `sha256:` digest by which agreeing workers are grouped.
    pub canonical_digest: String,
}

/// What a worker claims to have made. Every byte of it is untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Claim {
    /// The claimed output bytes; must be the canonical bytes of a document.
    #[serde(rename = "outputBase64", with = "crate::exec::base64_bytes")]
    pub output: Vec<u8>,
    /// The claimed evidence.
    #[serde(default)]
    pub blobs: Vec<Blob>,
    /// The claimed grouping digest.
    pub canonical_digest: String,
    /// The claimed units, a decimal string.
    pub units: String,
}

/// A claim whose form was checked: canonical, fits the schema and the limits, evidence complete.
/// Only [`crate::judge::judge`] builds one.
#[derive(Debug)]
pub struct WellFormedClaim<'a> {
    pub(crate) claim: &'a Claim,
    pub(crate) output: Value,
}

impl WellFormedClaim<'_> {
    /// A string member of the claimed output, by JSON pointer; empty when absent or not a string.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.output
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The claimed evidence blob of that name.
    pub(crate) fn blob(&self, name: &str) -> Option<&Blob> {
        self.claim.blobs.iter().find(|blob| blob.name == name)
    }
}

/// A validator's view of one claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// The claim is valid work.
    Accept,
    /// It is not.
    Reject,
}

/// Why a claim was rejected. The list is append-only: receipts carry these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The task's input does not fit the manifest.
    InputSchema,
    /// Output and evidence exceed the manifest's output bytes.
    OutputTooLarge,
    /// The output bytes are not canonical JSON.
    OutputNotCanonical,
    /// The output does not fit the manifest's output schema.
    OutputSchema,
    /// Evidence the manifest requires is missing, doubled or not named there.
    Evidence,
    /// Units other than the manifest's price per task.
    Units,
    /// The claimed canonical digest is not the digest of the claimed result.
    CanonicalDigest,
    /// Re-execution gave other bytes.
    OutputDiffers,
    /// Re-execution is refused: no valid output exists.
    Refused,
    /// The snapshot bytes are not the ones the output names.
    SnapshotDigest,
    /// The claimed snapshot is a blocked, CAPTCHA or paywall page, or no page at all.
    SnapshotRefused,
    /// The validator's own fetch of the page is refused for good.
    RefetchRefused,
    /// Another final address, status or charset than the validator saw.
    FetchDiffers,
    /// Title, author, description, site or date differ from the validator's own fetch.
    MetadataDiffers,
    /// The similarity to the validator's own fetch is below the manifest's threshold.
    BelowThreshold,
}

/// The result of judging one claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Judgement {
    /// Accept or reject.
    pub verdict: Verdict,
    /// 0 to 10,000; exact work is one or the other end.
    pub score_bps: u16,
    /// Empty when accepted.
    pub reasons: Vec<Reason>,
    /// `sha256:` digest over what was compared and how it came out.
    pub transcript_digest: String,
}

/// What a checker found, before the transcript is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// 0 to 10,000.
    pub score_bps: u16,
    /// Empty means accept.
    pub reasons: Vec<Reason>,
    /// Named facts that enter the transcript, e.g. digests of the validator's own fetch.
    pub facts: BTreeMap<&'static str, String>,
}

impl Finding {
    /// Full score, no reason against.
    #[must_use]
    pub fn accept() -> Self {
        Self {
            score_bps: 10_000,
            reasons: Vec::new(),
            facts: BTreeMap::new(),
        }
    }

    /// One reason against, score zero.
    #[must_use]
    pub fn reject(reason: Reason) -> Self {
        Self {
            score_bps: 0,
            reasons: vec![reason],
            facts: BTreeMap::new(),
        }
    }

    /// The same finding with one more fact.
    #[must_use]
    pub fn with_fact(mut self, name: &'static str, fact: impl Into<String>) -> Self {
        self.facts.insert(name, fact.into());
        self
    }
}

/// Gets a page through the address guard. The only way out of an executor.
pub trait Fetcher {
    /// One page, redirects followed, every hop checked.
    ///
    /// # Errors
    /// A [`Refusal`] for addresses, sizes, types and statuses that are not served.
    fn fetch(&self, request: &FetchRequest) -> Result<Fetched, Refusal>;
}

/// Refuses every fetch: what capabilities without network permission get.
#[derive(Debug, Clone, Copy)]
pub struct NoNetwork;

impl Fetcher for NoNetwork {
    fn fetch(&self, _request: &FetchRequest) -> Result<Fetched, Refusal> {
        Err(Refusal::new(
            RefusalCode::Ssrf,
            "this capability has no network permission",
        ))
    }
}

/// What an executor or checker may use.
pub struct Context<'a> {
    manifest: &'a Manifest,
    fetcher: &'a dyn Fetcher,
    blobs: BTreeMap<String, Vec<u8>>,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Context")
            .field("blobs", &self.blobs.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Context<'a> {
    /// A context over a fetcher and input blobs. The blobs are addressed by what they hash to, so a
    /// wrong label cannot be believed.
    #[must_use]
    pub fn new(manifest: &'a Manifest, fetcher: &'a dyn Fetcher, blobs: Vec<Vec<u8>>) -> Self {
        let blobs = blobs
            .into_iter()
            .map(|bytes| (sha256_cid(&bytes), bytes))
            .collect();
        Self {
            manifest,
            fetcher,
            blobs,
        }
    }

    /// The manifest the work is done under.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.manifest
    }

    /// The port to the network.
    #[must_use]
    pub fn fetcher(&self) -> &dyn Fetcher {
        self.fetcher
    }

    /// The input blob with that CID.
    ///
    /// # Errors
    /// [`RefusalCode::MissingBlob`] when it was not handed over.
    pub fn blob(&self, cid: &str) -> Result<&[u8], Refusal> {
        self.blobs
            .get(cid)
            .map(Vec::as_slice)
            .ok_or_else(|| Refusal::new(RefusalCode::MissingBlob, cid))
    }
}

/// One thing that is sold.
pub trait Capability: Sync {
    /// The manifest template compiled into this build: JSON without `author`, which is added when an
    /// author signs it.
    fn manifest_template(&self) -> &'static str;

    /// Does the work. The input already fits the manifest's schema.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing is claimed then.
    fn execute(&self, context: &Context<'_>, input: &Value) -> Result<Execution, Refusal>;

    /// Judges a well-formed claim against the same input.
    ///
    /// # Errors
    /// A [`Refusal`] when this validator cannot judge now (its own fetch failed for a passing reason).
    fn check(
        &self,
        context: &Context<'_>,
        input: &Value,
        claim: &WellFormedClaim<'_>,
    ) -> Result<Finding, Refusal>;
}
