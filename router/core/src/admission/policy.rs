//! The gateway's acceptance policy: configuration, shown as it is in `/health`.

use std::collections::{BTreeMap, BTreeSet};

use d402_objects::{
    Address, Amount, Bps, Caip2, CapabilityId, Cid, Ed25519Id, MAX_COMMISSION_BPS, Mode, Namespace, OnSilence,
};
use serde::{Deserialize, Serialize};

use super::{Listing, NotAccepted};

/// Everything an operator decides about which tasks are sold and how. Amounts are base units.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// Which capabilities.
    pub accept: Acceptance,
    /// What a request that leaves fields out means, and its bounds.
    pub task: DefaultTask,
    /// Who judges when the request does not say.
    pub validators: ValidatorChoice,
    /// What the gateway takes of each worker's pay.
    pub fee: GatewayFee,
}

/// Which capabilities are sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Acceptance {
    /// Only these manifests; empty means any under a trusted namespace.
    pub manifests: BTreeSet<Cid>,
    /// Only registrations under these namespaces; empty means any.
    pub namespaces: BTreeSet<Namespace>,
    /// Whether the namespace's wallet must have named the author.
    pub namespace_proof_required: bool,
    /// Whether manifests their author withdrew are refused.
    pub refuse_deprecated: bool,
    /// Most commission a creator may take.
    pub max_commission_bps: u16,
}

impl Default for Acceptance {
    fn default() -> Self {
        Self {
            manifests: BTreeSet::new(),
            namespaces: BTreeSet::new(),
            namespace_proof_required: false,
            refuse_deprecated: true,
            max_commission_bps: MAX_COMMISSION_BPS,
        }
    }
}

/// Defaults and bounds of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DefaultTask {
    /// Capability of a request that names none.
    pub capability: Option<CapabilityId>,
    /// Mode of a request that names none.
    pub mode: Mode,
    /// Leases per attempt in race and quorum.
    pub fanout: u8,
    /// Equal results needed in quorum; a majority of the fanout when absent.
    pub quorum: Option<u8>,
    /// Budget of a request that names none.
    pub budget: Amount,
    /// The same, by capability.
    pub budgets: BTreeMap<CapabilityId, Amount>,
    /// No task is sold for less, and no challenge is honoured below it (threat #55).
    pub price_floor: Amount,
    /// No task is sold for more.
    pub max_budget: Amount,
    /// Deadline of a request that names none, ms.
    pub deadline_ms: u64,
    /// Longest deadline, ms.
    pub max_deadline_ms: u64,
    /// Lease sets that may be tried in single mode, 1 to 8.
    pub max_attempts: u8,
    /// What silence means when the request does not say.
    pub on_silence: OnSilence,
    /// Whether `sync: false` is taken.
    pub allow_async: bool,
}

impl Default for DefaultTask {
    fn default() -> Self {
        Self {
            capability: None,
            mode: Mode::Single,
            fanout: 3,
            quorum: None,
            budget: Amount::from(10_000),
            budgets: BTreeMap::new(),
            price_floor: Amount::from(1_000),
            max_budget: Amount::from(100_000_000),
            deadline_ms: 30_000,
            max_deadline_ms: 600_000,
            max_attempts: 3,
            on_silence: OnSilence::Refund,
            allow_async: true,
        }
    }
}

/// Who judges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ValidatorChoice {
    /// Validators by envelope key, most wanted first; empty means any in the directory, cheapest first. A
    /// gateway that sells to strangers names them: whoever floods the directory would judge otherwise.
    pub trusted: Vec<Ed25519Id>,
    /// n.
    pub set_size: u8,
    /// m.
    pub threshold: u8,
    /// Whether a request may name validators that are not in `trusted`.
    pub allow_others: bool,
}

impl Default for ValidatorChoice {
    fn default() -> Self {
        Self { trusted: Vec::new(), set_size: 4, threshold: 3, allow_others: true }
    }
}

/// The gateway's fee.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GatewayFee {
    /// Of each worker's pay; at most 2,000. Networks without a payee are sold without a fee.
    pub bps: Bps,
    /// Where it goes, per network.
    pub payees: BTreeMap<Caip2, Address>,
}

impl Policy {
    /// Whether this listing may be sold.
    ///
    /// # Errors
    /// [`NotAccepted`] names the first rule against it.
    pub fn accepts(&self, listing: &Listing) -> Result<(), NotAccepted> {
        let rules = &self.accept;
        let registration = listing.registration.payload();
        if !rules.manifests.is_empty() && !rules.manifests.contains(&listing.manifest.cid()) {
            return Err(NotAccepted::Manifest);
        }
        if !rules.namespaces.is_empty() && !rules.namespaces.contains(&registration.namespace) {
            return Err(NotAccepted::Namespace);
        }
        if rules.namespace_proof_required && !listing.namespace_proven {
            return Err(NotAccepted::NamespaceProof);
        }
        if rules.refuse_deprecated && listing.deprecation.is_some() {
            return Err(NotAccepted::Deprecated {
                successor: listing.deprecation.as_ref().and_then(|d| d.payload().successor),
            });
        }
        let bps = registration.commission.bps.get();
        if bps > rules.max_commission_bps {
            return Err(NotAccepted::Commission { bps, max: rules.max_commission_bps });
        }
        Ok(())
    }

    /// What a task of this capability costs when the buyer does not say.
    #[must_use]
    pub fn budget_for(&self, capability: &CapabilityId) -> Amount {
        self.task.budgets.get(capability).copied().unwrap_or(self.task.budget)
    }

    /// The fee on a network, and where it goes.
    #[must_use]
    pub fn fee_on(&self, network: &Caip2) -> (Bps, Option<&Address>) {
        match self.fee.payees.get(network) {
            Some(payee) if self.fee.bps != Bps::ZERO => (self.fee.bps, Some(payee)),
            Some(_) | None => (Bps::ZERO, None),
        }
    }
}
