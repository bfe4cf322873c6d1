//! The part of a capability manifest that executors, checkers and the sandbox act on.
//!
//! Responsible for: reading the compiled-in template, and checking documents against its schemas.
//! Not: the signed manifest object and its CID; the objects crate owns those.
//! Invariants: schemas are JSON Schema 2020-12, compiled offline (a remote `$ref` fails the build of
//! the validator, it is never fetched); limits are within [`Limits::CEILING`].

use jsonschema::{Draft, Validator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What one run may use. All bounds are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Processor time in milliseconds; enforced in whole seconds, rounded up.
    pub cpu_ms: u64,
    /// Address space above what the bare program needs, in bytes.
    pub memory_bytes: u64,
    /// Wall clock from spawn to exit, in milliseconds.
    pub timeout_ms: u64,
    /// Canonical output and evidence together, in bytes.
    pub output_bytes: u64,
}

impl Limits {
    /// No manifest and no caller gets more than this.
    pub const CEILING: Self = Self {
        cpu_ms: 60_000,
        memory_bytes: 1 << 30,
        timeout_ms: 60_000,
        output_bytes: 8 << 20,
    };

    /// The smaller of each bound.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            cpu_ms: self.cpu_ms.min(other.cpu_ms),
            memory_bytes: self.memory_bytes.min(other.memory_bytes),
            timeout_ms: self.timeout_ms.min(other.timeout_ms),
            output_bytes: self.output_bytes.min(other.output_bytes),
        }
    }
}

/// How far two runs of the same work agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Determinism {
    /// To the byte.
    Exact,
    /// After canonicalisation.
    Canonical,
    /// Up to a named similarity.
    Scored,
    /// Not at all.
    None,
}

/// The comparison of scored work.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Similarity {
    /// A function this build knows, e.g. [`crate::similarity::SHINGLE_JACCARD`].
    pub name: String,
    /// Scores from here up are accepted, in basis points.
    pub threshold_bps: u16,
}

/// The network part of the permissions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    hosts: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Permissions {
    network: Network,
    browser: bool,
    cpu_ms: u64,
    memory_bytes: u64,
    timeout_ms: u64,
    output_bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Template {
    capability_id: String,
    input_schema: Value,
    output_schema: Value,
    determinism: Determinism,
    permissions: Permissions,
    evidence: Vec<String>,
    similarity: Option<Similarity>,
}

/// Why a manifest template is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not the JSON we expect.
    #[error("the manifest template does not parse")]
    Json(#[from] serde_json::Error),
    /// A schema does not compile.
    #[error("the {which} schema of {capability_id} does not compile")]
    Schema {
        /// Whose schema.
        capability_id: String,
        /// `input` or `output`.
        which: &'static str,
        /// What the compiler said.
        #[source]
        source: Box<jsonschema::ValidationError<'static>>,
    },
    /// A limit is zero or above the ceiling.
    #[error("the limits of {capability_id} are outside 1..=ceiling")]
    Limits {
        /// Whose limits.
        capability_id: String,
    },
    /// The template asks for a browser, or names a host list that no executor here enforces.
    #[error("{capability_id} asks for a permission that no executor here has")]
    Permission {
        /// Whose permission.
        capability_id: String,
    },
    /// Scored work without a similarity this build knows, or a similarity on other work.
    #[error("{capability_id} names no similarity this build knows")]
    Similarity {
        /// Whose similarity.
        capability_id: String,
    },
}

/// A loaded manifest template.
#[derive(Debug)]
pub struct Manifest {
    capability_id: String,
    determinism: Determinism,
    limits: Limits,
    evidence: Vec<String>,
    uses_network: bool,
    similarity: Option<Similarity>,
    input: Validator,
    output: Validator,
}

impl Manifest {
    /// Reads a template.
    ///
    /// # Errors
    /// [`ManifestError`], first broken rule first.
    pub fn load(template: &str) -> Result<Self, ManifestError> {
        let template: Template = serde_json::from_str(template)?;
        let capability_id = template.capability_id;
        let permissions = template.permissions;
        let limits = Limits {
            cpu_ms: permissions.cpu_ms,
            memory_bytes: permissions.memory_bytes,
            timeout_ms: permissions.timeout_ms,
            output_bytes: permissions.output_bytes,
        };
        let smallest = limits
            .cpu_ms
            .min(limits.memory_bytes)
            .min(limits.timeout_ms)
            .min(limits.output_bytes);
        if smallest == 0 || limits.min(Limits::CEILING) != limits {
            return Err(ManifestError::Limits { capability_id });
        }
        let uses_network = match permissions.network.hosts.as_slice() {
            [] => false,
            [any] if any == "*" => true,
            _ => return Err(ManifestError::Permission { capability_id }),
        };
        if permissions.browser {
            return Err(ManifestError::Permission { capability_id });
        }
        let similarity_known = template.similarity.as_ref().map(|similarity| {
            similarity.name == crate::similarity::SHINGLE_JACCARD
                && similarity.threshold_bps <= 10_000
        });
        if similarity_known.unwrap_or(template.determinism != Determinism::Scored) {
            Ok(Self {
                determinism: template.determinism,
                limits,
                evidence: template.evidence,
                uses_network,
                similarity: template.similarity,
                input: compile(&capability_id, "input", &template.input_schema)?,
                output: compile(&capability_id, "output", &template.output_schema)?,
                capability_id,
            })
        } else {
            Err(ManifestError::Similarity { capability_id })
        }
    }

