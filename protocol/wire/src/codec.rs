//! How every message becomes bytes and back: strict JSON under a size limit.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use d402_objects::{AnySigned, Cid, ObjectError, Payload, Signed, Value, strict};
use d402_settlement::market::EvidenceObject;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::peer::MAX_MESSAGE_BYTES;

/// A signed object as it travels: the envelope's text, not yet verified, nor known to be strict JSON.
///
/// The receiver turns it into a verified object; nothing may be read from it before that. The text is shared with
/// the object it is of: what goes to many receivers, or through many hands, is copied and never taken apart.
#[derive(Clone, Debug)]
pub struct RawEnvelope(Arc<RawValue>);

impl RawEnvelope {
    /// A held object for sending.
    #[must_use]
    pub fn of<T>(object: &Signed<T>) -> Self {
        Self(Arc::clone(object.text()))
    }

    /// Verifies it as an object of one kind.
    ///
    /// # Errors
    /// [`ObjectError`] names the first rule that is broken.
    pub fn open<T: Payload>(&self) -> Result<Signed<T>, ObjectError> {
        Signed::from_value(self.to_value()?)
    }

    /// As [`RawEnvelope::open`], of the same text that somebody holds already the same object.
    ///
    /// # Errors
    /// [`ObjectError`] names the first rule that is broken.
    pub fn open_shared<T: Payload>(&self) -> Result<Signed<T>, ObjectError> {
        Signed::open_shared(self.text())
    }

    /// Verifies it as a piece of evidence.
    ///
    /// # Errors
    /// [`ObjectError`] for another kind, and for everything that does not verify.
    pub fn open_evidence(&self) -> Result<EvidenceObject, ObjectError> {
        EvidenceObject::from_value(self.to_value()?)
    }

    /// Verifies it as an object of the kind it says it is.
    ///
    /// # Errors
    /// [`ObjectError`] names the first rule that is broken.
    pub fn open_any(&self) -> Result<AnySigned, ObjectError> {
        AnySigned::from_value(self.to_value()?)
    }

    /// The envelope's JSON, read by the strict rules.
    ///
    /// # Errors
    /// [`strict::StrictError`] for text that two parsers could read differently.
    pub fn to_value(&self) -> Result<Value, strict::StrictError> {
        strict::parse_value(self.0.get().as_bytes(), MAX_MESSAGE_BYTES)
    }

    /// The text as it came.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

impl From<&EvidenceObject> for RawEnvelope {
    fn from(object: &EvidenceObject) -> Self {
        Self(Arc::clone(object.text()))
    }
}

impl From<&AnySigned> for RawEnvelope {
    fn from(object: &AnySigned) -> Self {
        Self(Arc::clone(object.text()))
    }
}

/// Of JSON that is no object yet: what a file or a test holds.
impl From<&Value> for RawEnvelope {
    fn from(envelope: &Value) -> Self {
        let text = serde_json::value::to_raw_value(envelope);
        // Every value has a text.
        Self(Arc::from(text.unwrap_or_default()))
    }
}

impl PartialEq for RawEnvelope {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Serialize for RawEnvelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawEnvelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|text| Self(Arc::from(text)))
    }
}

/// Content bytes with the CID they must hash to; only [`Blob::verified`] lets them out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Blob {
    /// `sha256:` of the decoded bytes.
    pub cid: Cid,
    /// The bytes, base64 without padding.
    base64: String,
}

impl Blob {
    /// Wraps `bytes` under their own CID.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            cid: Cid::of(bytes),
            base64: STANDARD_NO_PAD.encode(bytes),
        }
    }

    /// The bytes, when they hash to the CID.
    ///
    /// # Errors
    /// [`CodecError::Base64`] for bad text, [`CodecError::WrongCid`] when the bytes are not those of the CID.
    pub fn verified(&self) -> Result<Vec<u8>, CodecError> {
        let bytes = STANDARD_NO_PAD
            .decode(&self.base64)
            .map_err(|_| CodecError::Base64)?;
        let got = Cid::of(&bytes);
        if got != self.cid {
            return Err(CodecError::WrongCid {
                expected: self.cid,
                got,
            });
        }
        Ok(bytes)
    }

    /// Length of the base64 text, an upper bound of what decoding allocates.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.base64.len()
    }
}

/// Why bytes are not a message of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// Not strict JSON, or over the limit.
    #[error("not a strict JSON document")]
    Strict(#[source] strict::StrictError),
    /// JSON of another shape.
    #[error("message has another shape (line {line}, column {column})")]
    Shape {
        /// Line of the first offending token; 0 when not known.
        line: usize,
        /// Column of the first offending token.
        column: usize,
    },
    /// A value that cannot be written as JSON.
    #[error("message cannot be encoded")]
    Encode,
    /// Content is not base64 without padding.
    #[error("content is not base64")]
    Base64,
    /// Content does not hash to its CID.
    #[error("content hashes to {got}, expected {expected}")]
    WrongCid {
        /// The CID the message named.
        expected: Cid,
        /// The CID of the bytes that came.
        got: Cid,
    },
}

/// Encodes one message.
///
/// # Errors
/// [`CodecError::Encode`] when a value has no JSON form.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, CodecError> {
    serde_json::to_vec(message).map_err(|_| CodecError::Encode)
}

/// Decodes one peer message of at most `max_bytes` straight from its text.
///
/// Only for types all of whose members are typed: the type refuses a member twice, and an envelope inside is held
/// to the strict rules when it is opened.
///
/// # Errors
/// [`CodecError::Strict`] for what is too long or no JSON, [`CodecError::Shape`] for JSON that is no `T`.
pub fn decode_message<T: DeserializeOwned>(
    bytes: &[u8],
    max_bytes: usize,
) -> Result<T, CodecError> {
    if bytes.len() > max_bytes {
        return Err(CodecError::Strict(strict::StrictError::TooLarge {
            got: bytes.len(),
            max: max_bytes,
        }));
    }
    serde_json::from_slice(bytes).map_err(|e| {
        let (line, column) = (e.line(), e.column());
        match e.classify() {
            Category::Syntax | Category::Eof | Category::Io => {
                CodecError::Strict(strict::StrictError::Syntax { line, column })
            }
            Category::Data => CodecError::Shape { line, column },
        }
    })
}

/// Decodes one document of at most `max_bytes`, refusing duplicate keys and trailing bytes.
///
/// # Errors
/// [`CodecError::Strict`] for JSON that two parsers could read differently or that is too long,
/// [`CodecError::Shape`] for JSON that is no `T`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], max_bytes: usize) -> Result<T, CodecError> {
    let value = strict::parse_value(bytes, max_bytes).map_err(CodecError::Strict)?;
    serde_json::from_value(value).map_err(|e| CodecError::Shape {
        line: e.line(),
        column: e.column(),
    })
}
