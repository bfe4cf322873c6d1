//! How every message becomes bytes and back: strict JSON under a size limit.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use d402_objects::{Cid, strict};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A signed object as it travels: the envelope's JSON, not yet verified.
///
/// The receiver turns it into a `Signed<T>`; nothing may be read from it before that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawEnvelope(pub serde_json::Value);

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

/// Decodes one message of at most `max_bytes`, refusing duplicate keys and trailing bytes.
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
