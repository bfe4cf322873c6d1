//! Signatures on which verifiers in the field disagree (threat #26).
//!
//! `accept` is the strict rule; `lax` is what the same library says without it, so that a case
//! whose two columns differ proves that the rule is at work.

use curve25519_dalek::{
    EdwardsPoint, Scalar, constants::EIGHT_TORSION, edwards::CompressedEdwardsY, traits::Identity,
};
use d402_objects::signature::verify_strict;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};

use crate::samples::key;

/// One signature and the verdict on it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SignatureCase {
    pub(crate) name: String,
    pub(crate) class: String,
    pub(crate) public_key: String,
    pub(crate) message: String,
    pub(crate) signature: String,
    pub(crate) accept: bool,
    pub(crate) lax: bool,
}

const IDENTITY: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

/// p + `k`, little endian: a second spelling of y = k.
fn above_p(k: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed + k;
    bytes[31] = 0x7f;
    bytes
}

/// L, little endian.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
    let mut hash = Sha512::new();
    hash.update(r);
    hash.update(a);
    hash.update(message);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

fn join(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(r);
    bytes[32..].copy_from_slice(s);
    bytes
}

fn case(
    class: &str,
    name: &str,
    a: &[u8; 32],
    message: &[u8],
    signature: &[u8; 64],
) -> SignatureCase {
    SignatureCase {
        name: name.to_owned(),
        class: class.to_owned(),
        public_key: hex::encode(a),
        message: hex::encode(message),
        signature: hex::encode(signature),
        accept: verify_strict(a, message, signature).is_ok(),
        lax: VerifyingKey::from_bytes(a).is_ok_and(|key| {
            key.verify(message, &Signature::from_bytes(signature))
                .is_ok()
        }),
    }
}

pub(crate) fn cases() -> Vec<SignatureCase> {
    let mut cases = honest();
    cases.extend(small_order_keys());
    cases.extend(identity_r());
    cases.extend(misspelt_points());
    cases.extend(large_s());
    cases.extend(mixed_torsion());
    cases
}

fn honest() -> Vec<SignatureCase> {
    let bytes = |text: &str| hex::decode(text).unwrap();
    let array = |text: &str| <[u8; 32]>::try_from(bytes(text)).unwrap();
    let mut cases = Vec::new();
    // RFC 8032 §7.1, by secret key and message.
    for (name, secret, message) in [
        (
            "rfc 8032 test 1",
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "",
        ),
        (
            "rfc 8032 test 2",
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "72",
        ),
        (
            "rfc 8032 test 3",
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "af82",
        ),
    ] {
        let key = SigningKey::from_bytes(&array(secret));
        let message = bytes(message);
        let signature = key.sign(&message).to_bytes();
        cases.push(case(
            "honest",
            name,
            key.verifying_key().as_bytes(),
            &message,
            &signature,
        ));
    }
    let signer = key(7);
    let a = signer.verifying_key().to_bytes();
    let message = b"d402";
    let good = signer.sign(message).to_bytes();
    cases.push(case("honest", "a d402 key", &a, message, &good));
    cases.push(case("forged", "another message", &a, b"d403", &good));
    cases.push(case(
        "forged",
        "another key",
        key(8).verifying_key().as_bytes(),
        message,
        &good,
    ));
    for (name, at, bit) in [
        ("a bit of R", 0, 1),
        ("the sign of R", 31, 0x80),
        ("a bit of S", 32, 1),
    ] {
        let mut bad = good;
        bad[at] ^= bit;
        cases.push(case("forged", name, &a, message, &bad));
    }
    cases.push(case("forged", "zeros", &a, message, &[0; 64]));
    let mut swapped = [0; 64];
    swapped[..32].copy_from_slice(&good[32..]);
    swapped[32..].copy_from_slice(&good[..32]);
    cases.push(case("forged", "R and S swapped", &a, message, &swapped));
    cases.push(case(
        "forged",
        "a key that is no point",
        &[2; 32],
        message,
        &good,
    ));
    cases
}

