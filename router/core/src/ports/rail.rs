//! Ways to pay: what the market asks of a rail, and what it may be told.

use async_trait::async_trait;
use d402_objects::{Address, Amount, Cid, Hex32};

/// What a rail knows about a deposit; `Unknown` is never zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deposit {
    /// Enough arrived; first moment (chain ms) at which the budget was covered.
    Funded {
        /// Units held.
        amount: Amount,
        /// Chain time, ms.
        at_ms: u64,
    },
    /// Less than the budget is there.
    Short {
        /// Units held.
        amount: Amount,
    },
    /// Nothing there, and it may still come.
    Pending,
    /// Nothing there, and this payment can never take effect (threat #71).
    Impossible,
}

/// A settlement as the chain reports it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settled {
    /// CID of the receipt that was executed.
    pub receipt_cid: Cid,
    /// Transaction id.
    pub transaction: String,
    /// Height or slot.
    pub height: u64,
    /// What each payee got.
    pub paid: Vec<d402_wire::simchain::PaidRow>,
    /// Returned to refundTo.
    pub refunded: Amount,
}

/// State of a vault or escrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultState {
    /// No receipt executed.
    Open {
        /// Units held.
        balance: Amount,
    },
    /// A receipt was executed.
    Settled(Settled),
}

/// Why a rail did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RailError {
    /// The answer is not known; ask again, never assume.
    #[error("the chain's answer is not known")]
    Unknown,
    /// The chain's rules refuse these bytes now, and may not later.
    #[error("refused for now: {rule}")]
    Retry {
        /// Rule of `d402-settlement`.
        rule: String,
    },
    /// The chain's rules refuse these bytes for ever.
    #[error("refused: {rule}")]
    Refused {
        /// Rule of `d402-settlement`.
        rule: String,
    },
}

/// Why a payment in a request is not acceptable; first failing check wins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PaymentFault {
    /// Not the payload shape of this rail.
    #[error("malformed payment payload")]
    Malformed,
    /// Amount, asset or payTo differ from the offer.
    #[error("payment does not match what was offered")]
    Mismatch,
    /// Signature does not verify.
    #[error("payment signature does not verify")]
    Signature,
    /// `validBefore` passed, or is too close or too far.
    #[error("payment is outside its time window")]
    Expired,
    /// The payer cannot cover it.
    #[error("payer has {got}, needs {needed}")]
    Funds {
        /// Balance.
        got: Amount,
        /// Amount of the payment.
        needed: Amount,
    },
    /// Used or cancelled already, and not for these terms.
    #[error("payment was used or cancelled")]
    Spent,
    /// A trial run fails although every single check passes: paused token, blocked payer.
    #[error("payment would not take effect")]
    Simulation,
    /// It breaks a rule of its x402 scheme that has a name of its own.
    #[error("payment breaks a rule of its scheme: {reason}")]
    Scheme {
        /// x402's name of the rule.
        reason: &'static str,
    },
}

/// A verified payment: what to submit and who pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPayment {
    /// Unique id of the payment on its chain.
    pub payment_id: Hex32,
    /// Payer's account.
    pub payer: String,
    /// Bytes for [`Rail::submit`]; the same bytes always.
    pub body: Vec<u8>,
}

/// What a buyer is asked to authorize on a direct rail.
#[derive(Clone, Copy, Debug)]
pub struct DirectAsk<'a> {
    /// The chosen worker's account, as the network spells it.
    pub pay_to: &'a Address,
    /// The token, as the network spells it.
    pub asset: &'a Address,
    /// Exactly so much, base units.
    pub amount: Amount,
    /// The authorization must still be good then, unix ms: until the work is judged and collected.
    pub hold_until_ms: u64,
}

/// What the chain says of an authorization, found by its payer and nonce, whoever submitted it (threat #37).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectState {
    /// It did not take effect, and may.
    Open {
        /// First moment of chain time at which it cannot any more, ms.
        until_ms: u64,
    },
    /// The chain shows authorization and transfer in one executed transaction, as deep as the amount needs
    /// (threat #36).
    Paid {
        /// Id of the transaction, as explorers write it.
        transaction: String,
        /// Its height or slot.
        height: u64,
        /// Chain time, ms.
        at_ms: u64,
    },
    /// It never will (threat #71), by a block that cannot be undone.
    Impossible {
        /// Why.
        why: Uncollectable,
    },
}

/// Why an authorization can never take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Uncollectable {
    /// Used for something else, or cancelled.
    Spent,
    /// Its time passed unused: the payer's money was not there, or nobody could submit it.
    Expired,
}

