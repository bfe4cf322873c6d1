//! Settlement signatures of wallets: 65 bytes r ‖ s ‖ v with low s and v 27 or 28, nothing else (#51). A
//! compact form, a high s or v 0/1 is the same signature in another spelling, and one spelling is allowed.

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

use super::account::EvmAccount;
use super::word::keccak;

/// Bytes of a settlement signature.
pub const EVM_SIGNATURE_LEN: usize = 65;

/// Who signed this digest; `None` when the bytes are no signature in the allowed spelling.
#[must_use]
pub fn recover(digest: &[u8; 32], signature: &[u8; EVM_SIGNATURE_LEN]) -> Option<EvmAccount> {
    let [scalars @ .., v] = signature;
    let recovery = match v {
        27 => RecoveryId::new(false, false),
        28 => RecoveryId::new(true, false),
        0..=26 | 29..=255 => return None,
    };
    let signature = Signature::from_slice(scalars).ok()?;
    if signature.normalize_s() != signature {
        return None;
    }
    let key = VerifyingKey::recover_from_prehash(digest, &signature, recovery).ok()?;
    let point = key.to_sec1_point(false);
    let (_, coordinates) = point.as_bytes().split_first()?;
    let hash = keccak(&[coordinates]);
    let (_, address) = hash.split_last_chunk::<20>()?;
    Some(EvmAccount(*address))
}
