//! Rows of a decided outcome (spec §5.7 end, §2.4).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::judge::Verdicts;
use super::{Derived, Inputs, Rules};
use crate::{Key32, Role, Row, Units};

pub(super) fn paid(
    rules: &Rules<'_>,
    inputs: &Inputs,
    verdicts: &Verdicts,
    winners: Vec<usize>,
) -> Derived {
    let (receipts, judges) = behind(inputs, verdicts, &winners);
    let mut rows: BTreeMap<Key32, (Role, Units)> = BTreeMap::new();
    for claim in &winners {
        let lease = inputs
            .claims
            .get(*claim)
            .and_then(|c| inputs.leases.get(c.lease));
        if let Some(lease) = lease {
            add(&mut rows, lease.payee, Role::Worker, lease.price);
        }
    }
    add_fees(rules, &judges, &mut rows);
    Derived::Paid {
        winners,
        receipts,
        rows: into_rows(rows),
    }
}

pub(super) fn rejected(rules: &Rules<'_>, inputs: &Inputs, verdicts: &Verdicts) -> Derived {
    let judged: Vec<usize> = (0..inputs.claims.len())
        .filter(|c| !verdicts.behind(*c).is_empty())
        .collect();
    let (receipts, judges) = behind(inputs, verdicts, &judged);
    let mut rows = BTreeMap::new();
    add_fees(rules, &judges, &mut rows);
    Derived::Rejected {
        judged,
        receipts,
        rows: into_rows(rows),
    }
}

/// The m lowest set indexes behind each claim's verdict: receipts sorted by CID, and who signed them.
fn behind(inputs: &Inputs, verdicts: &Verdicts, claims: &[usize]) -> (Vec<usize>, BTreeSet<u8>) {
    let mut judges = BTreeSet::new();
    let mut receipts = BTreeSet::new();
    for claim in claims {
        for (validator, receipt) in verdicts.behind(*claim) {
            judges.insert(validator);
            if let Some(r) = inputs.receipts.get(receipt) {
                receipts.insert((r.cid, receipt));
            }
        }
    }
    (
        receipts.into_iter().map(|(_, index)| index).collect(),
        judges,
    )
}

/// One row per validator at its offered fee; over the cap the highest index goes first.
fn add_fees(rules: &Rules<'_>, judges: &BTreeSet<u8>, rows: &mut BTreeMap<Key32, (Role, Units)>) {
    let mut left = rules.validator_fee_cap;
    for validator in judges {
        let Some(terms) = rules.validators.get(usize::from(*validator)) else {
            continue;
        };
        match left.checked_sub(terms.fee) {
            Some(rest) => left = rest,
            // The cap is reached: this one and every higher index get nothing.
            None => return,
        }
        if terms.fee != Units::ZERO {
            add(rows, terms.payee, Role::Validator, terms.fee);
        }
    }
}

/// Adds to a payee's row. A payee is one role: dossier and lease checks refuse a wallet named twice
/// (threat #58), and should one slip through, the worker's row stands and the fee is dropped.
fn add(rows: &mut BTreeMap<Key32, (Role, Units)>, payee: Key32, role: Role, amount: Units) {
    match rows.get_mut(&payee) {
        None => {
            rows.insert(payee, (role, amount));
        }
        Some((known, sum)) if *known == role => {
            if let Some(total) = sum.checked_add(amount) {
                *sum = total;
            }
        }
        Some(_) => {}
    }
}

fn into_rows(rows: BTreeMap<Key32, (Role, Units)>) -> Vec<Row> {
    rows.into_iter()
        .map(|(payee, (role, amount))| Row {
            payee,
            role,
            amount,
        })
        .collect()
}
