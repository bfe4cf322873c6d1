//! Every Rust file is compiled: it is where a target starts, or some module names it. A file
//! nobody names is never built, never linted, and its tests never run.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{Finding, Source};

pub(super) fn check(sources: &[Source], roots: &[PathBuf]) -> Vec<Finding> {
    let texts = sources
        .iter()
        .filter(|source| source.is("rs"))
        .filter_map(|source| Some((PathBuf::from(&source.path), source.text.as_deref()?)))
        .collect::<BTreeMap<_, _>>();
    let mut reached = BTreeSet::new();
    let mut open = roots
        .iter()
        .map(|root| (root.clone(), true))
        .collect::<Vec<_>>();
    while let Some((path, is_root)) = open.pop() {
        let Some(text) = texts.get(&path) else {
            continue;
        };
        if reached.insert(path.clone()) {
            open.extend(named(&path, is_root, text).into_iter().map(|p| (p, false)));
        }
    }
    texts
        .keys()
        .filter(|path| !reached.contains(*path))
        .map(|path| Finding::new(&path.to_string_lossy(), 0, "no module names this file"))
        .collect()
}

/// The files the modules and includes of a file may mean; those that do not exist are ignored.
fn named(path: &Path, is_root: bool, text: &str) -> Vec<PathBuf> {
    let beside = path.parent().unwrap_or(Path::new(""));
    let is_folder = is_root || path.file_name().is_some_and(|name| name == "mod.rs");
    let below = if is_folder {
        beside.to_path_buf()
    } else {
        path.with_extension("")
    };
    let mut files = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = declared(line) {
            files.push(below.join(format!("{name}.rs")));
            files.push(below.join(name).join("mod.rs"));
        }
        let explicit = line
            .strip_prefix("#[path = \"")
            .or_else(|| line.split_once("include!(\"").map(|(_, rest)| rest))
            .and_then(|rest| rest.split('"').next());
        files.extend(explicit.map(|file| plain(&beside.join(file))));
    }
    files
}

/// The name in `mod name;`, with or without visibility.
fn declared(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("mod ")?;
    let visible = before.is_empty() || (before.starts_with("pub") && before.ends_with(' '));
    let name = after.strip_suffix(';').filter(|_| visible)?;
    Some(name.trim_start_matches("r#"))
}

/// The path without `..` and `.`, which the list of files never has.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.iter() {
        match part.to_str() {
            Some("..") => {
                plain.pop();
            }
            Some(".") => {}
            Some(_) | None => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)], roots: &[&str]) -> Vec<String> {
        let sources = files
            .iter()
            .map(|(path, text)| Source {
                path: (*path).to_owned(),
                bytes: text.len(),
                text: Some((*text).to_owned()),
            })
            .collect::<Vec<_>>();
        let roots = roots.iter().map(PathBuf::from).collect::<Vec<_>>();
        check(&sources, &roots)
            .into_iter()
            .map(|finding| finding.path)
            .collect()
    }

    #[test]
    fn files_below_a_root_are_reached_in_both_layouts() {
        let files = [
            ("core/src/lib.rs", "mod lease;\npub(crate) mod bid;\n"),
            ("core/src/lease.rs", "mod set;\n"),
            ("core/src/lease/set.rs", ""),
            ("core/src/bid/mod.rs", "pub mod rank;\n"),
            ("core/src/bid/rank.rs", ""),
        ];
        assert_eq!(found(&files, &["core/src/lib.rs"]), Vec::<String>::new());
    }

    #[test]
    fn explicit_paths_and_includes_are_reached() {
        let files = [
            (
                "tests/journeys/main.rs",
                "#[path = \"../shared/node.rs\"]\nmod node;\n    include!(\"table.rs\");\n",
            ),
            ("tests/shared/node.rs", ""),
            ("tests/journeys/table.rs", ""),
        ];
        assert_eq!(
            found(&files, &["tests/journeys/main.rs"]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_file_nobody_names_is_found() {
        let files = [
            ("core/src/lib.rs", "// mod lost;\nmod inline {}\n"),
            ("core/src/lost.rs", ""),
            ("core/src/inline.rs", ""),
        ];
        assert_eq!(
            found(&files, &["core/src/lib.rs"]),
            ["core/src/inline.rs", "core/src/lost.rs"]
        );
    }
}
