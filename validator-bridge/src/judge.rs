//! Judging one claim in the sandbox: re-execution, re-fetch, schema and evidence, as the manifest says.

use std::time::Duration;

use d402_capabilities::sandbox::{Job, Judging};
use d402_capabilities::{Blob, Claim, Judgement, Sandbox};
use d402_objects::{Cid, Evidence, ResultClaim, strict};
use d402_settlement::market::Dossier;

/// Tries before a claim stays unjudged.
const TRIES: u32 = 3;
/// Pause between tries.
const PAUSE: Duration = Duration::from_secs(1);
/// Largest input document.
const MAX_INPUT_BYTES: usize = 1024 * 1024;

/// Content of a claim, verified against its CIDs.
#[derive(Clone, Debug)]
pub struct ClaimContent {
    /// Output document.
    pub output: Vec<u8>,
    /// Evidence in the claim's order.
    pub evidence: Vec<(Evidence, Vec<u8>)>,
}

impl ClaimContent {
    /// Picks a claim's content out of blobs; `None` when one is missing or has another length.
    pub fn of(claim: &ResultClaim, blobs: impl Fn(&Cid) -> Option<Vec<u8>>) -> Option<Self> {
        let fits = |bytes: &Vec<u8>, want: u64| u64::try_from(bytes.len()) == Ok(want);
        let output = blobs(&claim.output.cid).filter(|b| fits(b, claim.output.bytes))?;
        let evidence = claim
            .evidence
            .iter()
            .map(|e| {
                blobs(&e.cid)
                    .filter(|b| fits(b, e.bytes))
                    .map(|bytes| (e.clone(), bytes))
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { output, evidence })
    }
}

/// A verdict, or `None` when this validator cannot judge (its own network is down, the page does not load).
/// Not judging is silence, never a reject.
pub async fn judge(
    sandbox: &Sandbox,
    dossier: &Dossier,
    claim: &ResultClaim,
    content: &ClaimContent,
) -> Option<Judgement> {
    let input = strict::parse_value(dossier.input(), MAX_INPUT_BYTES).ok()?;
    let capability_id = dossier.manifest().capability_id.to_string();
    for attempt in 1..=TRIES {
        let job = Job {
            capability_id: capability_id.clone(),
            input: input.clone(),
            ..Job::default()
        };
        let claimed = Claim {
            output: content.output.clone(),
            blobs: content
                .evidence
                .iter()
                .map(|(reference, bytes)| Blob {
                    name: reference.name.to_string(),
                    media_type: reference.media_type.to_string(),
                    bytes: bytes.clone(),
                })
                .collect(),
            canonical_digest: claim.canonical_digest.to_string(),
            units: claim.units.to_string(),
        };
        match sandbox.check(job, claimed).await {
            Ok(Judging::Judged(judgement)) => return Some(judgement),
            Ok(Judging::CannotJudge(refusal)) => {
                tracing::warn!(task = %dossier.task_id(), attempt, %refusal, "cannot judge");
            }
            Err(error) => {
                tracing::warn!(task = %dossier.task_id(), attempt, %error, "judging failed")
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    None
}
