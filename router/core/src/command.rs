//! What can happen to a task, and the journal record of it.

use d402_objects::{
    Amount, Bid, Cid, Hex32, IndexedSignature, Inventory, LeaseAccept, Ready, ResultClaim, Signed,
    ValidationReceipt,
};
use d402_settlement::market::EvidenceObject;
use d402_wire::RawDossier;
use serde::{Deserialize, Serialize};

use crate::ports::{Settled, Uncollectable};

/// Something that happened outside. Signed objects inside are verified by their types.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(
    tag = "command",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
#[allow(clippy::large_enum_variant)] // commands are built once and consumed at once
pub enum Command {
    /// The chain holds at least the budget since `at_ms`.
    DepositFunded {
        /// Chain time at which the budget was first covered, ms.
        at_ms: u64,
    },
    /// The chain holds something, less than the budget, and `fundBy` passed.
    DepositShort,
    /// The payment can never take effect and nothing is there (threat #71).
    DepositImpossible,
    /// A worker wants the task.
    BidPlaced {
        /// The bid.
        bid: Signed<Bid>,
        /// Local standing of the worker at that moment, 0 = spotless (see `standing`).
        penalty: u32,
        /// Whether the policy of that moment wants it in another network than the rest of its lease set.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        distinct_subnet: bool,
    },
    /// A worker took its lease.
    LeaseAccepted {
        /// The acceptance.
        accept: Signed<LeaseAccept>,
    },
    /// A worker refused its lease, or could not be reached.
    LeaseDeclined {
        /// CID of the lease.
        lease_cid: Cid,
    },
    /// A worker gave its lease back: the page is blocked, its executor failed.
    LeaseReturned {
        /// CID of the lease.
        lease_cid: Cid,
    },
    /// A validator judged a claim.
    ReceiptSeen {
        /// The judgement.
        receipt: Signed<ValidationReceipt>,
        /// The claim it is about.
        claim: Signed<ResultClaim>,
    },
    /// A validator showed what it holds.
    InventorySeen {
        /// The list.
        inventory: Signed<Inventory>,
        /// The objects it sent that verify ([`Task::read_inventory`](crate::Task::read_inventory)).
        objects: Vec<EvidenceObject>,
    },
    /// A validator is ready to sign the proposed digest.
    ReadySeen {
        /// The answer.
        ready: Signed<Ready>,
    },
    /// A validator lacks inputs of the proposal.
    MissingSeen {
        /// Which validator.
        set_index: u8,
        /// Round of the proposal.
        round: u32,
        /// What it lacks.
        cids: Vec<Cid>,
    },
    /// A validator will not answer this proposal with ready; collect again.
    ProposalRefused {
        /// Which validator.
        set_index: u8,
        /// Round of the proposal.
        round: u32,
    },
    /// A settlement signature arrived.
    SignatureSeen {
        /// Signature and its place in the ascending set.
        signature: IndexedSignature,
    },
    /// The chain executed a receipt for these terms, or a direct payment, whoever sent it.
    SettledSeen {
        /// What it did.
        settled: Settled,
    },
    /// A direct payment can never take effect (threat #71).
    PaymentImpossible {
        /// Why.
        why: Uncollectable,
    },
    /// The vault was swept to refundTo after `refundAfter`.
    SweptSeen {
        /// Transaction id.
        transaction: String,
        /// Units returned.
        refunded: Amount,
    },
    /// The output's bytes are in the blob store.
    OutputStored {
        /// CID of the output.
        cid: Cid,
    },
    /// Time passed; whatever is due happens.
    Tick,
}

impl Command {
    /// Verified objects in it that inventories will show again.
    #[must_use]
    pub fn shown(&self) -> Vec<EvidenceObject> {
        match self {
            Self::LeaseAccepted { accept } => vec![accept.clone().into()],
            Self::ReceiptSeen { receipt, claim } => {
                vec![claim.clone().into(), receipt.clone().into()]
            }
            Self::DepositFunded { .. }
            | Self::DepositShort
            | Self::DepositImpossible
            | Self::BidPlaced { .. }
            | Self::LeaseDeclined { .. }
            | Self::LeaseReturned { .. }
            | Self::InventorySeen { .. }
            | Self::ReadySeen { .. }
            | Self::MissingSeen { .. }
            | Self::ProposalRefused { .. }
            | Self::SignatureSeen { .. }
            | Self::SettledSeen { .. }
            | Self::PaymentImpossible { .. }
            | Self::SweptSeen { .. }
            | Self::OutputStored { .. }
            | Self::Tick => Vec::new(),
        }
    }
}

/// One line of a task's journal.
#[derive(Clone, Debug, Serialize)]
#[serde(
    tag = "record",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[allow(clippy::large_enum_variant)] // one per journal line
pub enum Record {
    /// First line: the task as it was admitted.
    Created {
        /// Intent, manifest, registration, offers and input.
        dossier: RawDossier,
        /// Payment id on its chain.
        payment_id: Hex32,
        /// Payer's account.
        payer: String,
        /// Exact money bytes that pay.
        payment_body: String,
        /// Wall clock, ms.
        at_ms: u64,
    },
    /// Every further line: a command and when it was applied.
    Applied {
        /// Wall clock, ms.
        at_ms: u64,
        /// The command.
        command: Command,
    },
}

/// A record as it is read: the same, with its kind beside its members ([`d402_wire::tagged`]).
#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
#[allow(clippy::large_enum_variant)] // moved at once
enum Line {
    Created {
        dossier: RawDossier,
        payment_id: Hex32,
        payer: String,
        payment_body: String,
        at_ms: u64,
    },
    Applied {
        at_ms: u64,
        command: Command,
    },
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        d402_wire::tagged::read(deserializer, "record").map(|line| match line {
            Line::Created {
                dossier,
                payment_id,
                payer,
                payment_body,
                at_ms,
            } => Self::Created {
                dossier,
                payment_id,
                payer,
                payment_body,
                at_ms,
            },
            Line::Applied { at_ms, command } => Self::Applied { at_ms, command },
        })
    }
}
