//! The decision: one value from which the settlement receipt, the rows and the signed digest come.
//!
//! Responsible for: mapping evidence to [`derive`](crate::derive) and its answer to a receipt. Called alike by
//! gateway, validator bridge, worker and verifier; the same evidence and facts give the same bytes. Not
//! responsible for: whether the evidence is complete ([`check_proposal`]), nor for signing.
//!
//! Invariants: what is decided can be encoded, fits the budget, and pays nobody without an accepted,
//! certified claim.

mod proposal;
mod standing;

#[cfg(test)]
mod tests;

pub use proposal::{ProposalRefusal, check_proposal};

use d402_objects::{
    Amount, Cid, Hex32, ObjectError, ReceiptRow, RowRole, SettlementReceipt, SignedReceipt, UnixMs,
    Value, canonical, cid_of,
};

use crate::derive::{self, Circumstances, Derived, Mode, Path, Rules};
use crate::market::{Dossier, Evidence};
use crate::{
    Outcome, PayoutPlan, PlanRefusal, ReceiptCid, Role, Row, Rows, RowsFault, Settlement, Units,
    plan,
};
use standing::Standing;

/// What the chain says about the deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepositFact {
    /// The budget was there before `fundBy`, or the task is paid straight and needs no deposit.
    OnTime,
    /// It came later (spec §4.4b).
    Late,
    /// It is not there.
    None,
}

/// What is known from outside the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The decider's clock.
    pub now_ms: UnixMs,
    /// The deposit, as the decider's own view of the chain has it.
    pub deposit: DepositFact,
    /// The task is paid on another rail (spec §4.4c, threat #10).
    pub paid_elsewhere: bool,
}

/// What a decision rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Evidence that no later evidence can contradict.
    Fast,
    /// All evidence at `decideAt`.
    Slow,
    /// The deposit came after `fundBy`; no evidence is read.
    DepositLate,
    /// The task is paid on another rail; no evidence is read.
    PaidElsewhere,
}

/// Why nothing is decided yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// No deposit.
    NotFunded,
    /// The evidence is not conclusive.
    Open(derive::Undecided),
    /// What follows cannot be a receipt of these terms; checked parts never lead here.
    NotPayable,
}

/// The outcome of a task, or why there is none yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Not yet.
    Undecided {
        /// Why.
        why: Pending,
        /// When the same evidence may give another answer; `None` when time alone changes nothing.
        not_before_ms: Option<UnixMs>,
    },
    /// Decided.
    Decided(Box<Decided>),
}

impl Decision {
    /// The decided value, if any.
    #[must_use]
    pub fn decided(self) -> Option<Decided> {
        match self {
            Self::Undecided { .. } => None,
            Self::Decided(decided) => Some(*decided),
        }
    }
}

/// One decision in all its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What it rests on.
    pub basis: Basis,
    /// The receipt as an object.
    pub receipt: SettlementReceipt,
    /// Its CID.
    pub receipt_cid: Cid,
    /// The receipt as the chain sees it.
    pub settlement: Settlement,
    /// The 32 bytes validators sign.
    pub digest: [u8; 32],
    /// Who gets how much, commission and fee included; `residual` is against the whole budget.
    pub plan: PayoutPlan,
    /// CIDs of all evidence it follows from, ascending.
    pub inputs: Vec<Cid>,
    /// [`inputs_root`] of them.
    pub inputs_root: Hex32,
}

impl Decided {
    /// The carrier with the signatures collected so far, ascending by set index.
    ///
    /// # Errors
    /// [`ObjectError`] when the signatures are not ascending or malformed.
    pub fn signed(
        &self,
        signatures: Vec<d402_objects::IndexedSignature>,
    ) -> Result<SignedReceipt, ObjectError> {
        SignedReceipt::new(self.receipt.clone(), signatures)
    }
}

/// `SHA256(JCS(sorted CIDs))`: what a ready answer names its inputs by.
#[must_use]
pub fn inputs_root(cids: &[Cid]) -> Hex32 {
    let mut sorted = cids.to_vec();
    sorted.sort_unstable();
    let list = sorted
        .iter()
        .map(|cid| Value::String(cid.to_string()))
        .collect();
    Hex32::from_bytes(canonical::digest(&Value::Array(list)))
}

