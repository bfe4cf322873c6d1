//! What every rail must do, as one suite that each rail's tests run against their own chain.
//!
//! A case is a small story told through [`Rail`] alone; what only the chain's tests can do (fund a buyer,
//! sign as validators, move the clock, misbehave) comes from a [`Harness`]. Cases share nothing but the
//! chain: each has fresh accounts. A failure names the case and the sentence that does not hold.

mod accidents;
mod payments;
mod settlements;

use async_trait::async_trait;
use d402_core::ports::{Deposit, PaymentFault, Rail, RailError, VaultState, VerifiedPayment};
use d402_objects::SignedReceipt;

/// One task, ready to be paid.
#[derive(Clone, Debug)]
pub struct Story {
    /// Encoded terms; the rail has everything it needs to make bodies for them.
    pub terms: Vec<u8>,
    /// Budget, base units.
    pub budget: u64,
    /// A funded buyer's payment of exactly the budget.
    pub payload: serde_json::Value,
    /// Another funded buyer's payment of exactly the budget.
    pub second_payload: serde_json::Value,
    /// The payment of a buyer that owns nothing.
    pub poor_payload: serde_json::Value,
    /// A payment of the funded buyer that is one unit short.
    pub small_payload: serde_json::Value,
    /// A payment of the funded buyer whose signature is broken.
    pub forged_payload: serde_json::Value,
    /// A payment of the funded buyer that is valid for longer than a rail may accept.
    pub long_payload: serde_json::Value,
    /// Second from which [`Self::payload`] is void.
    pub valid_before: i64,
    /// Second from which a deposit is late.
    pub fund_by: i64,
    /// Second from which nothing settles and everything is refunded.
    pub refund_after: i64,
    /// Receives what is not earned.
    pub refund_to: String,
    /// A worker's wallet.
    pub worker: String,
    /// A validator's wallet.
    pub validator: String,
    /// Which of the harness's stories this is.
    pub index: usize,
}

/// What a receipt pays; the harness's terms have no commission and no gateway fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Worker and validator get this many base units.
    Paid {
        /// Worker row.
        worker: u64,
        /// Validator row.
        validator: u64,
    },
    /// Nobody gets anything.
    Rejected,
}

/// What can happen between a rail and its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accident {
    /// The next transaction happens, its answer is lost.
    LostAnswer,
    /// The next transaction is lost before it happens.
    LostRequest,
    /// The next answer claims success and nothing happened.
    LyingSuccess,
    /// The next deposit takes effect from `fund_by` on.
    LateDeposit,
    /// The next deposit arrives twice.
    DoubleDeposit,
    /// The next deposit arrives one unit short.
    ShortDeposit,
}

/// The chain's side of the suite.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A fresh task with fresh, funded buyers.
    async fn story(&self, budget: u64) -> Story;
    /// A receipt of the story's validators, signed by `missing` fewer of them than needed.
    fn receipt(&self, story: &Story, verdict: Verdict, missing: usize) -> SignedReceipt;
    /// Units an account holds.
    async fn units(&self, story: &Story, account: &str) -> u128;
    /// Moves the chain's clock to a second, never back.
    async fn advance_to(&self, unix_s: i64);
    /// Makes the next fitting transaction go wrong.
    async fn arm(&self, accident: Accident);
    /// Makes an account able or unable to receive.
    async fn set_payable(&self, account: &str, payable: bool);
    /// Sends units of a stranger to the story's address, without any terms.
    async fn send(&self, story: &Story, units: u64);
    /// Claims what an account was credited.
    async fn claim_credit(&self, story: &Story, account: &str);
}

/// A rail does not do what every rail must.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{case}: expected {expected}, got {got}")]
pub struct Nonconforming {
    /// Name of the case.
    pub case: &'static str,
    /// What must hold.
    pub expected: &'static str,
    /// What was observed.
    pub got: String,
}

