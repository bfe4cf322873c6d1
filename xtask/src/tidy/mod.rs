//! House rules that no compiler holds: one module per rule, each a pure function from text to
//! findings, so that the rules themselves are tested on small pieces of text.
//!
//! Files are those git tracks or would track. Generated files are held fresh elsewhere: vectors by
//! their own step, lockfiles by `--locked` and `npm ci`; on a build server [`changes`] adds that
//! building changed no tracked file.

mod arrows;
mod changes;
mod length;
mod links;
mod manifests;
mod markdown;
mod orphans;
mod secrets;
mod titles;
mod words;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{failure::Failure, metadata::Metadata, process::Call, workspace::Workspace};

const LIST: Duration = Duration::from_secs(60);
/// Workspaces inside this one, with lockfiles of their own.
const NESTED: &[&str] = &["programs", "tools/sbf/sbf-link", "tools/solnode"];
const LARGEST_BYTES: usize = 1024 * 1024;

/// One broken rule, shown the way compilers show theirs.
#[derive(Debug, PartialEq)]
struct Finding {
    path: String,
    /// Counted from 1; 0 where the finding is about the whole file.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// A file of the clone; `text` is `None` for anything but UTF-8.
struct Source {
    path: String,
    bytes: usize,
    text: Option<String>,
}

impl Source {
    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }
}

/// Holds every rule against the clone and prints what breaks one.
pub(crate) fn run(workspace: &Workspace, metadata: &Metadata) -> Result<(), Failure> {
    let sources = list(workspace)?;
    if sources.is_empty() {
        return Err(Failure::Nothing {
            what: "file known to git",
            place: workspace.root().to_path_buf(),
        });
    }
    let mut findings = Vec::new();
    for source in &sources {
        findings.extend(check(source));
    }
    let documents = markdown::Documents::new(&sources);
    findings.extend(links::check(&documents));
    findings.extend(arrows::check(&arrows::edges(metadata)));
    findings.extend(manifests::check(&sources, metadata, workspace.root()));
    let mut roots = roots(metadata, workspace.root());
    roots.extend(nested_roots(&sources));
    findings.extend(orphans::check(&sources, &roots));
    if workspace.ci() {
        findings.extend(changes::check(workspace)?);
    }
    findings.iter().for_each(|finding| println!("{finding}"));
    if findings.is_empty() {
        println!("{} files keep the house rules", sources.len());
        return Ok(());
    }
    Err(Failure::Findings {
        rule: "tidy",
        count: findings.len(),
    })
}

/// The rules that need one file only.
fn check(source: &Source) -> Vec<Finding> {
    let path = source.path.as_str();
    let mut findings = words::check_name(path);
    if source.bytes > LARGEST_BYTES {
        let message = format!("{} bytes; no file may exceed {LARGEST_BYTES}", source.bytes);
        findings.push(Finding::new(path, 0, message));
    }
    let Some(text) = &source.text else {
        return findings;
    };
    findings.extend(words::check_text(path, text));
    findings.extend(secrets::check(path, text));
    if source.is("rs") || source.is("ts") {
        findings.extend(length::check(path, text));
    }
    if markdown::is_document(path) {
        findings.extend(titles::check(path, text));
    }
    findings
}

fn list(workspace: &Workspace) -> Result<Vec<Source>, Failure> {
    let names = Call::new("git", LIST)
        .args(["ls-files", "-z", "--cached", "--others"])
        .arg("--exclude-standard")
        .dir(workspace.root())
        .quiet()
        .output()?;
    let mut sources = Vec::new();
    for name in names.split_terminator('\0') {
        let path = workspace.join(name);
        // A file deleted but not yet committed is still listed.
        if !path.is_file() {
            continue;
        }
        let bytes = fs::read(&path).map_err(Failure::file("reading", &path))?;
        sources.push(Source {
            path: name.to_owned(),
            bytes: bytes.len(),
            text: String::from_utf8(bytes).ok(),
        });
    }
    Ok(sources)
}

/// The file each target starts from, relative to the clone.
fn roots(metadata: &Metadata, root: &Path) -> Vec<PathBuf> {
    metadata
        .packages
        .iter()
        .flat_map(|package| &package.targets)
        .filter_map(|target| target.src_path.strip_prefix(root).ok())
        .map(Path::to_path_buf)
        .collect()
}

/// The same for packages of the workspaces inside this one, by cargo's rules for file names.
fn nested_roots(sources: &[Source]) -> Vec<PathBuf> {
    sources
        .iter()
        .map(|source| Path::new(&source.path))
        .filter(|path| NESTED.iter().any(|workspace| path.starts_with(workspace)))
        .filter(|path| {
            path.ends_with("src/lib.rs")
                || path.ends_with("src/main.rs")
                || path.components().rev().nth(2).is_some_and(|folder| {
                    folder.as_os_str() == "tests" && path.ends_with("main.rs")
                })
        })
        .map(Path::to_path_buf)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_nested_workspaces_have_roots_too() {
        let source = |path: &str| Source {
            path: path.into(),
            bytes: 0,
            text: None,
        };
        let sources = [
            "programs/a/src/lib.rs",
            "programs/a/src/state/mod.rs",
            "programs/a/tests/all/main.rs",
            "programs/a/tests/all/open.rs",
            "router/a/src/lib.rs",
        ];
        let roots = nested_roots(&sources.map(source));
        let expected = ["programs/a/src/lib.rs", "programs/a/tests/all/main.rs"];
        assert_eq!(roots, expected.map(PathBuf::from));
    }

    #[test]
    fn a_file_over_one_mebibyte_is_found() {
        let source = |bytes| Source {
            path: "docs/picture.png".into(),
            bytes,
            text: None,
        };
        assert!(check(&source(LARGEST_BYTES)).is_empty());
        assert_eq!(check(&source(LARGEST_BYTES + 1)).len(), 1);
    }

    #[test]
    fn a_finding_reads_like_a_compiler_message() {
        let finding = Finding::new("a.rs", 3, "too long");
        assert_eq!(finding.to_string(), "a.rs:3: too long");
        assert_eq!(Finding::new("a.rs", 0, "empty").to_string(), "a.rs: empty");
    }
}
