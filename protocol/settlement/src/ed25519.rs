//! [`Verifier`] in software: Ed25519 by the strict rules every verifier of this system shares (#26).

use ed25519_dalek::{Signature, VerifyingKey};

use crate::approvals::Verifier;
use crate::ids::Key32;

/// `verify_strict` of ed25519-dalek, plus the refusal of non-canonical encodings of the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StrictEd25519;

impl Verifier for StrictEd25519 {
    fn verify(&self, key: &Key32, message: &[u8; 32], signature: &[u8; 64]) -> bool {
        if !canonical(key) {
            return false;
        }
        VerifyingKey::from_bytes(key.as_bytes()).is_ok_and(|key| {
            key.verify_strict(message, &Signature::from_bytes(signature))
                .is_ok()
        })
    }
}

/// True when the key's y coordinate is below 2^255 − 19. Dalek accepts the nineteen values above and
/// reduces them, so that one point would have two names. A non-canonical R needs no check of its own:
/// dalek compares R as bytes with one it computed.
fn canonical(key: &Key32) -> bool {
    let [low, middle @ .., high] = key.as_bytes();
    let all_ones = high | 0x80 == 0xFF && middle.iter().all(|byte| *byte == 0xFF);
    !(all_ones && *low >= 0xED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_canonical_below_the_field_prime_only() {
        let mut bytes = [0xFF; 32];
        for sign in [0x7F, 0xFF] {
            bytes[31] = sign;
            for (low, is_canonical) in [(0xEC, true), (0xED, false), (0xEE, false), (0xFF, false)] {
                bytes[0] = low;
                assert_eq!(canonical(&Key32(bytes)), is_canonical);
            }
        }
        bytes[17] = 0xFE;
        assert!(canonical(&Key32(bytes)));
        bytes[17] = 0xFF;
        bytes[31] = 0x7E;
        assert!(canonical(&Key32(bytes)));
    }
}
