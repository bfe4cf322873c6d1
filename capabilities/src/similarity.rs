//! The named similarity of scored work: `shingle-jaccard-5@1`.
//!
//! Responsible for: one number in basis points, the same on every machine (integers only).
//! Not: what text is compared; see [`crate::page`].
//! Invariants: symmetric; 10,000 exactly when the two bags of shingles are equal; a bag, not a set,
//! so text repeated a hundred times is not like the text once.

use std::collections::BTreeMap;

/// The name manifests use for [`shingle_jaccard_bps`].
pub const SHINGLE_JACCARD: &str = "shingle-jaccard-5@1";

const SHINGLE_WORDS: usize = 5;

/// Similarity of two texts in basis points, rounded down.
///
/// Words are split at Unicode white space; a shingle is five words in a row, or all words when there
/// are fewer; the score is the size of the bags' intersection over the size of their union.
/// Two texts without words are alike.
#[must_use]
pub fn shingle_jaccard_bps(left: &str, right: &str) -> u16 {
    let left = shingles(left);
    let right = shingles(right);
    let mut shared: u64 = 0;
    let mut all: u64 = 0;
    for (shingle, count) in &left {
        let other = right.get(shingle).copied().unwrap_or(0);
        shared = shared.saturating_add(other.min(*count));
        all = all.saturating_add(other.max(*count));
    }
    for (shingle, count) in &right {
        if !left.contains_key(shingle) {
            all = all.saturating_add(*count);
        }
    }
    let score = shared
        .saturating_mul(10_000)
        .checked_div(all)
        .unwrap_or(10_000);
    u16::try_from(score).unwrap_or(10_000)
}

fn shingles(text: &str) -> BTreeMap<Vec<&str>, u64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut bag: BTreeMap<Vec<&str>, u64> = BTreeMap::new();
    if words.is_empty() {
        return bag;
    }
    for window in words.windows(SHINGLE_WORDS.min(words.len())) {
        let count = bag.entry(window.to_vec()).or_insert(0);
        *count = count.saturating_add(1);
    }
    bag
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_texts_score_ten_thousand_whatever_the_white_space() {
        assert_eq!(
            shingle_jaccard_bps("a b c d e f", "a  b\nc d\te f "),
            10_000
        );
        assert_eq!(shingle_jaccard_bps("", " \n"), 10_000);
    }

    #[test]
    fn one_changed_word_costs_the_shingles_it_is_in() {
        // Six shingles each; the changed word is in five of them: 1 shared of 11.
        assert_eq!(
            shingle_jaccard_bps("a b c d e f g h i j", "a b c d e X g h i j"),
            909
        );
    }

    #[test]
    fn repeated_text_is_not_like_the_text_once() {
        let once = "one two three four five six seven eight";
        assert!(shingle_jaccard_bps(once, &[once; 20].join(" ")) < 1_000);
    }

    #[test]
    fn texts_shorter_than_a_shingle_are_compared_whole() {
        assert_eq!(shingle_jaccard_bps("a b", "a b"), 10_000);
        assert_eq!(shingle_jaccard_bps("a b", "a c"), 0);
        assert_eq!(shingle_jaccard_bps("a b", ""), 0);
    }

    proptest! {
        #[test]
        fn the_score_is_symmetric_and_bounded(left in "[ab ]{0,40}", right in "[ab ]{0,40}") {
            let score = shingle_jaccard_bps(&left, &right);
            prop_assert_eq!(score, shingle_jaccard_bps(&right, &left));
            prop_assert!(score <= 10_000);
        }
    }
}
