use proptest::prelude::*;

use super::*;

fn markdown(html: &str) -> String {
    let address = Url::parse("https://site.example/dir/page.html").unwrap();
    extract(html, Some(&address)).unwrap().markdown
}

#[test]
fn links_become_absolute_and_keep_their_ampersands() {
    let text = markdown(
        "<p>See <a href='../a?x=1&amp;y=2'>the list</a> and <a href='#here'>this part</a> of it.</p>",
    );
    assert_eq!(
        text,
        "See [the list](https://site.example/a?x=1&y=2) and [this part](https://site.example/dir/page.html#here) of it.\n"
    );
}

#[test]
fn the_base_element_is_respected() {
    let text = markdown(
        "<base href='/v3/'><p>See <a href='errors'>the table of errors</a> for more of it.</p>",
    );
    assert_eq!(
        text,
        "See [the table of errors](https://site.example/v3/errors) for more of it.\n"
    );
}

#[test]
fn targets_that_are_scripts_or_data_lose_the_target_and_keep_the_text() {
    let text = markdown(
        "<p>Press <a href='javascript:alert(1)'>the button</a> or <a href='data:text/html,x'>that one</a>, please.\
         <img src='data:image/png;base64,AAAA' alt='dot'></p>",
    );
    assert_eq!(text, "Press the button or that one, please.\n");
}

#[test]
fn footnotes_become_footnotes() {
    let text = markdown(
        "<p>First<sup><a href='#n2'>2</a></sup>, then<sup><a href='#n1'>1</a></sup>, and again<sup><a href='#n2'>2</a></sup>.</p>\
         <ol><li id=n1><p>One. <a href='#r1'>↩</a></p></li><li id=n2>Two <em>of</em> them. <a href='#r2'>↩</a></li></ol>",
    );
    assert!(
        text.contains("First[^1], then[^2], and again[^1]."),
        "{text}"
    );
    assert!(text.contains("[^2]: One.\n"), "{text}");
    assert!(text.contains("[^1]: Two *of* them.\n"), "{text}");
    assert!(!text.contains('↩'), "{text}");
}

#[test]
fn superscripts_and_subscripts_that_are_numbers_stay_apart_from_the_word() {
    let text = markdown(
        "<p>E is mc<sup>2</sup> and water is H<sub>2</sub>O, said the 1<sup>st</sup> of them at the table.</p>",
    );
    assert_eq!(
        text,
        "E is mc² and water is H₂O, said the 1st of them at the table.\n"
    );
}

#[test]
fn definition_lists_and_figures_become_paragraphs() {
    let text = markdown(
        "<p>Some words first.</p><dl><dt>Attempt</dt><dd>One request.</dd><dt>Call</dt><dd>What you asked for.</dd></dl>\
         <figure><img src=a.png alt='A boat'><figcaption>The boat, seen from land.</figcaption></figure>",
    );
    assert_eq!(
        text,
        "Some words first.\n\n**Attempt**\n\nOne request.\n\n**Call**\n\nWhat you asked for.\n\n\
         ![A boat](https://site.example/dir/a.png)\n\nThe boat, seen from land.\n"
    );
}

#[test]
fn emphasis_that_swallows_blocks_is_dropped_around_them_only() {
    let text = markdown("<p>One <i>two.<p>Three four.<ul><li>five</ul>");
    assert!(!text.lines().any(|line| line == "*"), "{text}");
    assert!(
        text.contains("- five") || text.contains("- *five*"),
        "{text}"
    );
}

#[test]
fn characters_reserved_for_our_marks_are_dropped_from_the_page() {
    assert_eq!(
        markdown("<p>one \u{e001}two\u{e002} three \u{e000} four words.</p>"),
        "one two three four words.\n"
    );
}

#[test]
fn metadata_absent_is_none_and_present_is_one_line() {
    let bare = extract("<p>Some words that are the page.</p>", None).unwrap();
    assert_eq!(
        bare.metadata,
        Metadata {
            title: None,
            author: None,
            description: None,
            site: None,
            published: None
        }
    );
    let page = extract(
        "<title> A \n title </title><meta name=author content='  B. C. '><meta name=date content=2026-01-02>\
         <meta property=og:site_name content=S><meta name=description content='D d'><p>Some words that are the page.</p>",
        None,
    )
    .unwrap();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        page.metadata,
        Metadata {
            title: text("A title"),
            author: text("B. C."),
            description: text("D d"),
            site: text("S"),
            published: text("2026-01-02")
        }
    );
    assert_eq!(page.word_count, 6);
}

#[test]
fn a_page_without_text_is_refused() {
    for html in [
        "",
        "<html></html>",
        "<img src=x>",
        "<script>var text = 'words'</script>",
    ] {
        assert_eq!(
            extract(html, None).unwrap_err().code,
            RefusalCode::Empty,
            "{html}"
        );
    }
}

#[test]
fn a_page_that_nests_deeper_than_browsers_do_is_refused() {
    let nested = |depth: usize| {
        format!(
            "{}words here{}",
            "<div>".repeat(depth),
            "</div>".repeat(depth)
        )
    };
    assert!(extract(&nested(100), None).is_ok());
    assert_eq!(
        extract(&nested(600), None).unwrap_err().code,
        RefusalCode::TooLarge
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn tag_soup_is_extracted_the_same_twice_and_is_canonical(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "<p>", "</p>", "<div class=content>", "</div>", "<ul><li>", "</ul>", "<table><tr><td>", "</table>", "<b>", "<i>",
                "</i>", "<pre><code>", "</code></pre>", "<a href='x?a=1&b=2'>", "</a>", "<sup><a href='#n'>1</a></sup>",
                "<li id=n>", "<dl><dt>", "<dd>", "<figure><img src=y>", "<figcaption>", "</figure>", "<h2>", "</h2>", "<br>",
                "&nbsp;", "&lt;", "```", "| x |", "* a", "words of a sentence, with a comma. ", "<!-- ", "-->", "<script>",
                "</script>", "\u{e001}", "\r\n", "<blockquote>", "</blockquote>", "<base href='/b/'>",
            ]),
            0..60,
        )
    ) {
        let html = pieces.concat();
        let address = Url::parse("https://site.example/a/").unwrap();
        let once = extract(&html, Some(&address));
        prop_assert_eq!(&once, &extract(&html, Some(&address)));
        if let Ok(page) = once {
            prop_assert_eq!(canonicalise(&page.markdown), page.markdown);
        }
    }
}
