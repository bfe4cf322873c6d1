//! A document has one title, and starts with it.

use super::{Finding, markdown};

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let first = text.lines().find(|line| !line.trim().is_empty());
    let mut findings = Vec::new();
    if !first.is_some_and(|line| line.starts_with("# ")) {
        findings.push(Finding::new(path, 1, "does not start with its `# Title`"));
    }
    let titles = markdown::prose(text)
        .filter(|(_, line)| line.starts_with("# "))
        .skip(1);
    findings.extend(titles.map(|(number, _)| Finding::new(path, number, "a second `# Title`")));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_title_at_the_top_is_right() {
        assert!(check("docs/a.md", "# Wire\n\n## Messages\n").is_empty());
    }

    #[test]
    fn a_missing_or_second_title_is_found() {
        assert_eq!(check("docs/a.md", "Wire\n").len(), 1);
        assert_eq!(check("docs/a.md", "# Wire\n\n# Again\n")[0].line, 3);
    }

    #[test]
    fn a_comment_in_a_code_block_is_no_title() {
        let text = "# Wire\n\n```sh\n# start it\ncargo demo\n```\n";
        assert!(check("docs/a.md", text).is_empty());
    }
}
