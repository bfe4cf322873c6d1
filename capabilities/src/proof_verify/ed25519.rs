//! Ed25519 by the strictest common rules, the ones our own envelopes use.
//!
//! Refused although some libraries accept them: points encoded with a coordinate at or above the prime,
//! keys and commitments of small order, `s` at or above the group order.

use ed25519_dalek::{Signature, VerifyingKey};

use super::Flaw;

/// The prime 2^255 − 19, little-endian.
const PRIME: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed;
    bytes[31] = 0x7f;
    bytes
};

pub(super) fn verify(public_key: &[u8], signature: &[u8], message: &[u8]) -> Result<(), Flaw> {
    let key_bytes: [u8; 32] = public_key.try_into().map_err(|_| Flaw::MalformedKey)?;
    let signature_bytes: [u8; 64] = signature.try_into().map_err(|_| Flaw::MalformedSignature)?;
    if !is_canonical(&key_bytes) {
        return Err(Flaw::NonCanonicalKey);
    }
    let key = VerifyingKey::from_bytes(&key_bytes).map_err(|_| Flaw::MalformedKey)?;
    if key.is_weak() {
        return Err(Flaw::WeakKey);
    }
    let signature = Signature::from_bytes(&signature_bytes);
    if !is_canonical(signature.r_bytes()) {
        return Err(Flaw::WeakSignature);
    }
    // A commitment of small order is a point any weak key could be: `VerifyingKey` tells.
    if VerifyingKey::from_bytes(signature.r_bytes()).is_ok_and(|point| point.is_weak()) {
        return Err(Flaw::WeakSignature);
    }
    if !is_below_order(signature.s_bytes()) {
        return Err(Flaw::MalformedSignature);
    }
    key.verify_strict(message, &signature)
        .map_err(|_| Flaw::SignatureMismatch)
}

/// Whether the y coordinate of an encoded point is below the prime.
fn is_canonical(point: &[u8; 32]) -> bool {
    let mut y = *point;
    y[31] &= 0x7f;
    is_less(&y, &PRIME)
}

/// Whether a scalar is below the order of the group (RFC 8032 §5.1.7).
fn is_below_order(scalar: &[u8; 32]) -> bool {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    is_less(scalar, &ORDER)
}

/// Little-endian comparison.
fn is_less(left: &[u8; 32], right: &[u8; 32]) -> bool {
    left.iter().rev().lt(right.iter().rev())
}
