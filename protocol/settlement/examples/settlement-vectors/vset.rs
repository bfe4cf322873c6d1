//! Validator sets: hashes of valid ones, faults of the others, and how many must sign when.

use d402_settlement::{Key32, ValidatorSet, need};
use serde_json::{Value, json};

use crate::json::{dec, fault, hex};
use crate::scene::{REFUND_AFTER, SETTLE_BY, at, base_terms, key, validators};

fn keys(count: u8) -> Vec<Key32> {
    (1..=count).map(key).collect()
}

fn set(m: u8, keys: &[Key32]) -> Value {
    let members: Value = keys.iter().map(hex).collect();
    match ValidatorSet::new(m, keys) {
        Ok(set) => json!({ "m": dec(m), "keys": members, "setHash": hex(set.hash()) }),
        Err(refused) => json!({ "m": dec(m), "keys": members, "fault": fault(&refused) }),
    }
}

pub fn vectors() -> Value {
    let mut sets = Vec::new();
    for n in 0..=17u8 {
        for m in [0, n / 2, n / 2 + 1, n, n + 1] {
            sets.push(set(m, &keys(n)));
        }
    }
    sets.push(set(2, &[key(2), key(1)]));
    sets.push(set(2, &[key(1), key(1)]));
    sets.push(set(2, &[Key32::ZERO, key(1)]));
    sets.push(set(255, &keys(3)));
    for (m, n) in [(1, 1), (3, 4), (5, 7)] {
        sets.push(set(m, validators(m, n).0.keys()));
    }
    let mut needs = Vec::new();
    for (m, n) in [(1u8, 1u8), (2, 3), (3, 4), (5, 5), (16, 16)] {
        let members = ValidatorSet::new(m, &keys(n)).expect("a valid set");
        let mut terms = base_terms(members.hash());
        for silence in [0, 1] {
            terms.on_silence = silence;
            for now in [SETTLE_BY - 1, SETTLE_BY, REFUND_AFTER - 1] {
                needs.push(json!({
                    "m": dec(m),
                    "n": dec(n),
                    "onSilence": dec(silence),
                    "settleBy": dec(SETTLE_BY),
                    "now": dec(now),
                    "need": dec(need(&terms, &members, at(now))),
                }));
            }
        }
    }
    json!({ "spec": "2.2 validator set, 4", "tag": "d402/vset/ed25519/v1", "sets": sets, "needs": needs })
}
