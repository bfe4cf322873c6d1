//! `close_approval`: gives the rent of remembered signatures back to who paid it.
//!
//! Authority   anyone
//! Requires    the vault is settled or gone, or now >= refundAfter: the signatures are of no use any more
//! Effects     approval closed, all its lamports to its payer
//! Emits       `ApprovalClosed`
//! Invariants  M1c. Apart from `close`, so that a close that leaves one out cannot strand it

use anchor_lang::prelude::*;
use d402_settlement::ledger::VaultAccount;

use super::shared::now;
use crate::error::VaultError;
use crate::events::ApprovalClosed;
use crate::lamports;
use crate::state::{self, Approval, stored_site};

#[event_cpi]
#[derive(Accounts)]
pub struct CloseApproval<'info> {
    /// CHECK: with the digest it must give the approval's address; may hold nothing any more.
    pub vault: UncheckedAccount<'info>,
    /// CHECK: must be the address of vault and digest.
    #[account(mut)]
    pub approval: UncheckedAccount<'info>,
    /// CHECK: must be who paid for the approval.
    #[account(mut)]
    pub rent_to: UncheckedAccount<'info>,
}

pub(crate) fn handler(ctx: Context<CloseApproval>, digest: [u8; 32]) -> Result<()> {
    let vault = ctx.accounts.vault.as_ref();
    let account = ctx.accounts.approval.as_ref();
    require!(!account.data_is_empty(), VaultError::NothingToClose);
    let approval = Approval::load(vault.key, digest, account, vault.key)?;
    require_keys_eq!(
        *ctx.accounts.rent_to.key,
        approval.rent_to,
        VaultError::WrongRentTo
    );
    require!(!is_of_use(vault)?, VaultError::ApprovalInUse);

    emit_cpi!(ApprovalClosed {
        vault: *ctx.accounts.vault.key,
        digest,
        lamports: ctx.accounts.approval.lamports(),
    });
    let account = ctx.accounts.approval.as_ref();
    lamports::close(account, ctx.accounts.rent_to.as_ref())?;
    Ok(())
}

/// Only an open vault before `refundAfter` can still be settled.
fn is_of_use(vault: &AccountInfo<'_>) -> Result<bool> {
    if vault.data_is_empty() {
        return Ok(false);
    }
    let state = state::load(stored_site(vault)?, vault, None)?;
    Ok(match &state.account {
        VaultAccount::Open(open) => now()? < open.refund_after,
        VaultAccount::Settled(_) | VaultAccount::Absent => false,
    })
}
