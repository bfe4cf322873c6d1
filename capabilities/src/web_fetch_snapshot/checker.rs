//! Judging a snapshot: the claimed bytes against the validator's own fetch.
//!
//! Invariants: how the page was served (final address, status, type, charset, headers) must be equal,
//! for extraction depends on it; the text must be similar by the manifest's threshold; everything else
//! in the output must be what the executor would have made of the claimed bytes.

use serde_json::Value;

use super::executor::{SNAPSHOT_BLOB, Snapshot, output, take};
use crate::canonical::{canonical_bytes, sha256_cid};
use crate::capability::{Context, Finding, Reason, Refusal, WellFormedClaim};
use crate::page::extract;
use crate::page::text::canonical_text;
use crate::similarity::shingle_jaccard_bps;

/// The claimed snapshot and the validator's own, served alike.
#[derive(Debug)]
pub(crate) struct OwnView {
    /// The claimed bytes with the (equal) facts of how they were served.
    pub(crate) claimed: Snapshot,
    /// The validator's own fetch.
    pub(crate) own: Snapshot,
}

/// Compares everything about the fetch but the bytes. The inner error is a verdict, the outer one says
/// that there can be none now.
///
/// # Errors
/// The transient refusal of the validator's own fetch.
pub(crate) fn compare_fetch(
    context: &Context<'_>,
    input: &Value,
    claim: &WellFormedClaim<'_>,
) -> Result<Result<OwnView, Finding>, Refusal> {
    let Some(blob) = claim.blob(SNAPSHOT_BLOB) else {
        return Ok(Err(Finding::reject(Reason::Evidence)));
    };
    if sha256_cid(&blob.bytes) != claim.text("/snapshotCid") {
        return Ok(Err(Finding::reject(Reason::SnapshotDigest)));
    }
    let own = match take(context, input) {
        Ok(own) => own,
        Err(refusal) if refusal.code.is_transient() => return Err(refusal),
        Err(refusal) => {
            let finding = Finding::reject(Reason::RefetchRefused);
            return Ok(Err(
                finding.with_fact("refetch", format!("{:?}", refusal.code))
            ));
        }
    };
    if claim.output.get("served") != Some(&own.served()) || blob.media_type != own.media_type {
        return Ok(Err(Finding::reject(Reason::FetchDiffers)));
    }
    let claimed = Snapshot {
        bytes: blob.bytes.clone(),
        ..own.clone()
    };
    Ok(Ok(OwnView { claimed, own }))
}

pub(super) fn check(
    context: &Context<'_>,
    input: &Value,
    claim: &WellFormedClaim<'_>,
) -> Result<Finding, Refusal> {
    let view = match compare_fetch(context, input, claim)? {
        Ok(view) => view,
        Err(finding) => return Ok(finding),
    };
    let (claimed, own) = (view.claimed.html(), view.own.html());
    if extract(&own, Some(&view.own.final_url)).is_err() {
        return Ok(Finding::reject(Reason::RefetchRefused));
    }
    if extract(&claimed, Some(&view.claimed.final_url)).is_err() {
        return Ok(Finding::reject(Reason::SnapshotRefused));
    }
    let (claimed, own) = (canonical_text(&claimed), canonical_text(&own));
    let text_digest = sha256_cid(claimed.as_bytes());
    let expected = output(&view.claimed, &text_digest);
    if canonical_bytes(&expected).ok().as_deref() != Some(claim.claim.output.as_slice()) {
        return Ok(Finding::reject(Reason::OutputDiffers));
    }
    if claim.claim.canonical_digest != text_digest {
        return Ok(Finding::reject(Reason::CanonicalDigest));
    }
    let score_bps = shingle_jaccard_bps(&claimed, &own);
    let reasons = if score_bps >= context.manifest().threshold_bps() {
        Vec::new()
    } else {
        vec![Reason::BelowThreshold]
    };
    Ok(Finding {
        score_bps,
        reasons,
        ..Finding::accept()
    }
    .with_fact("ownText", sha256_cid(own.as_bytes())))
}
