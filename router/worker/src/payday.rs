//! Getting paid when nobody else submits (threat #12).
//!
//! Validators send their settlement signatures to every payee. Once as many as the set needs are here and
//! the chain shows no settlement after a pause for the gateway, the worker submits the receipt itself.

use d402_objects::SignedReceipt;
use d402_settlement::UnixSeconds;
use d402_settlement::market::{Dossier, SignatureBook, check_signatures};

/// How long the gateway is given, ms.
pub const GATEWAY_FIRST_MS: u64 = 5_000;

/// Signatures of one task, and whether somebody waits to settle with them.
#[derive(Debug, Default)]
pub struct Payday {
    book: SignatureBook,
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
        let joined = self.book.add(dossier, carrier)?;
        check_signatures(dossier, joined, now)
            .is_ok()
            .then(|| joined.clone())
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

    #[test]
    fn threat_12_strangers_and_one_hostile_validator_cannot_crowd_out_the_honest_receipt() {
        let story = TaskStory::honest(TaskSpec::single(3, 4));
        let dossier = &story.scene.dossier;
        let now = dossier.times().settle_by_s;
        let mut payday = Payday::default();
        // Receipts of the same task that differ in what they cite: each has a CID and a digest of its own.
        for salt in 0..8u8 {
            let mut other = story.decided.receipt.clone();
            other.lease_set_roots = vec![d402_objects::Hex32::from_bytes([salt; 32])];
            let bare = SignedReceipt::new(other, Vec::new()).unwrap();
            assert!(
                payday.signature_seen(dossier, &bare, now).is_none(),
                "unsigned"
            );
            let settlement =
                d402_settlement::market::check_receipt(dossier, bare.receipt(), bare.receipt_cid())
                    .unwrap();
            let digest = dossier
                .codec()
                .settlement_digest(&dossier.quote().terms_hash, &settlement);
            let signed = bare
                .with_signatures(story.scene.settlement_signatures(&[3], &digest))
                .unwrap();
            assert!(
                payday.signature_seen(dossier, &signed, now).is_none(),
                "one hostile signer"
            );
        }
        let mut complete = None;
        for validator in 0..3 {
            let good = story
                .scene
                .settlement_signatures(&[validator], &story.decided.digest);
            complete = payday.signature_seen(dossier, &story.decided.signed(good).unwrap(), now);
        }
        assert_eq!(
            complete.map(|r| r.receipt_cid()),
            Some(story.decided.receipt_cid)
        );
    }
}
