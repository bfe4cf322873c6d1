//! Reveals, verdicts and what others judged (spec §5.5–5.6).
//!
//! Verdicts go out open for now. Sealing them first (`verdictCommit`, spec §5.6) belongs between
//! [`Case::verdict`] and [`Outgoing`]: nothing else knows when a verdict is shown.

use d402_capabilities::{Judgement, Verdict as Judged};
use d402_objects::{
    Cid, ClaimCommit, CommitAck, Hex32, ResultClaim, Signed, Text, UnixMs, ValidationReceipt,
    Verdict,
};
use d402_settlement::market::{EvidenceObject, may_reveal};
use d402_wire::{Blob, RawEnvelope, Refusal, Request};

use super::{Case, Outgoing};
use crate::Misbehaviour;
use crate::judge::ClaimContent;

/// A revealed claim, ready to be judged.
#[derive(Debug)]
pub struct Revealed {
    /// The claim.
    pub claim: Signed<ResultClaim>,
    /// Its content.
    pub content: ClaimContent,
}

/// A reveal with verified envelopes.
#[derive(Debug)]
pub struct RevealPapers {
    /// The claim.
    pub claim: Signed<ResultClaim>,
    /// Acks.
    pub certificate: Vec<Signed<CommitAck>>,
    /// Commits those acks are of.
    pub commits: Vec<Signed<ClaimCommit>>,
    /// Output and evidence.
    pub blobs: Vec<(Cid, Vec<u8>)>,
}

/// Most acks or commits taken with one reveal: every validator on every lease of a set.
const MAX_PAPERS: usize = 16 * 8;

impl RevealPapers {
    /// Verifies envelopes and content.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(
        claim: RawEnvelope,
        certificate: Vec<RawEnvelope>,
        commits: Vec<RawEnvelope>,
        blobs: &[Blob],
    ) -> Result<Self, Refusal> {
        if certificate.len() > MAX_PAPERS || commits.len() > MAX_PAPERS {
            return Err(Refusal::Malformed);
        }
        let bad = |_| Refusal::Malformed;
        Ok(Self {
            claim: claim.open().map_err(bad)?,
            certificate: certificate
                .iter()
                .map(RawEnvelope::open)
                .collect::<Result<_, _>>()
                .map_err(bad)?,
            commits: commits
                .iter()
                .map(RawEnvelope::open)
                .collect::<Result<_, _>>()
                .map_err(bad)?,
            blobs: blobs
                .iter()
                .map(|b| b.verified().map(|bytes| (b.cid, bytes)))
                .collect::<Result<_, _>>()
                .map_err(|_| Refusal::Malformed)?,
        })
    }
}

impl Case {
    /// Takes a reveal. An early one is refused and changes nothing but the acks it brought. `None` when the
    /// claim is being judged already.
    ///
    /// # Errors
    /// The refusal the worker is told.
    pub async fn reveal(
        &mut self,
        papers: RevealPapers,
        now_ms: u64,
    ) -> Result<Option<Revealed>, Refusal> {
        let claim = papers.claim;
        for commit in papers.commits {
            let _not_new = self.admit_commit_if_new(commit).await;
        }
        for ack in papers.certificate {
            let _not_new = self.admit(EvidenceObject::Ack(ack)).await;
        }
        let now = UnixMs::default().saturating_add_ms(now_ms);
        may_reveal(&self.evidence, &claim, now).map_err(|fault| {
            tracing::debug!(task = %self.dossier.task_id(), %fault, "reveal is early");
            Refusal::NotYet
        })?;
        if now_ms >= self.dossier.times().decide_at_ms.get() {
            return Err(Refusal::Closed);
        }
        let find = |cid: &Cid| {
            papers
                .blobs
                .iter()
                .find(|(c, _)| c == cid)
                .map(|(_, bytes)| bytes.clone())
        };
        let content = ClaimContent::of(claim.payload(), find).ok_or(Refusal::Malformed)?;
        for (cid, bytes) in &papers.blobs {
            self.store_content(*cid, bytes).await?;
        }
        self.admit(EvidenceObject::Claim(claim.clone())).await?;
        let first_time = self.judged.insert(claim.cid());
        Ok(first_time.then_some(Revealed { claim, content }))
    }

    async fn store_content(&self, cid: Cid, bytes: &[u8]) -> Result<(), Refusal> {
        self.tools
            .store
            .put_blob(self.dossier.task_id(), cid, bytes)
            .await
            .map_err(|error| {
                tracing::error!(%error, "content is not stored");
                Refusal::Busy
            })
    }

