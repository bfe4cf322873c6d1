//! RFC 8785 canonical JSON bytes and `sha256:` digests of outputs.
//!
//! Responsible for: the one byte form of an output document, which is what claims are compared by.
//! Not: the signed objects of the market; their encoder lives in the objects crate.
//! Invariants: `canonical(parse(canonical(v))) == canonical(v)`, and a number that cannot make that
//! round trip in every language (magnitude above 2^53 − 1, not finite) is refused, never rounded.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The largest magnitude that every JSON reader keeps exact: 2^53 − 1.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
const MAX_SAFE_FLOAT: f64 = 9_007_199_254_740_991.0;

/// Why a document has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A number is outside ±(2^53 − 1), or is not finite.
    #[error("a number is outside the range that survives every JSON reader")]
    UnsafeNumber,
}

/// The RFC 8785 bytes of a document.
///
/// # Errors
/// [`CanonicalError::UnsafeNumber`] when a number cannot be written exactly for every reader.
pub fn canonical_bytes(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::new();
    write_value(&mut out, value)?;
    Ok(out)
}

/// `sha256:<64 lowercase hex>` of some bytes.
#[must_use]
pub fn sha256_cid(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn write_value(out: &mut Vec<u8>, value: &Value) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(out, number)?,
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(out, item)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            // RFC 8785 §3.2.3 orders names by UTF-16 code units, which is not the order of UTF-8 bytes.
            let mut names: Vec<(Vec<u16>, &String, &Value)> = members
                .iter()
                .map(|(name, member)| (name.encode_utf16().collect(), name, member))
                .collect();
            names.sort_by(|left, right| left.0.cmp(&right.0));
            out.push(b'{');
            for (index, (_, name, member)) in names.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(out, name);
                out.push(b':');
                write_value(out, member)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn write_number(out: &mut Vec<u8>, number: &serde_json::Number) -> Result<(), CanonicalError> {
    if let Some(integer) = number.as_i64() {
        if integer.unsigned_abs() > MAX_SAFE_INTEGER {
            return Err(CanonicalError::UnsafeNumber);
        }
        out.extend_from_slice(integer.to_string().as_bytes());
        return Ok(());
    }
    // What is left is either above i64::MAX, so unsafe, or was written with a fraction or exponent.
    let float = number.as_f64().ok_or(CanonicalError::UnsafeNumber)?;
    if !float.is_finite() || float.abs() > MAX_SAFE_FLOAT {
        return Err(CanonicalError::UnsafeNumber);
    }
    out.extend_from_slice(ryu_js::Buffer::new().format_finite(float).as_bytes());
    Ok(())
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\r' => out.extend_from_slice(b"\\r"),
            control if u32::from(control) < 0x20 => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes());
            }
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn text(value: &Value) -> String {
        String::from_utf8(canonical_bytes(value).unwrap()).unwrap()
    }

    #[test]
    fn names_are_ordered_by_utf16_code_units() {
        // U+FB33 sorts after U+1F600 in UTF-16 (surrogate 0xD83D) and before it in UTF-8.
        let value: Value = serde_json::from_str(
            r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#,
        )
        .unwrap();
        assert_eq!(
            text(&value),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}"
        );
    }

    #[test]
    fn numbers_are_written_as_ecmascript_writes_them() {
        let value: Value = serde_json::from_str(
            "[333333333.33333329,1E15,4.50,2e-3,0.000000000000000000000000001,-0.0,1.0,5e-324]",
        )
        .unwrap();
        assert_eq!(
            text(&value),
            "[333333333.3333333,1000000000000000,4.5,0.002,1e-27,0,1,5e-324]"
        );
    }

    #[test]
    fn a_number_beyond_two_to_the_53_is_refused() {
        for unsafe_number in [
            "9007199254740992",
            "-9007199254740992",
            "18446744073709551615",
            "1e300",
        ] {
            let value: Value = serde_json::from_str(unsafe_number).unwrap();
            assert_eq!(
                canonical_bytes(&value),
                Err(CanonicalError::UnsafeNumber),
                "{unsafe_number}"
            );
        }
        assert_eq!(text(&json!(MAX_SAFE_INTEGER)), "9007199254740991");
    }

    #[test]
    fn control_characters_are_escaped_and_nothing_else_is() {
        assert_eq!(
            text(&json!("\u{f}\n\t\"\\/é\u{2028}\u{7f}")),
            "\"\\u000f\\n\\t\\\"\\\\/é\u{2028}\u{7f}\""
        );
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-(1i64 << 53) + 1..(1i64 << 53)).prop_map(Value::from),
            any::<f64>()
                .prop_filter("safe", |float| float.is_finite()
                    && float.abs() <= MAX_SAFE_FLOAT)
                .prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_bytes_survive_parse_and_print(value in document()) {
            let once = canonical_bytes(&value).unwrap();
            let parsed: Value = serde_json::from_slice(&once).unwrap();
            prop_assert_eq!(canonical_bytes(&parsed).unwrap(), once);
        }
    }
}
