//! The capabilities of this build.
//!
//! Responsible for: the list, and finding one by id.
//! Not: which of them a gateway accepts or a worker offers.

use std::sync::LazyLock;

use crate::canonical::sha256_cid;
use crate::capability::Capability;
use crate::json_transform::JsonTransform;
use crate::manifest::{Manifest, ManifestError};
use crate::proof_verify::ProofVerify;
use crate::web_extract_markdown::ExtractMarkdown;
use crate::web_fetch_snapshot::FetchSnapshot;
use crate::web_page_to_markdown::PageToMarkdown;

/// A capability with its manifest read and its schemas compiled.
pub struct Listed {
    capability: &'static dyn Capability,
    manifest: Manifest,
    runtime_digest: String,
}

impl std::fmt::Debug for Listed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Listed")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl Listed {
    fn load(capability: &'static dyn Capability) -> Result<Self, ManifestError> {
        let template = capability.manifest_template();
        let manifest = Manifest::load(template)?;
        let runtime = format!(
            "{} {} {} {} {}",
            crate::BUILD_NAME,
            std::env::consts::ARCH,
            std::env::consts::OS,
            manifest.capability_id(),
            sha256_cid(template.as_bytes()),
        );
        Ok(Self {
            capability,
            manifest,
            runtime_digest: sha256_cid(runtime.as_bytes()),
        })
    }

    /// `name@major`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.manifest.capability_id()
    }

    /// The manifest template as JSON text, without `author`.
    #[must_use]
    pub fn manifest_template(&self) -> &'static str {
        self.capability.manifest_template()
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The executor and checker.
    #[must_use]
    pub fn capability(&self) -> &'static dyn Capability {
        self.capability
    }

    /// `sha256:` digest naming build, machine type and manifest. It says what ran, it proves nothing.
    #[must_use]
    pub fn runtime_digest(&self) -> &str {
        &self.runtime_digest
    }
}

static ALL: [&dyn Capability; 5] = [
    &FetchSnapshot,
    &ExtractMarkdown,
    &PageToMarkdown,
    &JsonTransform,
    &ProofVerify,
];

// A template that does not load is left out here and turns `every_template_of_this_build_loads` red.
static LISTED: LazyLock<Vec<Listed>> = LazyLock::new(|| {
    ALL.iter()
        .filter_map(|capability| Listed::load(*capability).ok())
        .collect()
});

/// All capabilities of this build, in a fixed order.
#[must_use]
pub fn capabilities() -> &'static [Listed] {
    &LISTED
}

/// The capability with that id, e.g. `json.transform@1`.
#[must_use]
pub fn capability(id: &str) -> Option<&'static Listed> {
    LISTED.iter().find(|listed| listed.id() == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn every_template_of_this_build_loads() {
        for capability in ALL {
            Listed::load(capability).unwrap();
        }
        assert_eq!(capabilities().len(), ALL.len());
        assert!(capability("web.page_to_markdown@1").is_some());
        assert!(capability("web.page_to_markdown@2").is_none());
    }

    #[test]
    fn every_template_carries_the_fields_a_signed_manifest_needs_and_no_author() {
        let members = [
            "objectVersion",
            "id",
            "version",
            "capabilityId",
            "description",
            "inputSchema",
            "outputSchema",
            "determinism",
            "permissions",
            "evidence",
            "validationModels",
            "decisionTimeS",
            "pricingUnits",
            "performance",
            "tags",
        ];
        for listed in capabilities() {
            let template: Value = serde_json::from_str(listed.manifest_template()).unwrap();
            for member in members {
                assert!(
                    template.get(member).is_some(),
                    "{} lacks {member}",
                    listed.id()
                );
            }
            assert!(template.get("author").is_none());
            let (name, major) = listed.id().split_once('@').unwrap();
            assert_eq!(template["id"], name);
            assert_eq!(template["version"], major);
            assert_eq!(
                template["inputSchema"]["$schema"],
                "https://json-schema.org/draft/2020-12/schema"
            );
            assert_eq!(
                template["outputSchema"]["$schema"],
                "https://json-schema.org/draft/2020-12/schema"
            );
            crate::canonical::canonical_bytes(&template).unwrap();
        }
    }

    #[test]
    fn runtime_digests_differ_between_capabilities() {
        let digests: std::collections::BTreeSet<_> =
            capabilities().iter().map(Listed::runtime_digest).collect();
        assert_eq!(digests.len(), capabilities().len());
    }
}
