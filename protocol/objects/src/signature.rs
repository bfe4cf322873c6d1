//! The one signature rule: Ed25519 as `verify_strict`, wallets as EIP-191 with low S.
//!
//! Verifiers in the field disagree on small-order keys, non-canonical encodings and the cofactor
//! (threat #26). Here A and R must be canonical and not of small order, S < L, and the equation
//! is checked without the cofactor, exactly as the chains' verifiers do.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::recent::Recent;
use crate::{EvmAddress, SignatureFault};

/// How many Ed25519 signatures were checked on the curve.
static CHECKS: AtomicU64 = AtomicU64::new(0);

/// Signatures remembered in each generation: those of some thousand tasks at work, about 3 MB in all.
const MOST_SIGNATURES: usize = 32_768;
/// Keys remembered in each generation.
const MOST_KEYS: usize = 1_024;

/// Valid signatures, by [`evidence`].
static VALID: LazyLock<Recent<[u8; 32], ()>> = LazyLock::new(|| Recent::new(MOST_SIGNATURES));
/// Points of canonical keys.
static POINTS: LazyLock<Recent<[u8; 32], VerifyingKey>> = LazyLock::new(|| Recent::new(MOST_KEYS));

/// Ed25519 signatures of objects that this process has checked on the curve so far, not counting those that were
/// remembered: the unit in which the work of a market is counted. Only ever grows.
#[must_use]
pub fn checks() -> u64 {
    CHECKS.load(Ordering::Relaxed)
}

/// Checks an Ed25519 signature under the strict rule. What was found valid lately is not worked out again.
///
/// # Errors
/// [`SignatureFault::Key`] for a key that is not a canonical point, [`SignatureFault::Ed25519`]
/// for everything else.
pub fn verify_strict(
    key: &[u8; 32],
    message: &[u8],
    signature: &[u8; 64],
) -> Result<(), SignatureFault> {
    VALID.get_or(evidence(key, message, signature), || {
        check(key, message, signature)
    })
}

