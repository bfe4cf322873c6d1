//! The strict JSON decoder: refuses, before anything is hashed, every text that two JSON
//! libraries could read differently (threat #27).
//!
//! Refused: more bytes than the limit (checked first), nesting deeper than the limit, a key twice
//! in one object, lone surrogates, invalid UTF-8, a byte-order mark, bytes after the document,
//! `-0` in any spelling, integers outside ±(2^53 − 1), and fractions or exponents where the
//! caller's [`Floats`] does not allow them.
//!
//! Not responsible for: which fields an object has (its type), and whether the text is canonical
//! (see [`crate::canonical`]).

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::numbers::MAX_SAFE_INTEGER;

/// Containers inside containers, the outermost one counted.
pub const MAX_DEPTH: usize = 32;

/// Whether numbers with a fraction or an exponent may occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floats {
    /// Signed objects.
    Refused,
    /// JSON Schemas, task inputs and outputs: finite, and within ±(2^53 − 1).
    Allowed,
}

/// What a decoder accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of text, checked before parsing.
    pub max_bytes: usize,
    /// Most nested containers.
    pub max_depth: usize,
    /// Whether floats may occur.
    pub floats: Floats,
}

impl Limits {
    /// Limits of a signed object of at most `max_bytes`.
    #[must_use]
    pub const fn object(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            max_depth: MAX_DEPTH,
            floats: Floats::Refused,
        }
    }

    /// Limits of a task input or output of at most `max_bytes`.
    #[must_use]
    pub const fn value(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            max_depth: MAX_DEPTH,
            floats: Floats::Allowed,
        }
    }
}

/// Why a text is not strict JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StrictError {
    /// More bytes than allowed; nothing was parsed.
    #[error("{got} bytes, {max} allowed")]
    TooLarge {
        /// Bytes seen.
        got: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Not JSON, not UTF-8, a lone surrogate, or bytes after the document.
    #[error("malformed JSON at line {line} column {column}")]
    Syntax {
        /// 1-based line.
        line: usize,
        /// 1-based column.
        column: usize,
    },
    /// Nested too deep.
    #[error("nested deeper than {max}")]
    TooDeep {
        /// Containers allowed.
        max: usize,
    },
    /// One object has a key twice.
    #[error("an object has one key twice")]
    DuplicateKey,
    /// An integer outside ±(2^53 − 1), or a float of that size.
    #[error("a number is outside ±(2^53 − 1)")]
    UnsafeInteger,
    /// `-0`, `-0.0`, `-0e1` or a negative number that rounds to zero.
    #[error("negative zero")]
    NegativeZero,
    /// A fraction or exponent where only integers may stand.
    #[error("a float where only integers may stand")]
    Float,
}

/// Decodes `bytes` under `limits`.
///
/// # Errors
/// [`StrictError`] names the first rule that is broken; the size is checked before parsing.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Value, StrictError> {
    if bytes.len() > limits.max_bytes {
        return Err(StrictError::TooLarge {
            got: bytes.len(),
            max: limits.max_bytes,
        });
    }
    let fault = Cell::new(None);
    let seed = Seed {
        limits,
        depth_left: limits.max_depth,
        fault: &fault,
    };
    let mut decoder = serde_json::Deserializer::from_slice(bytes);
    let parsed = seed
        .deserialize(&mut decoder)
        .and_then(|value| decoder.end().map(|()| value));
    parsed.map_err(|syntax| {
        fault.take().unwrap_or(StrictError::Syntax {
            line: syntax.line(),
            column: syntax.column(),
        })
    })
}

/// Decodes a task input or output of at most `max_bytes`: as [`parse`], with finite floats.
///
/// # Errors
/// As [`parse`].
pub fn parse_value(bytes: &[u8], max_bytes: usize) -> Result<Value, StrictError> {
    parse(bytes, &Limits::value(max_bytes))
}

/// Checks the rules that a decoded value can still break: depth and numbers.
///
/// # Errors
/// [`StrictError`] names the first rule that is broken.
pub fn check(value: &Value, limits: &Limits) -> Result<(), StrictError> {
    check_nested(value, limits, limits.max_depth)
}

fn check_nested(value: &Value, limits: &Limits, depth_left: usize) -> Result<(), StrictError> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(number) => check_number(number, limits.floats),
        Value::Array(items) => {
            let inner = deeper(limits, depth_left)?;
            items
                .iter()
                .try_for_each(|item| check_nested(item, limits, inner))
        }
        Value::Object(fields) => {
            let inner = deeper(limits, depth_left)?;
            fields
                .values()
                .try_for_each(|item| check_nested(item, limits, inner))
        }
    }
}

