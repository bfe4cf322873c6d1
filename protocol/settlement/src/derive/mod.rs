//! Who is paid: the outcome of a task as a pure function of what was signed (spec §5.3–5.7, §4.4).
//!
//! Router and validator bridge call this with the same inputs and get the same answer. It knows nothing of
//! JSON, keys or clocks: the caller verified every signature, dropped what does not belong to the task, and
//! says whether `decideAt` has passed. Inputs are sets: neither order nor repetition changes the answer (leases
//! and claims are referred to by index, so the caller lists each of those once).
//!
//! Invariants: nobody without a certified claim that m validators accepted is paid; a validator that
//! equivocated certifies but does not vote; no claim is both accepted and rejected.
//!
//! Before `decideAt` a decision stands whatever honest validators and other workers still add, but for three
//! things that the q signatures of intent behind every early receipt settle (spec §5.8): which m verdicts stand
//! behind it (and so the fee rows), a second commit or claim by the worker of a paid lease (it loses by its own
//! hand), and objects that were certified but not yet revealed or acked by others when it was made.

mod certify;
mod judge;
mod outcome;
mod pay;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use crate::{Key32, Row, Units};

/// How workers compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One lease at a time; the accepted claim of the lowest attempt is paid.
    Single,
    /// Several leases of attempt 1, the only one; the accepted claim most validators acked first is paid.
    Race,
    /// Several leases of attempt 1, the only one; the largest group of at least `agree` equal results is paid.
    Quorum {
        /// k: how many equal canonical results are needed.
        agree: u8,
    },
}

/// What the terms fix.
#[derive(Clone, Debug)]
pub struct Rules<'a> {
    /// How workers compete.
    pub mode: Mode,
    /// Threshold of the set; n < 2m ≤ 2n, as in every [`ValidatorSet`](crate::ValidatorSet).
    pub m: u8,
    /// Payee and fee of every validator, by set index; its length is n.
    pub validators: &'a [ValidatorTerms],
    /// Σ validator rows stay at or below this.
    pub validator_fee_cap: Units,
    /// Terms hash, part of the race tie-break.
    pub terms_hash: [u8; 32],
}

/// What a validator asked for in its offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidatorTerms {
    /// Where its fee goes.
    pub payee: Key32,
    /// Its fee; 0 = no row.
    pub fee: Units,
}

/// A lease signed by the intent's gateway, in a set that was checked as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// 1, 2, …
    pub attempt: u8,
    /// Root of the set it belongs to.
    pub set_root: [u8; 32],
    /// How many leases the set has.
    pub lease_count: u8,
    /// Worker's envelope key.
    pub worker: [u8; 32],
    /// Worker's payout wallet.
    pub payee: Key32,
    /// What it earns, gross.
    pub price: Units,
}

/// A commit envelope signed by the lease's worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Commit {
    /// Index in [`Inputs::leases`].
    pub lease: usize,
    /// The sealed claim.
    pub commit: [u8; 32],
}

/// A validator's ack, stamped before `min(lease expiry, commitBy)`; the caller drops the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ack {
    /// Set index.
    pub validator: u8,
    /// Index in [`Inputs::leases`].
    pub lease: usize,
    /// The commit it acknowledges.
    pub commit: [u8; 32],
    /// 1 + number of distinct leases it acked before in this attempt; an ack of rank 0 is none.
    pub rank: u8,
}

/// A revealed claim whose opening of its commit was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// CID digest.
    pub cid: [u8; 32],
    /// Index in [`Inputs::leases`].
    pub lease: usize,
    /// The commit it opens.
    pub commit: [u8; 32],
    /// The salt it revealed.
    pub salt: [u8; 32],
    /// What is compared in quorum.
    pub canonical_digest: [u8; 32],
}

/// A validator's verdict on a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Receipt {
    /// Set index.
    pub validator: u8,
    /// Index in [`Inputs::claims`].
    pub claim: usize,
    /// Verdict.
    pub accept: bool,
    /// CID digest of the validation receipt.
    pub cid: [u8; 32],
}

/// Everything signed that is known, for one task.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Leases of all attempts.
    pub leases: Vec<Lease>,
    /// Commit envelopes.
    pub commits: Vec<Commit>,
    /// Acks.
    pub acks: Vec<Ack>,
    /// Revealed claims.
    pub claims: Vec<Claim>,
    /// Verdicts.
    pub receipts: Vec<Receipt>,
}

/// Which path decides (spec §5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Before `decideAt`: only what no later input can contradict.
    Fast,
    /// From `decideAt`: what is known decides.
    Slow,
}

/// What is known from outside the signed objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Before or from `decideAt`.
    pub path: Path,
    /// The deposit came after `fundBy`, or never covered the budget (spec §4.4b).
    pub deposit_late: bool,
    /// The task is `Paid` on another rail (spec §4.4c, threat #10).
    pub paid_elsewhere: bool,
    /// The task's deadline passed.
    pub deadline_passed: bool,
    /// No lease can follow: last attempt used, `commitBy` passed, or the gateway said so.
    pub no_lease_follows: bool,
}

/// Why nothing is decided yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// Nothing accepted, and the conditions of an early rejection (spec §4.4a) do not hold.
    NothingAccepted,
    /// Single: a revealed claim of a lower attempt is not judged yet.
    LowerAttemptOpen,
    /// Race: no accepted claim has q rank-1 acks.
    NoClearWinner,
    /// Quorum: not all leases are certified and accepted, or they do not agree.
    NotUnanimous,
}

/// What follows from the inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Derived {
    /// Nothing yet; from `decideAt` on there is always an answer.
    Undecided(Undecided),
    /// These claims are paid.
    Paid {
        /// Indexes in [`Inputs::claims`], ascending.
        winners: Vec<usize>,
        /// Indexes in [`Inputs::receipts`] of the verdicts behind it, ascending by CID.
        receipts: Vec<usize>,
        /// Rows, ascending by payee.
        rows: Vec<Row>,
    },
    /// Nobody's work is paid.
    Rejected {
        /// Claims that were judged, ascending.
        judged: Vec<usize>,
        /// Indexes in [`Inputs::receipts`] of the verdicts behind it.
        receipts: Vec<usize>,
        /// Validator rows only (threat #25), ascending by payee.
        rows: Vec<Row>,
    },
}

/// q = max(m, 2f + 1) with f = n − m: how many make a fact final (spec §5).
#[must_use]
pub fn final_quorum(m: u8, n: u8) -> u8 {
    let f = n.saturating_sub(m);
    m.max(f.saturating_mul(2).saturating_add(1))
}

/// The outcome. Total: indexes out of range are ignored.
#[must_use]
pub fn derive(rules: &Rules<'_>, inputs: &Inputs, circumstances: Circumstances) -> Derived {
    outcome::derive(rules, inputs, circumstances)
}
