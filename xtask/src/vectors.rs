//! Golden vectors: the bytes Rust and TypeScript must agree on.
//!
//! The generators are examples of the protocol crates. A check writes their files into a folder of
//! its own and compares; it also refuses a file that holds no case, and a file that no Rust test
//! of the protocol or no TypeScript source names.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use crate::{
    failure::Failure,
    metadata::{Metadata, cargo},
    workspace::Workspace,
};

/// The packages with an example `vectors` (or `…-vectors`) that writes files into the folder given
/// to it.
const GENERATORS: &[&str] = &["d402-objects", "d402-settlement"];
const FOLDER: &str = "protocol/vectors";
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Whether to compare with the committed files or to write them.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Check,
    Write,
}

pub(crate) fn run(workspace: &Workspace, mode: Mode) -> Result<(), Failure> {
    let committed = workspace.join(FOLDER);
    match mode {
        Mode::Write => {
            fs::create_dir_all(&committed).map_err(Failure::file("creating", &committed))?;
            generate(workspace, &committed)
        }
        Mode::Check => {
            let fresh = Scratch::make()?;
            generate(workspace, &fresh.0)?;
            let (fresh, committed) = (read(&fresh.0)?, read(&committed)?);
            if committed.is_empty() {
                return Err(Failure::Nothing {
                    what: "golden vector",
                    place: workspace.join(FOLDER),
                });
            }
            let rust = sources(&workspace.join("protocol"), "rs")?;
            let typescript = sources(&workspace.join("tools/js"), "ts")?;
            let mut findings = differences(&fresh, &committed);
            findings.extend(without_cases(&committed));
            findings.extend(without_reader(
                &committed,
                &rust,
                "Rust test under protocol/",
            ));
            findings.extend(without_reader(
                &committed,
                &typescript,
                "source under tools/js",
            ));
            report(&findings, committed.len())
        }
    }
}

fn report(findings: &[String], files: usize) -> Result<(), Failure> {
    findings.iter().for_each(|finding| println!("{finding}"));
    if findings.is_empty() {
        println!("{files} vector files are current and read by Rust and TypeScript");
        return Ok(());
    }
    Err(Failure::Findings {
        rule: "vectors",
        count: findings.len(),
    })
}

fn generate(workspace: &Workspace, folder: &Path) -> Result<(), Failure> {
    let metadata = Metadata::read(workspace)?;
    for package in GENERATORS {
        let example = metadata
            .targets(package, "example")
            .into_iter()
            .find(|name| *name == "vectors" || name.ends_with("-vectors"))
            .ok_or_else(|| Failure::NoProgram {
                package,
                program: "vectors".to_owned(),
            })?;
        cargo(workspace, LIMIT)
            .args(["run", "--quiet", "--package", package])
            .args(["--example", example, "--"])
            .arg(folder)
            .run()?;
    }
    Ok(())
}

type Files = BTreeMap<String, Vec<u8>>;

fn read(folder: &Path) -> Result<Files, Failure> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder)
        .map_err(Failure::file("listing", folder))?
        .flatten()
    {
        let path = entry.path();
        let bytes = fs::read(&path).map_err(Failure::file("reading", &path))?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), bytes);
    }
    Ok(files)
}

/// Files a generator writes that are missing or other than committed. Committed files that no
/// generator writes come from elsewhere (an independent source is worth more) and are fine.
fn differences(fresh: &Files, committed: &Files) -> Vec<String> {
    let fix = "run `cargo xtask vectors --write` and look at the difference";
    fresh
        .iter()
        .filter_map(|(name, bytes)| match committed.get(name) {
            Some(same) if same == bytes => None,
            Some(_) => Some(format!("{FOLDER}/{name}: not what the code writes; {fix}")),
            None => Some(format!("{FOLDER}/{name}: missing; {fix}")),
        })
        .collect()
}

fn without_cases(committed: &Files) -> Vec<String> {
    committed
        .iter()
        .filter(|(_, bytes)| !serde_json::from_slice(bytes).is_ok_and(|json| has_cases(&json)))
        .map(|(name, _)| format!("{FOLDER}/{name}: not JSON, or holds no case"))
        .collect()
}

fn has_cases(json: &Value) -> bool {
    match json {
        Value::Array(cases) => !cases.is_empty(),
        Value::Object(fields) => fields
            .values()
            .any(|field| field.as_array().is_some_and(|cases| !cases.is_empty())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn without_reader(committed: &Files, sources: &[String], reader: &str) -> Vec<String> {
    committed
        .keys()
        .filter(|name| !sources.iter().any(|source| names(source, name)))
        .map(|name| format!("{FOLDER}/{name}: no {reader} names it"))
        .collect()
}

/// True where the text holds the file name as a whole, not as the end of a longer one.
fn names(source: &str, file: &str) -> bool {
    source.match_indices(file).any(|(start, _)| {
        let before = source.get(..start).and_then(|text| text.chars().last());
        before.is_none_or(|c| !c.is_alphanumeric() && c != '-' && c != '_')
    })
}

/// Every source file of a kind below a folder, less what cannot be a reader: generators, packages.
fn sources(folder: &Path, extension: &str) -> Result<Vec<String>, Failure> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)
        .map_err(Failure::file("listing", folder))?
        .flatten()
    {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "examples" && name != "node_modules" && name != "target" {
            texts.extend(sources(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            texts.push(fs::read_to_string(&path).map_err(Failure::file("reading", &path))?);
        }
    }
    Ok(texts)
}

/// A folder for one comparison, deleted with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("d402-vectors-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(Failure::file("creating", &folder))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter()
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn a_file_other_than_committed_or_missing_is_found() {
        let fresh = files(&[("a.json", "[1]"), ("b.json", "[2]"), ("c.json", "[3]")]);
        let committed = files(&[("a.json", "[1]"), ("b.json", "[9]"), ("own.json", "[4]")]);
        let found = differences(&fresh, &committed);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("b.json: not what"), "{found:?}");
        assert!(found[1].contains("c.json: missing"), "{found:?}");
    }

    #[test]
    fn a_file_without_cases_is_found() {
        let committed = files(&[
            ("good.json", "[{}]"),
            ("grouped.json", r#"{"good":[1],"bad":[]}"#),
            ("empty.json", "[]"),
            ("hollow.json", r#"{"cases":[]}"#),
            ("broken.json", "[1"),
        ]);
        assert_eq!(without_cases(&committed).len(), 3);
    }

    #[test]
    fn a_file_nobody_names_is_found() {
        let committed = files(&[("reread.json", "[1]"), ("read.json", "[1]")]);
        let sources = [r#"include_str!("../vectors/reread.json")"#.to_owned()];
        let found = without_reader(&committed, &sources, "reader");
        assert_eq!(found, ["protocol/vectors/read.json: no reader names it"]);
    }

    #[test]
    fn a_generator_does_not_count_as_a_reader() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("examples")).unwrap();
        fs::write(folder.path().join("examples/vectors.rs"), "one.json").unwrap();
        fs::write(folder.path().join("reader.rs"), "two.json").unwrap();
        assert_eq!(sources(folder.path(), "rs").unwrap(), ["two.json"]);
    }
}
