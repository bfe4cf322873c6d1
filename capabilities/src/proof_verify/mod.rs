//! `proof.verify@1`: Ed25519 and secp256k1 signatures and Merkle inclusion proofs. No network, exact.
//!
//! A proof that does not hold is a result (`valid: false` with a reason), not a refusal: the buyer asked
//! whether it holds.

mod checker;
mod ed25519;
mod executor;
mod merkle;
mod secp256k1;

use serde_json::Value;

use crate::capability::{Capability, Context, Execution, Finding, Refusal, WellFormedClaim};

/// See the module.
#[derive(Debug)]
pub(crate) struct ProofVerify;

impl Capability for ProofVerify {
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

/// Why a proof does not hold. The words are part of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
enum Flaw {
    /// The key bytes are no key of that kind.
    MalformedKey,
    /// The key encodes its point in a way other than the one canonical way.
    NonCanonicalKey,
    /// The key has small order: it can "sign" anything.
    WeakKey,
    /// The signature bytes are no signature of that kind.
    MalformedSignature,
    /// The signature's point has small order or is not canonically encoded.
    WeakSignature,
    /// The high of two equal signatures (`s` above half the order).
    HighS,
    /// Well formed, and not a signature of that message by that key.
    SignatureMismatch,
    /// The leaf's index is outside of the tree.
    IndexOutOfTree,
    /// The path has more or fewer hashes than the tree has levels at that leaf.
    PathLength,
    /// The path leads to another root.
    RootMismatch,
}

#[cfg(test)]
mod tests;
