//! Whether a validator may agree to a proposed decision (spec §5.8, threats #13, #14).

use d402_objects::{Cid, Ed25519Id};

use super::{Basis, Decided, Decision, Facts, Pending, decide};
use crate::Outcome;
use crate::market::Evidence;

/// Why a validator does not agree. The first that applies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposalRefusal {
    /// The proposed inputs decide nothing yet, by this validator's facts.
    #[error("the proposal is not conclusive")]
    Undecided(Pending),
    /// The proposal leaves out what this validator acked, or its own verdict (threat #13).
    #[error("the proposal omits {} objects of this validator", .0.len())]
    Omits(Vec<Cid>),
    /// An early rejection that ignores commits this validator knows of (spec §4.4a).
    #[error("an early rejection ignores {} commits this validator holds", .0.len())]
    OpenCommits(Vec<Cid>),
}

/// Recomputes a proposal from its own evidence and compares it with what the validator holds.
///
/// `own` is everything the validator holds; `proposal` is the evidence of exactly the proposed inputs
/// ([`Evidence::assemble`]). The caller compares [`Decided::receipt_cid`] with the proposed receipt and
/// keeps its own journal.
///
/// # Errors
/// [`ProposalRefusal`] names why not.
pub fn check_proposal(
    own: &Evidence,
    proposal: &Evidence,
    validator: &Ed25519Id,
    facts: &Facts,
) -> Result<Decided, ProposalRefusal> {
    let decided = match decide(proposal, facts) {
        Decision::Undecided { why, .. } => return Err(ProposalRefusal::Undecided(why)),
        Decision::Decided(decided) => *decided,
    };
    match decided.basis {
        // Own view of the chain: no evidence plays a part, so none can be left out.
        Basis::DepositLate | Basis::PaidElsewhere => return Ok(decided),
        Basis::Fast | Basis::Slow => {}
    }
    let omitted = own.omits(validator, proposal);
    if !omitted.is_empty() {
        return Err(ProposalRefusal::Omits(omitted));
    }
    if decided.basis == Basis::Fast && decided.settlement.outcome == Outcome::Rejected {
        let open = own.commits_unknown_to(proposal);
        if !open.is_empty() {
            return Err(ProposalRefusal::OpenCommits(open));
        }
    }
    Ok(decided)
}