/// A name for exactly this question: two of the three parts have a fixed length, so no other triple has these bytes.
fn evidence(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> [u8; 32] {
    Sha256::new()
        .chain_update(key)
        .chain_update(signature)
        .chain_update(message)
        .finalize()
        .into()
}

fn check(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), SignatureFault> {
    CHECKS.fetch_add(1, Ordering::Relaxed);
    POINTS
        .get_or(*key, || decompress(key))?
        .verify_strict(message, &Signature::from_bytes(signature))
        .map_err(|_| SignatureFault::Ed25519)
}

/// The point of a key that may sign: canonical and not of small order.
///
/// # Errors
/// [`SignatureFault::Key`] otherwise.
pub fn verifying_key(bytes: &[u8; 32]) -> Result<VerifyingKey, SignatureFault> {
    let key = decompress(bytes)?;
    if key.is_weak() {
        return Err(SignatureFault::Key);
    }
    Ok(key)
}

fn decompress(bytes: &[u8; 32]) -> Result<VerifyingKey, SignatureFault> {
    if !is_canonical_y(bytes) {
        return Err(SignatureFault::Key);
    }
    VerifyingKey::from_bytes(bytes).map_err(|_| SignatureFault::Key)
}

/// Whether the encoded y is below p = 2^255 − 19. The library reduces y instead of refusing it;
/// R needs no such check because it is compared as bytes with a freshly encoded point. (The other
/// non-canonical form, x = 0 with the sign set, is of small order and refused for that.)
fn is_canonical_y(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    *low < 0xed || middle.iter().any(|b| *b != 0xff) || high & 0x7f != 0x7f
}

/// The bytes a wallet hashes for `personal_sign` of `message`.
#[cfg(feature = "eip191")]
fn eip191_digest(message: &[u8]) -> [u8; 32] {
    use sha3::{Digest, Keccak256};
    Keccak256::new()
        .chain_update(b"\x19Ethereum Signed Message:\n")
        .chain_update(message.len().to_string())
        .chain_update(message)
        .finalize()
        .into()
}

/// The address of a secp256k1 key: the last 20 bytes of the hash of the uncompressed point.
#[cfg(feature = "eip191")]
#[must_use]
pub fn evm_address(key: &k256::ecdsa::VerifyingKey) -> EvmAddress {
    use sha3::{Digest, Keccak256};
    let point = key.to_sec1_point(false);
    let hash: [u8; 32] = Keccak256::digest(point.as_bytes().get(1..).unwrap_or_default()).into();
    let mut address = [0u8; 20];
    for (to, from) in address.iter_mut().zip(hash.iter().skip(12)) {
        *to = *from;
    }
    EvmAddress::from_bytes(address)
}

/// Signs `message` as a wallet does with `personal_sign`: r ‖ s ‖ v, low S, v 27 or 28.
#[cfg(feature = "eip191")]
#[must_use]
pub fn eip191_sign(key: &k256::ecdsa::SigningKey, message: &[u8]) -> [u8; 65] {
    let (signature, recovery) = key.sign_prehash_recoverable(&eip191_digest(message));
    let mut bytes = [0u8; 65];
    let v = recovery.to_byte().saturating_add(27);
    let parts = signature.to_bytes();
    for (to, from) in bytes.iter_mut().zip(parts.iter().chain([&v])) {
        *to = *from;
    }
    bytes
}

/// Checks that `address` signed `message` by `personal_sign`: r ‖ s ‖ v with low S, v 27 or 28.
///
/// # Errors
/// [`SignatureFault::Eip191`] when it did not.
#[cfg(feature = "eip191")]
pub fn eip191_verify(
    address: &EvmAddress,
    message: &[u8],
    signature: &[u8; 65],
) -> Result<(), SignatureFault> {
    use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
    let refused = SignatureFault::Eip191;
    let [rs @ .., v] = signature;
    let recovery = match v {
        27 => RecoveryId::new(false, false),
        28 => RecoveryId::new(true, false),
        0..=26 | 29..=255 => return Err(refused),
    };
    let signature = Signature::from_slice(rs).map_err(|_| refused)?;
    // A high S is the same signature spelled twice; one spelling is allowed.
    if signature.normalize_s() != signature {
        return Err(refused);
    }
    let key = VerifyingKey::recover_from_prehash(&eip191_digest(message), &signature, recovery)
        .map_err(|_| refused)?;
    if evm_address(&key) != *address {
        return Err(refused);
    }
    Ok(())
}

/// Refuses: this build carries no wallet signature check.
///
/// # Errors
/// Always [`SignatureFault::Eip191Disabled`].
#[cfg(not(feature = "eip191"))]
pub fn eip191_verify(
    _address: &EvmAddress,
    _message: &[u8],
    _signature: &[u8; 65],
) -> Result<(), SignatureFault> {
    Err(SignatureFault::Eip191Disabled)
}

#[cfg(feature = "eip191")]
#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> k256::ecdsa::SigningKey {
        k256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap()
    }

    /// The address of the key 0x46…46, as the EIP-155 example prints it.
    #[test]
    fn an_address_is_the_hash_of_the_point() {
        let address = evm_address(key(0x46).verifying_key());
        assert_eq!(
            address.to_string(),
            "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"
        );
    }

    #[test]
    fn wallet_signatures_have_one_spelling() {
        let address = evm_address(key(1).verifying_key());
        for message in [b"".as_slice(), b"a", &[0xff; 200]] {
            let good = eip191_sign(&key(1), message);
            assert_eq!(eip191_verify(&address, message, &good), Ok(()));
            let other = evm_address(key(2).verifying_key());
            assert!(eip191_verify(&other, message, &good).is_err());
            assert!(eip191_verify(&address, b"another", &good).is_err());
            // v as 0/1, and the other root.
            for v in [0, 1, 26, 29, good[64] ^ 27 ^ 28] {
                let mut bad = good;
                bad[64] = v;
                assert!(eip191_verify(&address, message, &bad).is_err(), "v {v}");
            }
            // High S: the same signature in its second spelling, with the matching v.
            let parsed = k256::ecdsa::Signature::from_slice(&good[..64]).unwrap();
            let high = k256::ecdsa::Signature::from_scalars(
                parsed.r().to_bytes(),
                (-*parsed.s()).to_bytes(),
            )
            .unwrap();
            let mut bad = good;
            bad[..64].copy_from_slice(&high.to_bytes());
            bad[64] ^= 27 ^ 28;
            assert!(eip191_verify(&address, message, &bad).is_err());
        }
    }
}

