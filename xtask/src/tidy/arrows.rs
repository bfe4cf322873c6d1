//! Dependencies between the crates of the workspace point inward only. The table is the rule; a
//! crate that is not in it has no place in the architecture yet.

use super::Finding;
use crate::metadata::Metadata;

const PROTOCOL: &[&str] = &["d402-objects", "d402-settlement", "d402-wire"];
/// One provider, whatever the chain.
const RPC: &[&str] = &["d402-rpc"];
/// Reading a chain; for whoever must look at money himself.
const CHAINS: &[&str] = &["d402-evm", "d402-svm"];
const CORE: &[&str] = &["d402-core"];
const CAPABILITIES: &[&str] = &["d402-capabilities"];
const ADAPTERS: &[&str] = &[
    "d402-store",
    "d402-gateway",
    "d402-p2p",
    "d402-rails",
    "d402-worker",
];
const PROGRAMS: &[&str] = &["d402-node", "d402-validator-bridge"];

/// Which groups of crates each crate may depend on, in any kind of dependency.
const TABLE: &[(&str, &[&[&str]])] = &[
    ("d402-objects", &[]),
    ("d402-settlement", &[&["d402-objects"]]),
    ("d402-wire", &[&["d402-objects", "d402-settlement"]]),
    ("d402-rpc", &[]),
    ("d402-evm", &[PROTOCOL, RPC]),
    ("d402-svm", &[PROTOCOL, RPC]),
    ("d402-capabilities", &[PROTOCOL]),
    ("d402-core", &[PROTOCOL]),
    ("d402-store", &[CORE, PROTOCOL]),
    ("d402-gateway", &[CORE, PROTOCOL]),
    ("d402-p2p", &[CORE, PROTOCOL]),
    ("d402-rails", &[CORE, PROTOCOL, CHAINS]),
    ("d402-worker", &[CORE, PROTOCOL, CAPABILITIES]),
    (
        "d402-node",
        &[ADAPTERS, CORE, PROTOCOL, CAPABILITIES, CHAINS],
    ),
    // Its own trust domain: a router compromise must not be a bridge compromise.
    ("d402-validator-bridge", &[PROTOCOL, CAPABILITIES, CHAINS]),
    (
        "d402-tests",
        &[PROGRAMS, ADAPTERS, CORE, PROTOCOL, CAPABILITIES, CHAINS],
    ),
    ("xtask", &[]),
];

/// A crate with the workspace crates it depends on.
pub(super) struct Edges {
    manifest: String,
    from: String,
    to: Vec<String>,
}

pub(super) fn edges(metadata: &Metadata) -> Vec<Edges> {
    metadata
        .packages
        .iter()
        .map(|package| Edges {
            manifest: package.manifest_path.to_string_lossy().into_owned(),
            from: package.name.clone(),
            to: package
                .dependencies
                .iter()
                .filter(|dependency| dependency.path.is_some())
                .map(|dependency| dependency.name.clone())
                .collect(),
        })
        .collect()
}

pub(super) fn check(edges: &[Edges]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Edges { manifest, from, to } in edges {
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| name == from) else {
            let message = format!("crate {from} is not in the table of arrows");
            findings.push(Finding::new(manifest, 0, message));
            continue;
        };
        // A crate may name itself: that is how its own tests and examples switch a feature on.
        let forbidden = to
            .iter()
            .filter(|target| *target != from)
            .filter(|target| !allowed.iter().any(|group| group.contains(&target.as_str())));
        findings.extend(forbidden.map(|target| {
            let message = format!("{from} must not depend on {target}");
            Finding::new(manifest, 0, message)
        }));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(from: &str, to: &[&str]) -> Vec<String> {
        let edges = [Edges {
            manifest: "Cargo.toml".into(),
            from: from.to_owned(),
            to: to.iter().map(ToString::to_string).collect(),
        }];
        let findings = check(&edges);
        findings.into_iter().map(|found| found.message).collect()
    }

    #[test]
    fn arrows_that_point_inward_are_fine() {
        assert!(found("d402-settlement", &["d402-objects"]).is_empty());
        assert!(found("d402-settlement", &["d402-settlement"]).is_empty());
        assert!(found("d402-worker", &["d402-core", "d402-capabilities"]).is_empty());
        assert!(found("d402-node", &["d402-store", "d402-capabilities"]).is_empty());
        assert!(found("d402-tests", &["d402-node", "d402-validator-bridge"]).is_empty());
    }

    #[test]
    fn arrows_that_point_outward_or_sideways_are_found() {
        for (from, to) in [
            ("d402-objects", "d402-settlement"),
            ("d402-core", "d402-store"),
            ("d402-gateway", "d402-store"),
            ("d402-validator-bridge", "d402-core"),
            ("d402-node", "d402-validator-bridge"),
            ("d402-core", "d402-tests"),
            ("d402-node", "xtask"),
        ] {
            let expected = format!("{from} must not depend on {to}");
            assert_eq!(found(from, &[to]), [expected]);
        }
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        assert_eq!(found("d402-extra", &[]).len(), 1);
    }
}
