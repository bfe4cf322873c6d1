//! What a buyer wants, and the comparison with what a gateway offers.

use d402_objects::{Amount, Ed25519Id, Hex32, Mode, OnSilence, TaskIntent};
use serde::Serialize;
use serde_json::{Value, json};

/// A task as the buyer wants it; `None` leaves a choice to the gateway's published policy.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// `web.page_to_markdown@1`
    pub capability_id: String,
    /// Input document.
    pub input: Value,
    /// Mode.
    pub mode: Option<Mode>,
    /// Leases.
    pub fanout: Option<u8>,
    /// Equal results needed.
    pub quorum: Option<u8>,
    /// Most the buyer pays, base units.
    pub max_budget: Amount,
    /// Budget asked for; the gateway's price when absent.
    pub budget: Option<Amount>,
    /// Time for the work, ms.
    pub deadline_ms: Option<u64>,
    /// Where the rest goes, as the network spells it.
    pub refund_to: String,
    /// CAIP-2 network to pay on.
    pub network: String,
    /// The worker to pay straight, on a direct rail.
    pub worker: Option<Ed25519Id>,
    /// Validators the buyer trusts; empty = the gateway's choice.
    pub validators: Vec<Ed25519Id>,
    /// Least number of validators and least threshold.
    pub min_set: (u8, u8),
    /// Most gateway fee, bps.
    pub max_gateway_fee_bps: u16,
    /// Most creator commission, bps.
    pub max_commission_bps: u16,
    /// What silence means.
    pub on_silence: OnSilence,
    /// sha256 of the access token.
    pub access_hash: Hex32,
}

/// Why the buyer does not pay what was offered. Declaration order is check order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Another capability.
    #[error("the offer is for {got}, asked for {want}")]
    Capability {
        /// Offered.
        got: String,
        /// Wanted.
        want: String,
    },
    /// Another input.
    #[error("the offer is for another input")]
    Input,
    /// Another mode, fanout or quorum.
    #[error("the offer changes mode, fanout or quorum")]
    Mode,
    /// Too expensive.
    #[error("the offer costs {got}, at most {max} was allowed")]
    Budget {
        /// Offered.
        got: Amount,
        /// Allowed.
        max: Amount,
    },
    /// Not paid to the worker that was chosen, or not its price.
    #[error("the offer does not pay the chosen worker, by its own word, and nobody else")]
    Worker,
    /// The rest would go to somebody else (threat #4).
    #[error("the offer returns the rest to {got}, not to the buyer")]
    RefundTo {
        /// Offered.
        got: String,
    },
    /// A smaller set or threshold than wanted, or strangers in it.
    #[error("the offer's validators are not the ones asked for")]
    Validators,
    /// Fees above the limit.
    #[error("the offer takes {got} bps for {what}, at most {max} were allowed")]
    Fee {
        /// Which fee.
        what: &'static str,
        /// Offered.
        got: u16,
        /// Allowed.
        max: u16,
    },
    /// A later deadline than asked for.
    #[error("the offer's deadline is {got} ms away, at most {max} ms were asked for")]
    Deadline {
        /// Offered.
        got: u64,
        /// Asked for, with slack for the way.
        max: u64,
    },
    /// Another meaning of silence.
    #[error("the offer changes what silence means")]
    OnSilence,
    /// Somebody else could read the result.
    #[error("the offer changes who may read the result")]
    Access,
}

/// Slack of the deadline for the gateway's clock and the way, ms.
const DEADLINE_SLACK_MS: u64 = 5_000;

