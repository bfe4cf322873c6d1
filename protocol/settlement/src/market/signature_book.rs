//! Settlement signatures as they arrive, from anybody and in any order.
//!
//! Invariants: every signature in it verifies; a signer has one receipt, its first, so there are never more
//! receipts than signers. An honest validator signs one receipt, so nobody can displace its signature: not a
//! stranger (nothing without a valid signature is kept), not a hostile validator (it only fills its own place).

use std::collections::BTreeMap;

use d402_objects::{Cid, IndexedSignature, SignedReceipt};

use super::release::check_some_signatures;
use crate::market::Dossier;

/// Valid settlement signatures of one task, joined by receipt.
#[derive(Clone, Debug, Default)]
pub struct SignatureBook {
    by_receipt: BTreeMap<Cid, SignedReceipt>,
    receipt_of: BTreeMap<u8, Cid>,
}

impl SignatureBook {
    /// Takes the valid signatures of a carrier and gives the receipt with all that are known, or `None` when
    /// none of its signers stands behind it. Whether they are enough is for
    /// [`check_signatures`](super::check_signatures).
    pub fn add(&mut self, dossier: &Dossier, carrier: &SignedReceipt) -> Option<&SignedReceipt> {
        let receipt = carrier.receipt_cid();
        let mut all: BTreeMap<u8, IndexedSignature> = self
            .by_receipt
            .get(&receipt)
            .map(|known| {
                known
                    .signatures()
                    .iter()
                    .map(|s| (s.set_index, s.clone()))
                    .collect()
            })
            .unwrap_or_default();
        for signature in carrier.signatures() {
            let free = !self.receipt_of.contains_key(&signature.set_index);
            if free && verifies(dossier, carrier, signature) {
                self.receipt_of.insert(signature.set_index, receipt);
                all.insert(signature.set_index, signature.clone());
            }
        }
        if all.is_empty() {
            return None;
        }
        let joined = carrier.with_signatures(all.into_values().collect()).ok()?;
        self.by_receipt.insert(receipt, joined);
        self.by_receipt.get(&receipt)
    }

    /// Receipts with at least one valid signature, by CID.
    pub fn receipts(&self) -> impl Iterator<Item = &SignedReceipt> {
        self.by_receipt.values()
    }
}

fn verifies(dossier: &Dossier, carrier: &SignedReceipt, signature: &IndexedSignature) -> bool {
    carrier
        .with_signatures(vec![signature.clone()])
        .is_ok_and(|alone| check_some_signatures(dossier, &alone).is_ok())
}
