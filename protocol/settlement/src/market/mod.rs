//! The market's signed objects, turned into terms, evidence, decisions, releases and bundles.
//!
//! Responsible for: that the same signed objects give the same terms, the same outcome and the same bytes to
//! everybody: gateway, validator bridge, worker, buyer, auditor. Not responsible for: keys, clocks, storage,
//! transport, or whether a content is any good (validators judge that). No IO.
//!
//! Reading order: [`Dossier`] (what was agreed), [`Evidence`] (what was signed since), [`decide`] (who is
//! paid), [`check_signatures`] (whether enough validators agree), [`Bundle`] (all of it, for anyone to check).

mod bundle;
mod decision;
mod dossier;
mod evidence;
mod network;
mod release;
mod reveal;
mod signature_book;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;

pub use bundle::{
    BUNDLE_VERSION, BrokenLink, Bundle, BundleContent, BundleError, Ground, MAX_BUNDLE_BYTES,
    Proof, Proven,
};
pub use decision::{
    Basis, Decided, Decision, DepositFact, Facts, Pending, ProposalRefusal, check_proposal, decide,
    inputs_root,
};
pub use dossier::{
    Dossier, DossierError, DossierParts, OfferFault, Party, Quote, SetMember, TaskParts, Times,
    set_hash_of, terms_of,
};
pub use evidence::{
    Admitted, AssembleError, Evidence, EvidenceObject, InventoryLists, LeaseFault, LeaseSet,
    MAX_CLAIM_BYTES, MAX_EVIDENCE_BYTES, MAX_LEASES, NotAdmitted, Slot, worst_case_cost,
};
pub use network::{
    BASE_NETWORK, BASE_SEPOLIA_NETWORK, Chain, LARGE_BUDGET_UNITS, LEDGER, SIMULATED_ASSET_NAME,
    SIMULATED_NETWORK, SOLANA, SOLANA_DEVNET, SOLANA_DEVNET_NETWORK, SOLANA_NETWORK, chain_of,
    simulated_asset,
};
pub use release::{
    CheckedReceipt, ReceiptFault, ReleaseRefusal, check_receipt, check_signatures,
    verify_output_release,
};
pub use reveal::{RevealNotYet, may_reveal};
pub use signature_book::SignatureBook;
