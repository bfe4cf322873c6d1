//! Is a settlement receipt one of this task's, do enough validators agree, may the output go out for it?
//!
//! Responsible for: everything a holder of a dossier can check of a `{receipt, signatures}` carrier without
//! evidence. Not responsible for: whether the outcome is the right one (see [`decide`](super::decide) and
//! [`Bundle`](super::Bundle)).

use d402_objects::{
    Amount, Cid, Lease, ResultClaim, RowRole, SettlementReceipt, Signed, SignedReceipt,
};

use crate::market::Dossier;
use crate::market::network::{account, address_of};
use crate::{
    ApprovalFault, Approvals, Key32, Outcome, PlanRefusal, ReceiptCid, Role, Row, Rows, RowsFault,
    Settlement, StrictEd25519, UnixSeconds, Units, need, plan, settlement_digest,
};

/// A receipt of this task, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedReceipt {
    /// The receipt as the chain sees it.
    pub settlement: Settlement,
    /// The 32 bytes that were signed.
    pub digest: [u8; 32],
    /// Who signed; every signature is valid.
    pub approvals: Approvals,
}

/// Why a carrier is no valid receipt of a task. Declaration order is check order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptFault {
    /// Of another task.
    #[error("receipt is of another task: {0}")]
    OtherTask(Cid),
    /// Under other terms.
    #[error("receipt is under other terms")]
    OtherTerms,
    /// For another network.
    #[error("receipt is for another network")]
    OtherNetwork,
    /// For another program.
    #[error("receipt is for another verifier")]
    OtherVerifier,
    /// A row's payee is no account of the network.
    #[error("payee of row {0} is no account of the network")]
    BadPayee(usize),
    /// A row pays the zero account, the vault, the asset or the program (threat #58).
    #[error("payee of row {0} may not be paid by this task")]
    ForbiddenPayee(usize),
    /// An amount is too large for the codec.
    #[error("amount {0} does not fit the codec")]
    BadAmount(Amount),
    /// The rows are no rows of the chain.
    #[error("rows cannot be encoded")]
    Rows(#[source] RowsFault),
    /// The rows break the arithmetic of spec §2.4.
    #[error("rows cannot be paid")]
    Plan(#[source] PlanRefusal),
    /// `commission` is not what the chain computes (M3).
    #[error("commission is {got}, the chain computes {want}")]
    Commission {
        /// In the receipt.
        got: u128,
        /// Computed.
        want: u128,
    },
    /// `gatewayFee` is not what the chain computes (M3).
    #[error("gatewayFee is {got}, the chain computes {want}")]
    GatewayFee {
        /// In the receipt.
        got: u128,
        /// Computed.
        want: u128,
    },
    /// A signature is not 64 bytes.
    #[error("signature of set index {0} is not 64 bytes")]
    SignatureLength(u8),
    /// A signature does not verify, or its signer is not in the set.
    #[error("signatures refused")]
    Signature(#[source] ApprovalFault),
    /// Fewer than the contract needs at that time.
    #[error("{got} signatures, {need} are needed")]
    TooFewSignatures {
        /// Valid signatures.
        got: u8,
        /// Needed.
        need: u8,
    },
}

/// Checks that a receipt is one of this task and that its numbers are those the chain computes; returns the
/// settlement validators sign. Says nothing about signatures.
///
/// # Errors
/// [`ReceiptFault`] names the first broken rule.
pub fn check_receipt(
    dossier: &Dossier,
    receipt: &SettlementReceipt,
    receipt_cid: Cid,
) -> Result<Settlement, ReceiptFault> {
    if receipt.task_id != dossier.task_id() {
        return Err(ReceiptFault::OtherTask(receipt.task_id));
    }
    if receipt.terms_hash != dossier.terms_hash() {
        return Err(ReceiptFault::OtherTerms);
    }
    if receipt.network != *dossier.network() {
        return Err(ReceiptFault::OtherNetwork);
    }
    if Some(&receipt.verifier) != address_of(&dossier.domain().program).as_ref() {
        return Err(ReceiptFault::OtherVerifier);
    }
    let rows = rows_of(dossier, receipt)?;
    let outcome = match receipt.outcome {
        d402_objects::Outcome::Paid => Outcome::Paid,
        d402_objects::Outcome::Rejected => Outcome::Rejected,
    };
    let terms = dossier.terms();
    let budget = Units::from_u64(terms.budget);
    let plan = plan(terms, &rows, outcome, budget).map_err(ReceiptFault::Plan)?;
    let (got, want) = (receipt.commission.get(), plan.commission.get());
    if got != want {
        return Err(ReceiptFault::Commission { got, want });
    }
    let (got, want) = (receipt.gateway_fee.get(), plan.gateway_fee.get());
    if got != want {
        return Err(ReceiptFault::GatewayFee { got, want });
    }
    Ok(Settlement { receipt_cid: ReceiptCid(receipt_cid.as_bytes()), outcome, rows })
}

fn rows_of(dossier: &Dossier, receipt: &SettlementReceipt) -> Result<Rows, ReceiptFault> {
    let mut rows = Vec::with_capacity(receipt.rows.len());
    for (index, row) in receipt.rows.iter().enumerate() {
        let payee = account(&row.payee).ok_or(ReceiptFault::BadPayee(index))?;
        if dossier.quote().is_forbidden_payee(&payee) {
            return Err(ReceiptFault::ForbiddenPayee(index));
        }
        let role = match row.role {
            RowRole::Worker => Role::Worker,
            RowRole::Validator => Role::Validator,
        };
        let amount = Units::new(row.amount.get()).ok_or(ReceiptFault::BadAmount(row.amount))?;
        rows.push(Row { payee, role, amount });
    }
    Rows::new(&rows).map_err(ReceiptFault::Rows)
}

/// Checks a carrier: the receipt by [`check_receipt`], every signature, and that they are as many as the
/// contract needs at `now` (spec §3.1).
///
/// # Errors
/// [`ReceiptFault`] names the first broken rule.
pub fn check_signatures(
    dossier: &Dossier,
    signed: &SignedReceipt,
    now: UnixSeconds,
) -> Result<CheckedReceipt, ReceiptFault> {
    let checked = check_some_signatures(dossier, signed)?;
    let need = need(dossier.terms(), dossier.set(), now);
    let got = checked.approvals.count();
    if got < need {
        return Err(ReceiptFault::TooFewSignatures { got, need });
    }
    Ok(checked)
}

/// [`check_signatures`] without the count: for carriers that are still being filled.
pub(crate) fn check_some_signatures(
    dossier: &Dossier,
    signed: &SignedReceipt,
) -> Result<CheckedReceipt, ReceiptFault> {
    let settlement = check_receipt(dossier, signed.receipt(), signed.receipt_cid())?;
    let digest = settlement_digest(dossier.domain(), &dossier.quote().terms_hash, &settlement);
    let mut signatures = Vec::with_capacity(signed.signatures().len());
    for entry in signed.signatures() {
        let bytes = entry
            .signature
            .to_array::<64>()
            .map_err(|_| ReceiptFault::SignatureLength(entry.set_index))?;
        signatures.push((entry.set_index, bytes));
    }
    let approvals = Approvals::check(dossier.set(), digest, &signatures, &StrictEd25519)
        .map_err(ReceiptFault::Signature)?;
    Ok(CheckedReceipt { settlement, digest, approvals })
}

/// Why an output stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseRefusal {
    /// The carrier is no receipt of this task with enough signatures.
    #[error("no valid receipt")]
    Receipt(#[source] ReceiptFault),
    /// The task was not paid.
    #[error("the receipt pays no worker")]
    NotPaid,
    /// The claim was not made under this lease, or the lease is not of this task.
    #[error("claim, lease and task do not belong together")]
    NotOfThisTask,
    /// The receipt decides on other claims.
    #[error("the receipt does not name claim {0}")]
    OtherClaim(Cid),
    /// The receipt names the claim but does not pay its lease.
    #[error("the receipt does not pay the lease of the claim")]
    ClaimNotPaid,
}

/// Whether the output of `claim` may leave its holder (threat #15, spec §5.9): only against a Paid receipt
/// that names the claim and pays its lease in full, with as many signatures as the contract needs at `now`.
///
/// # Errors
/// [`ReleaseRefusal`] names the first broken rule.
pub fn verify_output_release(
    dossier: &Dossier,
    signed: &SignedReceipt,
    claim: &Signed<ResultClaim>,
    lease: &Signed<Lease>,
    now: UnixSeconds,
) -> Result<CheckedReceipt, ReleaseRefusal> {
    let checked =
        check_signatures(dossier, signed, now).map_err(ReleaseRefusal::Receipt)?;
    match checked.settlement.outcome {
        Outcome::Paid => {}
        Outcome::Rejected => return Err(ReleaseRefusal::NotPaid),
    }
    let together = claim.payload().lease_cid == lease.cid()
        && claim.payload().task_id == dossier.task_id()
        && lease.payload().task_id == dossier.task_id();
    if !together {
        return Err(ReleaseRefusal::NotOfThisTask);
    }
    if !signed.receipt().claim_cids.contains(&claim.cid()) {
        return Err(ReleaseRefusal::OtherClaim(claim.cid()));
    }
    let payee = account(&lease.payload().payout.address).unwrap_or(Key32::ZERO);
    let paid = checked.settlement.rows.as_slice().iter().any(|row| {
        row.payee == payee
            && row.role == Role::Worker
            && row.amount.get() == lease.payload().price.get()
    });
    if !paid {
        return Err(ReleaseRefusal::ClaimNotPaid);
    }
    Ok(checked)
}
