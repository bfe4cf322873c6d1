//! The kinds of signed objects that decide who is paid.

use std::sync::Arc;

use d402_objects::{
    AnySigned, Cid, ClaimCommit, CommitAck, Document, Lease, LeaseAccept, NoMoreLeases,
    ObjectError, ResultClaim, Signed, ValidationReceipt, Value,
};
use serde_json::value::RawValue;

/// A verified object of a kind that [`decide`](crate::market::decide) reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvidenceObject {
    /// A gateway's lease; enters only with its whole set.
    Lease(Signed<Lease>),
    /// A worker's word that it took the lease.
    LeaseAccept(Signed<LeaseAccept>),
    /// A worker's sealed claim.
    Commit(Signed<ClaimCommit>),
    /// A validator saw a commit.
    Ack(Signed<CommitAck>),
    /// A worker's opened claim.
    Claim(Signed<ResultClaim>),
    /// A validator's verdict on a claim.
    Receipt(Signed<ValidationReceipt>),
    /// The gateway leases no more.
    NoMoreLeases(Signed<NoMoreLeases>),
}

impl EvidenceObject {
    /// Verifies an envelope of one of these kinds.
    ///
    /// # Errors
    /// [`ObjectError`] for another kind, and for everything that does not verify.
    pub fn from_value(envelope: Value) -> Result<Self, ObjectError> {
        let kind = envelope
            .get("payloadType")
            .and_then(Value::as_str)
            .and_then(|kind| kind.strip_prefix(d402_objects::preimage::TYPE_PREFIX))
            .ok_or(ObjectError::Field {
                field: "payloadType",
            })?;
        if kind == Lease::KIND {
            Signed::from_value(envelope).map(Self::Lease)
        } else if kind == LeaseAccept::KIND {
            Signed::from_value(envelope).map(Self::LeaseAccept)
        } else if kind == ClaimCommit::KIND {
            Signed::from_value(envelope).map(Self::Commit)
        } else if kind == CommitAck::KIND {
            Signed::from_value(envelope).map(Self::Ack)
        } else if kind == ResultClaim::KIND {
            Signed::from_value(envelope).map(Self::Claim)
        } else if kind == ValidationReceipt::KIND {
            Signed::from_value(envelope).map(Self::Receipt)
        } else if kind == NoMoreLeases::KIND {
            Signed::from_value(envelope).map(Self::NoMoreLeases)
        } else {
            Err(ObjectError::UnknownKind)
        }
    }

    /// The same object among all kinds; `None` for a kind that decides nothing.
    #[must_use]
    pub fn from_any(object: AnySigned) -> Option<Self> {
        match object {
            AnySigned::Lease(object) => Some(Self::Lease(object)),
            AnySigned::LeaseAccept(object) => Some(Self::LeaseAccept(object)),
            AnySigned::ClaimCommit(object) => Some(Self::Commit(object)),
            AnySigned::CommitAck(object) => Some(Self::Ack(object)),
            AnySigned::ResultClaim(object) => Some(Self::Claim(object)),
            AnySigned::ValidationReceipt(object) => Some(Self::Receipt(object)),
            AnySigned::NoMoreLeases(object) => Some(Self::NoMoreLeases(object)),
            AnySigned::Manifest(_)
            | AnySigned::Registration(_)
            | AnySigned::NamespaceProof(_)
            | AnySigned::ProviderRecord(_)
            | AnySigned::NodeOffer(_)
            | AnySigned::ValidatorOffer(_)
            | AnySigned::TaskIntent(_)
            | AnySigned::TaskAnnouncement(_)
            | AnySigned::Bid(_)
            | AnySigned::BidAck(_)
            | AnySigned::Inventory(_)
            | AnySigned::Ready(_)
            | AnySigned::SettlementProof(_)
            | AnySigned::ReputationEvent(_)
            | AnySigned::DeprecationRecord(_) => None,
        }
    }

    /// CID of the payload.
    #[must_use]
    pub fn cid(&self) -> Cid {
        match self {
            Self::Lease(object) => object.cid(),
            Self::LeaseAccept(object) => object.cid(),
            Self::Commit(object) => object.cid(),
            Self::Ack(object) => object.cid(),
            Self::Claim(object) => object.cid(),
            Self::Receipt(object) => object.cid(),
            Self::NoMoreLeases(object) => object.cid(),
        }
    }

    /// The task it names.
    #[must_use]
    pub fn task_id(&self) -> Cid {
        match self {
            Self::Lease(object) => object.payload().task_id,
            Self::LeaseAccept(object) => object.payload().task_id,
            Self::Commit(object) => object.payload().task_id,
            Self::Ack(object) => object.payload().task_id,
            Self::Claim(object) => object.payload().task_id,
            Self::Receipt(object) => object.payload().task_id,
            Self::NoMoreLeases(object) => object.payload().task_id,
        }
    }

    /// The envelope as JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // Canonical text of a verified object always decodes.
        serde_json::from_str(self.text().get()).unwrap_or(Value::Null)
    }

    /// The canonical text of the envelope, shared.
    #[must_use]
    pub fn text(&self) -> &Arc<RawValue> {
        match self {
            Self::Lease(object) => object.text(),
            Self::LeaseAccept(object) => object.text(),
            Self::Commit(object) => object.text(),
            Self::Ack(object) => object.text(),
            Self::Claim(object) => object.text(),
            Self::Receipt(object) => object.text(),
            Self::NoMoreLeases(object) => object.text(),
        }
    }

    /// What it names enters before it: leases first, verdicts last.
    pub(super) const fn admission_order(&self) -> u8 {
        match self {
            Self::Lease(_) => 0,
            Self::LeaseAccept(_) => 1,
            Self::Commit(_) => 2,
            Self::Ack(_) => 3,
            Self::Claim(_) => 4,
            Self::Receipt(_) => 5,
            Self::NoMoreLeases(_) => 6,
        }
    }
}

/// As its envelope.
impl serde::Serialize for EvidenceObject {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text().serialize(serializer)
    }
}

/// Verifies: nothing unverified becomes one.
impl<'de> serde::Deserialize<'de> for EvidenceObject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = AnySigned::deserialize(deserializer)?;
        Self::from_any(object)
            .ok_or_else(|| serde::de::Error::custom("an object of this kind is no evidence"))
    }
}

macro_rules! from_signed {
    ($($kind:ident => $variant:ident),* $(,)?) => {
        $(impl From<Signed<$kind>> for EvidenceObject {
            fn from(object: Signed<$kind>) -> Self {
                Self::$variant(object)
            }
        })*
    };
}

from_signed!(
    Lease => Lease,
    LeaseAccept => LeaseAccept,
    ClaimCommit => Commit,
    CommitAck => Ack,
    ResultClaim => Claim,
    ValidationReceipt => Receipt,
    NoMoreLeases => NoMoreLeases,
);
