//! Why a request is not admitted.

use d402_objects::{Amount, Caip2, Cid, Invalid};
use d402_settlement::market::DossierError;

/// Why a listing is not sold here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// Not among the accepted manifests.
    #[error("manifest is not accepted here")]
    Manifest,
    /// Not under a trusted namespace.
    #[error("namespace is not trusted here")]
    Namespace,
    /// Nobody proved that the namespace is the author's.
    #[error("namespace is not proven")]
    NamespaceProof,
    /// Its author withdrew it.
    #[error("manifest is deprecated")]
    Deprecated {
        /// What the author points to.
        successor: Option<Cid>,
    },
    /// Its creator asks for too much.
    #[error("commission of {bps} bps is above {max}")]
    Commission {
        /// Asked.
        bps: u16,
        /// Allowed.
        max: u16,
    },
}

/// Why a request is not admitted. Nothing was promised and nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    /// Neither the request nor the policy names a capability.
    #[error("no capability named")]
    NoCapability,
    /// The directory has no such capability.
    #[error("capability is not known here")]
    UnknownCapability,
    /// Known, and not sold here.
    #[error("capability is not sold here")]
    NotAccepted(#[from] NotAccepted),
    /// Several authors registered the name; the request must say whose.
    #[error("several manifests have this capability id")]
    Ambiguous {
        /// Manifests to choose from.
        manifests: Vec<Cid>,
    },
    /// `manifestCid` is of another capability than `capabilityId`.
    #[error("manifest is of another capability")]
    OtherCapability,
    /// No way to pay is left (threat #4): see the reason of each.
    #[error("no rail fits")]
    NoRail {
        /// Networks of this gateway and why none of them is offered.
        rails: Vec<(Caip2, super::NoPayment)>,
    },
    /// Fewer validators than the policy wants offer to judge this.
    #[error("{got} validators offer to judge this, {want} are needed")]
    TooFewValidators {
        /// Found.
        got: usize,
        /// Needed.
        want: usize,
    },
    /// An offer named by the request is not known, expired, or of a validator the policy does not allow.
    #[error("validator offer {0} cannot be used")]
    UnusableOffer(Cid),
    /// Outside the policy's bounds.
    #[error("budget {got} is not within {min} to {max}")]
    Budget {
        /// Asked.
        got: Amount,
        /// Least.
        min: Amount,
        /// Most.
        max: Amount,
    },
    /// Outside the policy's bounds, ms.
    #[error("deadline of {got} ms is above {max}")]
    Deadline {
        /// Asked.
        got: u64,
        /// Most.
        max: u64,
    },
    /// `sync: false`, and the policy does not take it.
    #[error("asynchronous tasks are not sold here")]
    AsyncRefused,
    /// The fields do not make an intent.
    #[error("not a valid intent")]
    Intent(#[from] Invalid),
    /// The intent has no terms.
    #[error("no terms follow")]
    Terms(#[from] DossierError),
}
