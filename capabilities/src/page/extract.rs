//! Finding the article of a page, its metadata and its Markdown.
//!
//! Responsible for: choosing the main content (dom_smoothie, a port of Mozilla's Readability), turning
//! it into Markdown (dom_query's serialiser), and refusing pages that stand in for the page.
//! Not: fetching.
//! Invariants: a pure function of the page's text and its address; nothing is looked up.

use std::collections::HashMap;

use dom_query::{Document, NodeId};
use dom_smoothie::{Config, Readability, ReadabilityError};
use url::Url;

use super::blocked::{self, Page};
use super::markdown::{canonicalise, is_reserved};
use super::text::word_count;
use super::tidy::tidy;
use crate::capability::{Refusal, RefusalCode};

/// The true name of what makes the Markdown; part of every output.
pub const CONVERTER: &str = "dom_smoothie@0.19 dom_query@0.29 d402-markdown@1";

/// More elements than this are not an article.
const MAX_ELEMENTS: usize = 60_000;
/// Browsers stop nesting at this depth too; beyond it the libraries' recursion and our processor time
/// are what a page attacks.
const MAX_DEPTH: usize = 512;
const MAX_TITLE_CHARS: usize = 512;
const MAX_DESCRIPTION_CHARS: usize = 2_048;
/// What is left out when no article stands out and the whole body is taken.
const FURNITURE: &str = "script,style,noscript,template,svg,iframe,form,nav,header,footer,aside,button,input,select,textarea,dialog";

/// What a page says about itself. Absent is `None`, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The article's title.
    pub title: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// The description the page declares; not a piece of the text.
    pub description: Option<String>,
    /// The name of the site.
    pub site: Option<String>,
    /// When it was published, in the page's own words.
    pub published: Option<String>,
}

/// The result of extraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// Canonical Markdown; never empty.
    pub markdown: String,
    /// What the page says about itself.
    pub metadata: Metadata,
    /// Words of the article.
    pub word_count: usize,
}

/// Extracts the article of a page.
///
/// # Errors
/// [`RefusalCode::Blocked`], [`RefusalCode::Captcha`] or [`RefusalCode::Paywall`] for pages that stand
/// in for the page, [`RefusalCode::Empty`] when there is no text, [`RefusalCode::TooLarge`] when the
/// page has too many elements or nests them too deeply.
pub fn extract(html: &str, address: Option<&Url>) -> Result<Extracted, Refusal> {
    let html: String = html
        .chars()
        .filter(|character| !is_reserved(*character))
        .collect();
    let whole = Document::from(html.as_str());
    if depth(&whole) > MAX_DEPTH {
        return Err(Refusal::new(
            RefusalCode::TooLarge,
            format!("elements nested more than {MAX_DEPTH} deep"),
        ));
    }
    let config = Config {
        keep_classes: true,
        max_elements_to_parse: MAX_ELEMENTS,
        ..Config::default()
    };
    let mut reader = Readability::new(html.as_str(), address.map(Url::as_str), Some(config))
        .map_err(|_| Refusal::new(RefusalCode::BadInput, "the page's address is not absolute"))?;
    let metadata = metadata(&reader, &whole);
    let base = base_address(&whole, address);
    let article = match reader.parse() {
        Ok(article) => article.content.to_string(),
        Err(ReadabilityError::TooManyElements(..)) => {
            return Err(Refusal::new(
                RefusalCode::TooLarge,
                format!("more than {MAX_ELEMENTS} elements"),
            ));
        }
        Err(ReadabilityError::GrabFailed | ReadabilityError::BadDocumentURL) => {
            body_without_furniture(&html)
        }
    };
    let article = Document::fragment(article);
    let word_count = word_count(&article.formatted_text());
    tidy(&article, base.as_ref());
    let markdown = canonicalise(&article.md(None));
    let page = Page {
        html: &html,
        document: &whole,
        article_words: word_count,
    };
    if let Some(stand_in) = blocked::recognise(&page) {
        return Err(Refusal::new(stand_in.code, stand_in.signature));
    }
    if word_count == 0 {
        return Err(Refusal::new(RefusalCode::Empty, "the page holds no text"));
    }
    Ok(Extracted {
        markdown,
        metadata,
        word_count,
    })
}

/// How deep the deepest node is.
fn depth(document: &Document) -> usize {
    let mut depths: HashMap<NodeId, usize> = HashMap::new();
    let mut deepest = 0;
    // Document order: a parent comes before its children.
    for node in document.root().descendants_it() {
        let above = node
            .parent()
            .and_then(|parent| depths.get(&parent.id))
            .copied()
            .unwrap_or(0);
        let own = above.saturating_add(1);
        depths.insert(node.id, own);
        deepest = deepest.max(own);
    }
    deepest
}

fn metadata(reader: &Readability, whole: &Document) -> Metadata {
    let found = reader.get_article_metadata(reader.parse_json_ld());
    let title = if found.title.trim().is_empty() {
        reader.get_article_title().to_string()
    } else {
        found.title
    };
    let published = found
        .published_time
        .or_else(|| {
            attribute(
                whole,
                "meta[name='date'], meta[name='dc.date'], meta[name='DC.date']",
                "content",
            )
        })
        .or_else(|| {
            attribute(
                whole,
                "article time[datetime], main time[datetime]",
                "datetime",
            )
        });
    Metadata {
        title: one_line(Some(title), MAX_TITLE_CHARS),
        author: one_line(found.byline, MAX_TITLE_CHARS),
        description: one_line(found.excerpt, MAX_DESCRIPTION_CHARS),
        site: one_line(found.site_name, MAX_TITLE_CHARS),
        published: one_line(published, MAX_TITLE_CHARS),
    }
}

fn attribute(document: &Document, selector: &str, name: &str) -> Option<String> {
    document
        .select_single(selector)
        .attr(name)
        .map(|value| value.to_string())
}

/// Text on one line with single spaces, cut to size; `None` when nothing is left.
fn one_line(text: Option<String>, max_chars: usize) -> Option<String> {
    let text = text?.split_whitespace().collect::<Vec<_>>().join(" ");
    let text: String = text.chars().take(max_chars).collect();
    let text = text.trim_end().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The address relative links are resolved against.
fn base_address(whole: &Document, address: Option<&Url>) -> Option<Url> {
    let address = address?;
    match whole.base_uri() {
        Some(base) => address
            .join(base.trim())
            .ok()
            .or_else(|| Some(address.clone())),
        None => Some(address.clone()),
    }
}

fn body_without_furniture(html: &str) -> String {
    let document = Document::from(html);
    document.select(FURNITURE).remove();
    document
        .body()
        .map(|body| body.inner_html().to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