/// A of small order: A = R = identity and S = 0 verify for every message without the rule; for
/// the other seven points some messages do.
fn small_order_keys() -> Vec<SignatureCase> {
    let zero = join(&IDENTITY, &[0; 32]);
    let mut cases = vec![case(
        "small-order A",
        "A = R = identity, S = 0",
        &IDENTITY,
        b"anything",
        &zero,
    )];
    for (i, point) in EIGHT_TORSION.iter().enumerate() {
        let a = point.compress().to_bytes();
        // k·A = identity for one message in eight at the latest.
        let message = (0u8..=255)
            .map(|n| [n])
            .find(|m| challenge(&IDENTITY, &a, m) * point == EdwardsPoint::identity())
            .unwrap();
        cases.push(case(
            "small-order A",
            &format!("torsion point {i}"),
            &a,
            &message,
            &zero,
        ));
    }
    cases
}

/// An honest key, R = identity and S = k·a: the holder of a made R vanish.
fn identity_r() -> Vec<SignatureCase> {
    let signer = key(9);
    let a = signer.verifying_key().to_bytes();
    [b"one".as_slice(), b"two"]
        .into_iter()
        .map(|message| {
            let s = challenge(&IDENTITY, &a, message) * signer.to_scalar();
            case(
                "small-order R",
                "R = identity, S = k·a",
                &a,
                message,
                &join(&IDENTITY, s.as_bytes()),
            )
        })
        .collect()
}

/// The same points spelled with y ≥ p, or with the sign of x = 0 set.
fn misspelt_points() -> Vec<SignatureCase> {
    let mut cases = Vec::new();
    let mut signed_identity = IDENTITY;
    signed_identity[31] = 0x80;
    for (name, a) in [
        ("A = identity as p + 1", above_p(1)),
        ("A = order 4 as p", above_p(0)),
        ("A = identity with the sign of x set", signed_identity),
    ] {
        let point = CompressedEdwardsY(a).decompress().unwrap();
        let message = (0u8..=255)
            .map(|n| [n])
            .find(|m| challenge(&IDENTITY, &a, m) * point == EdwardsPoint::identity())
            .unwrap();
        cases.push(case(
            "non-canonical A",
            name,
            &a,
            &message,
            &join(&IDENTITY, &[0; 32]),
        ));
    }
    // Points of large order with y ≥ p exist; nobody knows their logarithm, so S is arbitrary.
    for k in 2..19 {
        let a = above_p(k);
        if CompressedEdwardsY(a)
            .decompress()
            .is_some_and(|p| !p.is_small_order())
        {
            let r = (Scalar::from(5u8) * curve25519_dalek::constants::ED25519_BASEPOINT_POINT)
                .compress()
                .to_bytes();
            cases.push(case(
                "non-canonical A",
                &format!("A of large order as p + {k}"),
                &a,
                b"m",
                &join(&r, Scalar::from(5u8).as_bytes()),
            ));
            break;
        }
    }
    let signer = key(10);
    let a = signer.verifying_key().to_bytes();
    for (name, r) in [
        ("R = identity as p + 1", above_p(1)),
        ("R = identity with the sign of x set", signed_identity),
    ] {
        let s = challenge(&r, &a, b"r") * signer.to_scalar();
        cases.push(case(
            "non-canonical R",
            name,
            &a,
            b"r",
            &join(&r, s.as_bytes()),
        ));
    }
    cases
}

