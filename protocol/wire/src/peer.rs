//! Request-response messages between nodes (protocol id `/d402/rpc/1`) and gossip bodies.
//!
//! Actors talk directly (spec §5): worker ↔ all n validators, validators among each other. The gateway
//! relays nothing that decides who is paid.

use d402_objects::{Cid, Hex32, IndexedSignature, SignatureBytes, SignedReceipt};
use serde::{Deserialize, Serialize};

use crate::codec::{Blob, RawEnvelope};
use crate::dossier::RawDossier;
use crate::tagged::messages;

/// Largest request or response, bytes on the wire.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// Where a node is reached: its libp2p peer id and the addresses it published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeAddress {
    /// libp2p peer id, base58.
    pub node_id: String,
    /// Multiaddrs, most preferred first, at most 8.
    pub addresses: Vec<String>,
}

messages! {
    /// What one node asks another.
    pub enum Request {
        /// Anyone → directory: stored manifests, registrations, deprecations, node and validator offers.
        SyncDirectory {
            /// `payloadType`s wanted, e.g. `d402.validatorOffer`; empty = all.
            kinds: Vec<String>,
            /// Cursor of the previous page.
            after: Option<String>,
        },
        /// Anyone → directory: objects to store and to gossip on, at most 64.
        PutDirectory {
            /// Signed objects of directory kinds.
            objects: Vec<RawEnvelope>,
        },
        /// Worker → gateway.
        PlaceBid {
            /// `d402.bid`
            bid: RawEnvelope,
        },
        /// Gateway → worker: a lease and everything needed to check it.
        OfferLease {
            /// Task and input.
            dossier: Box<RawDossier>,
            /// `d402.lease` for this worker.
            lease: RawEnvelope,
            /// All leases of the set, this one included, in `leaseIndex` order.
            lease_set: Vec<RawEnvelope>,
        },
        /// Worker → gateway: it will not deliver under this lease, so that the next bidder gets its chance at
        /// once. Taken only from the node the lease was offered to.
        ReturnLease {
            /// The task's CID.
            task_id: Cid,
            /// The lease.
            lease_cid: Cid,
        },
        /// Gateway or worker → validator: a funded task it is named in.
        OpenTask {
            /// Task and input.
            dossier: Box<RawDossier>,
            /// From a node of the gateway: its key's signature over [`watch_message`](crate::watch_message) for
            /// that node, so that it hears verdicts whoever else opened the task before.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            gateway: Option<SignatureBytes>,
        },
        /// Worker → validator (spec §5.2).
        Commit {
            /// The task's CID.
            task_id: Cid,
            /// `d402.lease` of this worker.
            lease: RawEnvelope,
            /// `d402.leaseAccept` over it.
            lease_accept: RawEnvelope,
            /// The whole lease set.
            lease_set: Vec<RawEnvelope>,
            /// `d402.claimCommit`
            commit: RawEnvelope,
        },
        /// Validator → leased workers and other validators (spec §5.3).
        AckNotice {
            /// `d402.commitAck`
            ack: RawEnvelope,
            /// `d402.claimCommit` it acknowledges; validators keep it as evidence of an equivocating worker.
            commit: RawEnvelope,
            /// The whole lease set the commit is made under.
            lease_set: Vec<RawEnvelope>,
        },
        /// Worker → validator (spec §5.5): the claim, its certificate and the bytes behind it.
        Reveal {
            /// `d402.resultClaim`
            claim: RawEnvelope,
            /// `d402.commitAck`s of this claim's commit, at least m; in quorum also those of the other leases.
            certificate: Vec<RawEnvelope>,
            /// `d402.claimCommit`s those acks are of.
            commits: Vec<RawEnvelope>,
            /// Output and evidence bytes.
            blobs: Vec<Blob>,
        },
        /// Validator → gateway, validators and the claim's worker.
        ReceiptNotice {
            /// `d402.validationReceipt`
            receipt: RawEnvelope,
            /// `d402.resultClaim` it judges.
            claim: RawEnvelope,
        },
        /// Gateway → validator: simple form of spec §5.8.
        GetInventory {
            /// The task's CID.
            task_id: Cid,
        },
        /// Gateway → validator: the settlement receipt derived from the union of inventories.
        Propose {
            /// The task's CID.
            task_id: Cid,
            /// Rises with every new proposal of this task.
            round: u32,
            /// Carrier without signatures.
            receipt: SignedReceipt,
            /// Sorted CIDs of every input it was derived from.
            inputs: Vec<Cid>,
            /// Inputs the validator said it misses.
            objects: Vec<RawEnvelope>,
        },
        /// Gateway → validator: q ready answers on one digest; asks for the settlement signature.
        Sign {
            /// The task's CID.
            task_id: Cid,
            /// `d402.ready` of at least q validators.
            ready: Vec<RawEnvelope>,
        },
        /// Validator → payees and validators (threat #12): its settlement signature.
        SignatureNotice {
            /// The task's CID.
            task_id: Cid,
            /// Carrier with the sender's one signature.
            receipt: SignedReceipt,
        },
        /// Gateway → validator (spec §4.4).
        NoMoreLeases {
            /// `d402.noMoreLeases`
            notice: RawEnvelope,
        },
        /// Gateway → worker or validator: output against a signed receipt (threat #15).
        GetOutput {
            /// The task's CID.
            task_id: Cid,
            /// Content wanted.
            cid: Cid,
            /// Carrier with as many valid signatures as the chain needs.
            receipt: SignedReceipt,
        },
        /// Anyone → validator: signatures it knows for a terms hash.
        GetSignatures {
            /// Terms hash.
            terms_hash: Hex32,
        },
    }
}