#[cfg(test)]
mod ed25519_tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    /// A memory that answered for anything but the very same key, message and signature would be a forger.
    #[test]
    fn what_was_found_valid_vouches_for_no_other_bytes() {
        let signer = SigningKey::from_bytes(&[9; 32]);
        let (key, message) = (signer.verifying_key().to_bytes(), *b"one message");
        let signature = signer.sign(&message).to_bytes();
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes();
        for _ in 0..2 {
            assert_eq!(verify_strict(&key, &message, &signature), Ok(()));
            assert!(verify_strict(&other, &message, &signature).is_err());
            for bit in 0..message.len() * 8 {
                let mut wrong = message;
                wrong[bit / 8] ^= 1 << (bit % 8);
                assert!(verify_strict(&key, &wrong, &signature).is_err());
            }
            for bit in 0..signature.len() * 8 {
                let mut wrong = signature;
                wrong[bit / 8] ^= 1 << (bit % 8);
                assert!(verify_strict(&key, &message, &wrong).is_err());
            }
            // The same bytes with another border between message and signature.
            let mut longer = signature[63..].to_vec();
            longer.extend_from_slice(&message);
            assert!(verify_strict(&key, &longer, &signature).is_err());
        }
    }

    #[test]
    fn a_signature_is_worked_out_once_and_a_false_one_every_time() {
        let signer = SigningKey::from_bytes(&[10; 32]);
        let (key, message) = (signer.verifying_key().to_bytes(), b"asked thrice");
        let signature = signer.sign(message).to_bytes();
        let worked_out = |message: &[u8]| {
            let before = checks();
            let verdict = verify_strict(&key, message, &signature).is_ok();
            (verdict, checks() - before)
        };
        assert!(worked_out(message).0);
        // Other tests of this process check too, so the count is only an upper bound for them.
        let least = |message: &[u8]| (0..20).map(|_| worked_out(message)).min().unwrap();
        assert_eq!(least(message), (true, 0));
        assert_eq!(least(b"another"), (false, 1));
    }

    /// No signature under such a key of large order can be made to show it, so the reason shows it.
    #[test]
    fn a_misspelt_key_is_refused_as_a_key() {
        let spelt = |low: u8, high: u8| {
            let mut bytes = [0xff; 32];
            bytes[0] = low;
            bytes[31] = high;
            bytes
        };
        for low in 0xed..=0xff {
            for high in [0x7f, 0xff] {
                let verdict = verify_strict(&spelt(low, high), b"", &[0; 64]);
                assert_eq!(verdict, Err(SignatureFault::Key), "p + {}", low - 0xed);
            }
        }
        // p - 1 is a canonical point (of order two), so it is the signature that is refused.
        let verdict = verify_strict(&spelt(0xec, 0x7f), b"", &[0; 64]);
        assert_eq!(verdict, Err(SignatureFault::Ed25519));
        // One byte of the middle below 0xff makes the whole smaller than p.
        let mut canonical = spelt(0xff, 0x7f);
        canonical[15] = 0xfe;
        assert!(is_canonical_y(&canonical));
    }
}
