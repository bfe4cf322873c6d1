//! Pages that stand in for the page: challenges, CAPTCHAs, refusals, paywalls and login walls.
//!
//! Responsible for: recognising them from the page alone. Status codes are read where the page is
//! fetched, in [`crate::fetch::http`].
//! Not: quality of real pages.
//!
//! Every rule needs two things that agree — a signature and a lack of content — because a page *about*
//! CAPTCHAs, or an article with a puzzle in its comment form, is work that was done and is paid.

use dom_query::Document;

use crate::capability::RefusalCode;

/// Interstitials have a sentence or two. The longest seen in the wild have some ninety words.
const INTERSTITIAL_WORDS: usize = 150;
/// Below this a page that declares itself not free holds a teaser, not the article.
const TEASER_WORDS: usize = 400;
/// Login walls have a form and little else.
const LOGIN_WORDS: usize = 120;

/// What the rules look at.
pub(super) struct Page<'a> {
    pub(super) html: &'a str,
    pub(super) document: &'a Document,
    /// Words of the extracted article.
    pub(super) article_words: usize,
}

/// A page that stands in for the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StandIn {
    pub(super) code: RefusalCode,
    /// Which rule recognised it.
    pub(super) signature: &'static str,
}

/// Titles that only refusals have, compared whole.
const REFUSAL_TITLES: [&str; 15] = [
    "403 forbidden",
    "access denied",
    "access to this page has been denied",
    "access to this page has been denied.",
    "are you a robot?",
    "attention required! | cloudflare",
    "bot verification",
    "ddos-guard",
    "error 403 (forbidden)",
    "human verification",
    "just a moment...",
    "pardon our interruption",
    "request blocked",
    "robot check",
    "security check",
];

/// Markup of puzzles. Real pages have it too, in forms.
const PUZZLE_MARKUP: [&str; 9] = [
    "_cf_chl_opt",
    "/cdn-cgi/challenge-platform/h/",
    "cf-turnstile",
    "g-recaptcha",
    "h-captcha",
    "hcaptcha.com/1/api.js",
    "px-captcha",
    "captcha-delivery.com",
    "_incapsula_resource",
];

/// What a puzzle page says to its reader.
const PUZZLE_PHRASES: [&str; 12] = [
    "not a robot",
    "you are human",
    "you're human",
    "you are a human",
    "unusual traffic",
    "security of your connection",
    "characters you see",
    "verify your identity",
    "automated requests",
    "complete the captcha",
    "complete the security check",
    "enable javascript and cookies to continue",
];

/// What a refusal page says to its reader.
const REFUSAL_PHRASES: [&str; 6] = [
    "checking your browser before accessing",
    "access to this page has been denied",
    "you don't have permission to access",
    "your request has been blocked",
    "you have been blocked",
    "enable javascript and cookies to continue",
];

const PAYWALL_PHRASES: [&str; 14] = [
    "subscribe to continue reading",
    "subscribe to keep reading",
    "subscribe to read",
    "to continue reading, subscribe",
    "article is for subscribers only",
    "article is exclusive to subscribers",
    "content is for subscribers",
    "content is for members only",
    "already a subscriber?",
    "sign in to continue reading",
    "log in to continue reading",
    "register to continue reading",
    "become a member to read",
    "start your free trial to read",
];

const LOGIN_PHRASES: [&str; 9] = [
    "sign in to continue",
    "log in to continue",
    "login to continue",
    "you must be logged in",
    "you must log in",
    "you need to log in",
    "please log in",
    "please sign in",
    "login required",
];

/// The first rule that recognises the page, strictest first.
pub(super) fn recognise(page: &Page<'_>) -> Option<StandIn> {
    let text = visible_text(page.document);
    let words = super::text::word_count(&text);
    let short = words < INTERSTITIAL_WORDS;
    let title = page
        .document
        .select_single("title")
        .text()
        .trim()
        .to_lowercase();
    let html = page.html.to_ascii_lowercase();
    let has =
        |haystack: &str, needles: &[&str]| needles.iter().any(|needle| haystack.contains(needle));

    let found = |code, signature| Some(StandIn { code, signature });
    if short
        && has(&html, &PUZZLE_MARKUP)
        && (has(&text, &PUZZLE_PHRASES) || has(&title, &REFUSAL_TITLES))
    {
        return found(RefusalCode::Captcha, "a puzzle instead of a page");
    }
    if short && REFUSAL_TITLES.contains(&title.as_str()) {
        return found(RefusalCode::Blocked, "a refusal by its title");
    }
    if short && has(&text, &REFUSAL_PHRASES) {
        return found(RefusalCode::Blocked, "a refusal by its text");
    }
    let teaser = page.article_words < TEASER_WORDS;
    let gated = has(&text, &PAYWALL_PHRASES);
    if declares_not_free(page.document) && (teaser || gated) {
        return found(
            RefusalCode::Paywall,
            "a teaser of a page that declares itself not free",
        );
    }
    if teaser && gated {
        return found(RefusalCode::Paywall, "a teaser with a paywall's words");
    }
    let asks_password = page.document.select("input[type='password']").exists();
    if asks_password
        && words < LOGIN_WORDS
        && (has(&text, &LOGIN_PHRASES) || page.article_words == 0)
    {
        return found(RefusalCode::Paywall, "a login form instead of a page");
    }
    None
}

/// Lower-case text a reader sees; `noscript` counts, for that is what a fetcher without scripts gets.
fn visible_text(document: &Document) -> String {
    let copy = Document::from(document.html());
    copy.select("head,script,style,template,svg").remove();
    let text = copy.formatted_text().replace('’', "'");
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase()
}

/// schema.org's `isAccessibleForFree: false` on the page itself or on one of its parts.
fn declares_not_free(document: &Document) -> bool {
    document
        .select("script[type='application/ld+json']")
        .nodes()
        .iter()
        .any(|script| {
            let compact: String = script
                .text()
                .chars()
                .filter(|character| !character.is_whitespace())
                .collect();
            let compact = compact.to_ascii_lowercase();
            [
                "false",
                "\"false\"",
                "\"no\"",
                "\"http://schema.org/false\"",
                "\"https://schema.org/false\"",
            ]
            .iter()
            .any(|no| compact.contains(&format!("\"isaccessibleforfree\":{no}")))
        })
}

#[cfg(test)]
mod tests;
