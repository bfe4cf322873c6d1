//! Messages whose kind is a member beside the others (`"type": …`), read straight from their text.
//!
//! Serde's own way with such enums copies a message into a tree before it looks at the kind, and an envelope inside
//! loses its text with that. Everybody writes the kind first, so here the rest is read where it stands; a message
//! that has it elsewhere is as good, and is put together first.

use std::fmt;
use std::marker::PhantomData;

use d402_objects::{Value, strict};
use serde::de::value::{MapDeserializer, StringDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, IntoDeserializer,
    MapAccess, VariantAccess, Visitor,
};
use serde_json::value::RawValue;

use crate::peer::MAX_MESSAGE_BYTES;

/// Reads an enum that is derived without a tag from an object that has its kind under `tag`.
///
/// # Errors
/// Those of the deserializer: another shape, a member twice, an unknown member or kind.
pub fn read<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    tag: &'static str,
) -> Result<T, D::Error> {
    deserializer.deserialize_map(Tagged {
        tag,
        kinds: PhantomData,
    })
}

struct Tagged<T> {
    tag: &'static str,
    kinds: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Tagged<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with a member `{}`", self.tag)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let Some(first) = map.next_key::<String>()? else {
            return Err(A::Error::missing_field(self.tag));
        };
        if first == self.tag {
            let kind = map.next_value()?;
            return T::deserialize(Kind { kind, rest: map });
        }
        let mut members = serde_json::Map::new();
        let mut key = Some(first);
        while let Some(name) = key {
            // A tree forgets what was written twice, so the strict rules are held before there is one.
            let text: Box<RawValue> = map.next_value()?;
            let member = strict::parse_value(text.get().as_bytes(), MAX_MESSAGE_BYTES)
                .map_err(A::Error::custom)?;
            if members.insert(name, member).is_some() {
                return Err(A::Error::custom("a member twice"));
            }
            key = map.next_key()?;
        }
        let Some(Value::String(kind)) = members.remove(self.tag) else {
            return Err(A::Error::missing_field(self.tag));
        };
        let rest = MapDeserializer::new(members.into_iter());
        T::deserialize(Kind { kind, rest })
            .map_err(|error: serde_json::Error| A::Error::custom(error))
    }
}

/// The kind, and the members that are still to be read.
struct Kind<A> {
    kind: String,
    rest: A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Kind<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Kind<A> {
    type Error = A::Error;
    type Variant = Members<A>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Members<A>), A::Error> {
        let kind: StringDeserializer<A::Error> = self.kind.into_deserializer();
        Ok((seed.deserialize(kind)?, Members(self.rest)))
    }
}

struct Members<A>(A);

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Members<A> {
    type Error = A::Error;

    fn unit_variant(mut self) -> Result<(), A::Error> {
        match self.0.next_key::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("a member too many")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value, A::Error> {
        Err(A::Error::custom("a kind without names"))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _len: usize,
        _visitor: V,
    ) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("a kind without names"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.0)
    }
}

