//! Validator sets of Base: hashes of valid ones, faults of the others.

use d402_settlement::evm::{EvmAccount, EvmSigners, SET_TYPE, SignerKind};
use serde_json::{Value, json};

use super::hex0x;
use crate::base_scene::{account, validators};
use crate::json::{dec, fault};

fn members(count: u8, contracts: u16) -> Vec<(EvmAccount, SignerKind)> {
    (1..=count)
        .map(|i| {
            let kind = u8::from(contracts >> (i - 1) & 1 == 1);
            (account(i), SignerKind::from_u8(kind).unwrap())
        })
        .collect()
}

fn set(m: u8, members: &[(EvmAccount, SignerKind)]) -> Value {
    let listed: Value = members
        .iter()
        .map(|(account, kind)| json!({ "key": account.to_string(), "kind": dec(kind.as_u8()) }))
        .collect();
    match EvmSigners::new(m, members) {
        Ok(set) => json!({ "m": dec(m), "members": listed, "setHash": hex0x(set.hash()) }),
        Err(refused) => json!({ "m": dec(m), "members": listed, "fault": fault(&refused) }),
    }
}

pub(super) fn vectors() -> Value {
    let mut sets = Vec::new();
    for n in 0..=17u8 {
        for m in [0, n / 2, n / 2 + 1, n] {
            sets.push(set(m, &members(n.min(16), 0)));
            if n == 17 {
                let mut many = members(16, 0);
                many.push((account(17), SignerKind::Ecdsa));
                sets.push(set(m, &many));
            }
        }
    }
    // The kind of every member is part of the name (#51).
    for contracts in 0..16u16 {
        sets.push(set(3, &members(4, contracts)));
    }
    let twice = [
        (account(1), SignerKind::Ecdsa),
        (account(1), SignerKind::Contract),
    ];
    let mut descending = members(2, 0);
    descending.reverse();
    sets.push(set(2, &twice));
    sets.push(set(2, &descending));
    sets.push(set(
        2,
        &[
            (EvmAccount::ZERO, SignerKind::Ecdsa),
            (account(1), SignerKind::Ecdsa),
        ],
    ));
    sets.push(set(255, &members(3, 0)));
    for (m, n) in [(1, 1), (3, 4), (5, 7)] {
        let keys = validators(m, n, 0).0;
        let ecdsa: Vec<_> = keys
            .set()
            .keys()
            .iter()
            .map(|key| (EvmAccount::from_key(key).unwrap(), SignerKind::Ecdsa))
            .collect();
        sets.push(set(m, &ecdsa));
    }
    json!({ "spec": "2.3 validator set", "type": SET_TYPE, "sets": sets })
}