/// The x402 flow `authorization` of a rail: verify, work, judge, and only then submit (design §5). The body of a
/// verified payment is UTF-8 text and says all [`DirectRail::payment`] needs; [`Rail::submit`] of it pays.
#[async_trait]
pub trait DirectRail: Send + Sync {
    /// Checks an authorization against what was asked, without any effect.
    async fn verify_direct(
        &self,
        payload: &serde_json::Value,
        ask: &DirectAsk<'_>,
    ) -> Result<Result<VerifiedPayment, PaymentFault>, RailError>;
    /// What became of the payment of a body.
    async fn payment(&self, body: &[u8]) -> Result<DirectState, RailError>;
}

/// Who asks for a vault before anything is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAsk<'a> {
    /// Where the money would go back to.
    pub refund_to: &'a Address,
    /// What would be paid, base units.
    pub budget: Amount,
    /// Where the request came from; `None` counts as one and the same place.
    pub from: Option<std::net::IpAddr>,
    /// Wall clock, ms.
    pub now_ms: u64,
}

/// Why no vault is opened. Other ways to pay are offered instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotOpened {
    /// Below what opening and settling are worth (threat #68).
    #[error("vaults are opened from {least} on")]
    Budget {
        /// Base units.
        least: Amount,
    },
    /// The account the money would come from and go back to is not there, or holds less than the budget.
    #[error("refundTo has no token account that holds the budget")]
    NoMoney,
    /// A cap on what strangers may cost (threat #19).
    #[error("no vault is opened now: {cap}")]
    Cap {
        /// Which one.
        cap: &'static str,
    },
}

/// Opens vaults for requests nobody paid for yet: the one 402 with a side effect (threat #19).
#[async_trait]
pub trait VaultOpener: Send + Sync {
    /// Who lends the rent, gets it back, and pays the fee of the payment: `rentTo` of the terms and `feePayer` of
    /// the 402. Nothing is opened without one.
    fn lender(&self) -> Option<Address>;
    /// Opens the vault of these terms and answers once the cluster has voted for it, so that a payment finds it.
    async fn open(
        &self,
        ask: &OpenAsk<'_>,
        terms: &[u8],
    ) -> Result<Result<(), NotOpened>, RailError>;
}

/// One way to pay. The market never knows which.
#[async_trait]
pub trait Rail: Send + Sync + 'static {
    /// Name, e.g. `simulated`.
    fn name(&self) -> &'static str;
    /// CAIP-2 network.
    fn network(&self) -> &str;
    /// Tells the rail the validator set whose hash some terms carry, before [`Rail::verify`] and
    /// [`Rail::settle_body`] of those terms; the bodies keep it from then on. Rails whose transactions carry
    /// the set themselves ignore it.
    fn learn_set(&self, set: &d402_settlement::ValidatorSet);
    /// The id a payment payload has on its chain, found without looking at the chain, the terms or the
    /// signature; `None` when malformed. A retry is recognised by it before anything is verified.
    fn payment_id(&self, payload: &serde_json::Value) -> Option<Hex32>;
    /// Checks a payment payload against terms (in the bytes of this rail's network) without any effect.
    async fn verify(
        &self,
        payload: &serde_json::Value,
        terms: &[u8],
    ) -> Result<Result<VerifiedPayment, PaymentFault>, RailError>;
    /// Submits money bytes of a [`MoneyEffect`](super::MoneyEffect) (payment, settlement, sweep). Idempotent.
    async fn submit(&self, body: &[u8]) -> Result<(), RailError>;
    /// Bytes that settle `terms` by a signed receipt.
    fn settle_body(
        &self,
        terms: &[u8],
        receipt: &d402_objects::SignedReceipt,
    ) -> Result<Vec<u8>, RailError>;
    /// Bytes that sweep `terms`.
    fn sweep_body(&self, terms: &[u8]) -> Vec<u8>;
    /// What became of a payment into `terms`.
    async fn deposit(&self, terms: &[u8], payment_id: Hex32) -> Result<Deposit, RailError>;
    /// Id of the chain transaction that made a payment, as its explorers write it; `None` until it is known,
    /// and on rails that cannot say.
    async fn transaction(&self, _payment_id: Hex32) -> Result<Option<String>, RailError> {
        Ok(None)
    }
    /// The flow `authorization`, on rails whose payTo is a worker's own account; such a rail holds nothing, so it
    /// refuses [`Rail::verify`] and everything about vaults. `None` on all others.
    fn direct(&self) -> Option<&dyn DirectRail> {
        None
    }
    /// Who opens vaults before they are paid; `None` where no rent is needed or nobody lends it.
    fn opener(&self) -> Option<&dyn VaultOpener> {
        None
    }
    /// State of the vault of `terms`.
    async fn vault(&self, terms: &[u8]) -> Result<VaultState, RailError>;
    /// Chain clock, ms.
    async fn chain_now_ms(&self) -> Result<u64, RailError>;
}
