//! Inventories, proposals and ready answers (simple form of spec §5.8).

use d402_objects::{Cid, Hex32, Inventory, Ready, Signed, SignedReceipt, UnixMs};
use d402_settlement::market::{
    AssembleError, Decided, DepositFact, ProposalRefusal, check_proposal,
};
use d402_wire::{RawEnvelope, Refusal, Response};

use super::Case;
use crate::journal::{ReadyVerdict, SettlementRecord};

/// A proposal with decoded objects.
#[derive(Debug)]
pub struct Proposal {
    /// Round.
    pub round: u32,
    /// Carrier without signatures.
    pub receipt: SignedReceipt,
    /// Inputs it claims to be derived from.
    pub inputs: Vec<Cid>,
    /// Inputs we said we miss.
    pub objects: Vec<RawEnvelope>,
}

impl Case {
    /// Everything this validator holds, listed and signed.
    ///
    /// # Errors
    /// `Malformed` when the lists do not fit an object: our own bounds prevent it.
    pub async fn inventory(&mut self, now_ms: u64) -> Result<Response, Refusal> {
        let deposit_late = self.facts(now_ms).await?.deposit == DepositFact::Late;
        let lists = self.evidence.inventory();
        let inventory = Inventory {
            object_version: 1,
            validator: self.me(),
            network: self.dossier.network().clone(),
            task_id: self.dossier.task_id(),
            terms_hash: self.dossier.terms_hash(),
            acks: lists.acks,
            commits: lists.commits,
            claims: lists.claims,
            receipts: lists.receipts,
            leases: lists.leases,
            deposit_late,
            at_ms: UnixMs::default().saturating_add_ms(now_ms),
            seq: now_ms,
        };
        let inventory = self
            .tools
            .keys
            .sign(inventory)
            .map_err(|_| Refusal::Malformed)?;
        let objects = self
            .evidence
            .objects()
            .iter()
            .map(RawEnvelope::from)
            .collect();
        Ok(Response::Inventory {
            inventory: RawEnvelope::of(&inventory),
            objects,
        })
    }

    /// Judges a proposal: own evidence must be in it, and the outcome must be ours.
    ///
    /// # Errors
    /// The refusal the gateway is told.
    pub async fn propose(&mut self, proposal: Proposal, now_ms: u64) -> Result<Response, Refusal> {
        if self.signing_is_over(self.chain_now(now_ms).await?) {
            return Err(Refusal::Closed);
        }
        let facts = self.facts(now_ms).await?;
        let supplied = proposal
            .objects
            .iter()
            .map(RawEnvelope::open_evidence)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Refusal::Malformed)?;
        let proposed = match self.evidence.assemble(&proposal.inputs, supplied) {
            Ok(proposed) => proposed,
            Err(AssembleError::Missing(cids)) => return Ok(Response::Missing { cids }),
            Err(error) => {
                tracing::info!(task = %self.dossier.task_id(), %error, "proposal refused");
                return Err(Refusal::Malformed);
            }
        };
        let decided =
            check_proposal(&self.evidence, &proposed, &self.me(), &facts).map_err(|refusal| {
                tracing::info!(task = %self.dossier.task_id(), %refusal, "proposal refused");
                match refusal {
                    ProposalRefusal::Undecided(_) => Refusal::NotYet,
                    ProposalRefusal::Omits(_) | ProposalRefusal::OpenCommits(_) => Refusal::Omits,
                    _ => Refusal::OtherOutcome,
                }
            })?;
        if decided.receipt_cid != proposal.receipt.receipt_cid() {
            return Err(Refusal::OtherOutcome);
        }
        let ready = self.ready(proposal.round, decided).await?;
        Ok(Response::Object {
            object: RawEnvelope::of(&ready),
        })
    }

    async fn ready(&mut self, round: u32, decided: Decided) -> Result<Signed<Ready>, Refusal> {
        let record = self.settlement_record(&decided);
        let digest = Hex32::from_bytes(decided.digest);
        match self
            .tools
            .journal
            .ready(self.dossier.task_id(), round, digest, &record)
            .await
        {
            Ok(ReadyVerdict::Sign) => {}
            Ok(ReadyVerdict::OtherDigest { .. } | ReadyVerdict::AlreadySigned { .. }) => {
                return Err(Refusal::AlreadySigned);
            }
            Err(error) => {
                tracing::error!(%error, "journal does not answer, nothing is answered");
                return Err(Refusal::Busy);
            }
        }
        let ready = Ready {
            object_version: 1,
            validator: self.me(),
            network: self.dossier.network().clone(),
            task_id: self.dossier.task_id(),
            terms_hash: self.dossier.terms_hash(),
            round,
            digest,
            inputs_root: decided.inputs_root,
            receipt_cid: decided.receipt_cid,
        };
        let ready = self
            .tools
            .keys
            .sign(ready)
            .map_err(|_| Refusal::Malformed)?;
        self.agreed.insert(decided.digest, decided);
        Ok(ready)
    }

    pub(super) fn settlement_record(&self, decided: &Decided) -> SettlementRecord {
        SettlementRecord {
            task_id: self.dossier.task_id(),
            verifier: decided.receipt.verifier.to_string(),
            terms_hash: self.dossier.terms_hash(),
            digest: Hex32::from_bytes(decided.digest),
            paid: decided.receipt.outcome == d402_objects::Outcome::Paid,
        }
    }
}