impl Wishes {
    /// Body of `POST /tasks`.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({
            "capabilityId": self.capability_id,
            "input": self.input,
            "refundTo": { self.network.clone(): self.refund_to },
            "accessHash": self.access_hash.to_string(),
            "onSilence": self.on_silence,
        });
        let mut set = |key: &str, value: Option<Value>| {
            if let (Some(value), Some(fields)) = (value, body.as_object_mut()) {
                fields.insert(key.to_owned(), value);
            }
        };
        set("mode", self.mode.map(to_json));
        set("fanout", self.fanout.map(Value::from));
        set("quorum", self.quorum.map(Value::from));
        set("budget", self.budget.map(to_json));
        set("deadlineMs", self.deadline_ms.map(Value::from));
        set("worker", self.worker.map(to_json));
        body
    }

    /// Compares an offered intent with the wishes. The terms were recomputed from it already.
    ///
    /// # Errors
    /// [`Refusal`]: nothing is paid.
    pub fn check(&self, offer: &super::Challenge) -> Result<(), Refusal> {
        let intent = offer.intent();
        let capability = offer.manifest().capability_id.to_string();
        if capability != self.capability_id {
            return Err(Refusal::Capability {
                got: capability,
                want: self.capability_id.clone(),
            });
        }
        let input = d402_objects::canonical::to_bytes(&self.input);
        if d402_objects::Cid::of(&input) != intent.input.cid {
            return Err(Refusal::Input);
        }
        self.check_mode(intent)?;
        self.check_money(offer)?;
        self.check_set(offer)?;
        let asked = self
            .deadline_ms
            .unwrap_or(u64::MAX)
            .saturating_add(DEADLINE_SLACK_MS);
        let got = intent.deadline_ms.since(intent.issued_at_ms);
        if got > asked {
            return Err(Refusal::Deadline { got, max: asked });
        }
        if intent.on_silence != self.on_silence {
            return Err(Refusal::OnSilence);
        }
        if intent.access_hash != self.access_hash || intent.publish {
            return Err(Refusal::Access);
        }
        Ok(())
    }

    fn check_mode(&self, intent: &TaskIntent) -> Result<(), Refusal> {
        let same = self.mode.is_none_or(|m| m == intent.mode)
            && self.fanout.is_none_or(|f| f == intent.fanout)
            && self.quorum.is_none_or(|q| q == intent.quorum);
        if same { Ok(()) } else { Err(Refusal::Mode) }
    }

    fn check_money(&self, offer: &super::Challenge) -> Result<(), Refusal> {
        let payment = offer.payment();
        if payment.budget > self.max_budget {
            return Err(Refusal::Budget {
                got: payment.budget,
                max: self.max_budget,
            });
        }
        self.check_worker(offer)?;
        if payment.refund_to.as_str() != self.refund_to {
            return Err(Refusal::RefundTo {
                got: payment.refund_to.to_string(),
            });
        }
        let fees = [
            (
                "gateway fee",
                payment.gateway_fee_bps.get(),
                self.max_gateway_fee_bps,
            ),
            (
                "creator commission",
                offer.registration().commission.bps.get(),
                self.max_commission_bps,
            ),
        ];
        for (what, got, max) in fees {
            if got > max {
                return Err(Refusal::Fee { what, got, max });
            }
        }
        Ok(())
    }

    /// Paid straight only to the chosen worker, on the account and at the price of its own signed offer; and into
    /// an escrow when none was chosen.
    fn check_worker(&self, offer: &super::Challenge) -> Result<(), Refusal> {
        let payment = offer.payment();
        let (Some(chosen), Some(direct)) = (&self.worker, &payment.direct) else {
            let neither = self.worker.is_none() && payment.direct.is_none();
            return if neither {
                Ok(())
            } else {
                Err(Refusal::Worker)
            };
        };
        let word = offer.worker().ok_or(Refusal::Worker)?;
        let asks = |p: &d402_objects::Price| {
            p.network == payment.network && p.asset == payment.asset && p.price == payment.budget
        };
        let own = word.worker == *chosen
            && direct.worker == *chosen
            && word.payouts.get(&payment.network) == Some(&direct.pay_to)
            && word.prices.iter().any(asks);
        if own { Ok(()) } else { Err(Refusal::Worker) }
    }

    fn check_set(&self, offer: &super::Challenge) -> Result<(), Refusal> {
        let (n, m) = self.min_set;
        let set = offer.set();
        let trusted = self.validators.is_empty()
            || offer
                .offers()
                .iter()
                .all(|o| self.validators.contains(&o.payload().validator));
        if set.n() < n || set.m() < m || !trusted {
            return Err(Refusal::Validators);
        }
        Ok(())
    }
}

fn to_json<T: Serialize>(value: T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}
