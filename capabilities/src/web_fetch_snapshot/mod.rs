//! `web.fetch.snapshot@1`: the bytes of a page, addressed by their digest.
//!
//! Scored: every validator fetches the page itself and compares canonical texts.

mod checker;
mod executor;

use serde_json::Value;

pub(crate) use checker::compare_fetch;
pub(crate) use executor::{SNAPSHOTTER, Snapshot, take};

use crate::capability::{Capability, Context, Execution, Finding, Refusal, WellFormedClaim};

/// See the module.
#[derive(Debug)]
pub(crate) struct FetchSnapshot;

impl Capability for FetchSnapshot {
    fn manifest_template(&self) -> &'static str {
        include_str!("manifest.json")
    }

    fn execute(&self, context: &Context<'_>, input: &Value) -> Result<Execution, Refusal> {
        executor::execute(context, input)
    }

    fn check(
        &self,
        context: &Context<'_>,
        input: &Value,
        claim: &WellFormedClaim<'_>,
    ) -> Result<Finding, Refusal> {
        checker::check(context, input, claim)
    }
}

#[cfg(test)]
mod tests;
