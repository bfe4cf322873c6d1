//! As much of Markdown as the document rules read: prose outside code, links, heading anchors.

use std::collections::{BTreeMap, BTreeSet};

use super::Source;

/// Every document with its anchors, and the names of all files for links to resolve against.
pub(super) struct Documents {
    pub(super) texts: BTreeMap<String, String>,
    pub(super) files: BTreeSet<String>,
}

impl Documents {
    pub(super) fn new(sources: &[Source]) -> Self {
        let texts = sources
            .iter()
            .filter(|source| is_document(&source.path))
            .filter_map(|source| Some((source.path.clone(), source.text.clone()?)))
            .collect();
        let files = sources.iter().map(|source| source.path.clone()).collect();
        Self { texts, files }
    }
}

/// What people read about the project. Other Markdown is data: pages of a test corpus, say.
pub(super) fn is_document(path: &str) -> bool {
    let name = path.rsplit('/').next();
    name == Some("README.md") || (path.starts_with("docs/") && path.ends_with(".md"))
}

/// Lines outside fenced code, with their numbers.
pub(super) fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fence = None;
    text.lines()
        .zip(1_usize..)
        .filter_map(move |(line, number)| {
            let mark = ["```", "~~~"]
                .into_iter()
                .find(|mark| line.trim_start().starts_with(mark));
            match (fence, mark) {
                (None, None) => return Some((number, line)),
                (None, Some(_)) => fence = mark,
                (Some(open), Some(mark)) if open == mark => fence = None,
                (Some(_), _) => {}
            }
            None
        })
}

/// Where a document's links point, with the line each stands on: inline links, images, and
/// reference definitions. Code spans are no links.
pub(super) fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code_spans(line);
        let inline = line.split("](").skip(1).filter_map(destination);
        found.extend(inline.map(|target| (number, target)));
        // `[^1]: …` is a footnote, not a link.
        if let Some((_, target)) = line
            .strip_prefix('[')
            .filter(|rest| !rest.starts_with('^'))
            .and_then(|rest| rest.split_once("]: "))
        {
            found.extend(target.split_whitespace().next().map(|t| (number, t.into())));
        }
    }
    found
}

/// The text up to the closing bracket, less a title such as `"see"`.
fn destination(rest: &str) -> Option<String> {
    let inside = rest.split(')').next()?;
    inside.split_whitespace().next().map(str::to_owned)
}

fn without_code_spans(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// The anchors of a document's headings, the way code forges make them.
pub(super) fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen = BTreeMap::<String, usize>::new();
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        if !line.starts_with('#') || !title.starts_with(' ') {
            continue;
        }
        let slug = slug(title.trim());
        let count = seen.entry(slug.clone()).or_default();
        anchors.insert(match *count {
            0 => slug,
            again => format!("{slug}-{again}"),
        });
        *count = count.saturating_add(1);
    }
    anchors
}

fn slug(title: &str) -> String {
    // A link in a heading counts with its words, not its address.
    let words = title
        .split("](")
        .enumerate()
        .map(|(part, text)| match part {
            0 => text,
            _ => text.split_once(')').map_or("", |(_, after)| after),
        })
        .collect::<String>();
    words
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_with_their_lines() {
        let text = "See [a](docs/a.md) and\n![p](p.png \"title\").\n\n[r]: docs/r.md\n";
        let expected = [(1, "docs/a.md"), (2, "p.png"), (4, "docs/r.md")];
        assert_eq!(links(text), expected.map(|(n, t)| (n, t.to_owned())));
    }

    #[test]
    fn a_footnote_is_no_link() {
        assert!(links("[^1]: Strictly, none.\n").is_empty());
    }

    #[test]
    fn only_documents_about_the_project_are_read() {
        assert!(is_document("docs/adr/0001-rails.md") && is_document("tools/js/README.md"));
        assert!(!is_document("capabilities/corpus/footnotes.md"));
    }

    #[test]
    fn code_holds_no_links() {
        let text = "`[a](b)`\n```\n[c](d)\n```\n";
        assert!(links(text).is_empty());
    }

    #[test]
    fn anchors_follow_the_headings() {
        let text = "# The wire: `POST /tasks`\n## 3. Rows & sums\n## Twice\n## Twice\n";
        let expected = ["the-wire-post-tasks", "3-rows--sums", "twice", "twice-1"];
        assert_eq!(anchors(text), expected.map(str::to_owned).into());
    }
}
