//! Judging a page: the extraction exactly, from the claimed snapshot; the snapshot by similarity.
//!
//! What is compared with the validator's own fetch is the article (its Markdown, with link targets) and
//! the page's metadata. Menus and adverts differ per fetch and are not what was bought. Metadata is so
//! short that a similarity over it would mean nothing: it must be equal.

use serde_json::Value;

use super::executor::output;
use crate::canonical::{canonical_bytes, sha256_cid};
use crate::capability::{Context, Finding, Reason, Refusal, WellFormedClaim};
use crate::page::extract;
use crate::similarity::shingle_jaccard_bps;
use crate::web_fetch_snapshot::compare_fetch;

pub(super) fn check(
    context: &Context<'_>,
    input: &Value,
    claim: &WellFormedClaim<'_>,
) -> Result<Finding, Refusal> {
    let view = match compare_fetch(context, input, claim)? {
        Ok(view) => view,
        Err(finding) => return Ok(finding),
    };
    let Ok(own) = extract(&view.own.html(), Some(&view.own.final_url)) else {
        return Ok(Finding::reject(Reason::RefetchRefused));
    };
    let Ok(claimed) = extract(&view.claimed.html(), Some(&view.claimed.final_url)) else {
        return Ok(Finding::reject(Reason::SnapshotRefused));
    };
    let expected = output(&view.claimed, &claimed);
    if canonical_bytes(&expected).ok().as_deref() != Some(claim.claim.output.as_slice()) {
        return Ok(Finding::reject(Reason::OutputDiffers));
    }
    if claim.claim.canonical_digest != sha256_cid(claimed.markdown.as_bytes()) {
        return Ok(Finding::reject(Reason::CanonicalDigest));
    }
    let score_bps = shingle_jaccard_bps(&claimed.markdown, &own.markdown);
    let mut reasons = Vec::new();
    if score_bps < context.manifest().threshold_bps() {
        reasons.push(Reason::BelowThreshold);
    }
    if claimed.metadata != own.metadata {
        reasons.push(Reason::MetadataDiffers);
    }
    let own_markdown = sha256_cid(own.markdown.as_bytes());
    Ok(Finding {
        score_bps,
        reasons,
        ..Finding::accept()
    }
    .with_fact("ownMarkdown", own_markdown))
}
