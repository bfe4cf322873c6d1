use url::Url;

use super::*;
use crate::capability::RefusalCode;
use crate::page::{Extracted, extract};

fn extracted(path: &str) -> Result<Extracted, RefusalCode> {
    let (_, html, _) = pages().iter().find(|(at, _, _)| *at == path).unwrap();
    let address = Url::parse("https://pages.example")
        .unwrap()
        .join(path)
        .unwrap();
    extract(html, Some(&address)).map_err(|refusal| refusal.code)
}

const GOOD: [(&str, &str); 5] = [
    ("/article.html", include_str!("../../corpus/article.md")),
    ("/docs.html", include_str!("../../corpus/docs.md")),
    ("/footnotes.html", include_str!("../../corpus/footnotes.md")),
    ("/broken.html", include_str!("../../corpus/broken.md")),
    (
        "/accepted-captcha-talk.html",
        include_str!("../../corpus/accepted-captcha-talk.md"),
    ),
];

#[test]
fn every_good_page_gives_its_golden_markdown() {
    for (path, golden) in GOOD {
        let markdown = extracted(path).unwrap().markdown;
        if std::env::var_os("D402_WRITE_GOLDEN").is_some() {
            let file = format!(
                "{}/corpus{}",
                env!("CARGO_MANIFEST_DIR"),
                path.replace(".html", ".md")
            );
            std::fs::write(file, &markdown).unwrap();
            continue;
        }
        assert_eq!(markdown, golden, "{path}");
    }
}

#[test]
fn every_stand_in_page_is_refused_for_what_it_is() {
    for (path, code) in [
        ("/blocked-challenge.html", RefusalCode::Captcha),
        ("/blocked-captcha.html", RefusalCode::Captcha),
        ("/paywall.html", RefusalCode::Paywall),
        ("/paywall-login.html", RefusalCode::Paywall),
    ] {
        assert_eq!(
            extracted(path).map(|page| page.markdown),
            Err(code),
            "{path}"
        );
    }
    assert_eq!(GOOD.len() + 4, pages().len());
}

#[test]
fn the_article_keeps_its_text_and_loses_its_furniture() {
    let page = extracted("/article.html").unwrap();
    for kept in [
        "barnacles on the leading edges",
        "**6.4 gigawatt-hours**",
        "> Nobody on the surface",
        "That focuses the mind",
    ] {
        assert!(page.markdown.contains(kept), "{kept}");
    }
    for lost in [
        "Advertisement",
        "cookies",
        "Most read",
        "newsletter",
        "Subscribe",
        "Related",
        "All rights",
        "Cheap ferries",
        "Share",
    ] {
        assert!(!page.markdown.contains(lost), "{lost}");
    }
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        page.metadata.title,
        text("Tidal turbines pass a winter of storms")
    );
    assert_eq!(page.metadata.author, text("Maren Oyelaran"));
    assert_eq!(page.metadata.site, text("Harbour Courier"));
    assert_eq!(page.metadata.published, text("2026-03-14T06:30:00Z"));
    assert!(
        page.metadata
            .description
            .unwrap()
            .starts_with("Four turbines")
    );
}

#[test]
fn the_documentation_keeps_its_code_and_tables() {
    let markdown = extracted("/docs.html").unwrap().markdown;
    for kept in [
        "```rust\nuse plover::{Client, RetryPolicy};\n",
        "let client: Client<Http> = Client::builder()\n    .retry(policy)\n",
        "```sh\n$ plover get /things --max-attempts 6 \\\n      --base-delay 50ms\n```",
        "| Setting | Default | Meaning |",
        "`a \\| b`",
        "    - `429`, after",
        "https://docs.plover.example/v3/guide/errors#table",
        "**Attempt**\n\nOne request on the wire.",
    ] {
        assert!(markdown.contains(kept), "{kept}\n{markdown}");
    }
    assert!(!markdown.contains("Quick start"));
}

#[test]
fn extraction_is_the_same_on_every_run_and_thread() {
    let once: Vec<_> = GOOD.iter().map(|(path, _)| extracted(path)).collect();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                (0..25)
                    .map(|_| {
                        GOOD.iter()
                            .map(|(path, _)| extracted(path))
                            .collect::<Vec<_>>()
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    for thread in threads {
        for run in thread.join().unwrap() {
            assert_eq!(run, once);
        }
    }
}
