//! From the bytes of a page to canonical Markdown.
//!
//! [`mod@decode`] turns bytes into text, [`mod@extract`] finds the article and its metadata, [`tidy`] prepares
//! the article's tree, [`markdown`] gives it its one byte form, [`blocked`] recognises pages that stand
//! in for the page, [`text`] is what two fetches of a page are compared by.
//!
//! Everything here is a pure function: no clock, no network, no randomness, one result per input.

pub mod blocked;
pub mod decode;
pub mod extract;
pub mod markdown;
pub mod text;
pub mod tidy;

pub use decode::decode;
pub use extract::{CONVERTER, Extracted, Metadata, extract};
