//! Terms, receipts and the escrow ledger both chains run, as pure functions.
//!
//! Responsible for: the exact bytes of terms, validator sets and settlement digests (spec §2.2), the
//! money arithmetic (§2.4), and what a vault may do when (§3.1). Not responsible for: the JSON objects
//! of the market, signing, moving tokens, or knowing the time. No clock, no IO; `no_std` throughout.
//!
//! What it keeps, by the ids of spec §6: money is conserved (M1), only enough signatures of the named
//! set move it before `refundAfter` and a receipt executes at most once (M2), commission and fee follow
//! from terms and rows (M3), settle and refund never overlap in time (M4), every state with money has
//! an exit anybody may take (M5), and one payee that cannot be paid costs the others nothing (M6).
#![cfg_attr(not(feature = "objects"), no_std)]
#![warn(missing_docs)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(all(test, not(feature = "objects")))]
extern crate std;

#[cfg(feature = "pda")]
mod address;
mod approvals;
mod arithmetic;
mod bounded;
#[cfg(all(feature = "evm", feature = "ed25519", feature = "pda"))]
mod codec;
#[cfg(feature = "alloc")]
pub mod derive;
mod domain;
#[cfg(feature = "ed25519")]
mod ed25519;
#[cfg(feature = "evm")]
pub mod evm;
mod ids;
pub mod ledger;
#[cfg(feature = "objects")]
pub mod market;
mod quantity;
mod receipt;
mod set;
mod terms;
pub mod timing;

#[cfg(feature = "pda")]
pub use address::{program_address, vault_address, vset_address};
pub use approvals::{ApprovalFault, Approvals, IndexedSignature, Verifier};
pub use arithmetic::{
    MAX_PAYOUTS, MoneyRules, Payout, PayoutPlan, PayoutRole, PlanRefusal, plan, plan_payouts,
};
pub use bounded::{Bounded, Full};
#[cfg(all(feature = "evm", feature = "ed25519", feature = "pda"))]
pub use codec::{Codec, EncodedTerms};
pub use domain::Domain;
#[cfg(feature = "ed25519")]
pub use ed25519::StrictEd25519;
pub use ids::{Key32, NotHex32, ReceiptCid, SetHash, TaskId, TermsHash};
pub use quantity::{Bps, NotUnits, Units, UnixSeconds};
pub use receipt::{
    MAX_ROWS, Outcome, ROW_LEN, Role, Row, Rows, RowsFault, Settlement, settlement_digest,
};
pub use set::{MAX_VALIDATORS, SetFault, ValidatorSet, need};
pub use terms::{
    CREATION_SLACK_S, MAX_LIFE_S, MIN_GRACE_S, NotSettleable, OnSilence, TERMS_LEN, TERMS_VERSION,
    Terms, settleable,
};
