//! `Proposing` and `Signing`: q ready answers on one digest, then m settlement signatures.

use std::collections::{BTreeMap, BTreeSet};

use d402_objects::{Cid, Hex32, IndexedSignature, OnSilence, Ready, Signed, SignedReceipt};
use d402_settlement::market::{Decided, Dossier};
use d402_wire::RawEnvelope;

use super::{Phase, Refused, Task};
use crate::Effect;

/// A proposal without q ready answers is given up after this time, ms.
pub(super) const PROPOSE_MS: u64 = 2_000;
/// Signatures not there are asked for again after this time, ms.
pub(super) const SIGN_MS: u64 = 1_000;
/// How often before the proposal is given up.
const MAX_ASKS: u32 = 5;
/// Most objects sent to one validator that misses some.
const MAX_MISSING: usize = 1_024;

impl Task {
    pub(super) fn propose(&mut self, decided: Box<Decided>, now_ms: u64) -> Vec<Effect> {
        self.round = self.round.saturating_add(1);
        let effects = self.propose_to(&decided, |_| true);
        self.phase = Phase::Proposing {
            decided,
            ready: BTreeMap::new(),
            refused: BTreeSet::new(),
            supplied: BTreeSet::new(),
            since_ms: now_ms,
        };
        effects
    }

    pub(super) fn propose_to(&self, decided: &Decided, which: impl Fn(u8) -> bool) -> Vec<Effect> {
        self.validators()
            .filter(|index| which(*index))
            .filter_map(|set_index| self.proposal(decided, set_index, Vec::new()))
            .collect()
    }

    /// `None` cannot be: what was decided is a valid receipt.
    fn proposal(
        &self,
        decided: &Decided,
        set_index: u8,
        objects: Vec<RawEnvelope>,
    ) -> Option<Effect> {
        let carrier = decided.signed(Vec::new()).ok()?;
        Some(Effect::Propose {
            set_index,
            round: self.round,
            receipt: carrier,
            inputs: decided.inputs.clone(),
            objects,
        })
    }

    /// A validator answered ready. Only answers on exactly the proposed digest and inputs count.
    pub(super) fn ready_seen(
        &mut self,
        answer: Signed<Ready>,
        now_ms: u64,
    ) -> Result<Vec<Effect>, Refused> {
        let set_index = self
            .dossier
            .set_index_of(&answer.payload().validator)
            .ok_or(Refused::Stranger)?;
        let (task_id, round) = (self.task_id(), self.round);
        let q = self.final_quorum();
        let Phase::Proposing {
            decided,
            ready,
            refused,
            ..
        } = &mut self.phase
        else {
            return Err(self.wrong_phase());
        };
        let payload = answer.payload();
        if payload.task_id != task_id {
            return Err(Refused::OtherTask);
        }
        if payload.round != round {
            return Err(Refused::StaleRound {
                got: payload.round,
                current: round,
            });
        }
        if payload.digest != Hex32::from_bytes(decided.digest)
            || payload.inputs_root != decided.inputs_root
        {
            return Err(Refused::OtherDigest);
        }
        if ready.contains_key(&set_index) {
            return Err(Refused::Duplicate);
        }
        ready.insert(set_index, answer);
        refused.remove(&set_index);
        if ready.len() < q {
            return Ok(Vec::new());
        }
        let decided = decided.clone();
        let ready: Vec<Signed<Ready>> = ready.values().cloned().collect();
        let signatures = self.kept.get(&decided.digest).cloned().unwrap_or_default();
        let effects = self.ask_signatures(&ready, &signatures);
        self.phase = Phase::Signing {
            decided,
            ready,
            signatures,
            since_ms: now_ms,
            asked: 1,
        };
        Ok(self.settle_if_signed(now_ms).unwrap_or(effects))
    }

    /// A validator lacks inputs: send them with the same proposal, once per round.
    pub(super) fn missing_seen(
        &mut self,
        set_index: u8,
        round: u32,
        cids: &[Cid],
    ) -> Result<Vec<Effect>, Refused> {
        self.check_answer(set_index, round)?;
        let Phase::Proposing {
            ready, supplied, ..
        } = &mut self.phase
        else {
            return Err(self.wrong_phase());
        };
        if ready.contains_key(&set_index) || !supplied.insert(set_index) {
            return Err(Refused::Duplicate);
        }
        let Phase::Proposing { decided, .. } = &self.phase else {
            return Err(self.wrong_phase());
        };
        let objects = cids
            .iter()
            .take(MAX_MISSING)
            .filter_map(|cid| self.evidence.get(cid))
            .map(|object| RawEnvelope::from(&object))
            .collect();
        Ok(self
            .proposal(decided, set_index, objects)
            .into_iter()
            .collect())
    }

    /// A validator sees another outcome, or inputs we lack. Once q cannot be reached, collect again.
    pub(super) fn proposal_refused(
        &mut self,
        set_index: u8,
        round: u32,
        now_ms: u64,
    ) -> Result<Vec<Effect>, Refused> {
        self.check_answer(set_index, round)?;
        let n = self.validators().len();
        let q = self.final_quorum();
        let Phase::Proposing { refused, ready, .. } = &mut self.phase else {
            return Err(self.wrong_phase());
        };
        if ready.contains_key(&set_index) || !refused.insert(set_index) {
            return Err(Refused::Duplicate);
        }
        if n.saturating_sub(refused.len()) >= q {
            return Ok(Vec::new());
        }
        Ok(self.collect_later(now_ms))
    }

