//! ECDSA over secp256k1 with a declared message hash; low `s` only, as on our chains.

use k256::ecdsa::signature::hazmat::PrehashVerifier as _;
use k256::ecdsa::{Signature, VerifyingKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use sha3::Keccak256;

use super::Flaw;

/// What the message is hashed with before it is verified.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum MessageHash {
    Sha256,
    Keccak256,
}

pub(super) fn verify(
    public_key: &[u8],
    signature: &[u8],
    message: &[u8],
    hash: MessageHash,
) -> Result<(), Flaw> {
    let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| Flaw::MalformedKey)?;
    let signature = Signature::from_slice(signature).map_err(|_| Flaw::MalformedSignature)?;
    if signature.normalize_s() != signature {
        return Err(Flaw::HighS);
    }
    let digest: [u8; 32] = match hash {
        MessageHash::Sha256 => Sha256::digest(message).into(),
        MessageHash::Keccak256 => Keccak256::digest(message).into(),
    };
    key.verify_prehash(&digest, &signature)
        .map_err(|_| Flaw::SignatureMismatch)
}
