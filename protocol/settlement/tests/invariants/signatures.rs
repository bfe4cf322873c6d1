//! M7: a signature is good for one message, one program, one cluster, one vault, one set, and nothing
//! else; and every verifier agrees on what a signature is.

use d402_settlement::ledger::{Refusal, VaultSite};
use d402_settlement::{
    ApprovalFault, Approvals, Domain, Key32, ReceiptCid, StrictEd25519, Terms, ValidatorSet,
    Verifier, settlement_digest,
};
use ed25519_dalek::Signer;

use crate::scene::*;

#[test]
fn m7a_a_receipt_of_another_program_cluster_task_or_term_is_refused() {
    let receipt = paid(&[worker(WORKER, 5_000)]);
    let target = Scene::new(2, 3);
    let site = target.state.site;
    let other_program = Domain {
        program: key(0xA2),
        ..DOMAIN
    };
    let other_genesis = Domain {
        genesis: [0xEF; 32],
        ..DOMAIN
    };
    let hash = target.terms.hash(&DOMAIN);
    let mut foreign = vec![
        settlement_digest(&other_program, &hash, &receipt),
        settlement_digest(&DOMAIN, &target.terms.hash(&other_program), &receipt),
        settlement_digest(&DOMAIN, &target.terms.hash(&other_genesis), &receipt),
        settlement_digest(
            &Domain::SIMULATED,
            &target.terms.hash(&Domain::SIMULATED),
            &receipt,
        ),
    ];
    // Every single byte of the terms is under the signature: set, task, salt, rates, times, all of it.
    for byte in 0..304 {
        let mut bytes = target.terms.encode();
        bytes[byte] ^= 1;
        let hash = Terms::decode(&bytes).hash(&DOMAIN);
        foreign.push(settlement_digest(&DOMAIN, &hash, &receipt));
    }
    for digest in foreign {
        let mut scene = Scene::funded(2, 3, 10_000);
        let signatures = sign(&scene.keys, digest, &[0, 1]);
        let approvals = Approvals::check(&scene.set, digest, &signatures, &StrictEd25519).unwrap();
        let outcome = scene.settle_with(&receipt, &approvals, ISSUED + 30);
        assert_eq!(outcome, Err(Refusal::WrongDigest));
        // Nor do those signatures pass as signatures over the right digest.
        let right = settlement_digest(&DOMAIN, &site.terms_hash, &receipt);
        let outcome = Approvals::check(&scene.set, right, &signatures, &StrictEd25519);
        assert_eq!(outcome, Err(ApprovalFault::BadSignature { index: 0 }));
    }
}

#[test]
fn m7a_every_part_of_a_receipt_is_under_the_signature() {
    let scene = Scene::new(2, 3);
    let base = paid(&[worker(WORKER, 5_000), judge(JUDGE, 300)]);
    let mut variants = vec![base, rejected(&[worker(WORKER, 5_000), judge(JUDGE, 300)])];
    variants.push(d402_settlement::Settlement {
        receipt_cid: ReceiptCid([8; 32]),
        ..base
    });
    for rows in [
        vec![worker(WORKER, 5_001), judge(JUDGE, 300)],
        vec![worker(WORKER, 5_000), judge(JUDGE, 299)],
        vec![worker(WORKER, 5_000), worker(JUDGE, 300)],
        vec![worker(WORKER_2, 5_000), judge(JUDGE, 300)],
        vec![worker(WORKER, 5_000)],
        vec![
            worker(WORKER, 5_000),
            judge(JUDGE, 300),
            judge(key(0x21), 1),
        ],
    ] {
        variants.push(paid(&rows));
    }
    let digests: std::collections::BTreeSet<_> = variants
        .iter()
        .map(|receipt| scene.digest(receipt))
        .collect();
    assert_eq!(digests.len(), variants.len(), "two receipts share a digest");
}

#[test]
fn m7a_the_set_hash_names_threshold_size_and_members() {
    let keys: Vec<Key32> = (1..=4).map(key).collect();
    let hash = |m, keys: &[Key32]| ValidatorSet::new(m, keys).unwrap().hash();
    let all = [
        hash(3, &keys),
        hash(4, &keys),
        hash(3, &keys[..3]),
        hash(3, &keys[1..]),
    ];
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), 4);
}

#[test]
fn m7a_the_vault_address_depends_on_terms_cluster_and_program() {
    let scene = Scene::new(2, 3);
    let elsewhere = [
        Domain {
            program: key(0xA2),
            ..DOMAIN
        },
        Domain {
            genesis: [0xEF; 32],
            ..DOMAIN
        },
        Domain::SIMULATED,
    ];
    for domain in elsewhere {
        let site = VaultSite::of(&domain, &scene.terms).unwrap();
        assert_ne!(site.vault, scene.state.site.vault);
    }
    let other = Terms {
        salt: [9; 32],
        ..scene.terms
    };
    assert_ne!(
        VaultSite::of(&DOMAIN, &other).unwrap().vault,
        scene.state.site.vault
    );
}

#[test]
fn m7b_an_envelope_signature_is_never_a_settlement_signature() {
    // The pre-image of an envelope starts with 0xFF and is longer than 32 bytes; a settlement message
    // is exactly 32 bytes, which the type of `Verifier::verify` says.
    let scene = Scene::new(1, 1);
    let field = |text: &[u8]| {
        let len = u16::try_from(text.len()).unwrap().to_le_bytes();
        [len.as_slice(), text].concat()
    };
    let digest = scene.digest(&paid(&[worker(WORKER, 1)]));
    let preimage = [
        b"\xffd402env\x01".to_vec(),
        field(b""),
        vec![1, 0],
        field(b""),
        field(b""),
        digest.to_vec(),
    ]
    .concat();
    assert!(
        preimage.len() > 32,
        "the shortest envelope pre-image is {}",
        preimage.len()
    );
    let signature = scene.keys[0].sign(&preimage).to_bytes();
    let hashed = d402_settlement::Key32(digest);
    for message in [
        digest,
        *hashed.as_bytes(),
        preimage[..32].try_into().unwrap(),
    ] {
        let outcome = Approvals::check(&scene.set, message, &[(0, signature)], &StrictEd25519);
        assert_eq!(outcome, Err(ApprovalFault::BadSignature { index: 0 }));
    }
}

#[test]
fn m7c_the_classes_on_which_libraries_disagree_are_refused() {
    let cases = crate::ed25519_cases::cases();
    assert!(cases.len() >= 9);
    for case in cases {
        let verdict = StrictEd25519.verify(&case.key, &case.message, &case.signature);
        assert_eq!(verdict, case.valid, "{}", case.name);
    }
}

#[test]
fn threat_26_the_small_order_key_that_plain_verify_accepts_is_refused() {
    use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
    let cases = crate::ed25519_cases::cases();
    let lenient: Vec<&str> = cases
        .iter()
        .filter(|case| !case.valid)
        .filter(|case| {
            VerifyingKey::from_bytes(case.key.as_bytes()).is_ok_and(|key| {
                key.verify(&case.message, &Signature::from_bytes(&case.signature))
                    .is_ok()
            })
        })
        .map(|case| case.name)
        .collect();
    assert!(
        lenient.contains(&"small-order key, identity R, S = 0"),
        "{lenient:?}"
    );
    assert!(
        lenient.contains(&"honest key, identity R, S = k a"),
        "{lenient:?}"
    );
}
