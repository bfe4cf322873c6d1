//! `Signed<T>`: one object in its closed envelope, verified when it was made, immutable after.
//!
//! The canonical bytes of the envelope are kept and shared, so that a clone is a pointer, the CID
//! is not hashed again and the signature is checked exactly once per parse.

use std::{fmt, sync::Arc};

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Map, Value, value::RawValue};
use sha2::{Digest, Sha256};

use crate::{
    Cid, Ed25519Id, ObjectError, Payload, SignatureBytes, SignatureFault, SignerId, canonical,
    payload::{decode, limits, value_of},
    preimage::{TYPE_PREFIX, preimage},
    shelf::Shelf,
    signature,
    strict::{self, StrictError, StrictValue},
};

/// A verified object: payload, signer, signature and the exact bytes they cover.
pub struct Signed<T>(Arc<Inner<T>>);

struct Inner<T> {
    payload: T,
    cid: Cid,
    signer: SignerId,
    signature: SignatureBytes,
    /// Canonical text of the whole envelope, as messages carry it without reading it again.
    text: Arc<RawValue>,
    /// Where the canonical payload ends in `text`.
    payload_end: usize,
}

const PAYLOAD_OPEN: &str = r#"{"payload":"#;
const ENVELOPE_FIELDS: usize = 4;

impl<T: Payload> Signed<T> {
    /// Signs `payload` with the key it names for its role.
    ///
    /// # Errors
    /// [`ObjectError::WrongSigner`] when `key` is not the role field's key, and what parsing the
    /// result would refuse.
    pub fn sign(payload: T, key: &SigningKey) -> Result<Self, ObjectError> {
        Self::sign_with(payload, Ed25519Id::from(key).into(), |message| {
            key.sign(message).to_bytes().into()
        })
    }

    /// Signs with a wallet key; only kinds whose role field is a wallet accept it.
    ///
    /// # Errors
    /// As [`Signed::sign`].
    #[cfg(feature = "eip191")]
    pub fn sign_eip191(payload: T, key: &k256::ecdsa::SigningKey) -> Result<Self, ObjectError> {
        let signer = SignerId::Eip191(signature::evm_address(key.verifying_key()));
        Self::sign_with(payload, signer, |message| {
            signature::eip191_sign(key, message).into()
        })
    }

    fn sign_with(
        payload: T,
        signer: SignerId,
        sign: impl FnOnce(&[u8]) -> SignatureBytes,
    ) -> Result<Self, ObjectError> {
        if payload.signer_field() != signer {
            return Err(ObjectError::WrongSigner { kind: T::KIND });
        }
        let value = value_of(&payload)?;
        // What was written must read back: a type that loses data would sign what it cannot open.
        decode::<T>(&value)?;
        let body = canonical::to_bytes(&value);
        let digest: [u8; 32] = Sha256::digest(&body).into();
        let message = preimage(T::KIND, T::VERSION, payload.network(), &signer, &digest);
        let signature = sign(&message);
        Self::assemble(payload, body, digest, signer, signature)
    }

    /// Decodes and verifies an envelope of this kind.
    ///
    /// # Errors
    /// [`ObjectError`] names the first rule that is broken; nothing unverified is returned.
    pub fn parse(bytes: &[u8]) -> Result<Self, ObjectError> {
        Self::from_value(strict::parse(bytes, &limits::<T>())?)
    }

    /// Verifies an envelope that was decoded as part of a larger strict document.
    ///
    /// # Errors
    /// As [`Signed::parse`].
    pub fn from_value(envelope: Value) -> Result<Self, ObjectError> {
        let Value::Object(fields) = envelope else {
            return Err(ObjectError::NotAnObject { what: "envelope" });
        };
        Self::from_fields(fields)
    }

    /// Verifies an envelope in strict JSON text; of the same text that somebody holds already, the same object.
    /// For kinds that many tasks name: manifests, registrations, offers.
    ///
    /// # Errors
    /// As [`Signed::parse`].
    pub fn open_shared(text: &str) -> Result<Self, ObjectError> {
        Shelf::global()
            .find_or(T::KIND, text, || {
                let limits = strict::Limits::value(T::MAX_BYTES);
                Self::from_value(strict::parse(text.as_bytes(), &limits)?).map(|object| object.0)
            })
            .map(Self)
    }

    fn from_fields(mut fields: Map<String, Value>) -> Result<Self, ObjectError> {
        if fields.len() > ENVELOPE_FIELDS {
            return Err(ObjectError::ExtraField {
                got: fields.len(),
                want: ENVELOPE_FIELDS,
            });
        }
        let kind = text_field(&fields, "payloadType")?;
        if kind.strip_prefix(TYPE_PREFIX) != Some(T::KIND) {
            return Err(ObjectError::WrongKind { want: T::KIND });
        }
        let signer: SignerId = parse_field(&fields, "signer")?;
        let signature: SignatureBytes = parse_field(&fields, "signature")?;
        let value = fields
            .remove("payload")
            .ok_or(ObjectError::Field { field: "payload" })?;
        let payload = decode::<T>(&value)?;
        if payload.signer_field() != signer {
            return Err(ObjectError::WrongSigner { kind: T::KIND });
        }
        let body = canonical::to_bytes(&value);
        let digest: [u8; 32] = Sha256::digest(&body).into();
        let message = preimage(T::KIND, T::VERSION, payload.network(), &signer, &digest);
        verify(&signer, &message, &signature).map_err(|source| ObjectError::Signature {
            kind: T::KIND,
            source,
        })?;
        Self::assemble(payload, body, digest, signer, signature)
    }

