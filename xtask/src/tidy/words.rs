//! Words that mark unfinished work, and names that say nothing about what is inside.

use std::path::Path;

use super::Finding;

/// Put together from halves so that this file keeps its own rule.
const WORDS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("#[ig", "nore"),
    concat!("unimple", "mented!"),
    concat!("to", "do!("),
];

/// A thing with no home has no name yet.
const NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc"];

/// Kinds of file people write. Vectors, lockfiles and pages of the test corpus are data.
const WRITTEN: &[&str] = &[
    "rs", "ts", "mjs", "js", "py", "sh", "sql", "toml", "md", "yml", "yaml",
];

pub(super) fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let extension = Path::new(path).extension().and_then(|found| found.to_str());
    if !extension.is_none_or(|found| WRITTEN.contains(&found)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, number) in text.lines().zip(1_usize..) {
        for word in WORDS.iter().filter(|word| holds(line, word)) {
            findings.push(Finding::new(path, number, format!("the word `{word}`")));
        }
        if let Some(name) = module_name(line).filter(|name| NAMES.contains(name)) {
            let message = format!("module `{name}`: find the noun it stands for");
            findings.push(Finding::new(path, number, message));
        }
    }
    findings
}

pub(super) fn check_name(path: &str) -> Vec<Finding> {
    Path::new(path)
        .iter()
        .filter_map(|part| Path::new(part).file_stem()?.to_str())
        .filter(|stem| NAMES.contains(stem))
        .map(|stem| Finding::new(path, 0, format!("the name `{stem}` says nothing")))
        .collect()
}

/// The word on its own: letters around it make it another word.
fn holds(line: &str, word: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(start, found)| {
        let before = line.get(..start).and_then(|text| text.chars().last());
        let after = line
            .get(start.saturating_add(found.len())..)
            .and_then(|text| text.chars().next());
        let open_end = !word.ends_with(|c: char| c.is_alphanumeric());
        !letter(before) && (open_end || !letter(after))
    })
}

fn module_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let keyword = words.find(|word| !word.starts_with("pub"))?;
    let name = words.next().filter(|_| keyword == "mod")?;
    Some(name.trim_end_matches([';', '{']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_work_is_found_in_code_and_documents() {
        let line = format!("// {}: later\n", WORDS[0]);
        assert_eq!(check_text("a.rs", &line).len(), 1);
        assert_eq!(check_text("docs/a.md", &line).len(), 1);
        assert_eq!(check_text("run", &line).len(), 1);
        let attribute = format!("    {}]\n", WORDS[2]);
        assert_eq!(check_text("a.rs", &attribute)[0].line, 1);
    }

    #[test]
    fn a_word_inside_another_word_is_fine() {
        let line = format!("{0}S m{0} {0}_LIST\n", WORDS[0]);
        assert!(check_text("a.rs", &line).is_empty());
    }

    #[test]
    fn data_may_hold_any_word() {
        let line = format!("<p>{}</p>", WORDS[0]);
        assert!(check_text("tests/corpus/page.html", &line).is_empty());
    }

    #[test]
    fn empty_names_are_found_as_file_folder_and_module() {
        let name = NAMES[0];
        assert_eq!(check_name(&format!("core/src/{name}.rs")).len(), 1);
        assert_eq!(check_name(&format!("core/{name}/a.rs")).len(), 1);
        let line = format!("pub(crate) mod {name};");
        assert_eq!(check_text("core/src/lib.rs", &line).len(), 1);
        assert!(check_name("core/src/lease.rs").is_empty());
        assert!(check_text("core/src/lib.rs", "mod lease;").is_empty());
    }
}
