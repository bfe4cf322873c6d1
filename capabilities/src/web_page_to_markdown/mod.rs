//! `web.page_to_markdown@1`: snapshot and extraction in one task.
//!
//! The snapshot is judged as scored, the extraction from it as exact. In quorum mode the canonical
//! digest is the Markdown's, so workers that saw the same article agree whatever surrounded it.

mod checker;
mod executor;

use serde_json::Value;

use crate::capability::{Capability, Context, Execution, Finding, Refusal, WellFormedClaim};

/// See the module.
#[derive(Debug)]
pub(crate) struct PageToMarkdown;

impl Capability for PageToMarkdown {
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
