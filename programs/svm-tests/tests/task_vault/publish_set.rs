//! `publish_set`.

use solana_signer::Signer;
use svm_tests::program::{self, SYSTEM, publish_keys, set_address};
use svm_tests::scene::*;

#[test]
fn a_set_is_stored_as_the_spec_says_and_can_be_published_again() {
    let mut scene = Scene::new();
    scene.publish();
    let address = set_address(&scene.set);
    let data = scene.chain.data(&address);
    assert_eq!(data.len(), 12 + 5 * 32);
    assert_eq!((data[8], data[10], data[11]), (1, 3, 5), "version, m, n");
    for (i, key) in scene.set.keys().iter().enumerate() {
        assert_eq!(&data[12 + 32 * i..][..32], key.as_bytes());
    }

    let again = program::publish_set(buyer().pubkey(), &scene.set);
    let done = accepted(scene.chain.send(&[again], &[&buyer()]));
    assert!(done.events.is_empty(), "nothing changed, so no event");
    assert_eq!(scene.chain.data(&address), data);
}

#[test]
fn threat_06_and_07_no_set_that_needs_nothing_or_lets_two_quorums_disagree_is_published() {
    let mut scene = Scene::new();
    let keys: Vec<[u8; 32]> = scene.set.keys().iter().map(|key| key.0).collect();
    let account = set_address(&scene.set);
    let zero = {
        let mut keys = keys.clone();
        keys[0] = [0; 32];
        keys
    };
    let twice = vec![keys[0], keys[0], keys[1]];
    let unordered = vec![keys[1], keys[0], keys[2]];
    let many: Vec<[u8; 32]> = (1..=17).map(|i| [i; 32]).collect();
    for (m, keys, expected) in [
        (0, keys.clone(), "SetThreshold"),
        (2, keys.clone(), "SetThreshold"),
        (6, keys.clone(), "SetThreshold"),
        (3, zero, "SetZeroKey"),
        (2, twice, "SetNotAscending"),
        (2, unordered, "SetNotAscending"),
        (1, Vec::new(), "SetSize"),
        (9, many, "SetSize"),
    ] {
        let instruction = publish_keys(payer().pubkey(), m, &keys, account);
        refused(scene.send(instruction), expected);
    }
}

#[test]
fn a_set_at_any_other_address_is_refused() {
    let mut scene = Scene::new();
    let (other, _) = validators(4, 5);
    let keys: Vec<[u8; 32]> = scene.set.keys().iter().map(|key| key.0).collect();
    let instruction = publish_keys(payer().pubkey(), 3, &keys, set_address(&other));
    refused(scene.send(instruction), "SetWrongAddress");
}

#[test]
fn threat_72_lamports_at_the_address_of_a_set_do_not_block_it() {
    let mut scene = Scene::new();
    let address = set_address(&scene.set);
    scene.chain.set(address, SYSTEM, 1, Vec::new());
    scene.publish();
    let account = scene.chain.account(&address).unwrap();
    assert_eq!(account.owner, program::ID);
    let needed = scene.chain.svm.minimum_balance_for_rent_exemption(172);
    assert_eq!(account.lamports, needed);
}