/// Decides from evidence and facts (spec §5.7, §4.4). Pure and total.
#[must_use]
pub fn decide(evidence: &Evidence, facts: &Facts) -> Decision {
    let times = evidence.dossier().times();
    match facts.deposit {
        DepositFact::None => {
            return Decision::Undecided {
                why: Pending::NotFunded,
                not_before_ms: None,
            };
        }
        DepositFact::Late => return decide_on(evidence, Basis::DepositLate, true),
        DepositFact::OnTime => {}
    }
    if facts.paid_elsewhere {
        return decide_on(evidence, Basis::PaidElsewhere, true);
    }
    if facts.now_ms >= times.decide_at_ms {
        return decide_on(evidence, Basis::Slow, true);
    }
    let deadline_passed = facts.now_ms >= times.deadline_ms;
    match decide_on(evidence, Basis::Fast, deadline_passed) {
        Decision::Undecided { why, .. } => {
            let next = if deadline_passed {
                times.decide_at_ms
            } else {
                times.deadline_ms
            };
            Decision::Undecided {
                why,
                not_before_ms: Some(next),
            }
        }
        decided @ Decision::Decided(_) => decided,
    }
}

/// Decides on a basis; `deadline_passed` matters to the fast path only.
///
/// Spec §4.4a wants the deadline passed and that no lease can follow. After the deadline none can, because
/// `commitBy` is before it; so the gateway's `noMoreLeases` is never read, and nothing is ever rejected on
/// its word. Before the deadline there is one more case in which nothing can be paid any more, by proof: every
/// lease the intent allows was in force and is out.
pub(crate) fn decide_on(evidence: &Evidence, basis: Basis, deadline_passed: bool) -> Decision {
    let standing = Standing::of(evidence);
    let nothing_follows = deadline_passed || standing.exhausted;
    let circumstances = Circumstances {
        path: match basis {
            Basis::Slow => Path::Slow,
            Basis::Fast | Basis::DepositLate | Basis::PaidElsewhere => Path::Fast,
        },
        deposit_late: basis == Basis::DepositLate,
        paid_elsewhere: basis == Basis::PaidElsewhere,
        deadline_passed: nothing_follows,
        no_lease_follows: nothing_follows,
    };
    let dossier = evidence.dossier();
    let validators = dossier.validator_terms();
    let rules = Rules {
        mode: mode(dossier),
        m: dossier.set().m(),
        validators: &validators,
        validator_fee_cap: Units::from_u64(dossier.terms().validator_fee_cap),
        terms_hash: dossier.terms_hash().as_bytes(),
    };
    let (outcome, claims, receipts, rows) =
        match derive::derive(&rules, &standing.inputs, circumstances) {
            Derived::Undecided(why) => {
                return Decision::Undecided {
                    why: Pending::Open(why),
                    not_before_ms: None,
                };
            }
            Derived::Paid {
                winners,
                receipts,
                rows,
            } => (Outcome::Paid, winners, receipts, rows),
            Derived::Rejected {
                judged,
                receipts,
                rows,
            } => (Outcome::Rejected, judged, receipts, rows),
        };
    let named = Named::of(&standing, &claims, &receipts);
    let inputs = match basis {
        Basis::Fast | Basis::Slow => evidence.inputs(),
        Basis::DepositLate | Basis::PaidElsewhere => Vec::new(),
    };
    match assemble(dossier, outcome, &rows, named) {
        Ok(form) => Decision::Decided(Box::new(form.decided(basis, inputs))),
        Err(_) => Decision::Undecided {
            why: Pending::NotPayable,
            not_before_ms: None,
        },
    }
}

fn mode(dossier: &Dossier) -> Mode {
    match dossier.intent().mode {
        d402_objects::Mode::Single => Mode::Single,
        d402_objects::Mode::Race => Mode::Race,
        d402_objects::Mode::Quorum => Mode::Quorum {
            agree: dossier.intent().quorum,
        },
    }
}

