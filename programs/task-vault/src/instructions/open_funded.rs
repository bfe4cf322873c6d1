//! `open_funded`: `open`, and pays in from the signer's own account. A vault somebody else has opened in
//! the meantime is no obstacle.
//!
//! Authority   anyone for the vault; `authority` for its own money
//! Requires    as `open`, but now < settleBy; the source belongs to `authority`
//! Effects     as `open`, and `amount` moves from the source to the vault
//! Emits       `VaultOpened` unless already Open; `VaultFunded`
//! Invariants  M1a, and those of `open`

use anchor_lang::prelude::*;

use super::open::Opening;
use super::shared::TermsArgs;
use crate::error::VaultError;
use crate::events::VaultFunded;
use crate::token::{ASSOCIATED, TokenAccount, pay_in};

#[event_cpi]
#[derive(Accounts)]
pub struct OpenFunded<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    /// CHECK: must be the address of the terms.
    #[account(mut)]
    pub vault: UncheckedAccount<'info>,
    /// CHECK: must be the vault's canonical token account.
    #[account(mut)]
    pub vault_tokens: UncheckedAccount<'info>,
    /// CHECK: must be the mint of the terms.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: its content must hash to the set of the terms.
    pub validator_set: UncheckedAccount<'info>,
    /// CHECK: must be the owner of the mint, and one of the two token programs.
    pub token_program: UncheckedAccount<'info>,
    /// CHECK: one address.
    #[account(address = ASSOCIATED)]
    pub associated_token_program: UncheckedAccount<'info>,
    pub system_program: Program<'info, System>,
    /// CHECK: must be a token account that belongs to `authority`.
    #[account(mut)]
    pub source: UncheckedAccount<'info>,
    pub authority: Signer<'info>,
}

pub(crate) fn handler(ctx: Context<OpenFunded>, args: &TermsArgs, amount: u64) -> Result<()> {
    require!(amount > 0, VaultError::ZeroAmount);
    let opening = Opening {
        payer: ctx.accounts.payer.as_ref(),
        vault: ctx.accounts.vault.as_ref(),
        tokens: ctx.accounts.vault_tokens.as_ref(),
        mint: ctx.accounts.mint.as_ref(),
        set: ctx.accounts.validator_set.as_ref(),
        token_program: ctx.accounts.token_program.as_ref(),
        system_program: ctx.accounts.system_program.as_ref(),
    };
    let source = ctx.accounts.source.as_ref();
    let authority = ctx.accounts.authority.as_ref();
    let opened = opening.run(args, amount)?;

    let (mint, program) = (opened.mint.mint.key, opened.mint.token_program.key);
    let account = TokenAccount::read(source, mint, program).ok_or(VaultError::NotATokenAccount)?;
    require_keys_eq!(account.owner, *authority.key, VaultError::WrongSource);
    pay_in(source, &opened.mint, opening.tokens, authority, amount)?;

    let funded = VaultFunded {
        vault: *opening.vault.key,
        amount,
        balance: opened.balance,
    };
    if let Some(opened) = opened.event {
        emit_cpi!(opened);
    }
    emit_cpi!(funded);
    Ok(())
}
