//! Nothing that looks like somebody's real secret is ever committed.

use super::Finding;

/// A prefix, and how many letters and digits follow it in the real thing.
const TOKENS: &[(&str, usize)] = &[
    (concat!("AK", "IA"), 16),
    (concat!("gh", "p_"), 36),
    (concat!("gh", "s_"), 36),
    (concat!("github_", "pat_"), 22),
    (concat!("xo", "xb-"), 10),
    (concat!("npm", "_"), 36),
    (concat!("sk_", "live_"), 16),
];

const KEY_START: &str = concat!("-----BEG", "IN ");
const KEY_END: &str = concat!("PRIVATE ", "KEY-----");

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    text.lines()
        .zip(1_usize..)
        .filter(|(line, _)| is_secret(line))
        .map(|(_, number)| Finding::new(path, number, "looks like a secret"))
        .collect()
}

fn is_secret(line: &str) -> bool {
    let key = line
        .split(KEY_START)
        .skip(1)
        .any(|rest| rest.contains(KEY_END));
    key || TOKENS
        .iter()
        .any(|(prefix, length)| holds_token(line, prefix, *length))
}

/// A prefix in the middle of a longer word is chance: base64 in vectors holds every combination.
fn holds_token(line: &str, prefix: &str, length: usize) -> bool {
    line.match_indices(prefix).any(|(start, _)| {
        let (before, token) = line.split_at(start);
        let body = token.chars().skip(prefix.len());
        !before.ends_with(|c: char| c.is_ascii_alphanumeric())
            && body.take_while(char::is_ascii_alphanumeric).count() >= length
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_and_tokens_are_found() {
        let key = format!("{KEY_START}EC {KEY_END}");
        assert_eq!(check("a.pem", &key).len(), 1);
        for (prefix, length) in TOKENS {
            let token = format!("token = \"{prefix}{}\"", "a1".repeat(*length));
            assert_eq!(check("a.toml", &token).len(), 1, "{token}");
        }
    }

    #[test]
    fn a_prefix_inside_a_longer_word_is_no_secret() {
        let (prefix, length) = TOKENS[0];
        let line = format!("\"c{prefix}{}\"", "A1".repeat(length));
        assert!(check("a.json", &line).is_empty());
    }

    #[test]
    fn a_prefix_alone_is_no_secret() {
        let text = TOKENS
            .iter()
            .map(|(prefix, _)| format!("{prefix}abc\n"))
            .collect::<String>();
        assert!(check("a.md", &text).is_empty());
    }
}