/// What a receipt names, each list ascending.
struct Named {
    claims: Vec<Cid>,
    receipts: Vec<Cid>,
    roots: Vec<Hex32>,
}

impl Named {
    fn of(standing: &Standing<'_>, claims: &[usize], receipts: &[usize]) -> Self {
        let mut named = Self {
            claims: claims
                .iter()
                .filter_map(|i| standing.claims.get(*i))
                .map(|c| c.cid())
                .collect(),
            receipts: receipts
                .iter()
                .filter_map(|i| standing.receipts.get(*i))
                .copied()
                .collect(),
            roots: claims
                .iter()
                .filter_map(|i| standing.roots.get(*i))
                .copied()
                .collect(),
        };
        named.claims.sort_unstable();
        named.receipts.sort_unstable();
        named.roots.sort_unstable();
        named.roots.dedup();
        named
    }
}

/// Why an outcome is no receipt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormFault {
    #[error("rows cannot be encoded")]
    Rows(#[source] RowsFault),
    #[error("rows cannot be paid")]
    Plan(#[source] PlanRefusal),
    #[error("the receipt breaks a rule of its type")]
    Object(#[source] ObjectError),
    #[error("a value does not fit its type")]
    Value,
}

/// The receipt in its two forms.
struct Form {
    receipt: SettlementReceipt,
    receipt_cid: Cid,
    settlement: Settlement,
    digest: [u8; 32],
    plan: PayoutPlan,
}

impl Form {
    fn decided(self, basis: Basis, inputs: Vec<Cid>) -> Decided {
        let inputs_root = inputs_root(&inputs);
        Decided {
            basis,
            receipt: self.receipt,
            receipt_cid: self.receipt_cid,
            settlement: self.settlement,
            digest: self.digest,
            plan: self.plan,
            inputs,
            inputs_root,
        }
    }
}

fn assemble(
    dossier: &Dossier,
    outcome: Outcome,
    rows: &[Row],
    named: Named,
) -> Result<Form, FormFault> {
    let checked = Rows::new(rows).map_err(FormFault::Rows)?;
    let terms = dossier.terms();
    let budget = Units::from_u64(terms.budget);
    let plan = plan(terms, &checked, outcome, budget).map_err(FormFault::Plan)?;
    let mut listed = Vec::with_capacity(rows.len());
    for row in checked.as_slice() {
        listed.push(ReceiptRow {
            payee: dossier.address_of(&row.payee).ok_or(FormFault::Value)?,
            role: match row.role {
                Role::Worker => RowRole::Worker,
                Role::Validator => RowRole::Validator,
            },
            amount: amount(row.amount)?,
        });
    }
    let receipt = SettlementReceipt {
        object_version: 1,
        terms_hash: dossier.terms_hash(),
        network: dossier.network().clone(),
        verifier: dossier
            .address_of(&dossier.codec().verifier())
            .ok_or(FormFault::Value)?,
        task_id: dossier.task_id(),
        outcome: match outcome {
            Outcome::Paid => d402_objects::Outcome::Paid,
            Outcome::Rejected => d402_objects::Outcome::Rejected,
        },
        rows: listed,
        commission: amount(plan.commission)?,
        gateway_fee: amount(plan.gateway_fee)?,
        claim_cids: named.claims,
        validation_receipt_cids: named.receipts,
        lease_set_roots: named.roots,
    };
    let receipt_cid = cid_of(&receipt).map_err(FormFault::Object)?;
    let settlement = Settlement {
        receipt_cid: ReceiptCid(receipt_cid.as_bytes()),
        outcome,
        rows: checked,
    };
    let digest = dossier
        .codec()
        .settlement_digest(&dossier.quote().terms_hash, &settlement);
    Ok(Form {
        receipt,
        receipt_cid,
        settlement,
        digest,
        plan,
    })
}

fn amount(units: Units) -> Result<Amount, FormFault> {
    Amount::new(units.get()).map_err(|_| FormFault::Value)
}
