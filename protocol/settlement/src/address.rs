//! Program-derived addresses: names on Solana for which no private key can exist (spec §2.2).
//!
//! The runtime derives the same addresses on chain; this is for everybody who has to know one first.

use curve25519_dalek::edwards::CompressedEdwardsY;

use crate::domain::sha256;
use crate::ids::{Key32, SetHash, TermsHash};

const VAULT_SEED: &[u8] = b"vault";
const SET_SEED: &[u8] = b"vset";
const PDA_MARKER: &[u8] = b"ProgramDerivedAddress";

/// Address and bump of the vault of these terms: the address a buyer pays to.
///
/// `None` when no bump leaves the curve, which has a probability of 2^-256.
#[must_use]
pub fn vault_address(terms_hash: &TermsHash, program: &Key32) -> Option<(Key32, u8)> {
    program_address([VAULT_SEED, terms_hash.as_bytes(), &[]], program)
}

/// Address and bump of the account that publishes a validator set.
///
/// `None` when no bump leaves the curve, which has a probability of 2^-256.
#[must_use]
pub fn vset_address(set_hash: &SetHash, program: &Key32) -> Option<(Key32, u8)> {
    program_address([SET_SEED, set_hash.as_bytes(), &[]], program)
}

/// The highest bump whose hash is not a point on the curve, as `find_program_address` does it. Seeds enter the
/// hash one after the other, so an empty one changes nothing.
///
/// `None` as for [`vault_address`].
#[must_use]
pub fn program_address(seeds: [&[u8]; 3], program: &Key32) -> Option<(Key32, u8)> {
    let [first, second, third] = seeds;
    (0..=u8::MAX).rev().find_map(|bump| {
        let hash = sha256(&[
            first,
            second,
            third,
            &[bump],
            program.as_bytes(),
            PDA_MARKER,
        ]);
        let on_curve = CompressedEdwardsY(hash).decompress().is_some();
        (!on_curve).then_some((Key32(hash), bump))
    })
}
