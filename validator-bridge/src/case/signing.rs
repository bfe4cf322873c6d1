//! The settlement signature (spec §5.8–5.9): q ready answers, the journal, then the key.

use std::collections::BTreeSet;

use d402_objects::{IndexedSignature, Ready, Signed, SignedReceipt};
use d402_settlement::derive::final_quorum;
use d402_wire::{Refusal, Request};

use super::{Case, Outgoing};
use crate::Misbehaviour;
use crate::journal::SettlementVerdict;

/// A digest the journal allowed to be signed. Only this module makes one.
#[derive(Debug)]
pub struct Allowed {
    digest: [u8; 32],
}

impl Allowed {
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

impl Case {
    /// Signs the settlement q validators are ready for, when this validator derived it itself.
    ///
    /// # Errors
    /// The refusal the gateway is told.
    pub async fn sign(
        &mut self,
        ready: Vec<Signed<Ready>>,
        now_ms: u64,
    ) -> Result<(IndexedSignature, Vec<Outgoing>), Refusal> {
        if self.tools.misbehaviour == Misbehaviour::Silent {
            return Err(Refusal::Busy);
        }
        let digest = self.quorum_digest(&ready)?;
        let decided = self.agreed.get(&digest).cloned().ok_or(Refusal::NotYet)?;
        if self.signing_is_over(self.chain_now(now_ms).await?) {
            return Err(Refusal::Closed);
        }
        let allowed = match self
            .tools
            .journal
            .settlement(&self.settlement_record(&decided))
            .await
        {
            Ok(SettlementVerdict::Sign) => Allowed { digest },
            Ok(
                SettlementVerdict::AlreadySigned { .. } | SettlementVerdict::PaidElsewhere { .. },
            ) => {
                return Err(Refusal::AlreadySigned);
            }
            Err(error) => {
                tracing::error!(%error, "journal does not answer, nothing is signed");
                return Err(Refusal::Busy);
            }
        };
        let set_index = self
            .dossier
            .set()
            .index_of(&self.tools.keys.signer_on(self.dossier.codec()))
            .ok_or(Refusal::NotMyRole)?;
        let signature = IndexedSignature {
            set_index,
            signature: self
                .tools
                .keys
                .sign_settlement(self.dossier.codec(), &allowed),
        };
        let carrier = decided
            .signed(vec![signature.clone()])
            .map_err(|_| Refusal::Malformed)?;
        self.signed.add(&self.dossier, &carrier);
        Ok((signature, self.signature_notices(&carrier)))
    }

    /// The digest that q distinct validators of the set answered ready for, in one round.
    fn quorum_digest(&self, ready: &[Signed<Ready>]) -> Result<[u8; 32], Refusal> {
        let first = ready.first().ok_or(Refusal::NotYet)?.payload();
        let mut voices = BTreeSet::new();
        for answer in ready.iter().map(Signed::payload) {
            let same = answer.task_id == self.dossier.task_id()
                && answer.terms_hash == self.dossier.terms_hash()
                && answer.digest == first.digest
                && answer.inputs_root == first.inputs_root
                && answer.round == first.round;
            if !same {
                return Err(Refusal::Malformed);
            }
            voices.insert(
                self.dossier
                    .set_index_of(&answer.validator)
                    .ok_or(Refusal::Malformed)?,
            );
        }
        let q = final_quorum(self.dossier.set().m(), self.dossier.set().n());
        if voices.len() < usize::from(q) {
            return Err(Refusal::NotYet);
        }
        Ok(first.digest.as_bytes())
    }

    /// Payees and the other validators get the signature at once (threat #12).
    fn signature_notices(&self, carrier: &SignedReceipt) -> Vec<Outgoing> {
        let task_id = self.dossier.task_id();
        let request = Request::SignatureNotice {
            task_id,
            receipt: carrier.clone(),
        };
        let payees = carrier
            .receipt()
            .claim_cids
            .iter()
            .filter_map(|cid| self.evidence.claim(cid))
            .filter_map(|claim| self.workers.get(&claim.payload().worker).cloned());
        self.peers()
            .into_iter()
            .chain(payees)
            .map(|to| Outgoing {
                to,
                request: request.clone(),
            })
            .collect()
    }

    /// Another validator's signature; kept when it verifies.
    pub fn signature_noticed(&mut self, carrier: &SignedReceipt) {
        self.signed.add(&self.dossier, carrier);
    }
}
