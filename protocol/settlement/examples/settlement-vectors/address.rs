//! Addresses of vaults and validator sets.

use d402_settlement::{Domain, SetHash, TermsHash, vault_address, vset_address};
use serde_json::{Value, json};

use crate::json::{dec, hex};
use crate::scene::{DOMAIN, validators};
use crate::terms::reference;

pub fn vectors() -> Value {
    let mut vaults = Vec::new();
    let mut sets = Vec::new();
    for domain in [DOMAIN, Domain::SIMULATED] {
        let mut hashes: Vec<TermsHash> = (0..16u8).map(|byte| TermsHash([byte; 32])).collect();
        hashes.push(reference().hash(&domain));
        for hash in hashes {
            let (address, bump) = vault_address(&hash, &domain.program).expect("an address");
            vaults.push(json!({
                "program": hex(domain.program),
                "termsHash": hex(hash),
                "address": hex(address),
                "bump": dec(bump),
            }));
        }
        let named = [validators(3, 4).0.hash(), SetHash([4; 32])];
        for hash in named {
            let (address, bump) = vset_address(&hash, &domain.program).expect("an address");
            sets.push(json!({
                "program": hex(domain.program),
                "setHash": hex(hash),
                "address": hex(address),
                "bump": dec(bump),
            }));
        }
    }
    json!({ "spec": "2.2 vault PDA, validator set PDA", "vaults": vaults, "validatorSets": sets })
}