/// Runs every case, in order, and stops at the first that fails.
///
/// # Errors
/// [`Nonconforming`].
pub async fn rail_conformance(rail: &dyn Rail, harness: &dyn Harness) -> Result<(), Nonconforming> {
    let scene = |case| Scene {
        case,
        rail,
        harness,
    };
    payments::a_payment_is_verified_without_effect_and_funds_once(&scene("pay")).await?;
    payments::a_payment_that_does_not_fit_is_refused_with_the_right_fault(&scene("bad payments"))
        .await?;
    payments::a_payment_that_never_came_becomes_impossible(&scene("impossible")).await?;
    payments::a_second_payer_gives_to_refund_to(&scene("double pay")).await?;
    payments::an_underpaid_vault_settles_after_a_top_up(&scene("underpaid")).await?;
    settlements::a_receipt_pays_its_rows_once_and_refunds_the_rest(&scene("settle")).await?;
    settlements::a_second_receipt_is_refused_for_ever(&scene("second receipt")).await?;
    settlements::too_few_signatures_move_nothing(&scene("threshold")).await?;
    settlements::a_rejected_task_is_refunded_at_once(&scene("rejected")).await?;
    settlements::an_unpayable_payee_is_credited_and_claims_later(&scene("credit")).await?;
    settlements::silence_is_refunded_from_refund_after_on(&scene("refund")).await?;
    accidents::a_lost_answer_is_unknown_and_the_money_moved_once(&scene("lost answer")).await?;
    accidents::a_lost_request_is_unknown_and_nothing_moved(&scene("lost request")).await?;
    accidents::a_lie_about_success_is_found_out(&scene("lying success")).await?;
    accidents::a_late_deposit_shows_when_it_came(&scene("late")).await?;
    accidents::a_deposit_that_arrives_twice_is_refunded_once(&scene("double deposit")).await?;
    accidents::a_deposit_one_unit_short_is_short(&scene("short deposit")).await
}

/// One case: its name, and who plays.
struct Scene<'a> {
    case: &'static str,
    rail: &'a dyn Rail,
    harness: &'a dyn Harness,
}

impl Scene<'_> {
    fn expect(
        &self,
        holds: bool,
        expected: &'static str,
        got: &dyn std::fmt::Debug,
    ) -> Result<(), Nonconforming> {
        if holds {
            Ok(())
        } else {
            Err(Nonconforming {
                case: self.case,
                expected,
                got: format!("{got:?}"),
            })
        }
    }

    /// The payment, which must verify.
    async fn verified(
        &self,
        story: &Story,
        payload: &serde_json::Value,
    ) -> Result<VerifiedPayment, Nonconforming> {
        let answer = self.verify(story, payload).await?;
        answer.map_err(|fault| Nonconforming {
            case: self.case,
            expected: "a payment that verifies",
            got: format!("{fault:?}"),
        })
    }

    async fn verify(
        &self,
        story: &Story,
        payload: &serde_json::Value,
    ) -> Result<Result<VerifiedPayment, PaymentFault>, Nonconforming> {
        self.known(self.rail.verify(payload, &story.terms).await)
    }

    /// A story whose budget has arrived.
    async fn funded(&self, budget: u64) -> Result<(Story, VerifiedPayment), Nonconforming> {
        let story = self.harness.story(budget).await;
        let payment = self.verified(&story, &story.payload).await?;
        self.known(self.rail.submit(&payment.body).await)?;
        Ok((story, payment))
    }

    async fn settle(&self, story: &Story, verdict: Verdict) -> Result<Vec<u8>, Nonconforming> {
        let receipt = self.harness.receipt(story, verdict, 0);
        let body = self.known(self.rail.settle_body(&story.terms, &receipt))?;
        self.known(self.rail.submit(&body).await)?;
        Ok(body)
    }

    async fn deposit(
        &self,
        story: &Story,
        payment: &VerifiedPayment,
    ) -> Result<Deposit, Nonconforming> {
        self.known(self.rail.deposit(&story.terms, payment.payment_id).await)
    }

    async fn vault(&self, story: &Story) -> Result<VaultState, Nonconforming> {
        self.known(self.rail.vault(&story.terms).await)
    }

    async fn expect_units(
        &self,
        story: &Story,
        account: &str,
        want: u128,
        expected: &'static str,
    ) -> Result<(), Nonconforming> {
        let got = self.harness.units(story, account).await;
        self.expect(got == want, expected, &got)
    }

    fn known<T>(&self, answer: Result<T, RailError>) -> Result<T, Nonconforming> {
        answer.map_err(|error| Nonconforming {
            case: self.case,
            expected: "an answer of the chain",
            got: format!("{error:?}"),
        })
    }
}