    /// `name@major`, e.g. `web.page_to_markdown@1`.
    #[must_use]
    pub fn capability_id(&self) -> &str {
        &self.capability_id
    }

    /// How far two runs agree.
    #[must_use]
    pub fn determinism(&self) -> Determinism {
        self.determinism
    }

    /// What one run may use.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Names of the evidence blobs every claim must carry, and no others.
    #[must_use]
    pub fn evidence(&self) -> &[String] {
        &self.evidence
    }

    /// Whether an executor gets a way out to the network.
    #[must_use]
    pub fn uses_network(&self) -> bool {
        self.uses_network
    }

    /// The threshold of scored work; 10,000 (nothing but equality) when none is named.
    #[must_use]
    pub fn threshold_bps(&self) -> u16 {
        self.similarity
            .as_ref()
            .map_or(10_000, |similarity| similarity.threshold_bps)
    }

    /// Checks an input document.
    ///
    /// # Errors
    /// The first violation, as text for people.
    pub fn check_input(&self, input: &Value) -> Result<(), SchemaViolation> {
        check(&self.input, input)
    }

    /// Checks an output document.
    ///
    /// # Errors
    /// The first violation, as text for people.
    pub fn check_output(&self, output: &Value) -> Result<(), SchemaViolation> {
        check(&self.output, output)
    }
}

/// Where a document leaves its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at `{instance_path}`, against `{schema_path}`")]
pub struct SchemaViolation {
    /// JSON pointer into the document.
    pub instance_path: String,
    /// JSON pointer into the schema.
    pub schema_path: String,
}

fn compile(
    capability_id: &str,
    which: &'static str,
    schema: &Value,
) -> Result<Validator, ManifestError> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .build(schema)
        .map_err(|source| ManifestError::Schema {
            capability_id: capability_id.to_owned(),
            which,
            source: Box::new(source),
        })
}

fn check(validator: &Validator, document: &Value) -> Result<(), SchemaViolation> {
    validator
        .validate(document)
        .map_err(|error| SchemaViolation {
            instance_path: error.instance_path().to_string(),
            schema_path: error.schema_path().to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template() -> Value {
        json!({
            "capabilityId": "x.y@1", "inputSchema": {"type": "object", "required": ["a"]}, "outputSchema": {},
            "determinism": "exact", "evidence": [],
            "permissions": {"network": {"hosts": []}, "browser": false, "cpuMs": 1, "memoryBytes": 1, "timeoutMs": 1, "outputBytes": 1}
        })
    }

    fn load(template: &Value) -> Result<Manifest, ManifestError> {
        Manifest::load(&template.to_string())
    }

    #[test]
    fn a_sound_template_loads_and_checks_documents() {
        let manifest = load(&template()).unwrap();
        assert!(manifest.check_input(&json!({"a": 1})).is_ok());
        assert!(manifest.check_input(&json!({"b": 1})).is_err());
        assert!(!manifest.uses_network());
    }

    #[test]
    fn a_remote_reference_is_refused_not_fetched() {
        let mut remote = template();
        remote["inputSchema"] = json!({"$ref": "http://127.0.0.1:1/schema.json"});
        assert!(matches!(
            load(&remote),
            Err(ManifestError::Schema { which: "input", .. })
        ));
    }

    #[test]
    fn limits_of_zero_or_above_the_ceiling_are_refused() {
        for (name, value) in [("cpuMs", 0), ("timeoutMs", 60_001)] {
            let mut bad = template();
            bad["permissions"][name] = json!(value);
            assert!(
                matches!(load(&bad), Err(ManifestError::Limits { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn scored_work_without_a_known_similarity_is_refused() {
        let mut scored = template();
        scored["determinism"] = json!("scored");
        assert!(matches!(
            load(&scored),
            Err(ManifestError::Similarity { .. })
        ));
        scored["similarity"] = json!({"name": "cosine@9", "thresholdBps": 9000});
        assert!(matches!(
            load(&scored),
            Err(ManifestError::Similarity { .. })
        ));
        scored["similarity"] =
            json!({"name": crate::similarity::SHINGLE_JACCARD, "thresholdBps": 9000});
        assert_eq!(load(&scored).unwrap().threshold_bps(), 9_000);
    }

    #[test]
    fn a_browser_or_a_list_of_hosts_is_refused() {
        let mut browser = template();
        browser["permissions"]["browser"] = json!(true);
        assert!(matches!(
            load(&browser),
            Err(ManifestError::Permission { .. })
        ));
        let mut hosts = template();
        hosts["permissions"]["network"]["hosts"] = json!(["example.org"]);
        assert!(matches!(
            load(&hosts),
            Err(ManifestError::Permission { .. })
        ));
    }
}