/// Defines an enum of messages: written with its kind under `type`, read by [`read`]. Unknown members are refused.
macro_rules! messages {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $(
                $(#[$about:meta])*
                $kind:ident $({ $( $(#[$detail:meta])* $member:ident: $type:ty, )* })?,
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
        pub enum $name {
            $( $(#[$about])* $kind $({ $( $(#[$detail])* $member: $type, )* })?, )*
        }

        const _: () = {
            #[derive(serde::Deserialize)]
            #[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
            enum Read {
                $( $kind $({ $( $(#[$detail])* $member: $type, )* })?, )*
            }

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    $crate::tagged::read(deserializer, "type").map(|read| match read {
                        $( Read::$kind $({ $($member,)* })? => Self::$kind $({ $($member,)* })?, )*
                    })
                }
            }
        };
    };
}
pub(crate) use messages;

#[cfg(test)]
mod tests {
    use d402_objects::Cid;

    use crate::codec::{CodecError, decode, decode_message, encode};
    use crate::peer::{MAX_MESSAGE_BYTES, Refusal, Request, Response};

    fn read(text: &str) -> Result<Response, CodecError> {
        decode_message(text.as_bytes(), MAX_MESSAGE_BYTES)
    }

    fn refused() -> Response {
        Response::Refused {
            reason: Refusal::Busy,
        }
    }

    #[test]
    fn the_kind_may_stand_anywhere_and_only_once() {
        for text in [
            r#"{"type":"refused","reason":"busy"}"#,
            r#"{"reason":"busy","type":"refused"}"#,
        ] {
            assert_eq!(read(text).unwrap(), refused(), "{text}");
            let strict: Response = decode(text.as_bytes(), MAX_MESSAGE_BYTES).unwrap();
            assert_eq!(strict, refused());
        }
        assert_eq!(read(r#"{"type":"accepted"}"#).unwrap(), Response::Accepted);
        for text in [
            r#"{"type":"refused","reason":"busy","type":"refused"}"#,
            r#"{"reason":"busy","type":"refused","type":"refused"}"#,
            r#"{"type":"refused","reason":"busy","reason":"busy"}"#,
            r#"{"reason":"busy","reason":"busy","type":"refused"}"#,
            r#"{"type":"refused","reason":"busy","more":1}"#,
            r#"{"more":1,"type":"refused","reason":"busy"}"#,
            r#"{"type":"accepted","more":1}"#,
            r#"{"type":"refused"}"#,
            r#"{"type":"unheardOf"}"#,
            r#"{"reason":"busy"}"#,
            r#"{"type":1,"reason":"busy"}"#,
            r#"{"type":"refused","reason":"busy"} {}"#,
            r#"{"type":"refused","reason":"busy"}x"#,
            "{}",
            "[]",
            "",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_written_is_read_and_an_envelope_keeps_its_text() {
        let envelope = r#"{"payload":{"b":1,"a":[2,3]},"payloadType":"d402.bid"}"#;
        let text = format!(r#"{{"type":"placeBid","bid":{envelope}}}"#);
        let request: Request = decode_message(text.as_bytes(), MAX_MESSAGE_BYTES).unwrap();
        assert_eq!(encode(&request).unwrap(), text.as_bytes());
        let Request::PlaceBid { bid } = &request else {
            panic!("{request:?}")
        };
        assert_eq!(bid.text(), envelope);
        assert!(bid.open_any().is_err());
        let asked = Request::GetInventory {
            task_id: Cid::of(b"task"),
        };
        let bytes = encode(&asked).unwrap();
        assert_eq!(decode_message::<Request>(&bytes, bytes.len()), Ok(asked));
        assert!(decode_message::<Request>(&bytes, bytes.len() - 1).is_err());
    }

    /// Threat #27: the envelope travels as text, so its own rules are held when it is opened.
    #[test]
    fn an_envelope_that_two_parsers_could_read_differently_is_never_opened() {
        for envelope in [
            r#"{"payload":{"a":1,"a":2},"payloadType":"d402.bid"}"#,
            r#"{"payload":{"a":-0},"payloadType":"d402.bid"}"#,
            r#"{"payload":{"a":9007199254740993},"payloadType":"d402.bid"}"#,
        ] {
            let text = format!(r#"{{"type":"placeBid","bid":{envelope}}}"#);
            let request: Request = decode_message(text.as_bytes(), MAX_MESSAGE_BYTES).unwrap();
            let Request::PlaceBid { bid } = request else {
                panic!("another request")
            };
            assert!(bid.to_value().is_err(), "{envelope}");
            assert!(bid.open_any().is_err(), "{envelope}");
            let kind_last = format!(r#"{{"bid":{envelope},"type":"placeBid"}}"#);
            let read = decode_message::<Request>(kind_last.as_bytes(), MAX_MESSAGE_BYTES);
            assert!(read.is_err(), "{envelope}");
        }
    }
}
