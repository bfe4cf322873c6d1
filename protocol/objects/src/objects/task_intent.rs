//! Task intent: everything the buyer agrees to, before anybody knows who will work. Its CID is
//! the task id.

use serde::{Deserialize, Serialize};

use crate::{
    Address, Amount, BlobRef, Bps, Caip2, Cid, Ed25519Id, Hex32, Invalid, Label, Nonce16, UnixMs,
    ValidationModel,
    payload::{count, distinct, fits, payload, range},
};

/// Commission and gateway fee are at most a fifth each (spec §2.2).
pub const MAX_COMMISSION_BPS: u16 = 2_000;
/// Least time between issuing and deadline (spec §3.1).
const MIN_DEADLINE_MS: u64 = 10_000;
/// Most time between issuing and deadline (spec §3.1).
const MAX_DEADLINE_MS: u64 = 24 * 60 * 60 * 1_000;
/// The same when the payment is only authorized until the work is judged (design §5).
pub const MAX_DIRECT_DEADLINE_MS: u64 = 30_000;
/// Most validators of a set (spec §2.2).
const MAX_VALIDATORS: usize = 16;

/// How many workers do the task and who of them is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// One worker; the next bidder when it fails.
    Single,
    /// Several; the first certified valid claim is paid.
    Race,
    /// Several; all that agree are paid, the minority is not.
    Quorum,
}

/// What happens to the money when too few validators sign (spec §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnSilence {
    /// All of it goes back.
    Refund,
    /// A majority suffices between settleBy and refundAfter, then it goes back.
    Majority,
}

/// Who judges, how, and how many of them must sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidationPolicy {
    /// The model.
    pub model: ValidationModel,
    /// The n validators' offers, in order.
    pub offer_cids: Vec<Cid>,
    /// m of n; `n < 2m ≤ 2n`.
    pub threshold: u8,
}

/// Who is paid, when the buyer chose one worker before anybody worked and pays it straight (design §5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectPayee {
    /// The worker.
    pub worker: Ed25519Id,
    /// Its account: payTo of the 402.
    pub pay_to: Address,
}

/// One rail the task may be paid on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentOption {
    /// The rail.
    pub rail: Label,
    /// Its network.
    pub network: Caip2,
    /// The token.
    pub asset: Address,
    /// Most that can be spent, fees included.
    pub budget: Amount,
    /// Present on a direct rail: the buyer only authorizes, and nothing is held by anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<DirectPayee>,
    /// Where the rest goes back to. Never the gateway's choice (threat #4).
    pub refund_to: Address,
    /// Where account rent goes back to, on chains that have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rent_to: Option<Address>,
    /// Hash of the validator set on this network (spec §2.2, §2.3).
    pub validator_set: Hex32,
    /// The gateway's fee on worker pay.
    pub gateway_fee_bps: Bps,
    /// Where it goes; present iff the fee is not zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_fee_payee: Option<Address>,
    /// Most that validators may earn together; at most half the budget.
    pub validator_fee_cap: Amount,
    /// Makes the address of this task on this rail its own.
    pub salt: Hex32,
}

/// Task intent. Its CID is the task id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskIntent {
    /// 1.
    pub object_version: u16,
    /// Makes equal requests different tasks.
    pub nonce: Nonce16,
    /// When it was written.
    pub issued_at_ms: UnixMs,
    /// When results stop counting; absolute.
    pub deadline_ms: UnixMs,
    /// Lease sets that may be tried, 1 to 8.
    pub max_attempts: u8,
    /// The gateway that runs the market.
    pub gateway: Ed25519Id,
    /// The buyer, when it signs for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<Ed25519Id>,
    /// What work means.
    pub manifest_cid: Cid,
    /// Whose commission applies.
    pub registration_cid: Cid,
    /// The input.
    pub input: BlobRef,
    /// Single, race or quorum.
    pub mode: Mode,
    /// Leases per attempt.
    pub fanout: u8,
    /// Equal results needed.
    pub quorum: u8,
    /// Who judges.
    pub validation: ValidationPolicy,
    /// Rails the buyer may choose from.
    pub payment: Vec<PaymentOption>,
    /// What silence means.
    pub on_silence: OnSilence,
    /// SHA-256 of the token that opens the output.
    pub access_hash: Hex32,
    /// Whether evidence may be served to anyone after Final.
    pub publish: bool,
}