fn deeper(limits: &Limits, depth_left: usize) -> Result<usize, StrictError> {
    depth_left.checked_sub(1).ok_or(StrictError::TooDeep {
        max: limits.max_depth,
    })
}

fn check_number(number: &Number, floats: Floats) -> Result<(), StrictError> {
    if let Some(integer) = number.as_i64() {
        return check_integer(integer.unsigned_abs());
    }
    if let Some(integer) = number.as_u64() {
        return check_integer(integer);
    }
    match number.as_f64() {
        Some(float) => check_float(float, floats),
        None => Err(StrictError::UnsafeInteger),
    }
}

fn check_integer(magnitude: u64) -> Result<(), StrictError> {
    if magnitude > MAX_SAFE_INTEGER {
        return Err(StrictError::UnsafeInteger);
    }
    Ok(())
}

fn check_float(float: f64, floats: Floats) -> Result<(), StrictError> {
    const MAX: f64 = 9_007_199_254_740_991.0;
    const _: () = assert!(MAX_SAFE_INTEGER == 9_007_199_254_740_991);
    if float == 0.0 && float.is_sign_negative() {
        return Err(StrictError::NegativeZero);
    }
    if float.abs() > MAX {
        return Err(StrictError::UnsafeInteger);
    }
    match floats {
        Floats::Refused => Err(StrictError::Float),
        Floats::Allowed => Ok(()),
    }
}

/// A JSON value read through serde under the strict rules, for objects inside larger documents.
/// Floats are allowed here; the object's own type refuses them afterwards.
pub(crate) struct StrictValue(pub(crate) Value);

impl<'de> serde::Deserialize<'de> for StrictValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The carrying document bounds the bytes; this bounds depth, keys and numbers.
        const LIMITS: Limits = Limits::value(usize::MAX);
        let fault = Cell::new(None);
        Seed {
            limits: &LIMITS,
            depth_left: LIMITS.max_depth,
            fault: &fault,
        }
        .deserialize(deserializer)
        .map(Self)
    }
}

/// Decodes one value; keeps the typed reason beside serde's textual one.
struct Seed<'a> {
    limits: &'a Limits,
    depth_left: usize,
    fault: &'a Cell<Option<StrictError>>,
}

