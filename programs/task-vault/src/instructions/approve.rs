//! `approve`: remembers signatures over a digest, the message of the Ed25519 instruction, for receipts that do not fit into one transaction.
//!
//! Authority   anyone
//! Requires    Open; every signature of the Ed25519 instruction before is by a member of the vault's set
//! Effects     the approval account, made by the first caller, collects the signers
//! Emits       `SignaturesRemembered`
//! Invariants  M2a, M7a: the address names vault and digest, the vault's terms name the set

use anchor_lang::prelude::*;
use d402_settlement::ledger::VaultAccount;
use solana_instructions_sysvar::ID as INSTRUCTIONS;

use crate::error::VaultError;
use crate::events::SignaturesRemembered;
use crate::precompile::Checked;
use crate::state::{self, Approval, load_set, stored_site};

#[event_cpi]
#[derive(Accounts)]
pub struct Approve<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    /// CHECK: owned by this program and at the address its content names.
    pub vault: UncheckedAccount<'info>,
    /// CHECK: must be the address of vault and digest.
    #[account(mut)]
    pub approval: UncheckedAccount<'info>,
    /// CHECK: its content must hash to the vault's set.
    pub validator_set: UncheckedAccount<'info>,
    /// CHECK: one address.
    #[account(address = INSTRUCTIONS)]
    pub instructions: UncheckedAccount<'info>,
    pub system_program: Program<'info, System>,
}

pub(crate) fn handler(ctx: Context<Approve>) -> Result<()> {
    let checked = Checked::read(ctx.accounts.instructions.as_ref())?;
    // Not an argument: the seventh signature of a transaction needs its 32 bytes.
    let digest = *checked.message();
    let vault = ctx.accounts.vault.as_ref();
    let before = state::load(stored_site(vault)?, vault, None)?;
    let open = match &before.account {
        VaultAccount::Open(open) => open,
        VaultAccount::Settled(_) => return err!(VaultError::AlreadySettled),
        VaultAccount::Absent => return err!(VaultError::NotOpen),
    };
    let set = load_set(ctx.accounts.validator_set.as_ref())?.ok_or(VaultError::WrongSet)?;
    require!(set.hash() == open.validator_set, VaultError::WrongSet);
    let approvals = checked.approvals(&set)?;

    let payer = ctx.accounts.payer.as_ref();
    let account = ctx.accounts.approval.as_ref();
    let mut approval = Approval::load(vault.key, digest, account, payer.key)?;
    approval.signers |= approvals.signers();
    approval.store(vault.key, payer, account)?;

    emit_cpi!(SignaturesRemembered {
        vault: *ctx.accounts.vault.key,
        digest,
        signers: approval.signers,
    });
    Ok(())
}
