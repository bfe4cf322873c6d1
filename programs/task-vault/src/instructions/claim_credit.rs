//! `claim_credit`: pays a payee's credits to its canonical account.
//!
//! Authority   anyone
//! Requires    Settled, credit > 0, now < refundAfter + 180 d; terms match (the tombstone does not remember the
//!             mint, and a credit must not be paid in another token); the account is canonical and not frozen
//! Effects     credit := 0; paid
//! Emits       `CreditPaid`
//! Invariants  M1a, M1b, M6

use anchor_lang::prelude::*;
use d402_settlement::Terms;
use d402_settlement::ledger::{Command, Effects};

use super::shared::{TermsArgs, decide, key, now, tokens_of};
use crate::error::VaultError;
use crate::events::CreditPaid;
use crate::state::{self, Signer as VaultSigner, site_of};
use crate::token::{MintView, TokenAccount, Wallet, canonical_address};

#[event_cpi]
#[derive(Accounts)]
pub struct ClaimCredit<'info> {
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
    /// CHECK: must be the canonical token account of the payee.
    #[account(mut)]
    pub payee_tokens: UncheckedAccount<'info>,
}

pub(crate) fn handler(ctx: Context<ClaimCredit>, args: &TermsArgs, payee: Pubkey) -> Result<()> {
    let claiming = Claiming {
        vault: ctx.accounts.vault.as_ref(),
        tokens: ctx.accounts.vault_tokens.as_ref(),
        mint: ctx.accounts.mint.as_ref(),
        token_program: ctx.accounts.token_program.as_ref(),
        to: ctx.accounts.payee_tokens.as_ref(),
    };
    let paid = claiming.run(&Terms::from(args), payee, Target::Canonical)?;
    emit_cpi!(paid);
    Ok(())
}

/// Where a credit goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// To the payee's canonical account.
    Canonical,
    /// Anywhere: the payee signed.
    Signed,
}

/// The accounts of `claim_credit` and `claim_credit_to`.
pub(crate) struct Claiming<'a, 'info> {
    pub(crate) vault: &'a AccountInfo<'info>,
    pub(crate) tokens: &'a AccountInfo<'info>,
    pub(crate) mint: &'a AccountInfo<'info>,
    pub(crate) token_program: &'a AccountInfo<'info>,
    pub(crate) to: &'a AccountInfo<'info>,
}

impl Claiming<'_, '_> {
    pub(crate) fn run(&self, terms: &Terms, payee: Pubkey, target: Target) -> Result<CreditPaid> {
        // Decide.
        let site = site_of(terms, self.vault)?;
        require!(
            self.mint.key.as_array() == terms.mint.as_bytes(),
            VaultError::WrongMint
        );
        let mint = MintView::read(self.mint, self.token_program)?;
        let tokens = tokens_of(self.vault.key, self.tokens, &mint)?;
        let before = state::load(site, self.vault, tokens.map(|tokens| tokens.amount))?;
        let (to, payable) = (key(self.to.key), self.can_be_paid(&payee, &mint, target)?);
        let payee = key(&payee);
        let command = match target {
            Target::Canonical => Command::ClaimCredit { payee, payable },
            Target::Signed => Command::ClaimCreditTo {
                payee,
                signer: payee,
                to,
                payable,
            },
        };
        let decision = decide(&before, &command, now()?)?;

        // Record.
        state::store(decision.next(), self.vault)?;

        // Execute.
        let signer = VaultSigner::of(&site);
        let wallet = Wallet {
            vault: self.vault,
            tokens: self.tokens,
            mint: &mint,
            seeds: &signer.seeds(),
        };
        let amount = only_amount(decision.effects())?;
        wallet.pay(self.to, amount)?;
        Ok(CreditPaid {
            vault: *self.vault.key,
            payee: Pubkey::new_from_array(payee.0),
            to: *self.to.key,
            amount,
        })
    }

    fn can_be_paid(&self, payee: &Pubkey, mint: &MintView<'_, '_>, target: Target) -> Result<bool> {
        can_be_paid(self.to, self.vault.key, payee, mint, target)
    }
}

/// Is it worth trying to pay this account for `owner`? A failing transfer hurts nobody else here.
pub(crate) fn can_be_paid(
    account: &AccountInfo<'_>,
    vault: &Pubkey,
    owner: &Pubkey,
    mint: &MintView<'_, '_>,
    target: Target,
) -> Result<bool> {
    let (program, mint) = (mint.token_program.key, mint.mint.key);
    let found = TokenAccount::read(account, mint, program);
    Ok(match target {
        Target::Canonical => {
            let address = canonical_address(owner, mint, program);
            require_keys_eq!(address, *account.key, VaultError::NotCanonical);
            found.is_some_and(|found| &found.owner == owner && found.is_worth_trying())
        }
        Target::Signed => {
            let found = found.ok_or(VaultError::NotATokenAccount)?;
            // The money would stay where it is while the ledger says it was paid.
            require!(&found.owner != vault, VaultError::BadPayee);
            found.is_worth_trying()
        }
    })
}

/// A claim and a refund make at most one transfer.
pub(crate) fn only_amount(effects: &Effects) -> Result<u64> {
    let amount = match effects.transfers.as_slice() {
        [] => 0,
        [transfer] => transfer.amount.to_u64().ok_or(VaultError::Broken)?,
        _ => return err!(VaultError::Broken),
    };
    Ok(amount)
}
