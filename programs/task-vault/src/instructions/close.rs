//! `close`: gives the rent of a finished vault back.
//!
//! Authority   anyone
//! Requires    now >= refundAfter; Settled: no credits; Open: token account empty or absent
//! Effects     state closed, all its lamports to rentTo. The token account is `sweep`'s: one unit of dust in
//!             it must not hold this rent
//! Emits       `VaultClosed`
//! Invariants  M1c, M4b: before refundAfter the tombstone is what keeps a receipt from executing twice (#1)

use anchor_lang::prelude::*;
use d402_settlement::ledger::{Command, VaultAccount};

use super::shared::{address, decide, now, tokens_of};
use crate::error::VaultError;
use crate::events::VaultClosed;
use crate::lamports;
use crate::state::{self, stored_site};
use crate::token::MintView;

#[event_cpi]
#[derive(Accounts)]
pub struct Close<'info> {
    /// CHECK: owned by this program and at the address its content names.
    #[account(mut)]
    pub vault: UncheckedAccount<'info>,
    /// CHECK: must be the vault's rentTo.
    #[account(mut)]
    pub rent_to: UncheckedAccount<'info>,
    /// CHECK: only read of an open vault: must then be its canonical token account.
    pub vault_tokens: Option<UncheckedAccount<'info>>,
    /// CHECK: only read of an open vault: must then be its mint.
    pub mint: Option<UncheckedAccount<'info>>,
    /// CHECK: only read of an open vault: must then be the owner of the mint.
    pub token_program: Option<UncheckedAccount<'info>>,
}

pub(crate) fn handler(ctx: Context<Close>) -> Result<()> {
    // Decide.
    let vault = ctx.accounts.vault.as_ref();
    let site = stored_site(vault)?;
    let mut before = state::load(site, vault, None)?;
    let rent_to = match &before.account {
        VaultAccount::Absent => return err!(VaultError::NothingToClose),
        VaultAccount::Settled(tombstone) => tombstone.rent_to,
        VaultAccount::Open(open) => {
            let (mint, rent_to) = (address(&open.mint), open.rent_to);
            let balance = ctx.accounts.balance(vault.key, &mint)?;
            before = state::load(site, vault, balance)?;
            rent_to
        }
    };
    super::shared::expect_rent_to(ctx.accounts.rent_to.as_ref(), &rent_to)?;
    decide(&before, &Command::Close, now()?)?;

    // Execute: what is recorded is that there is nothing.
    emit_cpi!(VaultClosed {
        vault: *ctx.accounts.vault.key,
        rent_to: *ctx.accounts.rent_to.key,
        lamports: ctx.accounts.vault.lamports(),
    });
    let vault = ctx.accounts.vault.as_ref();
    lamports::close(vault, ctx.accounts.rent_to.as_ref())?;
    Ok(())
}

impl Close<'_> {
    fn balance(&self, vault: &Pubkey, named: &Pubkey) -> Result<Option<u64>> {
        let (Some(tokens), Some(mint), Some(program)) =
            (&self.vault_tokens, &self.mint, &self.token_program)
        else {
            return err!(VaultError::MissingAccount);
        };
        require_keys_eq!(*mint.key, *named, VaultError::WrongMint);
        let mint = MintView::read(mint.as_ref(), program.as_ref())?;
        let tokens = tokens_of(vault, tokens.as_ref(), &mint)?;
        Ok(tokens.map(|tokens| tokens.amount))
    }
}
