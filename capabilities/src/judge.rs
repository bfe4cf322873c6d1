//! Judging one claim: the form first, then the capability's own checker.
//!
//! Responsible for: the checks every claim meets, in this order — input schema, size, canonical form,
//! output schema, evidence, units — and the transcript digest.
//! Not: signing verdicts, counting them, or deciding about money.
//! Invariants: a malformed claim never reaches a checker; a validator that cannot judge says so and
//! rejects nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::canonical::{canonical_bytes, sha256_cid};
use crate::capability::{
    Capability, Claim, Context, Finding, Judgement, Reason, Refusal, Verdict, WellFormedClaim,
};
use crate::execute::execute;
use crate::manifest::Manifest;

/// The units every capability of this build is priced in: one per task.
pub const UNITS_PER_TASK: &str = "1";

/// Judges a claim.
///
/// # Errors
/// A transient [`Refusal`] when this validator cannot judge now.
pub fn judge(
    capability: &dyn Capability,
    context: &Context<'_>,
    input: &Value,
    claim: &Claim,
) -> Result<Judgement, Refusal> {
    let finding = match well_formed(context.manifest(), input, claim) {
        Err(reason) => Finding::reject(reason),
        Ok(claim) => capability.check(context, input, &claim)?,
    };
    Ok(close(context.manifest(), input, claim, finding))
}

/// The checker of exact work: run it again and compare bytes.
///
/// # Errors
/// A transient [`Refusal`] when the work cannot be run again here.
pub fn judge_exact(
    capability: &dyn Capability,
    context: &Context<'_>,
    input: &Value,
    claim: &WellFormedClaim<'_>,
) -> Result<Finding, Refusal> {
    let own = match execute(capability, context, input) {
        Ok(own) => own,
        Err(refusal) if refusal.code.is_transient() => return Err(refusal),
        Err(refusal) => {
            return Ok(Finding::reject(Reason::Refused)
                .with_fact("refused", format!("{:?}", refusal.code)));
        }
    };
    let finding = if own.output_bytes != claim.claim.output {
        Finding::reject(Reason::OutputDiffers)
    } else if own.execution.canonical_digest != claim.claim.canonical_digest {
        Finding::reject(Reason::CanonicalDigest)
    } else {
        Finding::accept()
    };
    Ok(finding.with_fact("ownOutput", sha256_cid(&own.output_bytes)))
}

fn well_formed<'a>(
    manifest: &Manifest,
    input: &Value,
    claim: &'a Claim,
) -> Result<WellFormedClaim<'a>, Reason> {
    manifest
        .check_input(input)
        .map_err(|_| Reason::InputSchema)?;
    let evidence_bytes: usize = claim
        .blobs
        .iter()
        .map(|blob| blob.bytes.len())
        .fold(0, usize::saturating_add);
    let bytes =
        u64::try_from(claim.output.len().saturating_add(evidence_bytes)).unwrap_or(u64::MAX);
    if bytes > manifest.limits().output_bytes {
        return Err(Reason::OutputTooLarge);
    }
    let output: Value =
        serde_json::from_slice(&claim.output).map_err(|_| Reason::OutputNotCanonical)?;
    // Equal bytes also rule out duplicate names, other escapes and white space.
    if canonical_bytes(&output).ok().as_deref() != Some(claim.output.as_slice()) {
        return Err(Reason::OutputNotCanonical);
    }
    manifest
        .check_output(&output)
        .map_err(|_| Reason::OutputSchema)?;
    let mut claimed: Vec<&str> = claim.blobs.iter().map(|blob| blob.name.as_str()).collect();
    let mut required: Vec<&str> = manifest.evidence().iter().map(String::as_str).collect();
    claimed.sort_unstable();
    required.sort_unstable();
    if claimed != required {
        return Err(Reason::Evidence);
    }
    if claim.units != UNITS_PER_TASK {
        return Err(Reason::Units);
    }
    Ok(WellFormedClaim { claim, output })
}

fn close(manifest: &Manifest, input: &Value, claim: &Claim, finding: Finding) -> Judgement {
    let verdict = if finding.reasons.is_empty() {
        Verdict::Accept
    } else {
        Verdict::Reject
    };
    let blobs: BTreeMap<&str, String> = claim
        .blobs
        .iter()
        .map(|blob| (blob.name.as_str(), sha256_cid(&blob.bytes)))
        .collect();
    // The input was canonical when it was hashed into the task; if it is not, the claim is rejected
    // and its plain form is enough for a transcript.
    let input_bytes = canonical_bytes(input).unwrap_or_else(|_| input.to_string().into_bytes());
    let transcript = json!({
        "capabilityId": manifest.capability_id(),
        "input": sha256_cid(&input_bytes),
        "output": sha256_cid(&claim.output),
        "blobs": blobs,
        "canonicalDigest": claim.canonical_digest,
        "verdict": verdict,
        "scoreBps": finding.score_bps,
        "reasons": finding.reasons,
        "facts": finding.facts,
    });
    Judgement {
        verdict,
        score_bps: finding.score_bps,
        reasons: finding.reasons,
        transcript_digest: sha256_cid(&canonical_bytes(&transcript).unwrap_or_default()),
    }
}
