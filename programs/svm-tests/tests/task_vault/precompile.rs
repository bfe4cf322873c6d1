//! Forged Ed25519 instructions, each refused (#43).

use d402_settlement::Codec;
use d402_settlement::evm::{EvmAccount, EvmDomain};
use ed25519_dalek::SigningKey;
use solana_instruction::Instruction;
use solana_signer::Signer;
use svm_tests::program::{self, ED25519, ed25519};
use svm_tests::scene::*;

/// A funded vault, the right settle instruction, and a change of the Ed25519 data.
fn forged(change: impl FnOnce(&mut Vec<u8>)) -> (Scene, [Instruction; 2]) {
    let scene = Scene::funded(10_000);
    let mut signed = scene.signed(&usual(), &[0, 1, 2]);
    change(&mut signed.data);
    let settle = scene.settle_instruction(&usual(), false);
    (scene, [signed, settle])
}

fn put(data: &mut [u8], at: usize, word: u16) {
    data[at..at + 2].copy_from_slice(&word.to_le_bytes());
}

const K: usize = 3;
const MESSAGE_AT: usize = 2 + 110 * K;

#[test]
fn threat_43_the_canonical_instruction_is_accepted() {
    let (mut scene, instructions) = forged(|_| {});
    accepted(scene.chain.send(&instructions, &[&payer()]));
}

#[test]
fn threat_43_no_ed25519_instruction_before_is_refused() {
    let mut scene = Scene::funded(10_000);
    let settle = scene.settle_instruction(&usual(), false);
    refused(scene.send(settle.clone()), "NoPrecompile");
    // There is one, but not directly before.
    let signed = scene.signed(&usual(), &[0, 1, 2]);
    let [limit, _] = program::compute_budget(300_000);
    let late = [signed.clone(), limit.clone(), settle.clone()];
    refused(scene.chain.send(&late, &[&payer()]), "NoPrecompile");
    let after = [limit, settle, signed];
    refused(scene.chain.send(&after, &[&payer()]), "NoPrecompile");
}

#[test]
fn threat_43_an_instruction_of_another_program_is_no_signature() {
    let (mut scene, mut instructions) = forged(|_| {});
    // Whatever stands there, only the Ed25519 program has checked a signature.
    instructions[0] = Instruction {
        program_id: program::COMPUTE_BUDGET,
        accounts: Vec::new(),
        data: program::compute_budget(300_000)[0].data.clone(),
    };
    refused(scene.chain.send(&instructions, &[&payer()]), "NoPrecompile");
}

#[test]
fn threat_43_padding_and_counts_must_be_exact() {
    for change in [
        (|data: &mut Vec<u8>| data[1] = 1) as fn(&mut Vec<u8>),
        |data| data.push(0),
        |data| data.extend([0; 110]),
        // One signature less is counted than is there.
        |data| data[0] = 2,
    ] {
        let (mut scene, instructions) = forged(change);
        let result = scene.chain.send(&instructions, &[&payer()]);
        refused(result, "PrecompileLayout");
    }
    // None counted: the runtime accepts an empty one.
    let (mut scene, instructions) = forged(|data| {
        data.clear();
        data.extend([0, 0]);
    });
    refused(
        scene.chain.send(&instructions, &[&payer()]),
        "PrecompileLayout",
    );
}

#[test]
fn threat_43_each_instruction_index_must_say_this_one() {
    // Index 0 is the Ed25519 instruction itself: the runtime reads the same bytes and is content.
    for word in [1, 3, 6] {
        for signature in 0..K {
            let (mut scene, instructions) =
                forged(|data| put(data, 2 + 14 * signature + 2 * word, 0));
            let result = scene.chain.send(&instructions, &[&payer()]);
            refused(result, "PrecompileLayout");
        }
    }
}

