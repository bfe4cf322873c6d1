//! Running one capability: input schema, executor, output schema, size.
//!
//! Responsible for: the checks around every executor, so that no executor can forget one.
//! Not: processes and their limits; see [`crate::exec`] and [`crate::sandbox`].

use serde_json::Value;

use crate::canonical::canonical_bytes;
use crate::capability::{Capability, Context, Execution, Refusal, RefusalCode};

/// An execution whose output fits the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// What the executor made.
    pub execution: Execution,
    /// The canonical bytes of the output document: what a claim's output is.
    pub output_bytes: Vec<u8>,
}

/// Runs a capability in this process.
///
/// # Errors
/// A [`Refusal`]: the executor's own, or that input, output or size do not fit the manifest.
pub fn execute(
    capability: &dyn Capability,
    context: &Context<'_>,
    input: &Value,
) -> Result<Executed, Refusal> {
    let manifest = context.manifest();
    manifest
        .check_input(input)
        .map_err(|violation| Refusal::new(RefusalCode::BadInput, violation.to_string()))?;
    let mut execution = capability.execute(context, input)?;
    let output_bytes = canonical_bytes(&execution.output)
        .map_err(|error| Refusal::new(RefusalCode::UnsafeNumber, error.to_string()))?;
    // From here on the document is what its canonical bytes say, e.g. 7 and not 7.0.
    execution.output = serde_json::from_slice(&output_bytes)
        .map_err(|error| Refusal::new(RefusalCode::UnsafeNumber, error.to_string()))?;
    manifest
        .check_output(&execution.output)
        .map_err(|violation| Refusal::new(RefusalCode::OutputSchema, violation.to_string()))?;
    let evidence_bytes: usize = execution
        .blobs
        .iter()
        .map(|blob| blob.bytes.len())
        .fold(0, usize::saturating_add);
    let bytes =
        u64::try_from(output_bytes.len().saturating_add(evidence_bytes)).unwrap_or(u64::MAX);
    if bytes > manifest.limits().output_bytes {
        return Err(Refusal::new(
            RefusalCode::TooLarge,
            "output and evidence exceed the manifest's limit",
        ));
    }
    Ok(Executed {
        execution,
        output_bytes,
    })
}
