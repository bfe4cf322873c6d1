//! Cases of the decoder and of the canonical form.

use d402_objects::{canonical, strict};
use serde::{Deserialize, Serialize};

/// A text and its canonical form, or a double by its bits and how it prints.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JcsCase {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bits: Option<String>,
    pub(crate) canonical: String,
    pub(crate) sha256: String,
}

/// A text, or bytes where it is none, and whether the strict decoder takes it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StrictCase {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input_hex: Option<String>,
    pub(crate) max_bytes: usize,
    pub(crate) floats: bool,
    pub(crate) accept: bool,
}

pub(crate) fn jcs() -> Vec<JcsCase> {
    let texts = [
        ("literals", "[null,true,false]"),
        ("empty containers and key", r#"{"":{},"a":[],"b":""}"#),
        (
            "rfc 8785 sample",
            r#"{"numbers":[333333333.33333329,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#,
        ),
        (
            "rfc 8785 key order",
            r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#,
        ),
        (
            "U+1F600 sorts before U+FF5E",
            r#"{"\uff5e":1,"\ud83d\ude00":2}"#,
        ),
        (
            "integer-like keys are texts",
            r#"{"10":1,"9":2,"-1":3,"01":4,"1":5}"#,
        ),
        (
            "__proto__ is a key",
            r#"{"b":1,"__proto__":{"x":1},"constructor":2}"#,
        ),
        (
            "every escape",
            r#""\u0000\u0001\u0008\u0009\u000a\u000b\u000c\u000d\u001f\u0020\u0022\u002f\u005c\u007f\u0080\u2028\u2029\ufeff""#,
        ),
        ("no unicode normalisation", r#"["\u00e9","e\u0301"]"#),
        (
            "integers at the edges",
            "[9007199254740991,-9007199254740991,0]",
        ),
        ("floats that are integers", "[1.0,1e3,10.0e-1,0.0]"),
        (
            "small and large floats",
            "[1e-6,1e-7,0.1,123456789012345.6,-1.5e-10]",
        ),
        ("nested order", r#"{"b":{"d":1,"c":2},"a":[{"z":1,"y":2}]}"#),
        ("whitespace", " {\t\"a\" :\r\n1 } "),
    ];
    let mut cases: Vec<JcsCase> = texts
        .into_iter()
        .map(|(name, input)| {
            let value = strict::parse_value(input.as_bytes(), 1 << 16).unwrap();
            let printed = canonical::to_bytes(&value);
            JcsCase {
                name: name.to_owned(),
                input: Some(input.to_owned()),
                bits: None,
                canonical: String::from_utf8(printed).unwrap(),
                sha256: canonical::sha256_hex(&value),
            }
        })
        .collect();
    cases.extend(doubles().into_iter().map(|bits| {
        let printed = canonical::ecmascript_number(f64::from_bits(bits));
        JcsCase {
            name: format!("double {bits:016x}"),
            input: None,
            bits: Some(format!("{bits:016x}")),
            sha256: d402_objects::Cid::of(printed.as_bytes())
                .to_hex32()
                .to_string(),
            canonical: printed,
        }
    }));
    cases
}

/// Appendix B of the RFC, powers around the layout's edges, and 200 pseudo-random ones.
fn doubles() -> Vec<u64> {
    let mut bits = vec![
        0x0000_0000_0000_0001,
        0x8000_0000_0000_0001,
        0x7fef_ffff_ffff_ffff,
        0x4340_0000_0000_0000,
        0x4430_0000_0000_0000,
        0x44b5_2d02_c7e1_4af5,
        0x44b5_2d02_c7e1_4af6,
        0x44b5_2d02_c7e1_4af7,
        0x444b_1ae4_d6e2_ef4e,
        0x444b_1ae4_d6e2_ef4f,
        0x444b_1ae4_d6e2_ef50,
        0x3eb0_c6f7_a0b5_ed8c,
        0x3eb0_c6f7_a0b5_ed8d,
        0x41b3_de43_5555_5553,
        0x41b3_de43_5555_5554,
        0x41b3_de43_5555_5555,
        0x41b3_de43_5555_5556,
        0x41b3_de43_5555_5557,
        0xbecb_f647_612f_3696,
        0x4314_3ff3_c1cb_0959,
    ];
    let mut state = 0x2545_f491_4f6c_dd1du64;
    while bits.len() < 220 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if f64::from_bits(state).is_finite() {
            bits.push(state);
        }
    }
    bits
}

pub(crate) fn strict() -> Vec<StrictCase> {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let keyed = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let objects: Vec<(&str, String)> = [
        ("empty object", "{}"),
        ("whitespace around", " \t\r\n{ } \n"),
        ("surrogate pair", r#""\ud83d\ude00""#),
        ("upper-case escape digits", r#""\uD83D\uDE00\u00E9""#),
        ("largest integer", "9007199254740991"),
        ("smallest integer", "-9007199254740991"),
        ("zero", "0"),
        ("composed and decomposed keys differ", "{\"\u{e9}\":1,\"e\u{301}\":1}"),
        ("keys differ by case", r#"{"a":1,"A":1}"#),
        ("__proto__ once", r#"{"__proto__":1}"#),
        ("duplicate key", r#"{"a":1,"a":2}"#),
        ("duplicate key, same value", r#"{"a":1,"a":1}"#),
        ("duplicate key, not adjacent", r#"{"a":1,"b":2,"a":3}"#),
        ("duplicate key, nested", r#"[{"x":{"a":1,"a":1}}]"#),
        ("duplicate key, escaped", r#"{"a":1,"\u0061":1}"#),
        ("duplicate empty key", r#"{"":1,"":1}"#),
        ("duplicate __proto__", r#"{"__proto__":1,"__proto__":1}"#),
        ("lone high surrogate", r#""\ud800""#),
        ("lone low surrogate", r#""\udc00""#),
        ("two high surrogates", r#""\ud83d\ud83d""#),
        ("surrogates reversed", r#""\ude00\ud83d""#),
        ("high surrogate before text", r#""\ud800x""#),
        ("high surrogate before an escape", r#""\ud800\n""#),
        ("lone surrogate in a key", r#"{"\ud800":1}"#),
        ("2^53", "9007199254740992"),
        ("-2^53", "-9007199254740992"),
        ("2^53 + 1", "9007199254740993"),
        ("2^64", "18446744073709551616"),
        ("-2^63 - 1", "-9223372036854775809"),
        ("a hundred digits", "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"),
        ("unsafe integer, nested", r#"{"a":[{"b":9007199254740993}]}"#),
        ("negative zero", "-0"),
        ("negative zero, nested", r#"{"a":[-0]}"#),
        ("negative zero float", "-0.0"),
        ("negative zero exponent", "-0e1"),
        ("rounds to negative zero", "-1e-400"),
        ("infinite", "1e400"),
        ("trailing bytes", "{}x"),
        ("two documents", "1 2"),
        ("trailing comma in list", "[1,]"),
        ("trailing comma in object", r#"{"a":1,}"#),
        ("leading zero", "01"),
        ("negative leading zero", "-01"),
        ("leading plus", "+1"),
        ("no digit before the point", ".5"),
        ("no digit after the point", "1."),
        ("no digit in the exponent", "1e"),
        ("a sign alone", "-"),
        ("hexadecimal", "0x10"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("bare key", "{a:1}"),
        ("single quotes", "'a'"),
        ("comment", "{}/*x*/"),
        ("raw control character", "\"\u{1}\""),
        ("raw newline in a text", "\"a\nb\""),
        ("raw delete is allowed", "\"\u{7f}\""),
        ("unknown escape", r#""\x41""#),
        ("short escape", r#""\u12""#),
        ("escape without digits", r#""\uzzzz""#),
        ("signed escape digits", r#""\u+123""#),
        ("escaped slash", r#""\/""#),
        ("unclosed text", "\"a"),
        ("unclosed list", "[1"),
        ("unclosed object", r#"{"a":1"#),
        ("missing colon", r#"{"a" 1}"#),
        ("missing comma", "[1 2]"),
        ("empty", ""),
        ("whitespace only", " \n"),
        ("no-break space", "\u{a0}1"),
        ("vertical tab", "\u{b}1"),
        ("literal cut short", "tru"),
        ("literal in capitals", "True"),
    ]
    .map(|(name, text)| (name, text.to_owned()))
    .into_iter()
    .chain([
        ("32 levels of lists", nested(32)),
        ("33 levels of lists", nested(33)),
        ("32 levels of objects", keyed(32)),
        ("33 levels of objects", keyed(33)),
        ("4,000 open lists", "[".repeat(4_000)),
    ])
    .collect();
    let floats = [
        "1.5",
        "1.0",
        "1e3",
        "[0.1]",
        "0.0",
        "1e-400",
        "1E+2",
        "9007199254740991.0",
        "9007199254740992.0",
        "1e16",
        "-1e300",
        "4503599627370496.5",
    ];
    let bytes: [(&str, &[u8]); 9] = [
        ("byte-order mark", b"\xef\xbb\xbf{}"),
        ("invalid utf-8", b"\"\xff\""),
        ("utf-8 encoded surrogate", b"\"\xed\xa0\x80\""),
        ("overlong utf-8", b"\"\xc0\xaf\""),
        ("utf-8 cut short", b"\"\xe2\x82\""),
        ("utf-8 beyond U+10FFFF", b"\"\xf4\x90\x80\x80\""),
        ("utf-16", b"\xff\xfe{\x00}\x00"),
        ("nul after the document", b"{}\x00"),
        ("utf-8 in the middle of a key", b"{\"\xe2\x82\xac\":1}"),
    ];
    let mut cases = Vec::new();
    for (name, text) in &objects {
        cases.push(strict_case(name, text.as_bytes(), 1 << 16, false));
    }
    for text in floats {
        cases.push(strict_case(
            &format!("float {text}, refused"),
            text.as_bytes(),
            1 << 16,
            false,
        ));
        cases.push(strict_case(
            &format!("float {text}, allowed"),
            text.as_bytes(),
            1 << 16,
            true,
        ));
    }
    for (name, text) in &objects {
        if name.contains("zero") || name.contains("2^") || *name == "infinite" {
            cases.push(strict_case(
                &format!("{name}, floats allowed"),
                text.as_bytes(),
                1 << 16,
                true,
            ));
        }
    }
    for (name, text) in bytes {
        cases.push(strict_case(name, text, 1 << 16, false));
    }
    cases.push(strict_case("exactly the limit", b"[1]", 3, false));
    cases.push(strict_case("one byte above the limit", b"[1] ", 3, false));
    cases
}

fn strict_case(name: &str, bytes: &[u8], max_bytes: usize, floats: bool) -> StrictCase {
    let limits = if floats {
        strict::Limits::value(max_bytes)
    } else {
        strict::Limits::object(max_bytes)
    };
    // A byte-order mark would be invisible in the file.
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.starts_with('\u{feff}'));
    StrictCase {
        name: name.to_owned(),
        input: text.map(str::to_owned),
        input_hex: text.is_none().then(|| hex::encode(bytes)),
        max_bytes,
        floats,
        accept: strict::parse(bytes, &limits).is_ok(),
    }
}
