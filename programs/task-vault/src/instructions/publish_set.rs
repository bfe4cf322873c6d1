//! `publish_set`: stores a validator set at the address of its hash.
//!
//! Authority   anyone
//! Requires    1 to 16 keys, ascending, none zero, n < 2m <= 2n (#6, #7); the account is the set's address
//! Effects     writes the set; nothing when it is already there
//! Emits       `SetPublished`
//! Invariants  M8b; the account never changes and is never closed

use anchor_lang::prelude::*;
use d402_settlement::{Key32, ValidatorSet};

use crate::error::VaultError;
use crate::events::SetPublished;
use crate::state::{set_bump, store_set};

#[event_cpi]
#[derive(Accounts)]
pub struct PublishSet<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    /// CHECK: must be the address of the set's hash.
    #[account(mut)]
    pub validator_set: UncheckedAccount<'info>,
    pub system_program: Program<'info, System>,
}

pub(crate) fn handler(ctx: Context<PublishSet>, m: u8, keys: &[[u8; 32]]) -> Result<()> {
    let keys: Vec<Key32> = keys.iter().copied().map(Key32).collect();
    let set = ValidatorSet::new(m, &keys).map_err(VaultError::from)?;
    let account = ctx.accounts.validator_set.as_ref();
    let bump = set_bump(&set, account)?;
    if account.owner == &crate::ID {
        return Ok(());
    }

    store_set(&set, bump, ctx.accounts.payer.as_ref(), account)?;

    emit_cpi!(SetPublished {
        set_hash: set.hash().0,
        m: set.m(),
        n: set.n(),
    });
    Ok(())
}
