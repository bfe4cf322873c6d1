//! `close_unfunded`: gives the rent of a vault back into which nobody paid.
//!
//! Authority   anyone
//! Requires    terms match; Open or no state; token account empty or absent; now >= issuedAt + 120
//! Effects     token account and state closed, all lamports to rentTo
//! Emits       `VaultClosed`
//! Invariants  M1c; nothing was settled, so its going replays nothing

use anchor_lang::prelude::*;
use d402_settlement::Terms;
use d402_settlement::ledger::{Command, RentAccount};

use super::shared::{TermsArgs, decide, expect_rent_to, now, tokens_of};
use crate::error::VaultError;
use crate::events::VaultClosed;
use crate::lamports;
use crate::state::{self, Signer as VaultSigner, site_of};
use crate::token::{MintView, Wallet};

#[event_cpi]
#[derive(Accounts)]
pub struct CloseUnfunded<'info> {
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
    /// CHECK: must be the terms' rentTo.
    #[account(mut)]
    pub rent_to: UncheckedAccount<'info>,
}

pub(crate) fn handler(ctx: Context<CloseUnfunded>, args: &TermsArgs) -> Result<()> {
    // Decide.
    let terms = Terms::from(args);
    let vault = ctx.accounts.vault.as_ref();
    let rent_to = ctx.accounts.rent_to.as_ref();
    let account = ctx.accounts.vault_tokens.as_ref();
    let site = site_of(&terms, vault)?;
    require_keys_eq!(*ctx.accounts.mint.key, args.mint, VaultError::WrongMint);
    expect_rent_to(rent_to, &terms.rent_to)?;
    let mint = MintView::read(
        ctx.accounts.mint.as_ref(),
        ctx.accounts.token_program.as_ref(),
    )?;
    let tokens = tokens_of(vault.key, account, &mint)?;
    let before = state::load(site, vault, tokens.map(|tokens| tokens.amount))?;
    let command = Command::CloseUnfunded { terms: &terms };
    let decision = decide(&before, &command, now()?)?;

    // Execute: what is recorded is that there is nothing.
    let mut lamports = 0u64;
    if decision.moves_rent_of(RentAccount::Tokens) {
        lamports = account.lamports();
        require!(
            lamports::can_receive(rent_to, lamports)?,
            VaultError::RentToCannotReceive
        );
        let signer = VaultSigner::of(&site);
        let wallet = Wallet {
            vault,
            tokens: account,
            mint: &mint,
            seeds: &signer.seeds(),
        };
        wallet.close(rent_to)?;
    }
    let event = VaultClosed {
        vault: *vault.key,
        rent_to: *rent_to.key,
        lamports: if decision.moves_rent_of(RentAccount::State) {
            lamports.saturating_add(vault.lamports())
        } else {
            lamports
        },
    };
    emit_cpi!(event);
    if decision.moves_rent_of(RentAccount::State) {
        let vault = ctx.accounts.vault.as_ref();
        lamports::close(vault, ctx.accounts.rent_to.as_ref())?;
    }
    Ok(())
}
