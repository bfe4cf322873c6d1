//! Bounded texts: each has a length limit and a shape, and exactly one spelling.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::de::Visitor;

use crate::Invalid;

/// Decodes a JSON string through `FromStr`, without an intermediate allocation.
pub(crate) struct StrVisitor<T>(pub(crate) PhantomData<T>);

impl<T: FromStr<Err = Invalid>> Visitor<'_> for StrVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Serialises as `Display` prints and deserialises as `FromStr` reads.
macro_rules! serde_as_str {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(crate::text::StrVisitor(std::marker::PhantomData))
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::Invalid;

            fn try_from(text: String) -> Result<Self, crate::Invalid> {
                text.parse()
            }
        }
    };
}
pub(crate) use serde_as_str;

macro_rules! text_type {
    ($(#[$meta:meta])* $name:ident, $what:literal, $max:literal, $shape:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The most bytes it may have.
            pub const MAX_BYTES: usize = $max;

            /// Checks length and shape.
            ///
            /// # Errors
            /// [`Invalid::Length`] when empty or too long, [`Invalid::Syntax`] for another shape.
            pub fn new(text: impl AsRef<str>) -> Result<Self, Invalid> {
                let text = text.as_ref();
                if text.is_empty() || text.len() > Self::MAX_BYTES {
                    return Err(Invalid::Length {
                        what: $what,
                        got: text.len(),
                        max: Self::MAX_BYTES,
                    });
                }
                let shape: fn(&str) -> bool = $shape;
                if !shape(text) {
                    return Err(Invalid::Syntax { what: $what });
                }
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        serde_as_str!($name);
    };
}

fn visible_ascii(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

/// Dot-separated words of `[a-z0-9_-]`, none empty.
fn dotted(text: &str) -> bool {
    text.split('.').all(|word| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    })
}

fn version(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 32
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn caip2(text: &str) -> bool {
    let Some((namespace, reference)) = text.split_once(':') else {
        return false;
    };
    (3..=8).contains(&namespace.len())
        && (1..=32).contains(&reference.len())
        && namespace
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && reference
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn media_type(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
        && text
            .split_once('/')
            .is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty())
}

fn capability_id(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(id, release)| dotted(id) && version(release))
}

fn url(text: &str) -> bool {
    visible_ascii(text)
        && ["http://", "https://"]
            .iter()
            .any(|scheme| text.len() > scheme.len() && text.starts_with(scheme))
}

text_type!(
    /// A network as CAIP-2 names it, for example `eip155:8453` or `d402:simulated`.
    Caip2, "network", 41, caip2
);
text_type!(
    /// `<dotted.id>@<version>`, for example `web.page_to_markdown@1`.
    CapabilityId, "capability id", 160, capability_id
);
text_type!(
    /// A wallet-owned namespace of capabilities: dotted lower-case words.
    Namespace, "namespace", 64, dotted
);
text_type!(
    /// An absolute `http://` or `https://` URL in ASCII.
    Url, "url", 2048, url
);
text_type!(
    /// A libp2p multiaddr, for example `/ip4/127.0.0.1/tcp/4001`.
    Multiaddr, "multiaddr", 512, |text| visible_ascii(text) && text.starts_with('/')
);
text_type!(
    /// An RFC 9110 media type, for example `text/markdown; charset=utf-8`.
    MediaType, "media type", 128, media_type
);
text_type!(
    /// A wallet, payee, mint or token address in its network's own spelling. The network's codec
    /// in the settlement crate decides whether it names an account.
    Address, "address", 128, visible_ascii
);
text_type!(
    /// The name of a libp2p node (its peer id).
    NodeId, "node id", 128, visible_ascii
);
text_type!(
    /// A short machine-readable word: rail, tag, family, similarity or evidence name.
    Label, "label", 160,
    |text| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@' | b'/' | b':' | b'*'))
);
text_type!(
    /// A sentence for people: any Unicode but control characters.
    Text, "text", 2048, |text| !text.chars().any(char::is_control)
);

impl CapabilityId {
    /// The id before the `@`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.split_once('@').map_or(&*self.0, |(id, _)| id)
    }

    /// The version after the `@`.
    #[must_use]
    pub fn version(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, version)| version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts<T: FromStr<Err = Invalid> + fmt::Display>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(&text.parse::<T>().unwrap().to_string(), text);
        }
        for text in bad {
            assert!(text.parse::<T>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn each_text_type_has_its_shape() {
        accepts::<Caip2>(
            &[
                "eip155:8453",
                "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
                "d402:simulated",
            ],
            &[
                "",
                "eip155",
                "ab:c",
                "EIP155:1",
                "eip155:",
                "a23456789:1",
                "eip155:1:2",
                "eip155: 1",
            ],
        );
        accepts::<CapabilityId>(
            &["web.page_to_markdown@1", "x@1.2.3"],
            &[
                "web",
                "web@",
                "@1",
                "Web@1",
                "web..page@1",
                ".web@1",
                "web@1@2",
                "web @1",
            ],
        );
        accepts::<Namespace>(&["example.web", "a-b"], &["", ".", "A", "a b", "a."]);
        accepts::<Url>(
            &["https://a.example/x?y=1"],
            &["", "https://", "ftp://a", "https://a b", "https://é"],
        );
        accepts::<Multiaddr>(&["/ip4/127.0.0.1/tcp/1"], &["", "ip4/127.0.0.1", "/ip4 "]);
        accepts::<MediaType>(
            &["text/html", "text/plain; charset=utf-8"],
            &["", "text", "/html", "text/", "text/\n"],
        );
        accepts::<Address>(&["0x00"], &["", "a b", "é"]);
        accepts::<Text>(&["any “thing” 😀"], &["", "a\nb", "a\u{7f}b", "\u{85}"]);
        accepts::<Label>(&["similarity/shingle5", "*"], &["", "a b", "é"]);
    }

    #[test]
    fn no_text_is_longer_than_its_limit() {
        let long = |n: usize| "a".repeat(n);
        assert!(Address::new(long(128)).is_ok() && Address::new(long(129)).is_err());
        assert!(Text::new(long(2_048)).is_ok() && Text::new(long(2_049)).is_err());
    }

    #[test]
    fn a_capability_id_splits_into_id_and_version() {
        let id: CapabilityId = "web.page_to_markdown@1".parse().unwrap();
        assert_eq!((id.id(), id.version()), ("web.page_to_markdown", "1"));
    }
}
