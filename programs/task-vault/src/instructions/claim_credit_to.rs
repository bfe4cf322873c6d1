//! `claim_credit_to`: pays a payee's credits to any account, by the payee's signature. The way out for a payee
//! whose canonical account is frozen, taken over or gone.
//!
//! Authority   the payee
//! Requires    as `claim_credit`, but any token account of the mint that is not the vault's
//! Effects     credit := 0; paid
//! Emits       `CreditPaid`
//! Invariants  M1a, M1b, M6

use anchor_lang::prelude::*;
use d402_settlement::Terms;

use super::claim_credit::{Claiming, Target};
use super::shared::TermsArgs;

#[event_cpi]
#[derive(Accounts)]
pub struct ClaimCreditTo<'info> {
    pub payee: Signer<'info>,
    /// CHECK: must be the address of the terms.
    #[account(mut)]
    pub vault: UncheckedAccount<'info>,
    /// CHECK: must be the vault's canonical token account.
    #[account(mut)]
    pub vault_tokens: UncheckedAccount<'info>,
    /// CHECK: must be the mint of the terms.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: must be the owner of the mint, and one of the two token programs.
    pub token_program: UncheckedAccount<'info>,
    /// CHECK: any token account of the mint but the vault's own; the payee chose it.
    #[account(mut)]
    pub to: UncheckedAccount<'info>,
}

pub(crate) fn handler(ctx: Context<ClaimCreditTo>, args: &TermsArgs) -> Result<()> {
    let claiming = Claiming {
        vault: ctx.accounts.vault.as_ref(),
        tokens: ctx.accounts.vault_tokens.as_ref(),
        mint: ctx.accounts.mint.as_ref(),
        token_program: ctx.accounts.token_program.as_ref(),
        to: ctx.accounts.to.as_ref(),
    };
    let payee = *ctx.accounts.payee.key;
    let paid = claiming.run(&Terms::from(args), payee, Target::Signed)?;
    emit_cpi!(paid);
    Ok(())
}