    /// Joins the canonical envelope; its keys in order are payload, payloadType, signature, signer.
    fn assemble(
        payload: T,
        body: Vec<u8>,
        digest: [u8; 32],
        signer: SignerId,
        signature: SignatureBytes,
    ) -> Result<Self, ObjectError> {
        let kind = T::KIND;
        let tail = format!(
            r#","payloadType":"{TYPE_PREFIX}{kind}","signature":"{signature}","signer":"{signer}"}}"#
        );
        let mut bytes = Vec::with_capacity(
            PAYLOAD_OPEN
                .len()
                .saturating_add(body.len())
                .saturating_add(tail.len()),
        );
        bytes.extend_from_slice(PAYLOAD_OPEN.as_bytes());
        bytes.extend_from_slice(&body);
        let payload_end = bytes.len();
        bytes.extend_from_slice(tail.as_bytes());
        if bytes.len() > T::MAX_BYTES {
            return Err(ObjectError::Strict(StrictError::TooLarge {
                got: bytes.len(),
                max: T::MAX_BYTES,
            }));
        }
        Ok(Self(Arc::new(Inner {
            payload,
            cid: Cid::from_digest(digest),
            signer,
            signature,
            text: json_text(bytes)?,
            payload_end,
        })))
    }
}

impl<T> Signed<T> {
    /// The payload. Unknown fields are only in the bytes.
    #[must_use]
    pub fn payload(&self) -> &T {
        &self.0.payload
    }

    /// The CID of the canonical payload.
    #[must_use]
    pub fn cid(&self) -> Cid {
        self.0.cid
    }

    /// Who signed.
    #[must_use]
    pub fn signer(&self) -> SignerId {
        self.0.signer
    }

    /// The signature over the envelope pre-image.
    #[must_use]
    pub fn signature(&self) -> &SignatureBytes {
        &self.0.signature
    }

    /// The canonical bytes of the envelope.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.text.get().as_bytes()
    }

    /// The canonical text of the envelope, shared: a message that carries it copies it and reads nothing.
    #[must_use]
    pub fn text(&self) -> &Arc<RawValue> {
        &self.0.text
    }

    /// The canonical bytes of the envelope, owned.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    /// The canonical bytes of the payload: what the CID is the hash of.
    #[must_use]
    pub fn payload_bytes(&self) -> &[u8] {
        self.as_bytes()
            .get(PAYLOAD_OPEN.len()..self.0.payload_end)
            .unwrap_or_default()
    }

    /// The envelope as a JSON value, unknown payload fields included.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // The text was written by this module from a strict value, so it always decodes.
        serde_json::from_str(self.0.text.get()).unwrap_or(Value::Null)
    }
}

/// What was assembled from canonical parts, as JSON text.
fn json_text(bytes: Vec<u8>) -> Result<Arc<RawValue>, ObjectError> {
    const NO_TEXT: StrictError = StrictError::Syntax { line: 0, column: 0 };
    String::from_utf8(bytes)
        .ok()
        .and_then(|text| RawValue::from_string(text).ok())
        .map(Arc::from)
        .ok_or(ObjectError::Strict(NO_TEXT))
}

fn verify(
    signer: &SignerId,
    message: &[u8],
    signature: &SignatureBytes,
) -> Result<(), SignatureFault> {
    match signer {
        SignerId::Ed25519(key) => key.verify(message, &signature.to_array()?),
        SignerId::Eip191(address) => {
            signature::eip191_verify(address, message, &signature.to_array()?)
        }
    }
}

pub(crate) fn text_field<'a>(
    fields: &'a Map<String, Value>,
    field: &'static str,
) -> Result<&'a str, ObjectError> {
    fields
        .get(field)
        .and_then(Value::as_str)
        .ok_or(ObjectError::Field { field })
}

fn parse_field<V: std::str::FromStr<Err = crate::Invalid>>(
    fields: &Map<String, Value>,
    field: &'static str,
) -> Result<V, ObjectError> {
    text_field(fields, field)?
        .parse()
        .map_err(|source| ObjectError::Carrier { field, source })
}

impl<T> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<T> Eq for Signed<T> {}

impl<T> std::hash::Hash for Signed<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl<T: fmt::Debug> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("cid", &self.0.cid)
            .field("signer", &self.0.signer)
            .field("payload", &self.0.payload)
            .finish_non_exhaustive()
    }
}

impl<T> serde::Serialize for Signed<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.text.serialize(serializer)
    }
}

impl<'de, T: Payload> serde::Deserialize<'de> for Signed<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StrictValue(value) = StrictValue::deserialize(deserializer)?;
        Self::from_value(value).map_err(serde::de::Error::custom)
    }
}
