//! `lapse_credits`: credits nobody claimed for 180 days join the residual.
//!
//! Authority   anyone
//! Requires    Settled, credits > 0, now >= refundAfter + 180 d
//! Effects     all credits := 0
//! Emits       `CreditsLapsed`
//! Invariants  M1b, M5a

use anchor_lang::prelude::*;
use d402_settlement::ledger::Command;

use super::shared::{decide, now};
use crate::error::VaultError;
use crate::events::CreditsLapsed;
use crate::state::{self, stored_site};

#[event_cpi]
#[derive(Accounts)]
pub struct LapseCredits<'info> {
    /// CHECK: owned by this program and at the address its content names.
    #[account(mut)]
    pub vault: UncheckedAccount<'info>,
}

pub(crate) fn handler(ctx: Context<LapseCredits>) -> Result<()> {
    let vault = ctx.accounts.vault.as_ref();
    let before = state::load(stored_site(vault)?, vault, None)?;
    let decision = decide(&before, &Command::LapseCredits, now()?)?;

    state::store(decision.next(), vault)?;

    let amount = decision
        .effects()
        .lapsed
        .to_u64()
        .ok_or(VaultError::Broken)?;
    emit_cpi!(CreditsLapsed {
        vault: *ctx.accounts.vault.key,
        amount,
    });
    Ok(())
}
