//! `settle_approved`: `settle` with signatures that `approve` remembered.
//!
//! Authority   anyone
//! Requires    as `settle`; the approval account is the one of this vault and this receipt's digest
//! Effects     as `settle`
//! Emits       `VaultSettled`
//! Invariants  as `settle`

use anchor_lang::prelude::*;

use super::settle::Settling;
use crate::error::VaultError;
use crate::receipt::ReceiptArgs;
use crate::state::Approval;

#[event_cpi]
#[derive(Accounts)]
pub struct SettleApproved<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    /// CHECK: owned by this program and at the address its content names.
    #[account(mut)]
    pub vault: UncheckedAccount<'info>,
    /// CHECK: must be the vault's canonical token account.
    #[account(mut)]
    pub vault_tokens: UncheckedAccount<'info>,
    /// CHECK: must be the mint of the vault.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: must be the owner of the mint, and one of the two token programs.
    pub token_program: UncheckedAccount<'info>,
    /// CHECK: must be the canonical token account of refundTo.
    #[account(mut)]
    pub refund_tokens: UncheckedAccount<'info>,
    /// CHECK: must be the vault's rentTo. Pass it writable; where it cannot take lamports, rent waits.
    pub rent_to: UncheckedAccount<'info>,
    /// CHECK: must be the address of vault and digest.
    pub approval: UncheckedAccount<'info>,
    /// CHECK: its content must hash to the vault's set.
    pub validator_set: UncheckedAccount<'info>,
    /// CHECK: must be the canonical token account of the commission payee, if there is one.
    #[account(mut)]
    pub commission_tokens: Option<UncheckedAccount<'info>>,
    /// CHECK: must be the canonical token account of the gateway fee payee, if there is one.
    #[account(mut)]
    pub gateway_fee_tokens: Option<UncheckedAccount<'info>>,
}

pub(crate) fn handler<'info>(
    ctx: Context<'info, SettleApproved<'info>>,
    receipt: &ReceiptArgs,
) -> Result<()> {
    let payer = ctx.accounts.payer.as_ref();
    let vault = ctx.accounts.vault.as_ref();
    let approval: &AccountInfo<'_> = ctx.accounts.approval.as_ref();
    let settling = Settling {
        payer,
        vault,
        tokens: ctx.accounts.vault_tokens.as_ref(),
        mint: ctx.accounts.mint.as_ref(),
        token_program: ctx.accounts.token_program.as_ref(),
        refund: ctx.accounts.refund_tokens.as_ref(),
        rent_to: ctx.accounts.rent_to.as_ref(),
        set: ctx.accounts.validator_set.as_ref(),
        commission: ctx.accounts.commission_tokens.as_deref(),
        gateway_fee: ctx.accounts.gateway_fee_tokens.as_deref(),
        rest: ctx.remaining_accounts,
    };
    let settled = settling.run(receipt, |set, digest| {
        // No account, no signatures: an empty approval would say "not enough", this says which.
        require!(!approval.data_is_empty(), VaultError::WrongApproval);
        Approval::load(vault.key, digest, approval, payer.key)?.approvals(set)
    })?;
    emit_cpi!(settled);
    Ok(())
}
