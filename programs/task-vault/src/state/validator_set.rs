//! A published validator set at `["vset", setHash]`: written once, never changed, never closed.
//!
//! ```text
//! discriminator 8, version 1, bump, m, n, keys n x 32
//! ```

use anchor_lang::prelude::*;
use d402_settlement::{Key32, ValidatorSet};

use super::{SET_SEED, VERSION, write};
use crate::error::VaultError;
use crate::lamports;

/// First eight bytes of `sha256("account:ValidatorSet")`.
const DISCRIMINATOR: [u8; 8] = [0x23, 0xce, 0x61, 0xca, 0x2b, 0x0b, 0x0b, 0x7f];
const HEAD: usize = 12;

/// The bump of the set's address, which the account must have.
pub(crate) fn set_bump(set: &ValidatorSet, account: &AccountInfo<'_>) -> Result<u8> {
    let hash = set.hash();
    let (address, bump) = Pubkey::find_program_address(&[SET_SEED, hash.as_bytes()], &crate::ID);
    require_keys_eq!(address, *account.key, VaultError::SetWrongAddress);
    Ok(bump)
}

/// Makes the account and writes the set.
pub(crate) fn store_set<'info>(
    set: &ValidatorSet,
    bump: u8,
    payer: &AccountInfo<'info>,
    account: &AccountInfo<'info>,
) -> Result<()> {
    let mut bytes = DISCRIMINATOR.to_vec();
    bytes.extend([VERSION, bump, set.m(), set.n()]);
    set.keys()
        .iter()
        .for_each(|key| bytes.extend(key.as_bytes()));
    let hash = set.hash();
    let seeds: [&[u8]; 3] = [SET_SEED, hash.as_bytes(), &[bump]];
    lamports::create(payer, account, bytes.len(), &seeds)?;
    write(account, &bytes)
}

/// Reads a published set; `None` for anything else. Its name is computed from its content, so an
/// account with other members is another set, whatever its address.
#[inline(never)]
pub(crate) fn load_set(account: &AccountInfo<'_>) -> Result<Option<Box<ValidatorSet>>> {
    if account.owner != &crate::ID {
        return Ok(None);
    }
    let data = account.try_borrow_data()?;
    Ok(parse(&data).map(Box::new))
}

fn parse(data: &[u8]) -> Option<ValidatorSet> {
    let (head, keys) = data.split_first_chunk::<HEAD>()?;
    let [discriminator @ .., version, _, m, n] = head;
    if *discriminator != DISCRIMINATOR || *version != VERSION {
        return None;
    }
    let (keys, rest) = keys.as_chunks::<32>();
    if keys.len() != usize::from(*n) || !rest.is_empty() {
        return None;
    }
    let keys: Vec<Key32> = keys.iter().copied().map(Key32).collect();
    ValidatorSet::new(*m, &keys).ok()
}
