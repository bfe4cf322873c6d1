//! What a bundle proved.

use std::fmt;

use d402_objects::{Address, Caip2, CapabilityId, Cid, Hex32, Mode, Outcome, ReceiptRow};

use crate::EncodedTerms;
use crate::PayoutPlan;

/// On what the receipt in a bundle rests. No clock is under a signature, so this says which rule gives the
/// receipt, not when it was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The evidence gives it before `decideAt` already: no later evidence can contradict it.
    Early,
    /// The evidence gives it at `decideAt`.
    Final,
    /// There is no evidence: nobody delivered, or the deposit came late, or the task was paid on another rail.
    /// That is the validators' word; the chain can confirm it.
    NoEvidence,
}

/// A verified bundle: what it says, and each link of the chain that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The task.
    pub task_id: Cid,
    /// What was done.
    pub capability_id: CapabilityId,
    /// How workers competed.
    pub mode: Mode,
    /// The chain it was paid on.
    pub network: Caip2,
    /// Its terms, in the bytes of that chain.
    pub terms: EncodedTerms,
    /// Their hash.
    pub terms_hash: Hex32,
    /// The vault the buyer paid, or the worker's own account.
    pub pay_to: Address,
    /// Whether it was paid straight. Then no vault executes the receipt: it says what the worker earned, and a
    /// transfer to [`Proof::pay_to`] that it got it.
    pub direct: bool,
    /// The receipt.
    pub receipt_cid: Cid,
    /// How the task ended.
    pub outcome: Outcome,
    /// Who is paid, before commission.
    pub rows: Vec<ReceiptRow>,
    /// What the receipt rests on.
    pub ground: Ground,
    /// What leaves the vault, commission and fee included; `residual` is against the whole budget.
    pub plan: PayoutPlan,
    /// Set indexes that signed, ascending.
    pub signers: Vec<u8>,
    /// The links, in the order they were checked.
    pub links: Vec<Proven>,
}

/// One link of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proven {
    /// File bytes are canonical.
    CanonicalFile {
        /// Their number.
        bytes: usize,
    },
    /// Every object's signature verifies under the strict rule.
    Objects {
        /// Objects.
        count: usize,
    },
    /// Every content hashes to the CID an object names.
    Contents {
        /// Contents.
        count: usize,
        /// Whether an output of a paid claim is among them.
        output: bool,
    },
    /// Manifest, registration, offers, intent give the terms and the vault's address.
    Terms,
    /// The signed intent names worker and account of a payment that goes straight there. That money moved is not in
    /// the bundle.
    Direct,
    /// Lease sets are whole, by the intent's gateway, and within the budget.
    LeaseSets {
        /// Sets.
        sets: usize,
        /// Leases.
        leases: usize,
    },
    /// Bids behind leases.
    Bids {
        /// Bids.
        count: usize,
    },
    /// Commits, acks and claims fit their leases.
    Claims {
        /// Acks.
        acks: usize,
        /// Claims.
        claims: usize,
    },
    /// Verdicts are those of validators of the set.
    Verdicts {
        /// Verdicts.
        count: usize,
    },
    /// Commission and gateway fee are what the chain computes, within the budget.
    Arithmetic {
        /// Units that leave the vault for work.
        owed: u128,
        /// The budget.
        budget: u128,
    },
    /// The receipt is what the evidence gives.
    Outcome(Ground),
    /// Enough validators signed it.
    Signatures {
        /// Valid signatures.
        got: usize,
        /// Least that settles at any time.
        need: u8,
        /// Size of the set.
        of: u8,
    },
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CanonicalFile { bytes } => write!(f, "file is canonical, {bytes} bytes"),
            Self::Objects { count } => write!(f, "{count} signed objects verify"),
            Self::Contents { count, output: true } => {
                write!(f, "{count} contents match their CIDs, the paid output among them")
            }
            Self::Contents { count, output: false } => {
                write!(f, "{count} contents match their CIDs, no output among them")
            }
            Self::Terms => f.write_str("terms and vault address follow from the signed intent"),
            Self::Direct => f.write_str(
                "paid straight: intent, lease and receipt name one worker, account and amount (not proved here: the transfer)",
            ),
            Self::LeaseSets { sets, leases } => {
                write!(f, "{leases} leases in {sets} sets, all within the budget")
            }
            Self::Bids { count } => write!(f, "{count} bids stand behind the leases"),
            Self::Claims { acks, claims } => {
                write!(f, "{claims} claims open their commits, {acks} acks certify them")
            }
            Self::Verdicts { count } => write!(f, "{count} verdicts by validators of the set"),
            Self::Arithmetic { owed, budget } => {
                write!(f, "{owed} of {budget} units are owed, commission and fee as computed")
            }
            Self::Outcome(Ground::Early) => {
                f.write_str("receipt follows from evidence that cannot be contradicted")
            }
            Self::Outcome(Ground::Final) => {
                f.write_str("receipt follows from the evidence at decideAt")
            }
            Self::Outcome(Ground::NoEvidence) => f.write_str(
                "receipt rejects without evidence: nothing delivered, late deposit or paid elsewhere",
            ),
            Self::Signatures { got, need, of } => {
                write!(f, "{got} of {of} validators signed, {need} are needed")
            }
        }
    }
}