impl Seed<'_> {
    fn refuse<E: serde::de::Error>(&self, fault: StrictError) -> E {
        self.fault.set(Some(fault));
        E::custom(fault)
    }

    fn inner<E: serde::de::Error>(&self) -> Result<Seed<'_>, E> {
        let depth_left = deeper(self.limits, self.depth_left).map_err(|e| self.refuse(e))?;
        Ok(Seed {
            limits: self.limits,
            depth_left,
            fault: self.fault,
        })
    }

    fn again(&self) -> Seed<'_> {
        Seed {
            limits: self.limits,
            depth_left: self.depth_left,
            fault: self.fault,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a strict JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        check_integer(value.unsigned_abs()).map_err(|e| self.refuse(e))?;
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        check_integer(value).map_err(|e| self.refuse(e))?;
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        check_float(value, self.limits.floats).map_err(|e| self.refuse(e))?;
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| self.refuse(StrictError::UnsafeInteger))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner.again())? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if fields.contains_key(&key) {
                return Err(self.refuse(StrictError::DuplicateKey));
            }
            let value = map.next_value_seed(inner.again())?;
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Result<Value, StrictError> {
        parse(text.as_bytes(), &Limits::object(1_000))
    }

    fn value(text: &str) -> Result<Value, StrictError> {
        parse_value(text.as_bytes(), 1_000)
    }

    fn is_syntax(got: Result<Value, StrictError>) -> bool {
        matches!(got, Err(StrictError::Syntax { .. }))
    }

    #[test]
    fn the_size_is_checked_before_anything_else() {
        let limits = Limits::object(3);
        assert_eq!(parse(b"[1]", &limits).unwrap(), serde_json::json!([1]));
        let refused = Err(StrictError::TooLarge { got: 4, max: 3 });
        assert_eq!(parse(b"[1] ", &limits), refused);
        assert_eq!(parse(b"\xff\xff\xff\xff", &limits), refused);
    }

    #[test]
    fn a_key_twice_is_refused_at_any_depth_and_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"a":3}"#,
            r#"[{"x":{"a":1,"a":1}}]"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"":1,"":1}"#,
        ] {
            assert_eq!(object(text), Err(StrictError::DuplicateKey), "{text}");
        }
        assert!(object(r#"{"a":1,"A":1,"a ":1}"#).is_ok());
        // Not the same key: composed and decomposed é are different code points.
        assert!(object("{\"\u{e9}\":1,\"e\u{301}\":1}").is_ok());
    }

    #[test]
    fn lone_surrogates_are_refused_and_pairs_are_not() {
        for text in [
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud83d\ud83d""#,
            r#""\ude00\ud83d""#,
            r#""\ud800x""#,
            r#"{"\ud800":1}"#,
        ] {
            assert!(is_syntax(object(text)), "{text}");
        }
        assert_eq!(object(r#""\ud83d\ude00""#), Ok(Value::from("\u{1f600}")));
        assert!(is_syntax(value("\"\u{1}\"")), "raw control characters");
    }

    #[test]
    fn integers_stay_within_two_to_the_53() {
        assert!(object("9007199254740991").is_ok() && object("-9007199254740991").is_ok());
        for text in [
            "9007199254740992",
            "-9007199254740992",
            "9007199254740993",
            "18446744073709551616",
            "-9223372036854775809",
        ] {
            assert_eq!(object(text), Err(StrictError::UnsafeInteger), "{text}");
            assert_eq!(value(text), Err(StrictError::UnsafeInteger), "{text}");
        }
        for text in ["9007199254740992.0", "1e16", "-1e300"] {
            assert_eq!(value(text), Err(StrictError::UnsafeInteger), "{text}");
        }
        assert!(value("1e999").is_err());
    }

    #[test]
    fn negative_zero_is_refused_in_every_spelling() {
        for text in ["-0", "[-0]", "-0.0", "-0e5", "-1e-400"] {
            assert_eq!(value(text), Err(StrictError::NegativeZero), "{text}");
            assert_eq!(object(text), Err(StrictError::NegativeZero), "{text}");
        }
        assert!(object("0").is_ok());
    }

    #[test]
    fn floats_stand_only_where_they_are_allowed() {
        for text in ["1.5", "1.0", "1e3", "[0.1]", "1e-400", "0.0"] {
            assert_eq!(object(text), Err(StrictError::Float), "{text}");
            assert!(value(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn nesting_ends_at_32() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(object(&nested(32)).is_ok());
        assert_eq!(object(&nested(33)), Err(StrictError::TooDeep { max: 32 }));
        assert_eq!(
            object(&"[".repeat(33)),
            Err(StrictError::TooDeep { max: 32 })
        );
        let keyed = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(object(&keyed(32)).is_ok());
        assert_eq!(object(&keyed(33)), Err(StrictError::TooDeep { max: 32 }));
        let built = value(&nested(32)).map(|inner| Value::Array(vec![inner]));
        let limits = Limits::object(0);
        assert_eq!(
            built.map(|v| check(&v, &limits)),
            Ok(Err(StrictError::TooDeep { max: 32 }))
        );
    }

    #[test]
    fn one_document_and_nothing_after_it() {
        for text in [
            "",
            " ",
            "1 2",
            "{}x",
            "[1],",
            "\u{feff}{}",
            "{}\u{feff}",
            "nul",
            "[1,]",
            "01",
            "+1",
            ".5",
            "'a'",
            "NaN",
            "{a:1}",
            "\"\\x\"",
        ] {
            assert!(is_syntax(object(text)), "{text:?}");
        }
        assert!(object(" \t\r\n{ } \n").is_ok());
        assert!(is_syntax(object("\u{a0}1")), "only JSON whitespace");
        assert!(is_syntax(parse(b"\"\xff\"", &Limits::object(9))));
        assert!(is_syntax(parse(b"\"\xed\xa0\x80\"", &Limits::object(9))));
    }

    #[test]
    fn built_values_obey_the_same_number_rules() {
        let limits = Limits::object(0);
        assert_eq!(
            check(&Value::from(u64::MAX), &limits),
            Err(StrictError::UnsafeInteger)
        );
        assert_eq!(
            check(&Value::from(i64::MIN), &limits),
            Err(StrictError::UnsafeInteger)
        );
        assert_eq!(
            check(&Value::from(-0.0), &limits),
            Err(StrictError::NegativeZero)
        );
        assert_eq!(check(&Value::from(0.5), &limits), Err(StrictError::Float));
        assert_eq!(check(&Value::from(0.5), &Limits::value(0)), Ok(()));
    }

    #[test]
    fn an_inner_document_obeys_the_same_rules() {
        let read = |text: &str| serde_json::from_str::<StrictValue>(text).map(|v| v.0);
        assert!(read(r#"{"a":[1,2.5,"x",null,true]}"#).is_ok());
        for text in [r#"{"a":1,"a":1}"#, "9007199254740992", "-0"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&format!("{}{}", "[".repeat(33), "]".repeat(33))).is_err());
    }
}
