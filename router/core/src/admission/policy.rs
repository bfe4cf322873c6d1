//! The gateway's acceptance policy: configuration, shown as it is in `/health`.

use std::collections::{BTreeMap, BTreeSet};

use d402_objects::{
    Address, Amount, Bps, Caip2, CapabilityId, Cid, Ed25519Id, MAX_COMMISSION_BPS, Mode, Namespace,
    OnSilence,
};
use serde::{Deserialize, Serialize};

use super::{Listing, NotAccepted};

/// Everything an operator decides about which tasks are sold and how. Amounts are base units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// Only these manifests; empty means any under a trusted namespace.
    pub accepted_manifests: BTreeSet<Cid>,
    /// Only registrations under these namespaces; empty means any.
    pub trusted_namespaces: BTreeSet<Namespace>,
    /// Whether the namespace's wallet must have named the author.
    pub namespace_proof_required: bool,
    /// Whether manifests their author withdrew are refused.
    pub refuse_deprecated: bool,
    /// Most commission a creator may take.
    pub max_commission_bps: u16,
    /// Capability of a request that names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_capability: Option<CapabilityId>,
    /// Mode of a request that names none.
    pub default_mode: Mode,
    /// Leases per attempt in race and quorum, when the request does not say.
    pub default_fanout: u8,
    /// Equal results needed in quorum, when the request does not say; a majority of the fanout when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_quorum: Option<u8>,
    /// Budget of a request that names none.
    pub default_budget: Amount,
    /// The same, by capability.
    pub budgets: BTreeMap<CapabilityId, Amount>,
    /// No task is sold for less, and no challenge is honoured below it (threat #55).
    pub price_floor: Amount,
    /// No task is sold for more.
    pub max_budget: Amount,
    /// Deadline of a request that names none, ms.
    pub default_deadline_ms: u64,
    /// Longest deadline, ms.
    pub max_deadline_ms: u64,
    /// Lease sets that may be tried in single mode, 1 to 8.
    pub max_attempts: u8,
    /// What silence means when the request does not say.
    pub default_on_silence: OnSilence,
    /// Whether `sync: false` is taken.
    pub allow_async: bool,
    /// Validators by envelope key, most wanted first; empty means any in the directory, cheapest first. A
    /// gateway that sells to strangers names them: whoever floods the directory would judge otherwise.
    pub trusted_validators: Vec<Ed25519Id>,
    /// n of the sets this gateway proposes.
    pub validator_set_size: u8,
    /// m of them.
    pub validator_threshold: u8,
    /// Whether a request may name validators that are not trusted here.
    pub allow_other_validators: bool,
    /// Whether the workers of one lease set must be in distinct networks, /24 or /48, as their nodes say;
    /// nodes without a public address count as one network (threat #31). Off only where all share a machine.
    pub distinct_subnets: bool,
    /// What the gateway takes of each worker's pay; at most 2,000.
    pub gateway_fee_bps: Bps,
    /// Where it goes, per network. Networks without a payee are sold without a fee.
    pub gateway_fee_payees: BTreeMap<Caip2, Address>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            accepted_manifests: BTreeSet::new(),
            trusted_namespaces: BTreeSet::new(),
            namespace_proof_required: false,
            refuse_deprecated: true,
            max_commission_bps: MAX_COMMISSION_BPS,
            default_capability: None,
            default_mode: Mode::Single,
            default_fanout: 3,
            default_quorum: None,
            default_budget: Amount::from(10_000),
            budgets: BTreeMap::new(),
            price_floor: Amount::from(1_000),
            max_budget: Amount::from(100_000_000),
            default_deadline_ms: 30_000,
            max_deadline_ms: 600_000,
            max_attempts: 3,
            default_on_silence: OnSilence::Refund,
            allow_async: true,
            trusted_validators: Vec::new(),
            validator_set_size: 4,
            validator_threshold: 3,
            allow_other_validators: true,
            distinct_subnets: true,
            gateway_fee_bps: Bps::ZERO,
            gateway_fee_payees: BTreeMap::new(),
        }
    }
}

impl Policy {
    /// Whether this listing may be sold.
    ///
    /// # Errors
    /// [`NotAccepted`] names the first rule against it.
    pub fn accepts(&self, listing: &Listing) -> Result<(), NotAccepted> {
        let registration = listing.registration.payload();
        if !self.accepted_manifests.is_empty()
            && !self.accepted_manifests.contains(&listing.manifest.cid())
        {
            return Err(NotAccepted::Manifest);
        }
        if !self.trusted_namespaces.is_empty()
            && !self.trusted_namespaces.contains(&registration.namespace)
        {
            return Err(NotAccepted::Namespace);
        }
        if self.namespace_proof_required && !listing.namespace_proven {
            return Err(NotAccepted::NamespaceProof);
        }
        if self.refuse_deprecated && listing.deprecation.is_some() {
            return Err(NotAccepted::Deprecated {
                successor: listing
                    .deprecation
                    .as_ref()
                    .and_then(|d| d.payload().successor),
            });
        }
        let bps = registration.commission.bps.get();
        if bps > self.max_commission_bps {
            return Err(NotAccepted::Commission {
                bps,
                max: self.max_commission_bps,
            });
        }
        Ok(())
    }

    /// What a task of this capability costs when the buyer does not say.
    #[must_use]
    pub fn budget_for(&self, capability: &CapabilityId) -> Amount {
        self.budgets
            .get(capability)
            .copied()
            .unwrap_or(self.default_budget)
    }

    /// The fee on a network, and where it goes.
    #[must_use]
    pub fn fee_on(&self, network: &Caip2) -> (Bps, Option<&Address>) {
        match self.gateway_fee_payees.get(network) {
            Some(payee) if self.gateway_fee_bps != Bps::ZERO => (self.gateway_fee_bps, Some(payee)),
            Some(_) | None => (Bps::ZERO, None),
        }
    }
}