messages! {
    /// What comes back.
    pub enum Response {
        /// Taken; nothing to return.
        Accepted,
        /// One page of directory objects.
        Directory {
            /// Signed objects.
            objects: Vec<RawEnvelope>,
            /// Cursor for the next page, absent on the last.
            next: Option<String>,
        },
        /// One signed object: a bid ack, a lease accept, a commit ack or a ready answer, as the request says.
        Object {
            /// Signed object.
            object: RawEnvelope,
        },
        /// `d402.inventory` and the objects it lists.
        Inventory {
            /// `d402.inventory`
            inventory: RawEnvelope,
            /// Objects it names.
            objects: Vec<RawEnvelope>,
        },
        /// The validator lacks these inputs of the proposal.
        Missing {
            /// CIDs it wants.
            cids: Vec<Cid>,
        },
        /// A settlement signature.
        Signature {
            /// Signature and its place in the set.
            signature: IndexedSignature,
        },
        /// Signatures known for a terms hash.
        Signatures {
            /// Carriers, usually one.
            receipts: Vec<SignedReceipt>,
        },
        /// Content bytes.
        Content {
            /// The blob asked for.
            blob: Blob,
        },
        /// Not done, and why.
        Refused {
            /// The reason, closed list.
            reason: Refusal,
        },
    }
}

/// Why a peer refused; the caller decides by the variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Refusal {
    /// Not a message we understand, or an object that does not verify.
    Malformed,
    /// The receiver has no such role.
    NotMyRole,
    /// Task not known here; send `OpenTask` first.
    UnknownTask,
    /// The object contradicts the task's terms.
    TermsMismatch,
    /// Policy of the receiver (price, budget, trust, capability).
    Policy,
    /// Too late for this step.
    Closed,
    /// Another lease set is in force for this attempt (threat #33).
    OtherLeaseSet,
    /// Two commits of one lease (spec §5.3).
    LeaseVoid,
    /// Too early for this step.
    NotYet,
    /// The money is not there, or came late.
    NotFunded,
    /// The proposal leaves out something this validator acked or judged (threat #13).
    Omits,
    /// The receipt is not what the inputs give.
    OtherOutcome,
    /// Another settlement was signed already (sign once).
    AlreadySigned,
    /// Content not held or not to be had with what was shown.
    NoAccess,
    /// A bound was hit; try later.
    Busy,
}
