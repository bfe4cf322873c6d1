//! Bytes to text, as browsers do it: byte order mark, then the header's charset, then the page's own
//! declaration in its first bytes, then UTF-8 if it is valid, else windows-1252.
//!
//! Invariants: total and deterministic; bytes that fit no character become U+FFFD.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// How far into a page its own charset declaration is looked for, as in the HTML standard.
const PRESCAN_BYTES: usize = 1024;

/// The text of a page. `charset` is the label of the HTTP header, if there was one.
#[must_use]
pub fn decode<'a>(bytes: &'a [u8], charset: Option<&str>) -> Cow<'a, str> {
    let encoding = Encoding::for_bom(bytes)
        .map(|(encoding, _)| encoding)
        .or_else(|| charset.and_then(|label| Encoding::for_label(label.as_bytes())))
        .or_else(|| declared(bytes))
        .unwrap_or_else(|| {
            if std::str::from_utf8(bytes).is_ok() {
                UTF_8
            } else {
                WINDOWS_1252
            }
        });
    encoding.decode(bytes).0
}

/// The charset in a `<meta charset=…>` or `<meta … content="…; charset=…">`.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head: String = bytes
        .iter()
        .take(PRESCAN_BYTES)
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    let mut metas = head.split("<meta").skip(1);
    let encoding = metas.find_map(|meta| {
        let meta = meta.split('>').next().unwrap_or_default();
        let (_, label) = meta.split_once("charset")?;
        let label = label
            .trim_start()
            .strip_prefix('=')?
            .trim_start()
            .trim_start_matches(['"', '\'']);
        let label: String = label
            .chars()
            .take_while(|character| {
                character.is_ascii_alphanumeric() || "-_:.".contains(*character)
            })
            .collect();
        Encoding::for_label(label.as_bytes())
    })?;
    // A page that could be read this far as ASCII is not UTF-16, whatever it says.
    Some(encoding.output_encoding())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_goes_before_the_page_and_the_mark_before_both() {
        let page = b"<meta charset=utf-8>\xe9";
        assert_eq!(decode(page, Some("iso-8859-1")), "<meta charset=utf-8>é");
        assert_eq!(decode(b"\xef\xbb\xbf\xc3\xa9", Some("iso-8859-1")), "é");
    }

    #[test]
    fn the_page_may_declare_its_charset_in_three_ways() {
        for declaration in [
            "<meta charset=windows-1251>",
            "<META CHARSET = 'Windows-1251' />",
            "<meta http-equiv=Content-Type content=\"text/html; charset=windows-1251\">",
        ] {
            let mut page = declaration.as_bytes().to_vec();
            page.push(0xc6);
            assert!(decode(&page, None).ends_with('Ж'), "{declaration}");
        }
    }

    #[test]
    fn without_any_word_it_is_utf8_or_else_windows_1252() {
        assert_eq!(decode("é".as_bytes(), None), "é");
        assert_eq!(decode(b"\x93quoted\x94", None), "“quoted”");
        assert_eq!(
            decode(b"<meta charset=utf-16>\xc3\xa9", None),
            "<meta charset=utf-16>é"
        );
        assert_eq!(decode(b"x\xff", Some("utf-8")), "x\u{fffd}");
        assert_eq!(decode(b"x", Some("no-such-charset")), "x");
    }
}
