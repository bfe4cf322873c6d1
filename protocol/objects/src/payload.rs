//! What every kind of object has in common.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Caip2, Cid, Invalid, ObjectError, SignerId, canonical,
    strict::{self, Floats, Limits, StrictError},
};

/// An object that is hashed to a CID: every payload, and the settlement receipt.
pub trait Document:
    Serialize + DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static
{
    /// Its name; `payloadType` is `d402.` and this.
    const KIND: &'static str;
    /// The `objectVersion` this type describes.
    const VERSION: u16;
    /// Most bytes of the object in its envelope or carrier.
    const MAX_BYTES: usize;
    /// Top-level fields that may hold floats (JSON Schemas).
    const FLOAT_FIELDS: &'static [&'static str] = &[];

    /// The version written in it.
    fn object_version(&self) -> u16;

    /// Checks the rules that need no other object and no clock.
    ///
    /// # Errors
    /// [`Invalid`] names the first rule that is broken.
    fn validate(&self) -> Result<(), Invalid>;
}

/// A document that is signed in an envelope by the key it names.
pub trait Payload: Document {
    /// The network the object is bound to, if it names one.
    fn network(&self) -> Option<&Caip2>;

    /// The key the payload names for the role that must sign it.
    fn signer_field(&self) -> SignerId;
}

/// Implements [`Payload`] for a struct with an `object_version` field and a `rules` method.
macro_rules! payload {
    ($type:ident, $kind:literal, max $max:expr, signer $signer:ident $(, network $network:ident)?
     $(, floats $floats:expr)?) => {
        impl crate::Document for $type {
            const KIND: &'static str = $kind;
            const VERSION: u16 = 1;
            const MAX_BYTES: usize = $max;
            $(const FLOAT_FIELDS: &'static [&'static str] = $floats;)?

            fn object_version(&self) -> u16 {
                self.object_version
            }

            fn validate(&self) -> Result<(), crate::Invalid> {
                crate::payload::check_version(self)?;
                self.rules()
            }
        }

        impl crate::Payload for $type {
            fn network(&self) -> Option<&crate::Caip2> {
                payload!(@network self $(, $network)?)
            }

            fn signer_field(&self) -> crate::SignerId {
                self.$signer().into()
            }
        }
    };
    (@network $self:ident) => { None };
    (@network $self:ident, $network:ident) => { Some(&$self.$network) };
}
pub(crate) use payload;

pub(crate) fn check_version<T: Document>(payload: &T) -> Result<(), Invalid> {
    if payload.object_version() != T::VERSION {
        return Err(Invalid::Version {
            got: payload.object_version(),
            want: T::VERSION,
        });
    }
    Ok(())
}

/// Refuses a list whose length is outside `min..=max`.
pub(crate) fn count(what: &'static str, got: usize, min: usize, max: usize) -> Result<(), Invalid> {
    if got < min || got > max {
        return Err(Invalid::Count {
            what,
            got,
            min,
            max,
        });
    }
    Ok(())
}

/// Refuses a number outside `min..=max`.
pub(crate) fn range(
    what: &'static str,
    got: impl Into<u128>,
    min: u128,
    max: u128,
) -> Result<(), Invalid> {
    let got = got.into();
    if got < min || got > max {
        return Err(Invalid::Range {
            what,
            got,
            min,
            max,
        });
    }
    Ok(())
}

/// Refuses a list that names one thing twice.
pub(crate) fn distinct<T: Ord>(
    what: &'static str,
    items: impl IntoIterator<Item = T>,
) -> Result<(), Invalid> {
    let mut seen = std::collections::BTreeSet::new();
    if items.into_iter().all(|item| seen.insert(item)) {
        return Ok(());
    }
    Err(Invalid::NotDistinct { what })
}

/// Refuses `what` when `holds` is false.
pub(crate) fn fits(what: &'static str, with: &'static str, holds: bool) -> Result<(), Invalid> {
    if holds {
        return Ok(());
    }
    Err(Invalid::Mismatch { what, with })
}

/// The canonical value of a payload that was built here, with all its rules checked.
///
/// # Errors
/// [`ObjectError`] when the payload breaks a rule or cannot be written as strict JSON.
pub(crate) fn value_of<T: Document>(payload: &T) -> Result<Value, ObjectError> {
    payload.validate().map_err(|source| ObjectError::Invalid {
        kind: T::KIND,
        source,
    })?;
    let value = serde_json::to_value(payload).map_err(|source| ObjectError::Payload {
        kind: T::KIND,
        source,
    })?;
    check_value::<T>(&value)?;
    Ok(value)
}

/// The CID of an object that is not signed (yet): an intent in a 402.
///
/// # Errors
/// As signing it would.
pub fn cid_of<T: Document>(payload: &T) -> Result<Cid, ObjectError> {
    Ok(Cid::from_digest(canonical::digest(&value_of(payload)?)))
}

/// Decodes an unsigned payload and its CID, unknown fields hashed: the intent of a 402.
///
/// # Errors
/// [`ObjectError`] names the first rule that is broken.
pub fn parse_payload<T: Document>(bytes: &[u8]) -> Result<(T, Cid), ObjectError> {
    let value = strict::parse(bytes, &limits::<T>())?;
    let payload = decode::<T>(&value)?;
    Ok((payload, Cid::from_digest(canonical::digest(&value))))
}

/// The decoder limits for an envelope of this kind.
pub(crate) const fn limits<T: Document>() -> Limits {
    Limits {
        max_bytes: T::MAX_BYTES,
        max_depth: strict::MAX_DEPTH,
        floats: if T::FLOAT_FIELDS.is_empty() {
            Floats::Refused
        } else {
            Floats::Allowed
        },
    }
}

/// Decodes and checks a payload: strict numbers, version, type, rules, in this order.
pub(crate) fn decode<T: Document>(value: &Value) -> Result<T, ObjectError> {
    check_value::<T>(value)?;
    let version = value
        .get("objectVersion")
        .and_then(Value::as_u64)
        .ok_or(ObjectError::Field {
            field: "objectVersion",
        })?;
    if version > u64::from(T::VERSION) {
        return Err(ObjectError::Unsupported {
            kind: T::KIND,
            got: version,
            known: T::VERSION,
        });
    }
    let payload = T::deserialize(value).map_err(|source| ObjectError::Payload {
        kind: T::KIND,
        source,
    })?;
    payload.validate().map_err(|source| ObjectError::Invalid {
        kind: T::KIND,
        source,
    })?;
    Ok(payload)
}

/// Refuses floats outside the fields that may hold them, unsafe integers and deep nesting.
fn check_value<T: Document>(value: &Value) -> Result<(), ObjectError> {
    let Value::Object(fields) = value else {
        return Err(ObjectError::NotAnObject { what: "payload" });
    };
    // The envelope and the payload object are two of the levels.
    let max_depth = strict::MAX_DEPTH.saturating_sub(2);
    for (name, field) in fields {
        let floats = if T::FLOAT_FIELDS.contains(&name.as_str()) {
            Floats::Allowed
        } else {
            Floats::Refused
        };
        let limits = Limits {
            max_bytes: T::MAX_BYTES,
            max_depth,
            floats,
        };
        strict::check(field, &limits).map_err(|fault| match fault {
            StrictError::TooDeep { .. } => StrictError::TooDeep {
                max: strict::MAX_DEPTH,
            },
            StrictError::TooLarge { .. }
            | StrictError::Syntax { .. }
            | StrictError::DuplicateKey
            | StrictError::UnsafeInteger
            | StrictError::NegativeZero
            | StrictError::Float => fault,
        })?;
    }
    Ok(())
}
