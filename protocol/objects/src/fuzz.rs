//! One entry per decoder, for fuzzers and for the bounded mutation run of this crate's tests.
//!
//! A decoder may refuse anything, must panic on nothing, and what it accepts must read back from
//! its canonical bytes as the same bytes. The entries return whether the input was accepted, so a
//! run can tell that it reached past the first check.

use crate::{
    AnySigned, Document, ObjectKind, SignedReceipt, canonical, parse_payload, payload, strict,
};

/// One decoder under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Decodes; whether the input was accepted.
    pub run: fn(&[u8]) -> bool,
}

/// [`strict::parse`] for signed objects.
pub fn strict_object(bytes: &[u8]) -> bool {
    let limits = strict::Limits::object(64 * 1024);
    strict::parse(bytes, &limits).is_ok_and(|value| {
        let printed = canonical::to_bytes(&value);
        assert_eq!(strict::parse(&printed, &limits), Ok(value));
        true
    })
}

/// [`strict::parse_value`]: floats too.
pub fn strict_value(bytes: &[u8]) -> bool {
    strict::parse_value(bytes, 64 * 1024).is_ok_and(|value| {
        let printed = canonical::to_bytes(&value);
        let again = strict::parse_value(&printed, usize::MAX).map(|v| canonical::to_bytes(&v));
        assert_eq!(again, Ok(printed));
        true
    })
}

/// [`AnySigned::parse`]: the envelope, its signature and its payload.
pub fn envelope(bytes: &[u8]) -> bool {
    AnySigned::parse(bytes).is_ok_and(|object| {
        let again = AnySigned::parse(object.as_bytes());
        assert!(again.is_ok_and(|again| again == object));
        true
    })
}

/// [`SignedReceipt::parse`].
pub fn receipt_carrier(bytes: &[u8]) -> bool {
    SignedReceipt::parse(bytes).is_ok_and(|carrier| {
        let again = SignedReceipt::parse(carrier.as_bytes());
        assert!(again.is_ok_and(|again| again == carrier));
        true
    })
}

/// The payload decoder of one kind, signature aside: a fuzzer cannot sign.
fn document<T: Document>(bytes: &[u8]) -> bool {
    parse_payload::<T>(bytes).is_ok_and(|(payload, _)| {
        // What was accepted must be writable again without breaking a rule.
        assert!(payload::value_of(&payload).is_ok());
        true
    })
}

macro_rules! payload_targets {
    ($($(#[$meta:meta])* $name:ident: $kind:ident),* $(,)?) => {
        $(
            #[doc = concat!("The payload decoder of [`", stringify!($kind), "`](crate::", stringify!($kind), ").")]
            pub fn $name(bytes: &[u8]) -> bool {
                document::<crate::$kind>(bytes)
            }
        )*

        /// Every decoder of this crate.
        pub const TARGETS: &[Target] = &[
            Target { name: "strict_object", run: strict_object },
            Target { name: "strict_value", run: strict_value },
            Target { name: "envelope", run: envelope },
            Target { name: "receipt_carrier", run: receipt_carrier },
            $(Target { name: stringify!($name), run: $name },)*
        ];

        /// The target of a kind's payload decoder.
        #[must_use]
        pub fn target_of(kind: ObjectKind) -> fn(&[u8]) -> bool {
            match kind {
                $(ObjectKind::$kind => $name,)*
            }
        }
    };
}

payload_targets!(
    manifest: Manifest,
    registration: Registration,
    namespace_proof: NamespaceProof,
    provider_record: ProviderRecord,
    node_offer: NodeOffer,
    validator_offer: ValidatorOffer,
    task_intent: TaskIntent,
    task_announcement: TaskAnnouncement,
    bid: Bid,
    bid_ack: BidAck,
    lease: Lease,
    lease_accept: LeaseAccept,
    claim_commit: ClaimCommit,
    commit_ack: CommitAck,
    result_claim: ResultClaim,
    validation_receipt: ValidationReceipt,
    no_more_leases: NoMoreLeases,
    inventory: Inventory,
    ready: Ready,
    settlement_proof: SettlementProof,
    reputation_event: ReputationEvent,
    deprecation_record: DeprecationRecord,
);
