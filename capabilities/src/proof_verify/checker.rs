//! Exact work: verify again, compare bytes.

use serde_json::Value;

use super::ProofVerify;
use crate::capability::{Context, Finding, Refusal, WellFormedClaim};
use crate::judge::judge_exact;

pub(super) fn check(
    capability: &ProofVerify,
    context: &Context<'_>,
    input: &Value,
    claim: &WellFormedClaim<'_>,
) -> Result<Finding, Refusal> {
    judge_exact(capability, context, input, claim)
}
