//! What the validators said about each claim.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Inputs, Receipt};

/// One claim's verdicts; a validator that signed both ways counts for neither.
#[derive(Default)]
pub(super) struct Tally {
    accept: BTreeMap<u8, usize>,
    reject: BTreeMap<u8, usize>,
}

impl Tally {
    /// Receipts of a verdict by set index, at least m of them, or `None`.
    fn decided(&self, accept: bool, m: usize) -> Option<&BTreeMap<u8, usize>> {
        let side = if accept { &self.accept } else { &self.reject };
        (side.len() >= m).then_some(side)
    }
}

/// Verdicts of all claims.
pub(super) struct Verdicts {
    m: usize,
    by_claim: Vec<Tally>,
}

impl Verdicts {
    pub(super) fn new(inputs: &Inputs, m: u8, n: u8) -> Self {
        let mut by_claim: Vec<Tally> = inputs.claims.iter().map(|_| Tally::default()).collect();
        for (index, receipt) in inputs.receipts.iter().enumerate() {
            if receipt.validator >= n {
                continue;
            }
            if let Some(tally) = by_claim.get_mut(receipt.claim) {
                let side = if receipt.accept {
                    &mut tally.accept
                } else {
                    &mut tally.reject
                };
                keep_smallest(side, inputs, receipt, index);
            }
        }
        for tally in &mut by_claim {
            let both: BTreeSet<u8> = tally
                .accept
                .keys()
                .filter(|v| tally.reject.contains_key(v))
                .copied()
                .collect();
            tally.accept.retain(|v, _| !both.contains(v));
            tally.reject.retain(|v, _| !both.contains(v));
        }
        Self {
            m: usize::from(m),
            by_claim,
        }
    }

    /// Whether m validators accepted the claim.
    pub(super) fn accepted(&self, claim: usize) -> bool {
        self.by_claim
            .get(claim)
            .is_some_and(|t| t.decided(true, self.m).is_some())
    }

    /// Whether m validators rejected the claim.
    pub(super) fn rejected(&self, claim: usize) -> bool {
        self.by_claim
            .get(claim)
            .is_some_and(|t| t.decided(false, self.m).is_some())
    }

    /// The m lowest set indexes behind the verdict m validators reached on a claim: `(set index, receipt)`.
    pub(super) fn behind(&self, claim: usize) -> Vec<(u8, usize)> {
        let Some(tally) = self.by_claim.get(claim) else {
            return Vec::new();
        };
        tally
            .decided(true, self.m)
            .or_else(|| tally.decided(false, self.m))
            .map(|side| side.iter().take(self.m).map(|(v, r)| (*v, *r)).collect())
            .unwrap_or_default()
    }
}

/// Of two receipts with one verdict by one validator the one with the smaller CID stands, so that the
/// answer does not depend on order.
fn keep_smallest(side: &mut BTreeMap<u8, usize>, inputs: &Inputs, receipt: &Receipt, index: usize) {
    let current = side
        .get(&receipt.validator)
        .and_then(|i| inputs.receipts.get(*i));
    if current.is_none_or(|c| receipt.cid < c.cid) {
        side.insert(receipt.validator, index);
    }
}
