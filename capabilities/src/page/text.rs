//! The canonical text of a whole page: what two fetches of it are compared by.
//!
//! Responsible for: visible words in document order, and where links and pictures lead, so that a
//! snapshot with the same words and other links is not the same page.
//! Not: judging how alike two texts are; see [`crate::similarity`].

use dom_query::Document;

const INVISIBLE: &str = "script,style,noscript,template,svg,iframe,head > meta,head > link";

/// Words of a page, separated by single spaces.
#[must_use]
pub fn canonical_text(html: &str) -> String {
    let document = Document::from(html);
    document.select(INVISIBLE).remove();
    let mut words: Vec<String> = Vec::new();
    for node in document.root().descendants_it() {
        if node.is_text() {
            words.extend(node.text().split_whitespace().map(str::to_owned));
        }
        for name in ["href", "src", "action"] {
            let target = if node.is_element() {
                node.attr(name)
            } else {
                None
            };
            if let Some(target) = target {
                words.push(target.split_whitespace().collect());
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// How many words a text has: runs between white space that hold a letter or digit.
#[must_use]
pub fn word_count(text: &str) -> usize {
    text.split_whitespace()
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_words_and_link_targets_count_and_scripts_do_not() {
        let text = canonical_text(
            "<title>T</title><script>x()</script><style>y</style><p>one <b>two</b><a href=' /a b '>three</a><img src=p.png>",
        );
        assert_eq!(text, "T one two /ab three p.png");
    }

    #[test]
    fn words_need_a_letter_or_a_digit() {
        assert_eq!(word_count("— one, 2 ··· three-four |"), 3);
    }
}
