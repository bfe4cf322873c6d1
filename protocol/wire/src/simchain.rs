//! RPC of the simulated chain: JSON over HTTP `POST /rpc`, one request, one response.
//!
//! Same ledger, same terms codec and same rules as the Solana vault (spec §3.1, threat #73); only the
//! switches of [`Rpc::SetUnpayable`] and [`Rpc::SetFault`] exist here alone, and they are the outside
//! world's misbehaviour, not rules.

use d402_objects::Hex32;
use serde::{Deserialize, Serialize};

/// Largest request or response body.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// CAIP-2 of the simulated network.
pub const NETWORK: &str = "d402:simulated";
/// Tag of the payment message (32 bytes, zero padded).
pub const PAYMENT_TAG: &str = "d402/payment/simulated/v1";

/// An Ed25519 payment: the simulated twin of an EIP-3009 authorization.
///
/// Signed bytes: `tag(PAYMENT_TAG) ‖ from[32] ‖ payTo[32] ‖ asset[32] ‖ amount u64 LE ‖ nonce[32] ‖
/// validBefore i64 LE`. Payment id = SHA-256 of those bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Payment {
    /// Buyer's key and account.
    pub from: Hex32,
    /// Vault address.
    pub pay_to: Hex32,
    /// Asset.
    pub asset: Hex32,
    /// Base units, decimal string.
    pub amount: d402_objects::Amount,
    /// Single use per `from`.
    pub nonce: Hex32,
    /// Unix seconds, chain clock; void from then on.
    pub valid_before: i64,
    /// 64 bytes, lower hex.
    pub signature: String,
}

impl Payment {
    /// The bytes the buyer signs; `None` when the amount does not fit the Solana codec's u64.
    #[must_use]
    pub fn signed_bytes(&self) -> Option<Vec<u8>> {
        let amount = u64::try_from(self.amount.get()).ok()?;
        let mut tag = [0u8; 32];
        for (slot, byte) in tag.iter_mut().zip(PAYMENT_TAG.bytes()) {
            *slot = byte;
        }
        let mut out = Vec::with_capacity(176);
        out.extend_from_slice(&tag);
        out.extend_from_slice(&self.from.as_bytes());
        out.extend_from_slice(&self.pay_to.as_bytes());
        out.extend_from_slice(&self.asset.as_bytes());
        out.extend_from_slice(&amount.to_le_bytes());
        out.extend_from_slice(&self.nonce.as_bytes());
        out.extend_from_slice(&self.valid_before.to_le_bytes());
        Some(out)
    }
}

/// One row of a settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettleRow {
    /// Payee.
    pub payee: Hex32,
    /// 0 worker, 1 validator.
    pub role: u8,
    /// Base units.
    pub amount: d402_objects::Amount,
}

