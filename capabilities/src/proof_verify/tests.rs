#![allow(
    clippy::arithmetic_side_effects,
    reason = "scalars of a field do not overflow"
)]

use ed25519_dalek::{Signer as _, SigningKey};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::capability::{NoNetwork, Reason, RefusalCode, Verdict};
use crate::workbench::{claim_of, judge_on, reasons, run, with_output};

const ID: &str = "proof.verify@1";

/// `valid`, or the reason.
fn outcome(input: &Value) -> String {
    let output = run(ID, input).unwrap().execution.output;
    match output["valid"].as_bool().unwrap() {
        true => "valid".to_owned(),
        false => output["reason"].as_str().unwrap().to_owned(),
    }
}

fn ed25519(public_key: &str, signature: &str, message: &str) -> Value {
    json!({"kind": "ed25519", "publicKey": public_key, "signature": signature, "message": message})
}

// RFC 8032 §7.1, tests 1 and 3.
const RFC_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const RFC_SIGNATURE: &str = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";

#[test]
fn signatures_of_rfc_8032_are_valid() {
    assert_eq!(outcome(&ed25519(RFC_KEY, RFC_SIGNATURE, "")), "valid");
    assert_eq!(
        outcome(&ed25519(
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            "af82",
        )),
        "valid"
    );
    assert_eq!(
        outcome(&ed25519(RFC_KEY, RFC_SIGNATURE, "00")),
        "signatureMismatch"
    );
}

#[test]
fn ed25519_classes_that_libraries_disagree_on_are_refused() {
    let zeros = "0".repeat(64);
    let identity = format!("01{}", "0".repeat(62));
    // Small-order key and commitment with s = 0: valid for every message under cofactored rules.
    assert_eq!(
        outcome(&ed25519(&identity, &format!("{identity}{zeros}"), "00")),
        "weakKey"
    );
    for small_order in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ] {
        assert_eq!(
            outcome(&ed25519(small_order, &format!("{identity}{zeros}"), "00")),
            "weakKey",
            "{small_order}"
        );
        assert_eq!(
            outcome(&ed25519(RFC_KEY, &format!("{small_order}{zeros}"), "00")),
            "weakSignature",
            "{small_order}"
        );
    }
    // y = p + 1 is the identity in other bytes; y = p + 3 is a point of large order in other bytes.
    let non_canonical = "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
    assert_eq!(
        outcome(&ed25519(non_canonical, &format!("{identity}{zeros}"), "00")),
        "nonCanonicalKey"
    );
    assert_eq!(
        outcome(&ed25519(
            "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            RFC_SIGNATURE,
            ""
        )),
        "nonCanonicalKey"
    );
    assert_eq!(
        outcome(&ed25519(RFC_KEY, &format!("{non_canonical}{zeros}"), "00")),
        "weakSignature"
    );
    // s + order signs the same message under lax rules.
    let (commitment, s) = RFC_SIGNATURE.split_at(64);
    let malleable = hex::encode(add_order(&hex::decode(s).unwrap()));
    assert_eq!(
        outcome(&ed25519(RFC_KEY, &format!("{commitment}{malleable}"), "")),
        "malformedSignature"
    );
    // No point has this y coordinate.
    let no_point = format!("02{}", "0".repeat(62));
    assert_eq!(
        outcome(&ed25519(&no_point, RFC_SIGNATURE, "")),
        "malformedKey"
    );
}

/// Little-endian `scalar + order`.
fn add_order(scalar: &[u8]) -> Vec<u8> {
    let order =
        hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0_u16;
    scalar
        .iter()
        .zip(order)
        .map(|(left, right)| {
            let sum = u16::from(*left)
                .wrapping_add(u16::from(right))
                .wrapping_add(carry);
            carry = sum >> 8;
            u8::try_from(sum & 0xff).unwrap()
        })
        .collect()
}

