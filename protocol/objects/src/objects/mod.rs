//! The payloads, one file per family.

mod bid;
mod claim;
mod content;
mod deprecation;
mod inventory;
mod lease;
mod manifest;
mod namespace_proof;
mod node_offer;
mod registration;
mod reputation;
mod settlement_proof;
mod settlement_receipt;
mod task_intent;
mod validation_receipt;
mod validator_offer;

pub use bid::{Bid, BidAck, Payout, TaskAnnouncement};
pub use claim::{
    ClaimCommit, CommitAck, Evidence, ResultClaim, SealedClaim, claim_commit, evidence_root,
};
pub use content::BlobRef;
pub use deprecation::DeprecationRecord;
pub use inventory::{Inventory, NoMoreLeases, Ready};
pub use lease::{Lease, LeaseAccept, lease_set_root};
pub use manifest::{
    Determinism, Manifest, NetworkPermission, Performance, Permissions, Similarity, ValidationModel,
};
pub use namespace_proof::NamespaceProof;
pub use node_offer::{NodeOffer, Price, ProviderRecord};
pub use registration::{Commission, Registration};
pub use reputation::{ReputationEvent, ReputationKind};
pub use settlement_proof::{Finality, PaidKind, PaidRow, SettlementProof};
pub use settlement_receipt::{
    IndexedSignature, Outcome, ReceiptRow, RowRole, SettlementReceipt, SignedReceipt,
};
pub use task_intent::{
    DirectPayee, MAX_COMMISSION_BPS, MAX_DIRECT_DEADLINE_MS, Mode, OnSilence, PaymentOption,
    TaskIntent, ValidationPolicy,
};
pub use validation_receipt::{ValidationReceipt, Verdict};
#[cfg(feature = "eip191")]
pub use validator_offer::cross_sign_evm;
pub use validator_offer::{CrossSignatures, Fee, SettlementKey, ValidatorOffer, cross_sign};
