//! RFC 8785 (JCS) canonical bytes: keys by UTF-16 code units, ECMAScript numbers, minimal escapes.
//!
//! Not responsible for refusing anything: give it values that passed [`crate::strict`].

use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

/// The canonical bytes of `value`.
#[must_use]
pub fn to_bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write_value(&mut out, value);
    out
}

/// SHA-256 of the canonical bytes.
#[must_use]
pub fn digest(value: &Value) -> [u8; 32] {
    Sha256::digest(to_bytes(value)).into()
}

/// SHA-256 of the canonical bytes as 64 lower hex digits.
#[must_use]
pub fn sha256_hex(value: &Value) -> String {
    hex::encode(digest(value))
}

fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(out, item);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            // Sorted here and not taken from the map: its order is a build-wide feature switch.
            let mut entries: Vec<(&String, &Value)> = fields.iter().collect();
            entries.sort_by(|(a, _), (b, _)| utf16_order(a, b));
            out.push(b'{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_string(out, key);
                out.push(b':');
                write_value(out, item);
            }
            out.push(b'}');
        }
    }
}

/// Byte order and UTF-16 order differ only above U+FFFF (U+1F600 sorts before U+FF5E).
fn utf16_order(a: &str, b: &str) -> std::cmp::Ordering {
    if a.is_ascii() && b.is_ascii() {
        a.cmp(b)
    } else {
        a.encode_utf16().cmp(b.encode_utf16())
    }
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            0x00..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(hex::encode([byte]).as_bytes());
            }
            0x20.. => out.push(byte),
        }
    }
    out.push(b'"');
}

fn write_number(out: &mut Vec<u8>, number: &Number) {
    if let Some(integer) = number.as_i64() {
        out.extend_from_slice(integer.to_string().as_bytes());
    } else if let Some(integer) = number.as_u64() {
        out.extend_from_slice(integer.to_string().as_bytes());
    } else if let Some(float) = number.as_f64() {
        out.extend_from_slice(ecmascript_number(float).as_bytes());
    }
}

/// `Number::toString` of ECMAScript: the shortest digits that read back as the same double, the
/// even ones on a tie (where Rust's own printer differs). Non-finite input prints as JSON `null`,
/// as ECMAScript's own serialiser does.
#[must_use]
pub fn ecmascript_number(float: f64) -> String {
    if !float.is_finite() {
        return "null".to_owned();
    }
    ryu_js::Buffer::new().format_finite(float).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        let value: Value = serde_json::from_str(text).unwrap();
        String::from_utf8(to_bytes(&value)).unwrap()
    }

    /// RFC 8785 §3.2.2.
    #[test]
    fn the_serialisation_sample_of_the_rfc() {
        let text = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        assert_eq!(
            canonical(text),
            "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
        );
    }

    /// RFC 8785 §3.2.3: keys in the order of their UTF-16 code units, not of their bytes.
    #[test]
    fn keys_are_sorted_as_the_rfc_says() {
        let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
        let sorted = canonical(text);
        let order: Vec<usize> = [
            "Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew",
        ]
        .iter()
        .map(|name| sorted.find(name).unwrap())
        .collect();
        assert!(order.is_sorted(), "{sorted}");
        assert_eq!(
            canonical(r#"{"\uff5e":1,"\ud83d\ude00":2}"#),
            "{\"\u{1f600}\":2,\"\u{ff5e}\":1}",
        );
    }

    #[test]
    fn control_characters_have_one_escape_each() {
        let all: String = (0u8..=0x7f).map(char::from).collect();
        let printed = String::from_utf8(to_bytes(&Value::from(all))).unwrap();
        assert!(printed.starts_with(
            "\"\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e"
        ));
        assert!(printed.contains("\\u001f !\\\"#"));
        assert!(printed.ends_with("~\u{7f}\""));
    }

    /// RFC 8785 appendix B, by bits.
    #[test]
    fn numbers_print_as_appendix_b_says() {
        for (bits, text) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
            (0x7ff0_0000_0000_0000, "null"),
        ] {
            assert_eq!(ecmascript_number(f64::from_bits(bits)), text, "{bits:016x}");
        }
    }
}
