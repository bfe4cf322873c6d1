//! Merkle inclusion with SHA-256.
//!
//! `merkleRfc6962`: leaves and nodes are told apart by a prefix (RFC 9162 §2.1), the sides follow from
//! the index. `merkleSided`: no prefixes, sides given; the buyer's tree must make leaves and nodes
//! distinct itself, or a node can pass for a leaf.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Flaw;
use super::executor::HexBytes;

/// Where a leaf is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) index: u64,
    pub(super) tree_size: u64,
}

/// One level of a sided path.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Step {
    side: Side,
    hash: HexBytes,
}

/// On which side the path's hash stands.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Side {
    Left,
    Right,
}

/// RFC 9162 §2.1.3.2.
pub(super) fn verify_rfc6962(
    leaf: &[u8],
    place: Place,
    path: &[HexBytes],
    root: &[u8],
) -> Result<(), Flaw> {
    let last = place
        .tree_size
        .checked_sub(1)
        .filter(|last| place.index <= *last)
        .ok_or(Flaw::IndexOutOfTree)?;
    let (mut index, mut last) = (place.index, last);
    let mut hash = sha256(&[&[0], leaf]);
    for sibling in path {
        if last == 0 {
            return Err(Flaw::PathLength);
        }
        if index & 1 == 1 || index == last {
            hash = sha256(&[&[1], &sibling.0, &hash]);
            // A last node without sibling moves up unpaired until it is a right child.
            while index & 1 == 0 && index != 0 {
                index >>= 1;
                last >>= 1;
            }
        } else {
            hash = sha256(&[&[1], &hash, &sibling.0]);
        }
        index >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(Flaw::PathLength);
    }
    if hash == root {
        Ok(())
    } else {
        Err(Flaw::RootMismatch)
    }
}

pub(super) fn verify_sided(leaf: &[u8], path: &[Step], root: &[u8]) -> Result<(), Flaw> {
    let mut hash = sha256(&[leaf]);
    for step in path {
        hash = match step.side {
            Side::Left => sha256(&[&step.hash.0, &hash]),
            Side::Right => sha256(&[&hash, &step.hash.0]),
        };
    }
    if hash == root {
        Ok(())
    } else {
        Err(Flaw::RootMismatch)
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}