payload!(TaskIntent, "taskIntent", max 64 * 1024, signer requestor);

impl TaskIntent {
    /// Who signs: the buyer when named, else the gateway for it.
    #[must_use]
    pub fn requestor(&self) -> Ed25519Id {
        self.buyer.unwrap_or(self.gateway)
    }

    fn rules(&self) -> Result<(), Invalid> {
        range(
            "deadlineMs - issuedAtMs",
            self.deadline_ms.since(self.issued_at_ms),
            u128::from(MIN_DEADLINE_MS),
            u128::from(MAX_DEADLINE_MS),
        )?;
        range("maxAttempts", self.max_attempts, 1, 8)?;
        self.check_mode()?;
        self.check_validation()?;
        count("payment", self.payment.len(), 1, 6)?;
        distinct(
            "payment",
            self.payment.iter().map(|p| (&p.rail, &p.network)),
        )?;
        self.check_direct()?;
        self.payment.iter().try_for_each(PaymentOption::rules)
    }

    /// A direct entry stands beside none of another kind (threat #39), pays one worker, splits nothing and
    /// is over in time: what the buyer authorized lives two minutes.
    fn check_direct(&self) -> Result<(), Invalid> {
        let Some(first) = self.payment.iter().find_map(|p| p.direct.as_ref()) else {
            return Ok(());
        };
        let one_worker = |p: &PaymentOption| {
            let same = |direct: &DirectPayee| direct.worker == first.worker;
            p.direct.as_ref().is_some_and(same)
        };
        let whole =
            |p: &PaymentOption| p.gateway_fee_bps == Bps::ZERO && p.validator_fee_cap.is_zero();
        fits(
            "direct",
            "the same worker in every payment entry",
            self.payment.iter().all(one_worker),
        )?;
        fits("direct", "no fees", self.payment.iter().all(whole))?;
        fits("direct", "mode single", self.mode == Mode::Single)?;
        fits(
            "direct",
            "onSilence refund",
            self.on_silence == OnSilence::Refund,
        )?;
        range(
            "deadlineMs - issuedAtMs of a direct payment",
            self.deadline_ms.since(self.issued_at_ms),
            u128::from(MIN_DEADLINE_MS),
            u128::from(MAX_DIRECT_DEADLINE_MS),
        )
    }

    fn check_mode(&self) -> Result<(), Invalid> {
        let (fanout, quorum) = (self.fanout, self.quorum);
        match self.mode {
            Mode::Single => {
                range("fanout", fanout, 1, 1)?;
                range("quorum", quorum, 1, 1)
            }
            Mode::Race => {
                range("fanout", fanout, 2, 8)?;
                range("quorum", quorum, 1, 1)
            }
            Mode::Quorum => {
                range("fanout", fanout, 2, 8)?;
                fits(
                    "quorum",
                    "a majority of fanout",
                    quorum <= fanout && u16::from(quorum).saturating_mul(2) > u16::from(fanout),
                )
            }
        }
    }

    fn check_validation(&self) -> Result<(), Invalid> {
        let n = self.validation.offer_cids.len();
        count("offerCids", n, 1, MAX_VALIDATORS)?;
        distinct("offerCids", &self.validation.offer_cids)?;
        let m = usize::from(self.validation.threshold);
        // n < 2m ≤ 2n: two sets that can sign always share a validator (M2).
        fits(
            "threshold",
            "a majority of offerCids",
            m <= n && n < m.saturating_mul(2),
        )
    }
}

impl PaymentOption {
    fn rules(&self) -> Result<(), Invalid> {
        range(
            "gatewayFeeBps",
            self.gateway_fee_bps.get(),
            0,
            u128::from(MAX_COMMISSION_BPS),
        )?;
        fits(
            "gatewayFeePayee",
            "gatewayFeeBps",
            self.gateway_fee_payee.is_some() == (self.gateway_fee_bps != Bps::ZERO),
        )?;
        fits("budget", "a positive amount", !self.budget.is_zero())?;
        // cap ≤ ⌊budget / 2⌋ ⇔ 2·cap ≤ budget; neither side overflows below 2^97.
        fits(
            "validatorFeeCap",
            "half of budget",
            self.validator_fee_cap.get().saturating_mul(2) <= self.budget.get(),
        )
    }
}
