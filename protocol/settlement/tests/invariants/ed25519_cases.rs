//! One signature of every class on which common Ed25519 libraries disagree (#26), made from scratch.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use curve25519_dalek::traits::Identity;
use d402_settlement::Key32;
use sha2::{Digest, Sha512};

pub struct Case {
    pub name: &'static str,
    pub key: Key32,
    pub message: [u8; 32],
    pub signature: [u8; 64],
    pub valid: bool,
}

/// The group order, little endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn challenge(r: &[u8; 32], key: &[u8; 32], message: &[u8; 32]) -> Scalar {
    let hash = Sha512::new()
        .chain_update(r)
        .chain_update(key)
        .chain_update(message);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

/// R as given, and S = r + k·a for the secret scalar `a` of `key`.
fn respond(
    secret: Scalar,
    nonce: Scalar,
    r: &[u8; 32],
    key: &[u8; 32],
    message: &[u8; 32],
) -> [u8; 64] {
    let s = nonce + challenge(r, key, message) * secret;
    join(r, s.as_bytes())
}

fn join(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(r);
    signature[32..].copy_from_slice(s);
    signature
}

/// S + L: the same number modulo the order, in bytes that are not reduced.
fn unreduced(signature: &[u8; 64]) -> [u8; 64] {
    let mut out = *signature;
    let mut carry = 0u16;
    for (byte, add) in out[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = (sum & 0xFF) as u8;
        carry = sum >> 8;
    }
    out
}

/// y = 1 + p: the identity in bytes that are not canonical.
fn identity_not_canonical() -> [u8; 32] {
    let mut bytes = [0xFF; 32];
    bytes[0] = 0xEE;
    bytes[31] = 0x7F;
    bytes
}

/// An honest key, and a nonce of its own choosing.
struct Honest {
    secret: Scalar,
    point: EdwardsPoint,
    key: [u8; 32],
    nonce: Scalar,
    r: [u8; 32],
}

const MESSAGE: [u8; 32] = [0x42; 32];

fn honest() -> Honest {
    let expanded: [u8; 64] = Sha512::digest([7; 32]).into();
    let secret = Scalar::from_bytes_mod_order(clamp_integer(expanded[..32].try_into().unwrap()));
    let point = ED25519_BASEPOINT_POINT * secret;
    let nonce = Scalar::from(402u64);
    Honest {
        secret,
        point,
        key: point.compress().to_bytes(),
        nonce,
        r: (ED25519_BASEPOINT_POINT * nonce).compress().to_bytes(),
    }
}

fn case(name: &'static str, key: [u8; 32], signature: [u8; 64], valid: bool) -> Case {
    Case {
        name,
        key: Key32(key),
        message: MESSAGE,
        signature,
        valid,
    }
}

fn refused(name: &'static str, key: [u8; 32], signature: [u8; 64]) -> Case {
    case(name, key, signature, false)
}

pub fn cases() -> Vec<Case> {
    let Honest {
        secret,
        point,
        key,
        nonce,
        r,
    } = honest();
    let good = respond(secret, nonce, &r, &key, &MESSAGE);
    let mut flipped = good;
    flipped[40] ^= 4;
    let mut message = MESSAGE;
    message[31] ^= 0x80;
    let torsion = EIGHT_TORSION[1];
    let mixed_r = (ED25519_BASEPOINT_POINT * nonce + torsion)
        .compress()
        .to_bytes();
    let mixed_key = (point + torsion).compress().to_bytes();
    let mut cases = vec![
        case("honest", key, good, true),
        refused("one bit of S flipped", key, flipped),
        Case {
            message,
            ..refused("another message", key, good)
        },
        refused("S not reduced", key, unreduced(&good)),
        refused(
            "R with a torsion part",
            key,
            respond(secret, nonce, &mixed_r, &key, &MESSAGE),
        ),
        torsioned_key(secret, mixed_key, MESSAGE),
        refused("key that is not on the curve", not_on_curve(), good),
        refused("all zeros", [0; 32], [0; 64]),
    ];
    cases.extend(small_order_cases(secret, key, nonce, r));
    cases
}

fn small_order_cases(secret: Scalar, key: [u8; 32], nonce: Scalar, r: [u8; 32]) -> [Case; 4] {
    let identity = EdwardsPoint::identity().compress().to_bytes();
    let twin = identity_not_canonical();
    let without_nonce = |r: &[u8; 32]| respond(secret, Scalar::ZERO, r, &key, &MESSAGE);
    [
        refused(
            "small-order key, identity R, S = 0",
            identity,
            join(&identity, &[0; 32]),
        ),
        refused(
            "honest key, identity R, S = k a",
            key,
            without_nonce(&identity),
        ),
        refused(
            "small-order key that is not canonical",
            twin,
            join(&r, nonce.as_bytes()),
        ),
        refused(
            "R of small order that is not canonical",
            key,
            without_nonce(&twin),
        ),
    ]
}

/// A key with a torsion part satisfies the equation without the cofactor only when its challenge is a
/// multiple of eight: the smallest nonce for which it is not.
fn torsioned_key(secret: Scalar, key: [u8; 32], message: [u8; 32]) -> Case {
    let nonce = (1u64..)
        .map(Scalar::from)
        .find(|nonce| {
            let r = (ED25519_BASEPOINT_POINT * nonce).compress().to_bytes();
            challenge(&r, &key, &message).as_bytes()[0] & 7 != 0
        })
        .unwrap();
    let r = (ED25519_BASEPOINT_POINT * nonce).compress().to_bytes();
    Case {
        name: "key with a torsion part, challenge not a multiple of eight",
        key: Key32(key),
        message,
        signature: respond(secret, nonce, &r, &key, &message),
        valid: false,
    }
}

fn not_on_curve() -> [u8; 32] {
    (2u8..)
        .map(|y| {
            let mut bytes = [0; 32];
            bytes[0] = y;
            bytes
        })
        .find(|bytes| CompressedEdwardsY(*bytes).decompress().is_none())
        .unwrap()
}