/// What a client asks the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "method",
    content = "params",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Rpc {
    /// Chain time.
    Clock,
    /// Moves the clock forward (never back); only on a chain started for tests.
    AdvanceClock {
        /// Seconds to add.
        seconds: u64,
    },
    /// Creates units out of nothing for an account; the faucet of tests and demo.
    Mint {
        /// Account.
        to: Hex32,
        /// Asset.
        asset: Hex32,
        /// Base units.
        amount: d402_objects::Amount,
    },
    /// Balance of an account.
    Balance {
        /// Account.
        account: Hex32,
        /// Asset.
        asset: Hex32,
    },
    /// Registers a validator set, immutable (spec §2.2 `publish_set`).
    PublishSet {
        /// Threshold m.
        threshold: u8,
        /// Keys, ascending.
        keys: Vec<Hex32>,
    },
    /// Stores terms so that settle may come (spec §3.1 `open`).
    Open {
        /// 304 bytes, lower hex.
        terms: String,
    },
    /// Executes a signed payment; terms are published in the same step when given.
    Pay {
        /// The payment.
        payment: Payment,
        /// 304 bytes, lower hex.
        terms: Option<String>,
    },
    /// What became of a payment.
    PaymentStatus {
        /// SHA-256 of the signed bytes.
        payment_id: Hex32,
        /// `validBefore` of the payment, when the asker knows it: without it the chain, which has not seen
        /// the message, can never answer [`PaymentState::Impossible`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valid_before: Option<i64>,
    },
    /// Executes a settlement.
    Settle {
        /// 304 bytes, lower hex.
        terms: String,
        /// CID digest of the settlement receipt.
        receipt_cid: Hex32,
        /// 1 paid, 2 rejected.
        outcome: u8,
        /// Rows, ascending by payee.
        rows: Vec<SettleRow>,
        /// `(setIndex, 64-byte signature as lower hex)`, ascending.
        signatures: Vec<(u8, String)>,
    },
    /// Returns what nobody may earn any more to refundTo (spec §3.1 `sweep`).
    Sweep {
        /// 304 bytes, lower hex.
        terms: String,
    },
    /// Pays a credit.
    ClaimCredit {
        /// Terms hash.
        terms_hash: Hex32,
        /// Payee.
        payee: Hex32,
    },
    /// Credits nobody claimed join the residual.
    LapseCredits {
        /// Terms hash.
        terms_hash: Hex32,
    },
    /// Removes a vault's record.
    Close {
        /// 304 bytes, lower hex.
        terms: String,
    },
    /// A vault as the chain sees it.
    Vault {
        /// Terms hash.
        terms_hash: Hex32,
        /// Vault address.
        pay_to: Hex32,
        /// Asset.
        asset: Hex32,
    },
    /// Events from a sequence number on, oldest first, at most 256.
    Events {
        /// First sequence number wanted.
        from: u64,
    },
    /// Makes an account unable to receive.
    SetUnpayable {
        /// Account.
        account: Hex32,
        /// Whether transfers to it fail.
        unpayable: bool,
    },
    /// Lets the chain misbehave towards its clients.
    SetFault {
        /// What to do.
        fault: Fault,
        /// To how many matching requests.
        times: u32,
    },
}

/// Misbehaviour on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// A payment takes effect with a chain time after `fundBy`; the clock of everybody else stays.
    LateDeposit,
    /// The transaction happens, its answer is lost.
    LostAnswer,
    /// The transaction does not happen and its answer is lost.
    LostRequest,
    /// A deposit arrives twice.
    DoubleDeposit,
    /// One unit less arrives.
    ShortDeposit,
    /// The answer claims success, nothing happened.
    LyingSuccess,
}

/// What the chain answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "result",
    content = "value",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum RpcAnswer {
    /// Chain time.
    Clock {
        /// Unix seconds.
        now: i64,
        /// Height, rises with every transaction.
        height: u64,
    },
    /// A balance.
    Balance {
        /// Base units.
        amount: d402_objects::Amount,
    },
    /// A transaction that took effect.
    Done {
        /// Transaction id.
        transaction: Hex32,
        /// Height.
        height: u64,
        /// Chain time of it.
        at: i64,
    },
    /// A payment's state.
    Payment(PaymentState),
    /// A vault.
    Vault(VaultView),
    /// Events.
    Events {
        /// Oldest first.
        events: Vec<Event>,
    },
    /// The chain's rules refused; final for these bytes unless `retryable`.
    Refused {
        /// Name of the broken rule, as in `d402-settlement`.
        rule: String,
        /// Whether the same bytes may succeed later.
        retryable: bool,
    },
}

/// Definite knowledge about a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "state",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum PaymentState {
    /// It took effect.
    Executed {
        /// Transaction id.
        transaction: Hex32,
        /// Units that arrived.
        amount: d402_objects::Amount,
        /// Chain time.
        at: i64,
        /// Height.
        height: u64,
    },
    /// Not seen yet and still possible.
    Unseen,
    /// Not executed and can never be: the chain's clock passed `validBefore` (threat #71).
    Impossible,
}

