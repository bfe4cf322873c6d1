//! Realistic pages for tests and the demo: what extraction must do well, and what must be refused.

/// A page of the corpus: path, HTML, and the HTTP status it is served with.
pub type CorpusPage = (&'static str, &'static str, u16);

static PAGES: [CorpusPage; 9] = [
    ("/article.html", include_str!("../corpus/article.html"), 200),
    ("/docs.html", include_str!("../corpus/docs.html"), 200),
    (
        "/footnotes.html",
        include_str!("../corpus/footnotes.html"),
        200,
    ),
    ("/broken.html", include_str!("../corpus/broken.html"), 200),
    (
        "/accepted-captcha-talk.html",
        include_str!("../corpus/accepted-captcha-talk.html"),
        200,
    ),
    (
        "/blocked-challenge.html",
        include_str!("../corpus/blocked-challenge.html"),
        403,
    ),
    (
        "/blocked-captcha.html",
        include_str!("../corpus/blocked-captcha.html"),
        200,
    ),
    ("/paywall.html", include_str!("../corpus/paywall.html"), 200),
    (
        "/paywall-login.html",
        include_str!("../corpus/paywall-login.html"),
        200,
    ),
];

/// All pages. Serve them as `text/html; charset=utf-8`.
#[must_use]
pub fn pages() -> &'static [CorpusPage] {
    &PAGES
}

#[cfg(test)]
mod tests;