    /// Claims in evidence this validator has not judged: after a restart they are judged again.
    #[must_use]
    pub fn unjudged(&self) -> Vec<Signed<ResultClaim>> {
        self.evidence
            .claims()
            .filter(|c| !self.judged.contains(&c.cid()))
            .cloned()
            .collect()
    }

    /// A claim's stored content.
    pub async fn content_of(&mut self, claim: &Signed<ResultClaim>) -> Option<ClaimContent> {
        let task_id = self.dossier.task_id();
        let wanted = std::iter::once(claim.payload().output.cid)
            .chain(claim.payload().evidence.iter().map(|e| e.cid));
        let mut blobs = Vec::new();
        for cid in wanted {
            blobs.push((cid, self.tools.store.blob(task_id, cid).await.ok()??));
        }
        self.judged.insert(claim.cid());
        ClaimContent::of(claim.payload(), |cid| {
            blobs.iter().find(|(c, _)| c == cid).map(|(_, b)| b.clone())
        })
    }

    /// Signs and stores this validator's verdict, and says who hears it.
    ///
    /// # Errors
    /// `Busy` when it cannot be stored; then nobody hears it.
    pub async fn verdict(
        &mut self,
        claim: &Signed<ResultClaim>,
        judgement: &Judgement,
        now_ms: u64,
    ) -> Result<(Signed<ValidationReceipt>, Vec<Outgoing>), Refusal> {
        let verdict = match (judgement.verdict, self.tools.misbehaviour) {
            (Judged::Accept, Misbehaviour::InvertsVerdicts) => Verdict::Reject,
            (Judged::Reject, Misbehaviour::InvertsVerdicts) => Verdict::Accept,
            (Judged::Accept, Misbehaviour::None | Misbehaviour::Silent) => Verdict::Accept,
            (Judged::Reject, Misbehaviour::None | Misbehaviour::Silent) => Verdict::Reject,
        };
        let receipt = self.receipt(claim, verdict, judgement, now_ms)?;
        self.admit(EvidenceObject::Receipt(receipt.clone())).await?;
        let request = Request::ReceiptNotice {
            receipt: RawEnvelope::of(&receipt),
            claim: RawEnvelope::of(claim),
        };
        let to = self.concerned(&claim.payload().worker);
        Ok((
            receipt,
            to.into_iter()
                .map(|to| Outgoing {
                    to,
                    request: request.clone(),
                })
                .collect(),
        ))
    }

    fn receipt(
        &self,
        claim: &Signed<ResultClaim>,
        verdict: Verdict,
        judgement: &Judgement,
        now_ms: u64,
    ) -> Result<Signed<ValidationReceipt>, Refusal> {
        let mut salt = [0u8; 32];
        getrandom::fill(&mut salt).map_err(|_| Refusal::Busy)?;
        let reasons = judgement
            .reasons
            .iter()
            .take(8)
            .filter_map(|reason| {
                serde_json::to_value(reason)
                    .ok()?
                    .as_str()?
                    .parse::<Text>()
                    .ok()
            })
            .collect();
        let receipt = ValidationReceipt {
            object_version: 1,
            validator: self.me(),
            network: claim.payload().network.clone(),
            task_id: claim.payload().task_id,
            terms_hash: claim.payload().terms_hash,
            claim_cid: claim.cid(),
            verdict,
            score_bps: d402_objects::Bps::new(judgement.score_bps.min(10_000))
                .map_err(|_| Refusal::Malformed)?,
            model: self.dossier.intent().validation.model,
            reasons,
            transcript_digest: judgement
                .transcript_digest
                .parse()
                .map_err(|_| Refusal::Malformed)?,
            salt: Hex32::from_bytes(salt),
            at_ms: UnixMs::default().saturating_add_ms(now_ms),
        };
        self.tools
            .keys
            .sign(receipt)
            .map_err(|_| Refusal::Malformed)
    }

    /// Another validator's verdict.
    ///
    /// # Errors
    /// The refusal the sender is told.
    pub async fn receipt_noticed(
        &mut self,
        receipt: Signed<ValidationReceipt>,
        claim: Signed<ResultClaim>,
    ) -> Result<(), Refusal> {
        if self.evidence.claim(&claim.cid()).is_none() {
            // A claim enters as evidence only by its own reveal or a proposal; until then others' verdicts
            // on it wait with their owners.
            return Err(Refusal::NotYet);
        }
        self.admit(EvidenceObject::Receipt(receipt)).await
    }
}
