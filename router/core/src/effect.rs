//! What the outside must do next. Every effect may be repeated: receivers are idempotent.

use d402_objects::{Cid, Lease, NoMoreLeases, Ready, ReputationEvent, Signed, SignedReceipt};
use d402_wire::{NodeAddress, RawEnvelope};

/// One thing to do. Unsigned payloads are signed by the gateway's key when they are sent.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // effects live for one dispatch
pub enum Effect {
    /// Look at the chain until the deposit is there or impossible.
    WatchDeposit,
    /// Give the task to a validator.
    OpenTask {
        /// Index in the ascending set.
        set_index: u8,
    },
    /// Tell the workers.
    Announce {
        /// End of the bid window, ms.
        bid_until_ms: u64,
    },
    /// Offer a lease to a worker.
    OfferLease {
        /// Worker's node.
        to: NodeAddress,
        /// Its lease, unsigned.
        lease: Box<Lease>,
        /// The whole set, unsigned, by index.
        set: Vec<Lease>,
    },
    /// Tell the validators that no lease will follow.
    NotifyNoMoreLeases {
        /// Unsigned.
        notice: NoMoreLeases,
    },
    /// Ask a validator what it holds.
    AskInventory {
        /// Index in the ascending set.
        set_index: u8,
    },
    /// Show a validator the proposal.
    Propose {
        /// Index in the ascending set.
        set_index: u8,
        /// Round.
        round: u32,
        /// Carrier without signatures.
        receipt: SignedReceipt,
        /// Sorted inputs.
        inputs: Vec<Cid>,
        /// Objects it said it lacks.
        objects: Vec<RawEnvelope>,
    },
    /// Ask a validator for its settlement signature.
    AskSignature {
        /// Index in the ascending set.
        set_index: u8,
        /// q ready answers.
        ready: Vec<Signed<Ready>>,
    },
    /// A settlement is fully signed: plan the transaction (a row in the same SQL transaction). Of a direct task
    /// that is the payment itself, which nobody saw before.
    PlanSettle {
        /// Receipt with its signatures.
        receipt: Box<SignedReceipt>,
    },
    /// Nobody may settle any more: plan the sweep.
    PlanSweep,
    /// Look at the chain until the vault is settled or swept, or until a direct payment took effect or cannot.
    WatchVault,
    /// Get the output from whoever holds it.
    FetchOutput {
        /// CID of the output.
        cid: Cid,
        /// Its size.
        bytes: u64,
        /// Worker first, then validators.
        holders: Vec<NodeAddress>,
        /// Proof that it was judged and signed.
        receipt: Box<SignedReceipt>,
    },
    /// Sign and publish a reputation event.
    Report {
        /// Unsigned.
        event: ReputationEvent,
    },
    /// The task ended: write its bundle, publish its receipt.
    Finish,
}