#[test]
fn threat_43_offsets_that_point_elsewhere_are_refused() {
    // All three entries check the first key and signature: one signature counted three times.
    let (mut scene, instructions) = forged(|data| {
        for entry in 1..K {
            let (head, tail) = data.split_at_mut(2 + 14 * entry);
            tail[..14].copy_from_slice(&head[2..16]);
        }
    });
    let result = scene.chain.send(&instructions, &[&payer()]);
    refused(result, "PrecompileLayout");

    // Keys and signatures of the set lie where they are expected, but what is checked is an attacker's
    // own key over an attacker's message, appended.
    let attacker = SigningKey::from_bytes(&[66; 32]);
    let (mut scene, instructions) = forged(|data| {
        let own = ed25519(&[&attacker], &[5; 32]);
        let at = u16::try_from(data.len()).unwrap();
        data.extend(&own.data[16..]);
        for entry in 0..K {
            put(data, 2 + 14 * entry, at + 32);
            put(data, 2 + 14 * entry + 4, at);
            put(data, 2 + 14 * entry + 8, at + 96);
        }
        for byte in &mut data[44..MESSAGE_AT] {
            *byte ^= 1;
        }
    });
    let result = scene.chain.send(&instructions, &[&payer()]);
    refused(result, "PrecompileLayout");
}

#[test]
fn threat_43_a_message_of_another_length_is_refused() {
    // A validator signed 31 bytes; the 32nd is free for the attacker.
    let scene = Scene::funded(10_000);
    let digest = scene.digest(&usual());
    let keys: Vec<&SigningKey> = scene.keys[..K].iter().collect();
    let mut signed = ed25519(&keys, &digest);
    for (entry, key) in keys.iter().enumerate() {
        use ed25519_dalek::Signer as _;
        let signature = key.sign(&digest[..31]).to_bytes();
        let at = 2 + 14 * K + 96 * entry + 32;
        signed.data[at..at + 64].copy_from_slice(&signature);
        put(&mut signed.data, 2 + 14 * entry + 10, 31);
    }
    let mut scene = scene;
    let settle = scene.settle_instruction(&usual(), false);
    let result = scene.chain.send(&[signed, settle], &[&payer()]);
    refused(result, "PrecompileLayout");
}

#[test]
fn m7a_a_signature_over_anything_else_settles_nothing() {
    let scene = Scene::funded(10_000);
    let keys: Vec<&SigningKey> = scene.keys[..K].iter().collect();
    let mut other_terms = scene.terms;
    other_terms.salt = [1; 32];
    let other = Scene {
        terms: other_terms,
        ..scene.clone()
    };
    let mut program = DOMAIN;
    program.program.0[0] ^= 1;
    let mut genesis = DOMAIN;
    genesis.genesis[0] ^= 1;
    let in_domain =
        |domain| d402_settlement::settlement_digest(&domain, &scene.terms.hash(&domain), &usual());
    let mut receipt = usual();
    receipt.receipt_cid.0[31] ^= 1;
    for message in [
        other.digest(&usual()),
        in_domain(program),
        in_domain(genesis),
        scene.digest(&receipt),
        [0; 32],
    ] {
        let mut scene = scene.clone();
        let settle = scene.settle_instruction(&usual(), false);
        let result = scene
            .chain
            .send(&[ed25519(&keys, &message), settle], &[&payer()]);
        refused(result, "WrongDigest");
    }
}

