//! Why an object is refused. Every variant names the broken rule and carries what was seen.

use crate::strict::StrictError;

/// A value or a payload broke a rule of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not exactly `want_bytes` bytes of lower-case hex.
    #[error("{what} is not {want_bytes} bytes of lower-case hex")]
    Hex {
        /// The type that was parsed.
        what: &'static str,
        /// Its length.
        want_bytes: usize,
    },
    /// A text does not start as its type must.
    #[error("{what} does not start with {want}")]
    Prefix {
        /// The type that was parsed.
        what: &'static str,
        /// The prefix it must have.
        want: &'static str,
    },
    /// A text is empty or too long.
    #[error("{what} is {got} bytes long, allowed are 1 to {max}")]
    Length {
        /// The type that was parsed.
        what: &'static str,
        /// Bytes seen.
        got: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A text does not have the shape of its type.
    #[error("{what} is malformed")]
    Syntax {
        /// The type that was parsed.
        what: &'static str,
    },
    /// A number is outside its range.
    #[error("{what} is {got}, allowed are {min} to {max}")]
    Range {
        /// The field or type.
        what: &'static str,
        /// The number seen.
        got: u128,
        /// Smallest allowed.
        min: u128,
        /// Largest allowed.
        max: u128,
    },
    /// A list has too few or too many members.
    #[error("{what} has {got} entries, allowed are {min} to {max}")]
    Count {
        /// The field.
        what: &'static str,
        /// Entries seen.
        got: usize,
        /// Fewest allowed.
        min: usize,
        /// Most allowed.
        max: usize,
    },
    /// A list names one thing twice, or is not in its required order.
    #[error("{what} repeats an entry or is out of order")]
    NotDistinct {
        /// The field.
        what: &'static str,
    },
    /// Two fields of one object contradict each other.
    #[error("{what} does not fit {with}")]
    Mismatch {
        /// The field.
        what: &'static str,
        /// What it must fit.
        with: &'static str,
    },
    /// `objectVersion` is not the version this type describes.
    #[error("objectVersion is {got}, this type is version {want}")]
    Version {
        /// The version in the payload.
        got: u16,
        /// The version of the type.
        want: u16,
    },
    /// A signature inside the payload does not verify.
    #[error("{what} does not verify")]
    Signature {
        /// The field.
        what: &'static str,
        /// Why.
        source: SignatureFault,
    },
}

/// Why a signature does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// The public key is not a point, or not its canonical encoding.
    #[error("public key is not a canonical point")]
    Key,
    /// The equation does not hold, S >= L, R not canonical, or A or R of small order.
    #[error("signature does not verify under the strict rule")]
    Ed25519,
    /// The recovered address differs, S is high, or the recovery byte is not 27 or 28.
    #[error("wallet signature does not recover to the address")]
    Eip191,
    /// Wrong number of signature bytes for the kind of key.
    #[error("signature has {got} bytes, the key needs {want}")]
    Length {
        /// Bytes seen.
        got: usize,
        /// Bytes needed.
        want: usize,
    },
    /// This build cannot check wallet signatures, so it refuses them.
    #[error("wallet signatures are not supported by this build")]
    Eip191Disabled,
}

/// Why bytes are not a valid object. Declaration order is check order.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The bytes are not strict JSON of acceptable size.
    #[error("not strict JSON")]
    Strict(#[from] StrictError),
    /// The document is not a JSON object.
    #[error("{what} is not a JSON object")]
    NotAnObject {
        /// Envelope or payload.
        what: &'static str,
    },
    /// A closed carrier lacks a field, or it has another type.
    #[error("field {field} is missing or has another type")]
    Field {
        /// The field.
        field: &'static str,
    },
    /// A closed carrier has a field that it does not define.
    #[error("a closed carrier has {got} fields, {want} are defined")]
    ExtraField {
        /// Fields seen.
        got: usize,
        /// Fields defined.
        want: usize,
    },
    /// The object is of another kind than the caller asked for.
    #[error("payloadType is not {want}")]
    WrongKind {
        /// The kind asked for, with its `d402.` prefix.
        want: &'static str,
    },
    /// No object of this name exists.
    #[error("payloadType names no known object")]
    UnknownKind,
    /// A newer major version than this build knows.
    #[error("objectVersion {got} of {kind} is newer than the known {known}; update this node")]
    Unsupported {
        /// The kind.
        kind: &'static str,
        /// Version in the payload.
        got: u64,
        /// Newest version known.
        known: u16,
    },
    /// The payload does not decode as its type.
    #[error("payload is not a {kind}")]
    Payload {
        /// The kind.
        kind: &'static str,
        /// Which field and why.
        #[source]
        source: serde_json::Error,
    },
    /// The payload breaks a rule of its type.
    #[error("{kind} breaks a rule")]
    Invalid {
        /// The kind.
        kind: &'static str,
        /// The rule.
        #[source]
        source: Invalid,
    },
    /// A carrier field breaks a rule of its type.
    #[error("{field} breaks a rule")]
    Carrier {
        /// The field.
        field: &'static str,
        /// The rule.
        #[source]
        source: Invalid,
    },
    /// The signer, or the key asked to sign, is not the one the payload names for this role.
    #[error("signer is not the {kind}'s role field")]
    WrongSigner {
        /// The kind.
        kind: &'static str,
    },
    /// The envelope's signature does not verify.
    #[error("signature of {kind} refused")]
    Signature {
        /// The kind.
        kind: &'static str,
        /// Why.
        #[source]
        source: SignatureFault,
    },
}
