//! Is a settlement receipt one of this task's, do enough validators agree, may the output go out for it?
//!
//! Responsible for: everything a holder of a dossier can check of a `{receipt, signatures}` carrier without
//! evidence. Not responsible for: whether the outcome is the right one (see [`decide`](super::decide) and
//! [`Bundle`](super::Bundle)).

use d402_objects::{
    Amount, Cid, Lease, ResultClaim, RowRole, SettlementReceipt, Signed, SignedReceipt,
};

use crate::market::Dossier;
use crate::{
    ApprovalFault, Approvals, Key32, Outcome, PlanRefusal, ReceiptCid, Role, Row, Rows, RowsFault,
    Settlement, Units, UnixSeconds, need, plan,
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
    /// Of a task that is paid straight, and not exactly the payment: one worker row, its account, the whole amount.
    #[error("the receipt is not what the direct payment pays")]
    NotThePayment,
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
    /// A signature has another length than the network's.
    #[error("signature of set index {set_index} has {got} bytes, the network's have {want}")]
    SignatureLength {
        /// Whose.
        set_index: u8,
        /// Bytes given.
        got: usize,
        /// Bytes of a settlement signature there.
        want: usize,
    },
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
    if Some(&receipt.verifier) != dossier.address_of(&dossier.codec().verifier()).as_ref() {
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
    if dossier.direct().is_some() && !is_the_payment(dossier, outcome, &rows) {
        return Err(ReceiptFault::NotThePayment);
    }
    let (got, want) = (receipt.commission.get(), plan.commission.get());
    if got != want {
        return Err(ReceiptFault::Commission { got, want });
    }
    let (got, want) = (receipt.gateway_fee.get(), plan.gateway_fee.get());
    if got != want {
        return Err(ReceiptFault::GatewayFee { got, want });
    }
    Ok(Settlement {
        receipt_cid: ReceiptCid(receipt_cid.as_bytes()),
        outcome,
        rows,
    })
}

/// What a direct payment can do: pay its whole amount to its worker, or nothing.
fn is_the_payment(dossier: &Dossier, outcome: Outcome, rows: &Rows) -> bool {
    let whole = Row {
        payee: dossier.pay_to(),
        role: Role::Worker,
        amount: Units::from_u64(dossier.terms().budget),
    };
    match outcome {
        Outcome::Paid => rows.as_slice() == [whole],
        Outcome::Rejected => rows.as_slice().is_empty(),
    }
}

fn rows_of(dossier: &Dossier, receipt: &SettlementReceipt) -> Result<Rows, ReceiptFault> {
    let mut rows = Vec::with_capacity(receipt.rows.len());
    for (index, row) in receipt.rows.iter().enumerate() {
        let payee = dossier
            .codec()
            .account(&row.payee)
            .ok_or(ReceiptFault::BadPayee(index))?;
        if dossier.quote().is_forbidden_payee(&payee) {
            return Err(ReceiptFault::ForbiddenPayee(index));
        }
        let role = match row.role {
            RowRole::Worker => Role::Worker,
            RowRole::Validator => Role::Validator,
        };
        let amount = Units::new(row.amount.get()).ok_or(ReceiptFault::BadAmount(row.amount))?;
        rows.push(Row {
            payee,
            role,
            amount,
        });
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
    let digest = dossier
        .codec()
        .settlement_digest(&dossier.quote().terms_hash, &settlement);
    let mut signatures = Vec::with_capacity(signed.signatures().len());
    for entry in signed.signatures() {
        let bytes = entry.signature.as_slice();
        if bytes.len() != dossier.codec().signature_len() {
            return Err(ReceiptFault::SignatureLength {
                set_index: entry.set_index,
                got: bytes.len(),
                want: dossier.codec().signature_len(),
            });
        }
        signatures.push((entry.set_index, bytes));
    }
    let approvals = dossier
        .codec()
        .approvals(dossier.set(), digest, &signatures)
        .map_err(ReceiptFault::Signature)?;
    Ok(CheckedReceipt {
        settlement,
        digest,
        approvals,
    })
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
    let checked = check_signatures(dossier, signed, now).map_err(ReleaseRefusal::Receipt)?;
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
    let payee = dossier
        .codec()
        .account(&lease.payload().payout.address)
        .unwrap_or(Key32::ZERO);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

    use d402_objects::{Mode, OnSilence, Verdict};

    use super::*;
    use crate::market::testkit::{TaskSpec, TaskStory};

    fn early(story: &TaskStory) -> UnixSeconds {
        story.scene.dossier.terms().issued_at
    }

    fn signed_by(story: &TaskStory, signers: &[usize]) -> SignedReceipt {
        let signatures = story
            .scene
            .settlement_signatures(signers, &story.decided.digest);
        story.decided.signed(signatures).unwrap()
    }

    #[test]
    fn enough_signatures_of_the_set_are_accepted_and_fewer_are_not() {
        let story = TaskStory::of(Mode::Single);
        let dossier = &story.scene.dossier;
        for count in 0..=4usize {
            let signers: Vec<usize> = (0..count).collect();
            let got = check_signatures(dossier, &signed_by(&story, &signers), early(&story));
            if count < 3 {
                let got_count = u8::try_from(count).unwrap();
                assert_eq!(
                    got,
                    Err(ReceiptFault::TooFewSignatures {
                        got: got_count,
                        need: 3
                    })
                );
            } else {
                assert_eq!(got.unwrap().digest, story.decided.digest);
            }
        }
    }

    #[test]
    fn a_majority_is_enough_from_settle_by_where_the_terms_say_so() {
        let mut spec = TaskSpec::single(4, 4);
        spec.on_silence = OnSilence::Majority;
        let story = TaskStory::honest(spec);
        let dossier = &story.scene.dossier;
        let three = signed_by(&story, &[0, 1, 2]);
        let settle_by = dossier.times().settle_by_s;
        let before = UnixSeconds(settle_by.0 - 1);
        assert!(check_signatures(dossier, &three, before).is_err());
        assert!(check_signatures(dossier, &three, settle_by).is_ok());
    }

    #[test]
    fn signatures_over_anything_else_are_refused() {
        let story = TaskStory::of(Mode::Single);
        let other = TaskStory::honest(TaskSpec::single(3, 4).seeded(1));
        let dossier = &story.scene.dossier;
        let foreign = check_signatures(dossier, &other.signed_receipt, early(&story));
        assert!(matches!(foreign, Err(ReceiptFault::OtherTask(_))));
        let signatures = story
            .scene
            .settlement_signatures(&[0, 1, 2], &other.decided.digest);
        let signed = story.decided.signed(signatures).unwrap();
        let wrong = check_signatures(dossier, &signed, early(&story));
        assert!(matches!(
            wrong,
            Err(ReceiptFault::Signature(ApprovalFault::BadSignature { .. }))
        ));
    }

    fn changed(
        story: &TaskStory,
        change: impl FnOnce(&mut SettlementReceipt),
    ) -> Result<Settlement, ReceiptFault> {
        let mut receipt = story.decided.receipt.clone();
        change(&mut receipt);
        check_receipt(&story.scene.dossier, &receipt, story.decided.receipt_cid)
    }

    #[test]
    fn every_field_of_a_receipt_is_that_of_the_task() {
        let story = TaskStory::of(Mode::Quorum);
        assert!(changed(&story, |_| {}).is_ok());
        let zero = d402_objects::Hex32::from_bytes([0; 32]);
        assert_eq!(
            changed(&story, |r| r.terms_hash = zero),
            Err(ReceiptFault::OtherTerms)
        );
        let network = changed(&story, |r| r.network = "eip155:1".parse().unwrap());
        assert_eq!(network, Err(ReceiptFault::OtherNetwork));
        let verifier = changed(&story, |r| r.verifier = "1".repeat(64).parse().unwrap());
        assert_eq!(verifier, Err(ReceiptFault::OtherVerifier));
        let payee = changed(&story, |r| r.rows[0].payee = "nobody".parse().unwrap());
        assert_eq!(payee, Err(ReceiptFault::BadPayee(0)));
        let order = changed(&story, |r| r.rows.reverse());
        assert!(matches!(
            order,
            Err(ReceiptFault::Rows(RowsFault::NotAscending { .. }))
        ));
    }

    #[test]
    fn threat_58_a_row_to_the_vault_the_asset_or_nobody_is_refused() {
        let story = TaskStory::of(Mode::Single);
        let dossier = &story.scene.dossier;
        let vault = dossier.address_of(&dossier.pay_to()).unwrap();
        let zero = dossier.address_of(&Key32::ZERO).unwrap();
        for bad in [vault, zero, dossier.asset().clone()] {
            let got = changed(&story, |r| r.rows[0].payee = bad);
            assert_eq!(got, Err(ReceiptFault::ForbiddenPayee(0)));
        }
    }

    #[test]
    fn the_numbers_are_those_the_chain_computes() {
        let story = TaskStory::of(Mode::Quorum);
        let commission = changed(&story, |r| r.commission = 2_999.into());
        assert_eq!(
            commission,
            Err(ReceiptFault::Commission {
                got: 2_999,
                want: 3_000
            })
        );
        let fee = changed(&story, |r| r.gateway_fee = 601.into());
        assert_eq!(
            fee,
            Err(ReceiptFault::GatewayFee {
                got: 601,
                want: 600
            })
        );
        let amount = changed(&story, |r| r.rows[0].amount = 99_999.into());
        assert!(matches!(amount, Err(ReceiptFault::Plan(_))));
        let large = changed(&story, |r| r.rows[0].amount = Amount::MAX);
        assert!(matches!(
            large,
            Err(ReceiptFault::Rows(RowsFault::AmountTooLarge { index: 0 }))
        ));
    }

    #[test]
    fn threat_15_an_output_goes_out_only_for_a_paid_receipt_that_pays_its_claim() {
        let story = TaskStory::of(Mode::Race);
        let dossier = &story.scene.dossier;
        let now = early(&story);
        let release = |signed: &SignedReceipt, claim: usize, lease: usize| {
            verify_output_release(
                dossier,
                signed,
                &story.claims[claim],
                &story.leases[lease],
                now,
            )
        };
        assert!(release(&story.signed_receipt, 0, 0).is_ok());
        let loser = release(&story.signed_receipt, 1, 1);
        assert_eq!(
            loser,
            Err(ReleaseRefusal::OtherClaim(story.claims[1].cid()))
        );
        assert_eq!(
            release(&story.signed_receipt, 0, 1),
            Err(ReleaseRefusal::NotOfThisTask)
        );
        let few = release(&signed_by(&story, &[0, 1]), 0, 0);
        assert!(matches!(
            few,
            Err(ReleaseRefusal::Receipt(
                ReceiptFault::TooFewSignatures { .. }
            ))
        ));
        let rejected = TaskStory::judged(TaskSpec::race(3, 4), Verdict::Reject);
        let refused = verify_output_release(
            &rejected.scene.dossier,
            &rejected.signed_receipt,
            &rejected.claims[0],
            &rejected.leases[0],
            now,
        );
        assert_eq!(refused, Err(ReleaseRefusal::NotPaid));
    }

    #[test]
    fn a_receipt_that_names_a_claim_but_pays_another_price_releases_nothing() {
        let story = TaskStory::of(Mode::Single);
        let mut receipt = story.decided.receipt.clone();
        for row in receipt
            .rows
            .iter_mut()
            .filter(|row| row.role == RowRole::Worker)
        {
            row.amount = 5_000.into();
        }
        (receipt.commission, receipt.gateway_fee) = (500.into(), 100.into());
        let unsigned = SignedReceipt::new(receipt.clone(), Vec::new()).unwrap();
        let dossier = &story.scene.dossier;
        let settlement = check_receipt(dossier, &receipt, unsigned.receipt_cid()).unwrap();
        let digest = dossier
            .codec()
            .settlement_digest(&dossier.quote().terms_hash, &settlement);
        let signatures = story.scene.settlement_signatures(&[0, 1, 2], &digest);
        let signed = unsigned.with_signatures(signatures).unwrap();
        let (claim, lease) = (&story.claims[0], &story.leases[0]);
        let refused = verify_output_release(dossier, &signed, claim, lease, early(&story));
        assert_eq!(refused, Err(ReleaseRefusal::ClaimNotPaid));
    }
}
