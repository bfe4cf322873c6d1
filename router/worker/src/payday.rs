//! Getting paid when nobody else submits (threat #12).
//!
//! Validators send their settlement signatures to every payee. Once as many as the set needs are here and
//! the chain shows no settlement after a pause for the gateway, the worker submits the receipt itself.

use std::collections::BTreeMap;

use d402_objects::{Cid, IndexedSignature, SignedReceipt};
use d402_settlement::UnixSeconds;
use d402_settlement::market::{Dossier, check_signatures};

/// How long the gateway is given, ms.
pub const GATEWAY_FIRST_MS: u64 = 5_000;

/// Signatures of one task by receipt; only valid ones are kept.
#[derive(Debug, Default)]
pub struct Payday {
    by_receipt: BTreeMap<Cid, BTreeMap<u8, IndexedSignature>>,
    waiting: bool,
}

impl Payday {
    /// Whether the caller is the first to wait for this task's settlement.
    pub fn start_waiting(&mut self) -> bool {
        !std::mem::replace(&mut self.waiting, true)
    }

    /// Takes the signatures of a carrier; the carrier with all of them once they are enough at `now`.
    pub fn signature_seen(
        &mut self,
        dossier: &Dossier,
        carrier: &SignedReceipt,
        now: UnixSeconds,
    ) -> Option<SignedReceipt> {
        let receipt = carrier.receipt_cid();
        // An honest set signs one receipt; a bound of its size keeps a hostile one from growing this.
        if self.by_receipt.len() >= usize::from(dossier.set().n())
            && !self.by_receipt.contains_key(&receipt)
        {
            return None;
        }
        let mut all = self.by_receipt.get(&receipt).cloned().unwrap_or_default();
        all.extend(
            carrier
                .signatures()
                .iter()
                .map(|s| (s.set_index, s.clone())),
        );
        let joined = carrier
            .with_signatures(all.values().cloned().collect())
            .ok()?;
        match check_signatures(dossier, &joined, now) {
            Ok(_) => {
                self.by_receipt.insert(receipt, all);
                Some(joined)
            }
            // Each one verifies, they are only too few yet.
            Err(d402_settlement::market::ReceiptFault::TooFewSignatures { .. }) => {
                self.by_receipt.insert(receipt, all);
                None
            }
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use d402_settlement::market::testkit::{TaskSpec, TaskStory};

    use super::*;

    #[test]
    fn threat_12_m_valid_signatures_from_different_notices_make_a_receipt() {
        let story = TaskStory::honest(TaskSpec::single(3, 4));
        let now = story.scene.dossier.times().settle_by_s;
        let mut payday = Payday::default();
        let mut complete = None;
        for validator in 0..3 {
            assert!(complete.is_none());
            let signature = story
                .scene
                .settlement_signatures(&[validator], &story.decided.digest);
            let carrier = story.decided.signed(signature).unwrap();
            complete = payday.signature_seen(&story.scene.dossier, &carrier, now);
        }
        assert_eq!(complete.unwrap().signatures().len(), 3);
        assert!(payday.start_waiting());
        assert!(!payday.start_waiting(), "one waiter per task");
    }

    #[test]
    fn a_bad_signature_is_dropped_and_hurts_no_good_one() {
        let story = TaskStory::honest(TaskSpec::single(3, 4));
        let now = story.scene.dossier.times().settle_by_s;
        let mut payday = Payday::default();
        for validator in 0..2 {
            let good = story
                .scene
                .settlement_signatures(&[validator], &story.decided.digest);
            payday.signature_seen(
                &story.scene.dossier,
                &story.decided.signed(good).unwrap(),
                now,
            );
        }
        let bad = story.scene.settlement_signatures(&[2], &[7; 32]);
        let carrier = story.decided.signed(bad).unwrap();
        assert!(
            payday
                .signature_seen(&story.scene.dossier, &carrier, now)
                .is_none()
        );
        let good = story
            .scene
            .settlement_signatures(&[2], &story.decided.digest);
        let carrier = story.decided.signed(good).unwrap();
        assert!(
            payday
                .signature_seen(&story.scene.dossier, &carrier, now)
                .is_some()
        );
    }
}
