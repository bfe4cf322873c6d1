//! Body of `POST /tasks`.

use std::collections::BTreeMap;

use d402_objects::{
    Address, Amount, Caip2, CapabilityId, Cid, Ed25519Id, Hex32, Mode, OnSilence, ValidationModel,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a buyer asks for. Missing values come from the gateway's published policy, `refundTo` never does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskRequest {
    /// Which capability, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability_id: Option<CapabilityId>,
    /// Which capability, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_cid: Option<Cid>,
    /// The input; its canonical form is what the task's input CID is of.
    pub input: Value,
    /// Single, race or quorum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Leases per attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fanout: Option<u8>,
    /// Equal results needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u8>,
    /// Who judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<RequestedValidation>,
    /// Most to spend, base units, the same on every rail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Amount>,
    /// The one worker that is paid straight, on a direct rail; then no other rail is offered (threat #39).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Ed25519Id>,
    /// Milliseconds from now until results stop counting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Where money goes back to, per network. A network without an entry is not offered (threat #4).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refund_to: BTreeMap<Caip2, Address>,
    /// Whether the gateway is to open the vault before the 402, so that a client that can only transfer may pay
    /// into it (threat #19).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open_vault: bool,
    /// What silence of the validators means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_silence: Option<OnSilence>,
    /// SHA-256 of the token that opens the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_hash: Option<Hex32>,
    /// Whether result and evidence may be served to anyone after the end.
    #[serde(default)]
    pub publish: bool,
    /// Whether the response waits for the result; yes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<bool>,
}

/// Validators and model the buyer chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestedValidation {
    /// Offers of the n validators, in order.
    pub offer_cids: Vec<Cid>,
    /// m of n.
    pub threshold: u8,
    /// How they judge; the manifest's first model when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ValidationModel>,
}

impl TaskRequest {
    /// Whether the buyer wants to wait for the result.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.sync.unwrap_or(true)
    }
}
