//! A receipt as one transaction or as several, chosen by size (spec §2.5).
//!
//! One transaction carries the Ed25519 instruction and `settle`. What does not fit goes in two steps: `approve`
//! as often as the signatures need, then `settle_approved`; same digest, same guards.

use solana_address::Address;
use solana_hash::Hash;
use solana_instruction::Instruction;

use crate::instructions::{Place, Receipt, ed25519, unit_limit, unit_price};
use crate::transaction::{Table, assemble};

/// A member of the set and what it signed.
pub type Approval = ([u8; 32], [u8; 64]);

/// What to send, each list of instructions as one transaction, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Everything at once.
    One(Vec<Instruction>),
    /// Signatures first, in any order; the receipt once they are all remembered.
    Steps {
        /// One transaction each.
        approve: Vec<Vec<Instruction>>,
        /// The last transaction.
        settle: Vec<Instruction>,
    },
}

/// Signatures over a digest, ascending by their place in the set.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What was signed.
    pub digest: &'a [u8; 32],
    /// By whom.
    pub signatures: &'a [Approval],
}

/// Plans a settlement. `None` when it fits in no form: never for the rows and signatures a set can have.
#[must_use]
pub fn plan(
    place: &Place,
    payer: Address,
    receipt: &Receipt,
    evidence: Evidence<'_>,
    table: Option<&Table>,
) -> Option<Plan> {
    let fits = |instructions: &[Instruction]| fits(&payer, instructions, table);
    if let Some(checked) = ed25519(evidence.signatures, evidence.digest) {
        let one = vec![checked, place.settle(payer, receipt)?];
        if fits(&one) {
            return Some(Plan::One(one));
        }
    }
    let settle = vec![place.settle_approved(payer, evidence.digest, receipt)?];
    let approve = approving(place, payer, evidence, &fits)?;
    fits(&settle).then_some(Plan::Steps { approve, settle })
}

/// As few transactions as the signatures fit into.
fn approving(
    place: &Place,
    payer: Address,
    evidence: Evidence<'_>,
    fits: &impl Fn(&[Instruction]) -> bool,
) -> Option<Vec<Vec<Instruction>>> {
    let mut rest = evidence.signatures;
    let mut transactions = Vec::new();
    while !rest.is_empty() {
        let (count, instructions) = (1..=rest.len()).rev().find_map(|count| {
            let some = rest.get(..count)?;
            let instructions = vec![
                ed25519(some, evidence.digest)?,
                place.approve(payer, evidence.digest)?,
            ];
            fits(&instructions).then_some((count, instructions))
        })?;
        transactions.push(instructions);
        rest = rest.get(count..)?;
    }
    Some(transactions)
}

/// Whether instructions fit with the compute budget in front that every transaction has.
#[must_use]
pub fn fits(payer: &Address, instructions: &[Instruction], table: Option<&Table>) -> bool {
    let mut whole = vec![unit_limit(u32::MAX), unit_price(u64::MAX)];
    whole.extend_from_slice(instructions);
    assemble(payer, &whole, Hash::default(), table).is_ok()
}