/// One decision, two chains: what validators sign for Base is nothing here, neither its digest as a message nor a
/// wallet's signature as one of Ed25519. The other way round: `contracts/test/unit/Threats.t.sol`.
#[test]
fn m7a_the_digest_and_the_signatures_of_the_same_decision_on_base_settle_nothing() {
    let scene = Scene::funded(10_000);
    let keys: Vec<&SigningKey> = scene.keys[..K].iter().collect();
    let base = Codec::Evm(EvmDomain {
        chain_id: 84_532,
        ledger: EvmAccount([0xAF; 20]),
    });
    let foreign = base.settlement_digest(&scene.terms.hash(&DOMAIN), &usual());
    let own = scene.digest(&usual());
    assert_ne!(foreign, own);
    let settle = scene.settle_instruction(&usual(), false);
    let mut signed_for_base = scene.clone();
    let result = signed_for_base
        .chain
        .send(&[ed25519(&keys, &foreign), settle.clone()], &[&payer()]);
    refused(result, "WrongDigest");
    // r and s of a wallet, where the precompile expects R and s of the curve.
    let vectors = include_str!("../../../../protocol/vectors/settlement-base.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let approval = &vectors["approvals"][0]["signatures"][0]["signature"];
    let text = approval.as_str().unwrap().trim_start_matches("0x");
    let wallet: Vec<u8> = (0..64)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let mut signed = ed25519(&keys, &own);
    let at = 2 + 14 * K + 32;
    signed.data[at..at + 64].copy_from_slice(&wallet);
    let mut signed_by_wallet = scene.clone();
    let result = signed_by_wallet
        .chain
        .send(&[signed, settle.clone()], &[&payer()]);
    assert!(result.is_err());
    // The same two instructions with the validators' own signatures over the own digest are what is asked for.
    let mut as_asked = scene.clone();
    let result = as_asked
        .chain
        .send(&[ed25519(&keys, &own), settle], &[&payer()]);
    accepted(result);
}

#[test]
fn m2a_duplicate_unordered_and_foreign_signers_are_refused() {
    let scene = Scene::funded(10_000);
    for (signers, expected) in [
        (vec![0, 0, 1], "SignersNotAscending"),
        (vec![1, 0, 2], "SignersNotAscending"),
        (vec![2, 1, 0], "SignersNotAscending"),
        (vec![0, 1], "NotEnoughSignatures"),
        (vec![4], "NotEnoughSignatures"),
    ] {
        let mut scene = scene.clone();
        refused(scene.settle_by(&usual(), &signers), expected);
    }
    let mut scene = scene;
    let stranger = SigningKey::from_bytes(&[66; 32]);
    let keys = [&scene.keys[0], &scene.keys[1], &scene.keys[2], &stranger];
    let signed = ed25519(&keys, &scene.digest(&usual()));
    let settle = scene.settle_instruction(&usual(), false);
    let result = scene.chain.send(&[signed, settle], &[&payer()]);
    refused(result, "UnknownSigner");
    let six = ed25519(
        &[0, 1, 2, 3, 4, 4].map(|i: usize| &scene.keys[i]),
        &scene.digest(&usual()),
    );
    let settle = scene.settle_instruction(&usual(), false);
    let result = scene.chain.send(&[six, settle], &[&payer()]);
    refused(result, "TooManySignatures");
    // All five, more than needed, are welcome.
    accepted(scene.settle_by(&usual(), &[0, 1, 2, 3, 4]));
}

#[test]
fn a_signature_that_does_not_verify_fails_the_transaction() {
    let (mut scene, instructions) = forged(|data| data[2 + 14 * K + 40] ^= 1);
    let result = scene.chain.send(&instructions, &[&payer()]);
    failed(result);
    assert_eq!(instructions[0].program_id, ED25519);
    assert_eq!(scene.balance_of(&worker(0).pubkey()), 0);
}

#[test]
fn threat_43_settle_and_approve_work_at_the_top_level_only() {
    // Inside another program's call "the instruction before this one" is before that program's.
    let scene = Scene::funded(10_000);
    let digest = scene.digest(&usual());
    for call in [
        scene.settle_instruction(&usual(), false),
        program::approve(&scene.place(), payer().pubkey(), &digest),
    ] {
        let mut scene = scene.clone();
        scene.chain.load_relay();
        let signed = scene.signed(&usual(), &[0, 1, 2]);
        let instructions = [signed, program::relayed(call)];
        let result = scene.chain.send(&instructions, &[&payer()]);
        refused(result, "NotTopLevel");
    }
}

#[test]
fn a_relayed_instruction_that_needs_no_precompile_works() {
    // Otherwise the test above could pass because the relay is broken.
    let mut scene = Scene::funded(10_000);
    scene.chain.load_relay();
    scene.chain.at(REFUND_AFTER);
    let to = scene.tokens_of(&buyer().pubkey());
    let sweep = program::sweep(&scene.place(), payer().pubkey(), to);
    accepted(scene.send(program::relayed(sweep)));
    assert_eq!(scene.balance_of(&buyer().pubkey()), 1_000_000_000);
}
