//! Reputation events the gateway signs, each backed by a CID that proves it.

use d402_objects::{
    Cid, Ed25519Id, Outcome, ReputationEvent, ReputationKind, SignedReceipt, Verdict,
};

use super::Task;
use super::deadlines::unix_ms;
use super::leasing::SlotState;
use crate::Effect;

impl Task {
    /// Rejected claims and expired leases, once each.
    pub(super) fn report_failures(&mut self, now_ms: u64) -> Vec<Effect> {
        let mut found: Vec<(Cid, Cid, ReputationKind)> = self
            .rejected_claims()
            .map(|(claim, lease)| (claim, lease, ReputationKind::ClaimRejected))
            .collect();
        for slot in self.sets.iter().flat_map(|s| &s.slots) {
            let idle =
                slot.state == SlotState::Accepted && now_ms >= slot.lease.expires_at_ms.get();
            if idle && !self.has_claim(&slot.cid) {
                found.push((slot.cid, slot.cid, ReputationKind::LeaseExpired));
            }
        }
        let mut effects = Vec::new();
        for (evidence, lease, kind) in found {
            let worker = self
                .sets
                .iter()
                .flat_map(|s| &s.slots)
                .find(|s| s.cid == lease)
                .map(|s| s.lease.worker);
            if let Some(worker) = worker
                && self.reported.insert(evidence)
            {
                effects.push(self.report(worker, kind, evidence, now_ms));
            }
        }
        effects
    }

    /// At the end: paid workers, and validators whose verdict was not the one m of them reached.
    pub(super) fn final_reports(&self, receipt: &SignedReceipt, now_ms: u64) -> Vec<Effect> {
        let proof = receipt.receipt_cid();
        let (paid, dissent) = match receipt.receipt().outcome {
            Outcome::Paid => (true, Verdict::Reject),
            Outcome::Rejected => (false, Verdict::Accept),
        };
        let mut effects = Vec::new();
        for cid in &receipt.receipt().claim_cids {
            if paid && let Some(claim) = self.evidence.claim(cid) {
                effects.push(self.report(
                    claim.payload().worker,
                    ReputationKind::Settled,
                    proof,
                    now_ms,
                ));
            }
            for set_index in self
                .gave(cid, dissent)
                .filter(|_| paid || self.is_rejected(cid))
            {
                if let Some(offer) = self.dossier.offer_by_set_index(set_index) {
                    let subject = offer.payload().validator;
                    effects.push(self.report(
                        subject,
                        ReputationKind::VerdictDissent,
                        proof,
                        now_ms,
                    ));
                }
            }
        }
        effects
    }

    fn report(
        &self,
        subject: Ed25519Id,
        kind: ReputationKind,
        evidence_cid: Cid,
        now_ms: u64,
    ) -> Effect {
        Effect::Report {
            event: ReputationEvent {
                object_version: 1,
                observer: self.dossier.intent().gateway,
                subject,
                kind,
                task_id: self.task_id(),
                evidence_cid,
                at_ms: unix_ms(now_ms),
            },
        }
    }
}
