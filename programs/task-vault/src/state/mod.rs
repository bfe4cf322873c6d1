//! The accounts of this program and their seeds.

mod approval;
mod validator_set;
mod vault;

pub(crate) use approval::Approval;
pub(crate) use validator_set::{load_set, set_bump, store_set};
pub(crate) use vault::{Signer, load, site_of, store, store_bytes, stored_site};

use anchor_lang::prelude::*;

/// Seeds of the vault: this and the terms hash.
pub(crate) const VAULT_SEED: &[u8] = b"vault";
/// Seeds of a validator set: this and the set hash.
pub(crate) const SET_SEED: &[u8] = b"vset";
/// Seeds of remembered signatures: this, the vault and the digest.
pub(crate) const APPROVAL_SEED: &[u8] = b"approval";

/// Layout version of every account here.
const VERSION: u8 = 1;

/// Writes a whole account.
fn write(account: &AccountInfo<'_>, bytes: &[u8]) -> Result<()> {
    let mut data = account.try_borrow_mut_data()?;
    let same_length = data.len() == bytes.len();
    require!(same_length, crate::VaultError::Broken);
    data.copy_from_slice(bytes);
    Ok(())
}