    fn check_answer(&self, set_index: u8, round: u32) -> Result<(), Refused> {
        if !matches!(self.phase, Phase::Proposing { .. }) {
            return Err(self.wrong_phase());
        }
        if !self.validators().contains(&set_index) {
            return Err(Refused::Stranger);
        }
        if round == self.round {
            Ok(())
        } else {
            Err(Refused::StaleRound {
                got: round,
                current: self.round,
            })
        }
    }

    /// q did not answer in time.
    pub(super) fn proposal_overdue(&mut self, now_ms: u64) -> Vec<Effect> {
        self.collect_later(now_ms)
    }

    pub(super) fn ask_signatures(
        &self,
        ready: &[Signed<Ready>],
        have: &BTreeMap<u8, IndexedSignature>,
    ) -> Vec<Effect> {
        self.validators()
            .filter(|index| !have.contains_key(index))
            .map(|set_index| Effect::AskSignature {
                set_index,
                ready: ready.to_vec(),
            })
            .collect()
    }

    /// A settlement signature. It is verified here, before it counts.
    pub(super) fn signature_seen(
        &mut self,
        signature: IndexedSignature,
        now_ms: u64,
    ) -> Result<Vec<Effect>, Refused> {
        let Phase::Signing {
            decided,
            signatures,
            ..
        } = &mut self.phase
        else {
            return Err(self.wrong_phase());
        };
        if signatures.contains_key(&signature.set_index) {
            return Err(Refused::Duplicate);
        }
        if !verifies(&self.dossier, &decided.digest, &signature) {
            return Err(Refused::BadSignature);
        }
        signatures.insert(signature.set_index, signature);
        Ok(self.settle_if_signed(now_ms).unwrap_or_default())
    }

    /// Signatures the chain asks for at this time (spec §3.1).
    fn needed(&self, now_ms: u64) -> usize {
        let set = self.dossier.set();
        match self.dossier.intent().on_silence {
            OnSilence::Majority if now_ms >= self.times().settle_by_ms => {
                usize::from(set.n() >> 1).saturating_add(1)
            }
            OnSilence::Majority | OnSilence::Refund => usize::from(set.m()),
        }
    }

    /// Enough signatures are there: the receipt goes to the chain.
    fn settle_if_signed(&mut self, now_ms: u64) -> Option<Vec<Effect>> {
        let Phase::Signing {
            decided,
            signatures,
            ..
        } = &self.phase
        else {
            return None;
        };
        if signatures.len() < self.needed(now_ms) {
            return None;
        }
        // Ascending by index and verified, so this always is a carrier.
        let receipt = decided
            .signed(signatures.values().cloned().collect())
            .ok()?;
        Some(self.start_settling(Box::new(receipt), now_ms))
    }

    /// Signatures are missing: ask again, and after [`MAX_ASKS`] begin anew. What was signed is kept, because
    /// nobody signs twice; and the chain is looked at, because payees hold signatures too and may settle.
    pub(super) fn signing_overdue(&mut self, now_ms: u64) -> Vec<Effect> {
        if let Some(effects) = self.settle_if_signed(now_ms) {
            return effects;
        }
        let most_kept = self.validators().len();
        let Phase::Signing {
            decided,
            ready,
            signatures,
            since_ms,
            asked,
        } = &mut self.phase
        else {
            return Vec::new();
        };
        if *asked >= MAX_ASKS {
            let room = self.kept.len() < most_kept || self.kept.contains_key(&decided.digest);
            if room && !signatures.is_empty() {
                self.kept.insert(decided.digest, signatures.clone());
            }
            let mut effects = self.collect_later(now_ms);
            if !self.is_direct() {
                effects.push(Effect::WatchVault);
            }
            return effects;
        }
        *asked = asked.saturating_add(1);
        *since_ms = now_ms;
        let (ready, signatures) = (ready.clone(), signatures.clone());
        self.ask_signatures(&ready, &signatures)
    }

    fn start_settling(&mut self, receipt: Box<SignedReceipt>, now_ms: u64) -> Vec<Effect> {
        self.signed = Some(receipt.clone());
        if let Some(effects) = self.end_direct_rejection(&receipt, now_ms) {
            return effects;
        }
        self.phase = Phase::Settling {
            receipt: receipt.clone(),
        };
        self.begin_watching(now_ms);
        if self.settled.is_some() {
            self.settling_on(now_ms)
        } else {
            self.settle_effects(&receipt)
        }
    }
}

fn verifies(dossier: &Dossier, digest: &[u8; 32], signature: &IndexedSignature) -> bool {
    let Some(key) = dossier.set().key(signature.set_index) else {
        return false;
    };
    dossier
        .codec()
        .verifies(&key, digest, signature.signature.as_slice())
}
