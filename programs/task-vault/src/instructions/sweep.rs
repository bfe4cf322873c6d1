//! `sweep`: the refund. Everything that is not a credit goes to the canonical account of `refundTo`.
//!
//! Authority   anyone
//! Requires    terms match; Settled, or now >= refundAfter, or the terms can never settle. The vault's state need
//!             not exist: address and refundTo follow from the terms (M5)
//! Effects     balance - credits to refundTo; a token account that is empty then is closed, rent to rentTo.
//!             A mint other than the terms': all of it to refundTo, rent to the caller
//! Emits       `VaultSwept`
//! Invariants  M1a, M1b, M4a, M5

use anchor_lang::prelude::*;
use d402_settlement::ledger::{Command, RentAccount, VaultSite};
use d402_settlement::{Terms, Units};

use super::claim_credit::{Target, can_be_paid, only_amount};
use super::shared::{Decision, TermsArgs, address, decide, expect_rent_to, key, now, tokens_of};
use crate::error::VaultError;
use crate::events::VaultSwept;
use crate::lamports;
use crate::state::{self, Signer as VaultSigner, site_of};
use crate::token::{MintView, TokenAccount, Wallet};

#[event_cpi]
#[derive(Accounts)]
pub struct Sweep<'info> {
    #[account(mut)]
    pub caller: Signer<'info>,
    /// CHECK: must be the address of the terms.
    pub vault: UncheckedAccount<'info>,
    /// CHECK: must be the vault's canonical token account.
    #[account(mut)]
    pub vault_tokens: UncheckedAccount<'info>,
    /// CHECK: any mint: the terms' own, or one that was sent here by mistake.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: must be the owner of the mint, and one of the two token programs.
    pub token_program: UncheckedAccount<'info>,
    /// CHECK: must be the canonical token account of refundTo.
    #[account(mut)]
    pub refund_tokens: UncheckedAccount<'info>,
    /// CHECK: must be the terms' rentTo. Pass it writable; where it cannot take lamports, rent waits.
    pub rent_to: UncheckedAccount<'info>,
}

pub(crate) fn handler(ctx: Context<Sweep>, args: &TermsArgs) -> Result<()> {
    let sweeping = Sweeping {
        caller: ctx.accounts.caller.as_ref(),
        vault: ctx.accounts.vault.as_ref(),
        tokens: ctx.accounts.vault_tokens.as_ref(),
        mint: ctx.accounts.mint.as_ref(),
        token_program: ctx.accounts.token_program.as_ref(),
        to: ctx.accounts.refund_tokens.as_ref(),
        rent_to: ctx.accounts.rent_to.as_ref(),
    };
    let swept = sweeping.run(&Terms::from(args), Target::Canonical)?;
    emit_cpi!(swept);
    Ok(())
}

/// The accounts of `sweep` and `sweep_to`.
pub(crate) struct Sweeping<'a, 'info> {
    pub(crate) caller: &'a AccountInfo<'info>,
    pub(crate) vault: &'a AccountInfo<'info>,
    pub(crate) tokens: &'a AccountInfo<'info>,
    pub(crate) mint: &'a AccountInfo<'info>,
    pub(crate) token_program: &'a AccountInfo<'info>,
    pub(crate) to: &'a AccountInfo<'info>,
    pub(crate) rent_to: &'a AccountInfo<'info>,
}

impl<'info> Sweeping<'_, 'info> {
    pub(crate) fn run(&self, terms: &Terms, target: Target) -> Result<VaultSwept> {
        // Decide. Nothing is recorded: the balance is the token account's.
        let site = site_of(terms, self.vault)?;
        let mint = MintView::read(self.mint, self.token_program)?;
        let tokens = tokens_of(self.vault.key, self.tokens, &mint)?;
        let decision = self.decide(terms, site, (&mint, tokens), target)?;

        // Execute.
        let signer = VaultSigner::of(&site);
        let wallet = Wallet {
            vault: self.vault,
            tokens: self.tokens,
            mint: &mint,
            seeds: &signer.seeds(),
        };
        let amount = only_amount(decision.effects())?;
        if amount > 0 {
            wallet.pay(self.to, amount)?;
        }
        let is_closable = tokens.is_some_and(|tokens| tokens.is_closable());
        let tokens_closed = self.close_tokens(&decision, terms, &wallet, is_closable)?;
        require!(amount > 0 || tokens_closed, VaultError::RentToCannotReceive);
        Ok(VaultSwept {
            vault: *self.vault.key,
            mint: *self.mint.key,
            to: *self.to.key,
            amount,
            tokens_closed,
        })
    }

    #[inline(never)]
    fn decide(
        &self,
        terms: &Terms,
        site: VaultSite,
        (mint, tokens): (&MintView<'_, '_>, Option<TokenAccount>),
        target: Target,
    ) -> Result<Decision> {
        let refund_to = address(&terms.refund_to);
        let payable = can_be_paid(self.to, self.vault.key, &refund_to, mint, target)?;
        let is_own = self.mint.key.as_array() == terms.mint.as_bytes();
        let balance = tokens.map(|tokens| tokens.amount);
        let before = state::load(site, self.vault, balance.filter(|_| is_own))?;
        let command = match (target, is_own) {
            (Target::Canonical, true) => Command::Sweep { terms, payable },
            (Target::Signed, true) => Command::SweepTo {
                terms,
                signer: terms.refund_to,
                to: key(self.to.key),
                payable,
            },
            (Target::Canonical, false) => Command::SweepOther {
                terms,
                mint: key(self.mint.key),
                balance: Units::from_u64(balance.ok_or(VaultError::NothingToSweep)?),
                payable,
            },
            (Target::Signed, false) => return err!(VaultError::WrongMint),
        };
        decide(&before, &command, now()?)
    }

    /// Closes the empty token account, unless that cannot succeed: the refund must not wait for it.
    fn close_tokens(
        &self,
        decision: &Decision,
        terms: &Terms,
        wallet: &Wallet<'_, 'info>,
        is_closable: bool,
    ) -> Result<bool> {
        let rent_to = if decision.moves_rent_of(RentAccount::OtherTokens) {
            self.caller
        } else if decision.moves_rent_of(RentAccount::Tokens) {
            expect_rent_to(self.rent_to, &terms.rent_to)?;
            self.rent_to
        } else {
            return Ok(false);
        };
        let can = is_closable && lamports::can_receive(rent_to, self.tokens.lamports())?;
        if can {
            wallet.close(rent_to)?;
        }
        Ok(can)
    }
}