/// A vault as anyone can see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultView {
    /// Whether terms are stored.
    pub open: bool,
    /// Whether a receipt was executed.
    pub settled: Option<SettledView>,
    /// Units held, credits included.
    pub balance: d402_objects::Amount,
    /// Open credits.
    pub credits: Vec<(Hex32, d402_objects::Amount)>,
    /// Deposits: `(chain time, units)`, oldest first; when there are more than 64, the 64 largest of them,
    /// so that dust sent by a stranger cannot hide a payment or its time.
    pub deposits: Vec<(i64, d402_objects::Amount)>,
}

/// The settlement that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettledView {
    /// CID digest of the receipt.
    pub receipt_cid: Hex32,
    /// Transaction id.
    pub transaction: Hex32,
    /// Height.
    pub height: u64,
    /// Chain time.
    pub at: i64,
    /// What each payee received or was credited.
    pub paid: Vec<PaidRow>,
    /// Returned to refundTo in the same transaction.
    pub refunded: d402_objects::Amount,
}

/// One transfer of a settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaidRow {
    /// Payee.
    pub payee: Hex32,
    /// Base units.
    pub amount: d402_objects::Amount,
    /// `worker`, `validator`, `creator` or `gateway`.
    pub kind: PaidKind,
    /// Whether it became a credit because the payee cannot receive.
    pub credited: bool,
}

/// Whom a transfer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PaidKind {
    /// A worker's price less commission.
    Worker,
    /// A validator's fee.
    Validator,
    /// The creator's commission.
    Creator,
    /// The gateway's fee.
    Gateway,
}

/// One state change, from which every balance can be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event {
    /// Rises by one.
    pub seq: u64,
    /// Chain time.
    pub at: i64,
    /// Height.
    pub height: u64,
    /// Transaction id.
    pub transaction: Hex32,
    /// What happened.
    pub body: EventBody,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "event",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum EventBody {
    /// Units created by the faucet.
    Minted {
        /// Account.
        to: Hex32,
        /// Asset.
        asset: Hex32,
        /// Base units.
        amount: d402_objects::Amount,
    },
    /// Terms stored.
    Opened {
        /// Terms hash.
        terms_hash: Hex32,
        /// 304 bytes, lower hex.
        terms: String,
    },
    /// Units moved between accounts.
    Transferred {
        /// Payer.
        from: Hex32,
        /// Receiver.
        to: Hex32,
        /// Asset.
        asset: Hex32,
        /// Base units.
        amount: d402_objects::Amount,
    },
    /// A receipt was executed.
    Settled {
        /// Terms hash.
        terms_hash: Hex32,
        /// CID digest of the receipt.
        receipt_cid: Hex32,
    },
    /// A payee that could not receive was credited.
    Credited {
        /// Terms hash.
        terms_hash: Hex32,
        /// Payee.
        payee: Hex32,
        /// Base units.
        amount: d402_objects::Amount,
    },
    /// A credit was paid; the transfer follows.
    CreditPaid {
        /// Terms hash.
        terms_hash: Hex32,
        /// Payee.
        payee: Hex32,
        /// Base units.
        amount: d402_objects::Amount,
    },
    /// Credits nobody claimed in time joined the residual.
    CreditsLapsed {
        /// Terms hash.
        terms_hash: Hex32,
        /// Base units.
        amount: d402_objects::Amount,
    },
    /// A validator set became known.
    SetPublished {
        /// Set hash.
        set_hash: Hex32,
        /// Threshold m.
        threshold: u8,
        /// Keys, ascending.
        keys: Vec<Hex32>,
    },
    /// A vault was swept.
    Swept {
        /// Terms hash.
        terms_hash: Hex32,
        /// Base units returned to refundTo.
        amount: d402_objects::Amount,
    },
    /// A vault's record was removed.
    Closed {
        /// Terms hash.
        terms_hash: Hex32,
    },
}
