//! Where a task stands.

use std::collections::{BTreeMap, BTreeSet};

use d402_objects::{Amount, IndexedSignature, Ready, Signed, SignedReceipt};
use d402_settlement::market::Decided;

use crate::ports::{Settled, Uncollectable};

/// Where a task stands. `Final` is the only phase nothing leaves.
#[derive(Clone, Debug)]
pub enum Phase {
    /// The payment is submitted; the deposit is not confirmed.
    AwaitingDeposit,
    /// Funded; workers bid until `until_ms`.
    Bidding {
        /// End of the current bid window.
        until_ms: u64,
    },
    /// Leases are out, or no lease may follow; validators ack and judge.
    Working,
    /// Validators are asked for their inventories.
    Collecting {
        /// When they were asked.
        since_ms: u64,
        /// Who answered.
        heard: BTreeSet<u8>,
    },
    /// The derived receipt is with the validators.
    Proposing {
        /// What was derived.
        decided: Box<Decided>,
        /// Ready answers on its digest.
        ready: BTreeMap<u8, Signed<Ready>>,
        /// Validators that will not answer this round with ready.
        refused: BTreeSet<u8>,
        /// Validators that were sent the inputs they lacked.
        supplied: BTreeSet<u8>,
        /// When it was sent.
        since_ms: u64,
    },
    /// q ready answers are there; settlement signatures are asked for.
    Signing {
        /// What is signed.
        decided: Box<Decided>,
        /// The q ready answers.
        ready: Vec<Signed<Ready>>,
        /// Signatures by set index, each verified.
        signatures: BTreeMap<u8, IndexedSignature>,
        /// When they were asked for.
        since_ms: u64,
        /// How often.
        asked: u32,
    },
    /// m signatures are there; the chain executes them.
    Settling {
        /// The signed receipt.
        receipt: Box<SignedReceipt>,
    },
    /// `refundAfter` passed without a settlement; the vault is swept.
    Refunding,
    /// Ended.
    Final(Ending),
}

/// How a task ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// Workers were paid by a signed receipt.
    Paid {
        /// The receipt.
        receipt: Box<SignedReceipt>,
        /// What the chain did.
        settled: Settled,
        /// Whether the output is in the blob store.
        output_stored: bool,
    },
    /// A signed receipt returned the money.
    Rejected {
        /// The receipt.
        receipt: Box<SignedReceipt>,
        /// What the chain did.
        settled: Settled,
    },
    /// The chain executed a receipt this gateway never saw whole.
    SettledElsewhere {
        /// What the chain did.
        settled: Settled,
    },
    /// No receipt until `refundAfter`: swept to refundTo.
    Refunded {
        /// Transaction id.
        transaction: String,
        /// Units returned.
        refunded: Amount,
    },
    /// The payment never took effect.
    Unfunded,
    /// A direct payment that was never submitted: the work was rejected, or nobody judged it in time.
    NotCharged {
        /// The rejection, if there is one.
        receipt: Option<Box<SignedReceipt>>,
    },
    /// The work was accepted, and the direct payment can never take effect; its result stays with the worker.
    Uncollected {
        /// The receipt nobody paid.
        receipt: Box<SignedReceipt>,
        /// Why the payment is worth nothing.
        why: Uncollectable,
    },
}

/// A phase without its data, for views, metrics and tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the variants of `Phase`
pub enum PhaseName {
    AwaitingDeposit,
    Bidding,
    Working,
    Collecting,
    Proposing,
    Signing,
    Settling,
    Refunding,
    Final,
}

impl Phase {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> PhaseName {
        match self {
            Self::AwaitingDeposit => PhaseName::AwaitingDeposit,
            Self::Bidding { .. } => PhaseName::Bidding,
            Self::Working => PhaseName::Working,
            Self::Collecting { .. } => PhaseName::Collecting,
            Self::Proposing { .. } => PhaseName::Proposing,
            Self::Signing { .. } => PhaseName::Signing,
            Self::Settling { .. } => PhaseName::Settling,
            Self::Refunding => PhaseName::Refunding,
            Self::Final(_) => PhaseName::Final,
        }
    }
}

impl PhaseName {
    /// Lower camel case, as in JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingDeposit => "awaitingDeposit",
            Self::Bidding => "bidding",
            Self::Working => "working",
            Self::Collecting => "collecting",
            Self::Proposing => "proposing",
            Self::Signing => "signing",
            Self::Settling => "settling",
            Self::Refunding => "refunding",
            Self::Final => "final",
        }
    }
}
