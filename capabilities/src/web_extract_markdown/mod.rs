//! `web.extract.markdown@1`: a snapshot or inline HTML to canonical Markdown. No network, exact.

mod checker;
mod executor;

use serde_json::Value;

pub(crate) use executor::output;

use crate::capability::{Capability, Context, Execution, Finding, Refusal, WellFormedClaim};

/// See the module.
#[derive(Debug)]
pub(crate) struct ExtractMarkdown;

impl Capability for ExtractMarkdown {
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
        checker::check(self, context, input, claim)
    }
}

#[cfg(test)]
mod tests;
