//! Where the money of some terms lies on an EVM chain: known before any code is there.

use super::account::EvmAccount;
use super::word::keccak;
use crate::ids::TermsHash;

/// EIP-1167 up to and from the implementation's address, with its constructor.
const CLONE_HEAD: [u8; 20] = [
    0x3d, 0x60, 0x2d, 0x80, 0x60, 0x0a, 0x3d, 0x39, 0x81, 0xf3, 0x36, 0x3d, 0x3d, 0x37, 0x3d, 0x3d,
    0x3d, 0x36, 0x3d, 0x73,
];
const CLONE_TAIL: [u8; 15] = [
    0x5a, 0xf4, 0x3d, 0x82, 0x80, 0x3e, 0x90, 0x3d, 0x91, 0x60, 0x2b, 0x57, 0xfd, 0x5b, 0xf3,
];

/// The code behind every escrow of a ledger: the first contract the ledger deploys, in its constructor
/// (CREATE with nonce 1; the RLP of a 20-byte address and a small integer has a fixed head).
#[must_use]
pub fn account_implementation(ledger: &EvmAccount) -> EvmAccount {
    last_20(&keccak(&[&[0xd6, 0x94], &ledger.0, &[0x01]]))
}

/// The escrow of these terms: CREATE2 by the ledger, salt = terms hash, of a minimal clone.
#[must_use]
pub fn escrow_address(ledger: &EvmAccount, terms_hash: &TermsHash) -> EvmAccount {
    let implementation = account_implementation(ledger);
    let code = keccak(&[&CLONE_HEAD, &implementation.0, &CLONE_TAIL]);
    last_20(&keccak(&[&[0xff], &ledger.0, terms_hash.as_bytes(), &code]))
}

fn last_20(hash: &[u8; 32]) -> EvmAccount {
    let mut address = [0; 20];
    for (slot, byte) in address.iter_mut().zip(hash.iter().skip(12)) {
        *slot = *byte;
    }
    EvmAccount(address)
}
