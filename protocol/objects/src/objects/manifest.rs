//! Capability manifest: what a capability means, may do, and how its results are judged.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Bps, CapabilityId, Cid, Ed25519Id, Invalid, Label, Text,
    payload::{count, distinct, fits, payload, range},
};

/// How reproducible a capability's result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Determinism {
    /// Same input, same bytes.
    Exact,
    /// Same after canonicalisation.
    Canonical,
    /// Comparable by the manifest's named similarity.
    Scored,
    /// Only schema and evidence can be checked.
    None,
}

/// How validators judge a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ValidationModel {
    /// Re-execute and compare digests.
    Exact,
    /// Own run, compared by the manifest's similarity and threshold.
    Scored,
    /// Equal canonical digests among the claims of a quorum.
    CanonicalQuorum,
    /// The output fits its schema and the evidence is complete.
    SchemaEvidence,
}

/// What the executor may use. A limit of the sandbox, not a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permissions {
    /// Which hosts it may reach.
    pub network: NetworkPermission,
    /// Whether it may drive a browser.
    pub browser: bool,
    /// CPU time.
    pub cpu_ms: u64,
    /// Memory.
    pub memory_bytes: u64,
    /// Wall-clock time.
    pub timeout_ms: u64,
    /// Output size.
    pub output_bytes: u64,
}

/// Hosts an executor may reach; none means no network, `*` means any public host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPermission {
    /// Host names, or `*`.
    pub hosts: Vec<Label>,
}

/// Published targets, not promises.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Performance {
    /// Median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<u64>,
    /// 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<u64>,
}

/// How scored results are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Similarity {
    /// The measure.
    pub name: Label,
    /// Least similarity that is accepted.
    pub threshold_bps: Bps,
}

/// Capability manifest. Its author's key is inside, so inside its CID (threat #24).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 1.
    pub object_version: u16,
    /// Who wrote it and alone may register it.
    pub author: Ed25519Id,
    /// Dotted id; the first half of `capability_id`.
    pub id: Label,
    /// Release of the capability, not of this object; the second half of `capability_id`.
    pub version: Label,
    /// `<id>@<version>`.
    pub capability_id: CapabilityId,
    /// One sentence for people.
    pub description: Text,
    /// JSON Schema 2020-12 of the input.
    pub input_schema: Value,
    /// JSON Schema 2020-12 of the output.
    pub output_schema: Value,
    /// How reproducible results are.
    pub determinism: Determinism,
    /// Limits of the sandbox.
    pub permissions: Permissions,
    /// Names of the evidence a claim must carry.
    pub evidence: Vec<Label>,
    /// Models a buyer may choose from.
    pub validation_models: Vec<ValidationModel>,
    /// Seconds validators need to decide; moves settleBy (spec §3.1).
    pub decision_time_s: u32,
    /// What one unit of price buys.
    pub pricing_units: Label,
    /// Targets.
    pub performance: Performance,
    /// Words directories index on.
    pub tags: Vec<Label>,
    /// How scored results are compared; present iff `scored` is among the models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub similarity: Option<Similarity>,
    /// A published implementation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implementation_cid: Option<Cid>,
}

payload!(Manifest, "manifest", max 256 * 1024, signer author_key,
    floats &["inputSchema", "outputSchema"]);

impl Manifest {
    fn author_key(&self) -> Ed25519Id {
        self.author
    }

    fn rules(&self) -> Result<(), Invalid> {
        fits(
            "capabilityId",
            "id and version",
            self.capability_id.id() == self.id.as_str()
                && self.capability_id.version() == self.version.as_str(),
        )?;
        for (what, schema) in [
            ("inputSchema", &self.input_schema),
            ("outputSchema", &self.output_schema),
        ] {
            fits(
                what,
                "JSON Schema",
                schema.is_object() || schema.is_boolean(),
            )?;
        }
        count("evidence", self.evidence.len(), 0, 32)?;
        count("validationModels", self.validation_models.len(), 1, 4)?;
        distinct("validationModels", &self.validation_models)?;
        count("tags", self.tags.len(), 0, 32)?;
        count("hosts", self.permissions.network.hosts.len(), 0, 64)?;
        // One day: longer than any deadline this market offers (spec §3.1).
        range("decisionTimeS", self.decision_time_s, 0, 86_400)?;
        fits(
            "similarity",
            "validationModels",
            self.similarity.is_some() == self.validation_models.contains(&ValidationModel::Scored),
        )
    }
}
