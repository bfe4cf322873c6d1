//! The one byte form of extracted Markdown.
//!
//! Responsible for: line ends, trailing white space, runs of blank lines, no-break and zero-width
//! characters, and putting back what [`super::tidy`] hid from the serialiser.
//! Not: Unicode normalisation. Two fetches of one page carry the same code points, and changing them
//! would change what the page says.
//! Invariants: idempotent; inside fenced code only line ends change; empty, or ends with one newline.

/// Stands for `&` in link targets, which the serialiser would write as `&amp;`.
pub(super) const AMPERSAND: char = '\u{e000}';
/// Stands for the `[^` that opens a footnote mark, which the serialiser would escape.
pub(super) const NOTE_OPEN: char = '\u{e001}';
/// Stands for the `]` that closes a footnote mark.
pub(super) const NOTE_CLOSE: char = '\u{e002}';

/// Whether a character is one of ours, so that a page's own must be dropped.
pub(super) fn is_reserved(character: char) -> bool {
    matches!(character, AMPERSAND | NOTE_OPEN | NOTE_CLOSE)
}

/// The canonical form of Markdown text.
#[must_use]
pub fn canonicalise(markdown: &str) -> String {
    let text = markdown.replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let mut out = String::with_capacity(text.len());
    let mut fence: Option<Fence> = None;
    let mut blank_pending = false;
    for line in text.split('\n') {
        if let Some(open) = &fence {
            push_line(&mut out, line);
            if open.is_closed_by(line) {
                fence = None;
            }
            continue;
        }
        let line = canonical_line(line);
        if line.is_empty() {
            blank_pending = !out.is_empty();
            continue;
        }
        if blank_pending {
            out.push('\n');
            blank_pending = false;
        }
        fence = Fence::opened_by(&line);
        push_line(&mut out, &line);
    }
    out
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// One line outside of code. Two or more trailing spaces are a hard break and become exactly two.
fn canonical_line(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '\u{a0}' | '\u{202f}' | '\u{2007}' => clean.push(' '),
            '\u{200b}' | '\u{feff}' | '\u{ad}' | '\u{2060}' => {}
            AMPERSAND => clean.push('&'),
            NOTE_OPEN => clean.push_str("[^"),
            NOTE_CLOSE => clean.push(']'),
            other => clean.push(other),
        }
    }
    let kept = clean.trim_end();
    let hard_break = clean.ends_with("  ") && !kept.is_empty() && !kept.starts_with('|');
    if hard_break {
        format!("{kept}  ")
    } else {
        kept.to_owned()
    }
}

/// An open code fence: its character and how many of them.
struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        // A fence may sit in a list item or a quote.
        let line = line.trim_start_matches([' ', '>', '-', '*']);
        let line = line.trim_start_matches(|character: char| character.is_ascii_digit());
        let line = line.trim_start_matches(['.', ' ']);
        let mark = line
            .chars()
            .next()
            .filter(|mark| matches!(mark, '`' | '~'))?;
        let length = line
            .chars()
            .take_while(|character| *character == mark)
            .count();
        let info = line.trim_start_matches(mark);
        (length >= 3 && !(mark == '`' && info.contains('`'))).then_some(Self { mark, length })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let line = line.trim_start_matches([' ', '>']).trim_end();
        line.chars().all(|character| character == self.mark) && line.chars().count() >= self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn line_ends_blank_lines_and_trailing_spaces_have_one_form() {
        assert_eq!(
            canonicalise("\n\n a \r\n\r\n\r\n\r\nb\t\rc\n\n"),
            " a\n\nb\nc\n"
        );
        assert_eq!(canonicalise(" \n\n"), "");
    }

    #[test]
    fn a_hard_break_is_two_spaces_and_a_single_one_is_nothing() {
        assert_eq!(canonicalise("a   \nb \nc"), "a  \nb\nc\n");
    }

    #[test]
    fn invisible_characters_go_and_no_break_spaces_become_spaces() {
        assert_eq!(canonicalise("6.4\u{a0}GW\u{ad}h\u{200b}"), "6.4 GWh\n");
    }

    #[test]
    fn code_keeps_its_spaces_and_blank_lines() {
        let code = "```rust\na  \n\n\n\u{a0}b\n```\n";
        assert_eq!(canonicalise(code), code);
        assert_eq!(
            canonicalise("- ````\n  x \n  ```\n  y \n  ````\nz "),
            "- ````\n  x \n  ```\n  y \n  ````\nz\n"
        );
        // Inline code that starts a line opens nothing.
        assert_eq!(canonicalise("```a``` b \n\n\nc"), "```a``` b\n\nc\n");
    }

    proptest! {
        #[test]
        fn canonical_markdown_is_its_own_canonical_form(text in "([a`~ \\-\\|\u{a0}\r\n\t]|```|\n\n){0,40}") {
            let once = canonicalise(&text);
            prop_assert_eq!(canonicalise(&once), once);
        }
    }
}