/// S + n·L is the same scalar spelled again.
fn large_s() -> Vec<SignatureCase> {
    let signer = key(11);
    let a = signer.verifying_key().to_bytes();
    let mut cases = Vec::new();
    let good = signer.sign(b"s").to_bytes();
    let mut s: [u8; 32] = good[32..].try_into().unwrap();
    for times in 1..=3 {
        let mut carry = 0u16;
        for (to, from) in s.iter_mut().zip(L) {
            carry += u16::from(*to) + u16::from(from);
            *to = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        let r = good[..32].try_into().unwrap();
        cases.push(case(
            "S >= L",
            &format!("S + {times}L"),
            &a,
            b"s",
            &join(r, &s),
        ));
    }
    let r = IDENTITY;
    cases.push(case(
        "S >= L",
        "S = L, R = identity, A = identity",
        &IDENTITY,
        b"s",
        &join(&r, &L),
    ));
    for (name, top) in [
        ("top bit of S set", 0x80),
        ("second bit of S set", 0x40),
        ("third bit of S set", 0x20),
    ] {
        let mut bad = good;
        bad[63] |= top;
        cases.push(case("S >= L", name, &a, b"s", &bad));
    }
    cases
}

/// A' = a·B + T with T of order 8. A verifier with the cofactor takes more of these than one
/// without it; R of small order separates the strict rule from the lax one.
fn mixed_torsion() -> Vec<SignatureCase> {
    let base = curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
    let torsion = EIGHT_TORSION[1];
    let (secret, nonce) = (key(12).to_scalar(), key(13).to_scalar());
    let mixed_point = secret * base + torsion;
    let mixed = mixed_point.compress().to_bytes();
    let r = (nonce * base).compress().to_bytes();
    let find = |wanted: bool| {
        (0u8..=255)
            .map(|n| [n])
            .find(|m| (challenge(&r, &mixed, m) * torsion == EdwardsPoint::identity()) == wanted)
            .unwrap()
    };
    let sign = |r: &[u8; 32], a: &[u8; 32], m: &[u8], nonce: Scalar| {
        join(r, (nonce + challenge(r, a, m) * secret).as_bytes())
    };
    const CLASS: &str = "mixed torsion";
    let mut cases = Vec::new();
    let vanishing = find(true);
    cases.push(case(
        CLASS,
        "A mixed, k·T vanishes",
        &mixed,
        &vanishing,
        &sign(&r, &mixed, &vanishing, nonce),
    ));
    let remaining = find(false);
    cases.push(case(
        CLASS,
        "A mixed, k·T remains: only with the cofactor",
        &mixed,
        &remaining,
        &sign(&r, &mixed, &remaining, nonce),
    ));
    // R = r·B − k·T for the k that this R gives.
    let (message, r_mixed) = (0u8..=255)
        .flat_map(|n| EIGHT_TORSION.iter().skip(1).map(move |t| ([n], *t)))
        .find_map(|(m, t)| {
            let r = (nonce * base + t).compress().to_bytes();
            (challenge(&r, &mixed, &m) * torsion + t == EdwardsPoint::identity()).then_some((m, r))
        })
        .unwrap();
    cases.push(case(
        CLASS,
        "A and R mixed, torsion cancels",
        &mixed,
        &message,
        &sign(&r_mixed, &mixed, &message, nonce),
    ));
    // R = −k·T alone: lax takes it, strict does not.
    let (message, r_small) = (0u8..=255)
        .flat_map(|n| EIGHT_TORSION.iter().map(move |t| ([n], *t)))
        .find_map(|(m, t)| {
            let r = t.compress().to_bytes();
            (t != EdwardsPoint::identity()
                && challenge(&r, &mixed, &m) * torsion + t == EdwardsPoint::identity())
            .then_some((m, r))
        })
        .unwrap();
    cases.push(case(
        CLASS,
        "A mixed, R of small order cancels it",
        &mixed,
        &message,
        &sign(&r_small, &mixed, &message, Scalar::ZERO),
    ));
    let plain = (secret * base).compress().to_bytes();
    let r_dirty = (nonce * base + torsion).compress().to_bytes();
    cases.push(case(
        CLASS,
        "A plain, R mixed: only with the cofactor",
        &plain,
        b"r",
        &sign(&r_dirty, &plain, b"r", nonce),
    ));
    cases
}
