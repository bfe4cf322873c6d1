//! `json.transform@1`: a jq program over a JSON document. No network, exact.

mod checker;
mod executor;

use serde_json::Value;

use crate::capability::{Capability, Context, Execution, Finding, Refusal, WellFormedClaim};

/// See the module.
#[derive(Debug)]
pub(crate) struct JsonTransform;

impl Capability for JsonTransform {
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
