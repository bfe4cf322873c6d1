//! Preparing an article's tree for the Markdown serialiser.
//!
//! Responsible for: what Markdown has no nesting for — emphasis around blocks, definition lists,
//! figures, footnotes — and link targets.
//! Not: deciding what belongs to the article; see [`mod@super::extract`].
//! Invariants: no text is dropped but the arrows that lead back from a footnote; links with a target
//! other than http, https or mailto keep their text and lose the target.

use std::collections::BTreeMap;

use dom_query::{Document, NodeId, NodeRef};
use url::Url;

use super::markdown::{AMPERSAND, NOTE_CLOSE, NOTE_OPEN};

const INLINE: &str = "b,strong,i,em,u,s,del,ins,mark,small,font,span,cite";
const BLOCK: [&str; 16] = [
    "p",
    "div",
    "ul",
    "ol",
    "dl",
    "table",
    "pre",
    "blockquote",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "figure",
    "section",
];
const BACK_ARROWS: [&str; 5] = ["↩", "↩︎", "↑", "^", "⏎"];

/// Rewrites the tree in place. Relative targets are resolved against `base`, where there is one.
pub fn tidy(article: &Document, base: Option<&Url>) {
    unwrap_emphasis_around_blocks(article);
    definition_lists(article);
    figures(article);
    footnotes(article);
    raised_and_lowered_digits(article);
    link_targets(article, base);
}

/// `<i><p>…</p></i>` comes from unclosed tags; emphasis cannot span blocks in Markdown.
fn unwrap_emphasis_around_blocks(article: &Document) {
    for node in article.select(INLINE).nodes() {
        let holds_block = node.descendants_it().any(|inner| {
            inner
                .node_name()
                .is_some_and(|name| BLOCK.contains(&name.as_ref()))
        });
        if holds_block {
            dissolve(node);
        }
    }
}

/// Puts a node's children where the node is.
fn dissolve(node: &NodeRef<'_>) {
    if let Some(first) = node.first_child() {
        node.insert_siblings_before(&first);
    }
    node.remove_from_parent();
}

/// A term becomes a bold paragraph, its definition a paragraph.
fn definition_lists(article: &Document) {
    for term in article.select("dt").nodes() {
        term.rename("strong");
        term.wrap_html("<p></p>");
    }
    for definition in article.select("dd").nodes() {
        definition.rename("div");
    }
    for list in article.select("dl").nodes() {
        list.rename("div");
    }
}

/// Picture and caption become paragraphs of their own.
fn figures(article: &Document) {
    for caption in article.select("figcaption").nodes() {
        caption.rename("p");
    }
    for picture in article
        .select("figure > img, figure > picture, figure > a")
        .nodes()
    {
        picture.wrap_html("<p></p>");
    }
    for figure in article.select("figure, header").nodes() {
        figure.rename("div");
    }
    for time in article.select("div > time").nodes() {
        time.wrap_html("<p></p>");
    }
}

/// A reference that leads to a list item of the same page becomes `[^n]`, the item `[^n]: …`.
fn footnotes(article: &Document) {
    let mut items: BTreeMap<String, NodeRef<'_>> = BTreeMap::new();
    for item in article.select("li[id]").nodes() {
        if let Some(id) = item.id_attr() {
            // The first of two equal ids is the one a browser goes to.
            items.entry(id.to_string()).or_insert(*item);
        }
    }
    // Notes by node, with their number in the order of first reference.
    let mut numbers: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut notes: Vec<NodeRef<'_>> = Vec::new();
    let references = "sup a[href^='#'], a.footnote[href^='#'], a[role='doc-noteref'][href^='#']";
    for reference in article.select(references).nodes() {
        let target = reference.attr("href").unwrap_or_default();
        let Some(note) = items.get(target.trim_start_matches('#')) else {
            continue;
        };
        let next = notes.len().saturating_add(1);
        let number = *numbers.entry(note.id).or_insert(next);
        if number == next {
            notes.push(*note);
        }
        let outer = reference
            .parent()
            .filter(|parent| parent.has_name("sup"))
            .unwrap_or(*reference);
        // Text, not HTML: nothing of the page enters here but a number we counted.
        outer.rename("span");
        outer.remove_all_attrs();
        outer.set_text(format!("{NOTE_OPEN}{number}{NOTE_CLOSE}"));
    }
    for list in article.select("ol, ul").nodes() {
        let children = list.element_children();
        if !children.is_empty() && children.iter().all(|item| numbers.contains_key(&item.id)) {
            list.rename("div");
        }
    }
    for (index, note) in notes.iter().enumerate() {
        remove_back_arrows(note);
        let mark = format!(
            "<span>{NOTE_OPEN}{}{NOTE_CLOSE}: </span>",
            index.saturating_add(1)
        );
        let first = note
            .first_element_child()
            .filter(|first| first.has_name("p"));
        first.unwrap_or(*note).prepend_html(mark);
        note.rename("div");
    }
}

/// `mc<sup>2</sup>` is not `mc2`: digits get their raised or lowered characters, other text stays.
fn raised_and_lowered_digits(article: &Document) {
    for (selector, digits) in [("sup", "⁰¹²³⁴⁵⁶⁷⁸⁹"), ("sub", "₀₁₂₃₄₅₆₇₈₉")]
    {
        for node in article.select(selector).nodes() {
            let written: Option<String> = node
                .text()
                .chars()
                .map(|character| {
                    character
                        .to_digit(10)
                        .and_then(|digit| digits.chars().nth(usize::try_from(digit).ok()?))
                })
                .collect();
            if let Some(written) = written {
                node.set_text(written);
            }
        }
    }
}

fn remove_back_arrows(note: &NodeRef<'_>) {
    for link in note
        .descendants()
        .iter()
        .filter(|inner| inner.has_name("a"))
    {
        let back = link.attr("href").is_some_and(|href| href.starts_with('#'))
            && BACK_ARROWS.contains(&link.text().trim());
        if back {
            link.remove_from_parent();
        }
    }
}

fn link_targets(article: &Document, base: Option<&Url>) {
    for node in article.select("a[href], img[src]").nodes() {
        let name = if node.has_name("a") { "href" } else { "src" };
        let Some(target) = node.attr(name) else {
            continue;
        };
        let absolute = match base {
            Some(base) => base.join(target.trim()).ok(),
            None => Url::parse(target.trim()).ok(),
        };
        match absolute {
            Some(url) if matches!(url.scheme(), "http" | "https" | "mailto") => {
                node.set_attr(name, &hide_ampersands(url.as_str()));
            }
            // Without a base a relative target stays as it is written.
            None if base.is_none() && !target.contains(':') => {
                node.set_attr(name, &hide_ampersands(target.trim()))
            }
            Some(_) | None if name == "href" => dissolve(node),
            Some(_) | None => node.remove_from_parent(),
        }
    }
}

/// `&` becomes a mark, but where it would read as a character reference (`&copy;`).
fn hide_ampersands(target: &str) -> String {
    let mut pieces = target.split('&');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let name = piece.trim_start_matches(|character: char| {
            character.is_ascii_alphanumeric() || character == '#'
        });
        let reads_as_reference = name.starts_with(';') && name.len() < piece.len();
        out.push(if reads_as_reference { '&' } else { AMPERSAND });
        out.push_str(piece);
    }
    out
}
