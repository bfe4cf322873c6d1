//! `sweep_to`: the refund to any account, by the signature of `refundTo`. The way out for a buyer whose canonical
//! account is frozen or gone (#22).
//!
//! Authority   `refundTo`
//! Requires    as `sweep`, for the terms' own mint; any token account of it that is not the vault's
//! Effects     as `sweep`
//! Emits       `VaultSwept`
//! Invariants  M1a, M1b, M4a, M5

use anchor_lang::prelude::*;
use d402_settlement::Terms;

use super::claim_credit::Target;
use super::shared::TermsArgs;
use super::sweep::Sweeping;
use crate::error::VaultError;

#[event_cpi]
#[derive(Accounts)]
pub struct SweepTo<'info> {
    #[account(mut)]
    pub refund_to: Signer<'info>,
    /// CHECK: must be the address of the terms.
    pub vault: UncheckedAccount<'info>,
    /// CHECK: must be the vault's canonical token account.
    #[account(mut)]
    pub vault_tokens: UncheckedAccount<'info>,
    /// CHECK: must be the mint of the terms.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: must be the owner of the mint, and one of the two token programs.
    pub token_program: UncheckedAccount<'info>,
    /// CHECK: any token account of the mint but the vault's own; refundTo chose it.
    #[account(mut)]
    pub to: UncheckedAccount<'info>,
    /// CHECK: must be the terms' rentTo. Pass it writable; where it cannot take lamports, rent waits.
    pub rent_to: UncheckedAccount<'info>,
}

pub(crate) fn handler(ctx: Context<SweepTo>, args: &TermsArgs) -> Result<()> {
    require_keys_eq!(
        *ctx.accounts.refund_to.key,
        args.refund_to,
        VaultError::WrongSigner
    );
    let sweeping = Sweeping {
        caller: ctx.accounts.refund_to.as_ref(),
        vault: ctx.accounts.vault.as_ref(),
        tokens: ctx.accounts.vault_tokens.as_ref(),
        mint: ctx.accounts.mint.as_ref(),
        token_program: ctx.accounts.token_program.as_ref(),
        to: ctx.accounts.to.as_ref(),
        rent_to: ctx.accounts.rent_to.as_ref(),
    };
    let swept = sweeping.run(&Terms::from(args), Target::Signed)?;
    emit_cpi!(swept);
    Ok(())
}
