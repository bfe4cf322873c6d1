//! Which chain and which program a hash is for (M7).

use crate::ids::Key32;

/// One cluster and one program on it. A signature or an address of one domain means nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain {
    /// Genesis hash of the cluster: a program cannot ask for it, so it is compiled in (#44).
    pub genesis: [u8; 32],
    /// Id of the program that holds the vaults.
    pub program: Key32,
}

impl Domain {
    /// The simulated rail, `d402:simulated`: genesis and program id are zero bytes (#73).
    pub const SIMULATED: Self = Self {
        genesis: [0; 32],
        program: Key32::ZERO,
    };
}

/// A message name as it enters a hash: ASCII padded with zeros to 32 bytes. Refused at compile time when longer.
pub(crate) const fn tag(name: &str) -> [u8; 32] {
    let bytes = name.as_bytes();
    assert!(bytes.len() <= 32, "a tag has at most 32 bytes");
    let mut padded = [0u8; 32];
    let mut rest = bytes;
    let mut free = padded.as_mut_slice();
    while let ([byte, tail @ ..], [slot, next @ ..]) = (rest, free) {
        *slot = *byte;
        rest = tail;
        free = next;
    }
    padded
}

/// SHA-256 over the parts, one after the other.
#[cfg(target_os = "solana")]
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    solana_sha256_hasher::hashv(parts).to_bytes()
}

/// SHA-256 over the parts, one after the other.
#[cfg(not(target_os = "solana"))]
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    use sha2::{Digest, Sha256};

    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
