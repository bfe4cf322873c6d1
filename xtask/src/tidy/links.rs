//! Links between the files of the clone lead somewhere: the file exists, and so does the heading.

use super::{
    Finding,
    markdown::{self, Documents},
};

pub(super) fn check(documents: &Documents) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in &documents.texts {
        for (line, target) in markdown::links(text) {
            if let Some(message) = broken(documents, path, &target) {
                findings.push(Finding::new(path, line, message));
            }
        }
    }
    findings
}

/// What is wrong with a link, if anything. Addresses of other sites are not followed.
fn broken(documents: &Documents, path: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = match target.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (target, None),
    };
    let Some(resolved) = resolve(path, file) else {
        return Some(format!("link `{target}` leaves the clone"));
    };
    if !exists(documents, &resolved) {
        return Some(format!("link `{target}`: no file {resolved}"));
    }
    let anchor = anchor?;
    let text = documents.texts.get(&resolved)?;
    if markdown::anchors(text).contains(anchor) {
        return None;
    }
    Some(format!("link `{target}`: no heading for #{anchor}"))
}

/// The path a link means, seen from the root of the clone.
fn resolve(from: &str, link: &str) -> Option<String> {
    if link.is_empty() {
        return Some(from.to_owned());
    }
    if link.starts_with('/') {
        return None;
    }
    let mut parts = from.split('/').collect::<Vec<_>>();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn exists(documents: &Documents, path: &str) -> bool {
    let folder = format!("{path}/");
    path.is_empty()
        || documents.files.contains(path)
        || documents.files.iter().any(|file| file.starts_with(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::Source;

    fn found(text: &str) -> Vec<String> {
        let file = |path: &str, text: &str| Source {
            path: path.to_owned(),
            bytes: text.len(),
            text: Some(text.to_owned()),
        };
        let sources = [
            file("docs/a.md", text),
            file("docs/wire.md", "# Wire\n\n## Challenge\n"),
            file("router/core/src/lib.rs", ""),
        ];
        let findings = check(&Documents::new(&sources));
        findings.into_iter().map(|found| found.message).collect()
    }

    #[test]
    fn links_to_files_folders_and_headings_resolve() {
        let text = "# A\n[w](wire.md#challenge) [c](../router/core) [s](#a) [o](https://x.y/z)\n";
        assert_eq!(found(text), Vec::<String>::new());
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        assert_eq!(
            found("[x](gone.md)"),
            ["link `gone.md`: no file docs/gone.md"]
        );
        assert_eq!(
            found("[x](wire.md#nope)"),
            ["link `wire.md#nope`: no heading for #nope"]
        );
        assert_eq!(found("[x](#nope)"), ["link `#nope`: no heading for #nope"]);
    }

    #[test]
    fn a_link_out_of_the_clone_is_found() {
        assert_eq!(
            found("[x](../../elsewhere.md)"),
            ["link `../../elsewhere.md` leaves the clone"]
        );
        assert_eq!(
            found("[x](/etc/hosts)"),
            ["link `/etc/hosts` leaves the clone"]
        );
    }
}
