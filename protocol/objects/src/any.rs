//! Every kind of envelope by its name, for readers that do not know what they were given.

use std::sync::Arc;

use serde_json::{Value, value::RawValue};

use crate::{
    Bid, BidAck, Cid, ClaimCommit, CommitAck, DeprecationRecord, Document, Inventory, Lease,
    LeaseAccept, Manifest, NamespaceProof, NoMoreLeases, NodeOffer, ObjectError, ProviderRecord,
    Ready, Registration, ReputationEvent, ResultClaim, SettlementProof, Signed, SignerId,
    TaskAnnouncement, TaskIntent, ValidationReceipt, ValidatorOffer,
    preimage::TYPE_PREFIX,
    signed::text_field,
    strict::{self, Limits, StrictError, StrictValue},
};

macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        /// The kinds of signed objects.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ObjectKind {
            $(#[doc = concat!("[`", stringify!($kind), "`](crate::", stringify!($kind), ").")] $kind,)*
        }

        impl ObjectKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its name without the `d402.` prefix.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => <$kind as Document>::KIND,)* }
            }

            /// Most bytes of an envelope of this kind.
            #[must_use]
            pub const fn max_bytes(self) -> usize {
                match self { $(Self::$kind => <$kind as Document>::MAX_BYTES,)* }
            }
        }

        /// A verified object of any kind.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum AnySigned {
            $(#[doc = concat!("[`", stringify!($kind), "`](crate::", stringify!($kind), ").")] $kind(Signed<$kind>),)*
        }

        impl AnySigned {
            /// Decodes and verifies an envelope of the kind it says it is.
            ///
            /// # Errors
            /// [`ObjectError`] names the first rule that is broken.
            pub fn parse(bytes: &[u8]) -> Result<Self, ObjectError> {
                let (kind, envelope) = read(bytes)?;
                if bytes.len() > kind.max_bytes() {
                    return Err(ObjectError::Strict(StrictError::TooLarge {
                        got: bytes.len(),
                        max: kind.max_bytes(),
                    }));
                }
                Self::of_kind(kind, envelope)
            }

            /// Verifies an envelope that was decoded as part of a larger strict document.
            ///
            /// # Errors
            /// As [`AnySigned::parse`].
            pub fn from_value(envelope: Value) -> Result<Self, ObjectError> {
                Self::of_kind(kind_of(&envelope)?, envelope)
            }

            fn of_kind(kind: ObjectKind, envelope: Value) -> Result<Self, ObjectError> {
                match kind {
                    $(ObjectKind::$kind => Signed::from_value(envelope).map(Self::$kind),)*
                }
            }

            /// The envelope as a JSON value, unknown payload fields included.
            #[must_use]
            pub fn to_value(&self) -> Value {
                match self { $(Self::$kind(object) => object.to_value(),)* }
            }

            /// Its kind.
            #[must_use]
            pub const fn kind(&self) -> ObjectKind {
                match self { $(Self::$kind(_) => ObjectKind::$kind,)* }
            }

            /// The CID of its payload.
            #[must_use]
            pub fn cid(&self) -> Cid {
                match self { $(Self::$kind(object) => object.cid(),)* }
            }

            /// Who signed.
            #[must_use]
            pub fn signer(&self) -> SignerId {
                match self { $(Self::$kind(object) => object.signer(),)* }
            }

            /// The canonical bytes of the envelope.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.text().get().as_bytes()
            }

            /// The canonical text of the envelope, shared.
            #[must_use]
            pub fn text(&self) -> &Arc<RawValue> {
                match self { $(Self::$kind(object) => object.text(),)* }
            }
        }

        $(impl From<Signed<$kind>> for AnySigned {
            fn from(object: Signed<$kind>) -> Self {
                Self::$kind(object)
            }
        })*
    };
}

kinds!(
    Manifest,
    Registration,
    NamespaceProof,
    ProviderRecord,
    NodeOffer,
    ValidatorOffer,
    TaskIntent,
    TaskAnnouncement,
    Bid,
    BidAck,
    Lease,
    LeaseAccept,
    ClaimCommit,
    CommitAck,
    ResultClaim,
    ValidationReceipt,
    NoMoreLeases,
    Inventory,
    Ready,
    SettlementProof,
    ReputationEvent,
    DeprecationRecord,
);

impl ObjectKind {
    /// The kind with this name, without the `d402.` prefix.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// No object is larger than this.
pub(crate) const LARGEST: usize = 256 * 1024;

/// The kind an envelope says it is. Verifies nothing.
///
/// # Errors
/// [`ObjectError`] when the bytes are no strict JSON object with a known `payloadType`.
pub fn peek_kind(bytes: &[u8]) -> Result<ObjectKind, ObjectError> {
    read(bytes).map(|(kind, _)| kind)
}

/// Floats pass here: whether they may stand is the kind's own matter, and it checks.
fn read(bytes: &[u8]) -> Result<(ObjectKind, Value), ObjectError> {
    let envelope = strict::parse(bytes, &Limits::value(LARGEST))?;
    Ok((kind_of(&envelope)?, envelope))
}

fn kind_of(envelope: &Value) -> Result<ObjectKind, ObjectError> {
    let Value::Object(fields) = envelope else {
        return Err(ObjectError::NotAnObject { what: "envelope" });
    };
    text_field(fields, "payloadType")?
        .strip_prefix(TYPE_PREFIX)
        .and_then(ObjectKind::from_name)
        .ok_or(ObjectError::UnknownKind)
}

impl serde::Serialize for AnySigned {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text().serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for AnySigned {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StrictValue(envelope) = StrictValue::deserialize(deserializer)?;
        Self::from_value(envelope).map_err(serde::de::Error::custom)
    }
}