// Key of the secret 1: the generator. Signatures are made here, the key is public knowledge.
fn secp256k1(hash: &str, message: &[u8], high_s: bool) -> Value {
    use k256::ecdsa::signature::hazmat::PrehashSigner as _;
    let mut secret = [0; 32];
    secret[31] = 1;
    let key = k256::ecdsa::SigningKey::from_slice(&secret).unwrap();
    let digest: [u8; 32] = match hash {
        "sha256" => Sha256::digest(message).into(),
        _ => sha3::Keccak256::digest(message).into(),
    };
    let signature: k256::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
    let signature = signature.normalize_s();
    let signature = if high_s {
        k256::ecdsa::Signature::from_scalars(signature.r(), -*signature.s()).unwrap()
    } else {
        signature
    };
    json!({
        "kind": "secp256k1", "hash": hash, "message": hex::encode(message), "signature": hex::encode(signature.to_bytes()),
        "publicKey": "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    })
}

#[test]
fn secp256k1_signatures_are_low_s_over_the_declared_hash() {
    for hash in ["sha256", "keccak256"] {
        let good = secp256k1(hash, b"a message", false);
        assert_eq!(outcome(&good), "valid");
        assert_eq!(outcome(&secp256k1(hash, b"a message", true)), "highS");
        let mut other = good.clone();
        other["hash"] = json!(if hash == "sha256" {
            "keccak256"
        } else {
            "sha256"
        });
        assert_eq!(outcome(&other), "signatureMismatch");
        let mut other = good.clone();
        other["message"] = json!("00");
        assert_eq!(outcome(&other), "signatureMismatch");
        let mut uncompressed = good.clone();
        uncompressed["publicKey"] = json!(
            "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
        );
        assert_eq!(outcome(&uncompressed), "valid");
        let mut zero = good.clone();
        zero["signature"] = json!("0".repeat(128));
        assert_eq!(outcome(&zero), "malformedSignature");
        let mut no_key = good;
        no_key["publicKey"] = json!(format!("02{}", "f".repeat(64)));
        assert_eq!(outcome(&no_key), "malformedKey");
    }
}

fn hash(parts: &[&[u8]]) -> Vec<u8> {
    Sha256::digest(parts.concat()).to_vec()
}

/// RFC 9162 §2.1.1 and §2.1.3.1, written from the definition.
fn root(leaves: &[Vec<u8>]) -> Vec<u8> {
    match leaves {
        [] => hash(&[]),
        [leaf] => hash(&[&[0], leaf]),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            hash(&[&[1], &root(left), &root(right)])
        }
    }
}

fn path(index: usize, leaves: &[Vec<u8>]) -> Vec<Vec<u8>> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let middle = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(middle);
    let (mut inner, sibling) = if index < middle {
        (path(index, left), root(right))
    } else {
        (path(index.checked_sub(middle).unwrap(), right), root(left))
    };
    inner.push(sibling);
    inner
}

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|index| format!("leaf {index}").into_bytes())
        .collect()
}

fn inclusion(index: usize, leaves: &[Vec<u8>]) -> Value {
    json!({
        "kind": "merkleRfc6962", "leaf": hex::encode(&leaves[index]), "leafIndex": index, "treeSize": leaves.len(),
        "path": path(index, leaves).iter().map(hex::encode).collect::<Vec<_>>(), "root": hex::encode(root(leaves)),
    })
}

#[test]
fn every_leaf_of_every_small_tree_is_included_and_nowhere_else() {
    for size in 1..=17 {
        let leaves = leaves(size);
        for index in 0..size {
            let proof = inclusion(index, &leaves);
            assert_eq!(outcome(&proof), "valid", "{index} of {size}");
            let mut moved = proof.clone();
            moved["leafIndex"] = json!((index + 1) % size);
            assert!(
                size == 1 || outcome(&moved) != "valid",
                "{index} of {size} moved"
            );
            let mut long = proof.clone();
            long["path"]
                .as_array_mut()
                .unwrap()
                .push(json!("00".repeat(32)));
            assert_eq!(outcome(&long), "pathLength");
            if size > 1 {
                let mut short = proof;
                short["path"].as_array_mut().unwrap().pop();
                assert_eq!(outcome(&short), "pathLength");
            }
        }
    }
}

