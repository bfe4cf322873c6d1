//! Every package takes lints, versions and publishing rules from the workspace.

use std::path::Path;

use super::{Finding, Source};
use crate::metadata::Metadata;

const INHERITED: &[&str] = &[
    "version.workspace = true",
    "edition.workspace = true",
    "rust-version.workspace = true",
    "license.workspace = true",
    "publish.workspace = true",
    "[lints]\nworkspace = true",
];

pub(super) fn check(sources: &[Source], metadata: &Metadata, root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let manifest = sources
            .iter()
            .find(|source| root.join(&source.path) == package.manifest_path);
        if let Some(Source {
            path,
            text: Some(text),
            ..
        }) = manifest
        {
            findings.extend(check_text(path, text));
        }
    }
    findings
}

fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = INHERITED
        .iter()
        .filter(|line| !text.contains(*line))
        .map(|line| Finding::new(path, 0, format!("lacks `{}`", line.replace('\n', " "))))
        .collect::<Vec<_>>();
    let mut in_dependencies = false;
    for (line, number) in text.lines().zip(1_usize..) {
        let line = line.trim();
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        } else if in_dependencies && line.contains('=') && pins_its_own(line) {
            let message = "version belongs into [workspace.dependencies] of the root";
            findings.push(Finding::new(path, number, message));
        }
    }
    findings
}

fn pins_its_own(line: &str) -> bool {
    let value = line.split_once('=').map_or("", |(_, value)| value.trim());
    value.starts_with('"') || line.contains("version =") || line.contains("git =")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(dependency: &str) -> String {
        format!("{}\n[dependencies]\n{dependency}\n", INHERITED.join("\n"))
    }

    #[test]
    fn a_manifest_that_inherits_everything_is_fine() {
        let text =
            manifest("serde = { workspace = true, features = [\"std\"] }\nhex.workspace = true");
        assert_eq!(check_text("a/Cargo.toml", &text), []);
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        assert_eq!(check_text("a", &manifest("serde = \"1.0\"")).len(), 1);
        assert_eq!(
            check_text("a", &manifest("serde = { version = \"1.0\" }")).len(),
            1
        );
    }

    #[test]
    fn lints_that_are_not_inherited_are_found() {
        let text = manifest("").replace("[lints]\nworkspace = true", "");
        assert_eq!(
            check_text("a", &text)[0].message,
            "lacks `[lints] workspace = true`"
        );
    }
}