#[test]
fn flaws_of_inclusion_proofs_are_named() {
    let leaves = leaves(5);
    let proof = inclusion(4, &leaves);
    let changed = |name: &str, value: Value| {
        let mut changed = proof.clone();
        changed[name] = value;
        outcome(&changed)
    };
    assert_eq!(changed("leafIndex", json!(5)), "indexOutOfTree");
    assert_eq!(changed("treeSize", json!(0)), "indexOutOfTree");
    assert_eq!(changed("leaf", json!("00")), "rootMismatch");
    assert_eq!(changed("root", json!("00".repeat(32))), "rootMismatch");
    // A node is not a leaf: the prefixes differ.
    let inner = [hash(&[&[0], &leaves[0]]), hash(&[&[0], &leaves[1]])].concat();
    let node_as_leaf = json!({
        "kind": "merkleRfc6962", "leaf": hex::encode(inner), "leafIndex": 0, "treeSize": 2,
        "path": [hex::encode(root(&leaves[2..4]))], "root": hex::encode(root(&leaves[..4])),
    });
    assert_eq!(outcome(&node_as_leaf), "rootMismatch");
}

#[test]
fn sided_paths_follow_their_sides() {
    let (left, right) = (hash(&[b"a"]), hash(&[b"b"]));
    let proof = json!({
        "kind": "merkleSided", "leaf": hex::encode("b"), "path": [{"side": "left", "hash": hex::encode(&left)}],
        "root": hex::encode(hash(&[&left, &right])),
    });
    assert_eq!(outcome(&proof), "valid");
    let mut other = proof.clone();
    other["path"][0]["side"] = json!("right");
    assert_eq!(outcome(&other), "rootMismatch");
    let mut bare = proof;
    bare["path"] = json!([]);
    assert_eq!(outcome(&bare), "rootMismatch");
}

#[test]
fn inputs_that_do_not_fit_the_schema_are_refused() {
    for input in [
        json!({}),
        json!({"kind": "rsa"}),
        ed25519("00", RFC_SIGNATURE, ""),
        ed25519(&RFC_KEY.to_uppercase(), RFC_SIGNATURE, ""),
        ed25519(RFC_KEY, RFC_SIGNATURE, "0"),
        ed25519(RFC_KEY, RFC_SIGNATURE, "zz"),
        ed25519(&format!("{RFC_KEY}\n"), RFC_SIGNATURE, ""),
        json!({"kind": "ed25519", "publicKey": RFC_KEY, "signature": RFC_SIGNATURE, "message": "", "hash": "sha256"}),
    ] {
        assert_eq!(
            run(ID, &input).unwrap_err(),
            RefusalCode::BadInput,
            "{input}"
        );
    }
}

#[test]
fn a_claim_that_turns_the_result_round_is_rejected() {
    let input = ed25519(RFC_KEY, RFC_SIGNATURE, "00");
    let honest = claim_of(&run(ID, &input).unwrap());
    assert_eq!(
        judge_on(ID, &NoNetwork, &input, &honest).unwrap().verdict,
        Verdict::Accept
    );
    let lie = with_output(&honest, |output| *output = json!({"valid": true}));
    assert_eq!(
        reasons(ID, &NoNetwork, &input, &lie),
        [Reason::OutputDiffers]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_flipped_bit_anywhere_in_an_ed25519_proof_makes_it_invalid(
        secret in any::<[u8; 32]>(), message in prop::collection::vec(any::<u8>(), 1..40), place in any::<prop::sample::Index>(), bit in 0..8_u8
    ) {
        let key = SigningKey::from_bytes(&secret);
        let mut parts = [key.verifying_key().to_bytes().to_vec(), key.sign(&message).to_bytes().to_vec(), message];
        let proof = |parts: &[Vec<u8>; 3]| ed25519(&hex::encode(&parts[0]), &hex::encode(&parts[1]), &hex::encode(&parts[2]));
        prop_assert_eq!(outcome(&proof(&parts)), "valid");
        let mut at = place.index(parts.iter().map(Vec::len).sum());
        for part in &mut parts {
            if let Some(byte) = part.get_mut(at) {
                *byte ^= 1 << bit;
                break;
            }
            at = at.checked_sub(part.len()).unwrap();
        }
        prop_assert_ne!(outcome(&proof(&parts)), "valid");
    }
}
