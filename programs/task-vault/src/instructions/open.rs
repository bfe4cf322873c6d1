//! `open`: puts terms on chain and makes the vault's token account.
//!
//! Authority   anyone
//! Requires    terms settleable, not Settled, now < refundAfter; mint on the allow-list (#59); set published
//! Effects     state account with the terms; token account; both paid by the caller, both go to rentTo (#20)
//! Emits       `VaultOpened` with all terms, so that anybody can refund later (#5); nothing when already Open
//! Invariants  M1c, M4, M5b; works on pre-funded addresses and pre-created token accounts (#72)

use anchor_lang::prelude::*;
use d402_settlement::ledger::{Command, OPEN_LEN};
use d402_settlement::{Terms, Units};

use super::shared::{TermsArgs, decide, now, tokens_of};
use crate::error::VaultError;
use crate::events::VaultOpened;
use crate::lamports;
use crate::state::{self, load_set, site_of};
use crate::token::{ASSOCIATED, MintView, create_canonical};

#[event_cpi]
#[derive(Accounts)]
pub struct Open<'info> {
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
}

pub(crate) fn handler(ctx: Context<Open>, args: &TermsArgs) -> Result<()> {
    let opening = Opening {
        payer: ctx.accounts.payer.as_ref(),
        vault: ctx.accounts.vault.as_ref(),
        tokens: ctx.accounts.vault_tokens.as_ref(),
        mint: ctx.accounts.mint.as_ref(),
        set: ctx.accounts.validator_set.as_ref(),
        token_program: ctx.accounts.token_program.as_ref(),
        system_program: ctx.accounts.system_program.as_ref(),
    };
    let opened = opening.run(args, 0)?;

    if let Some(opened) = opened.event {
        emit_cpi!(opened);
    }
    Ok(())
}

/// The accounts of `open` and `open_funded`.
pub(crate) struct Opening<'a, 'info> {
    pub(crate) payer: &'a AccountInfo<'info>,
    pub(crate) vault: &'a AccountInfo<'info>,
    pub(crate) tokens: &'a AccountInfo<'info>,
    pub(crate) mint: &'a AccountInfo<'info>,
    pub(crate) set: &'a AccountInfo<'info>,
    pub(crate) token_program: &'a AccountInfo<'info>,
    pub(crate) system_program: &'a AccountInfo<'info>,
}

/// What an `open` did.
pub(crate) struct Opened<'a, 'info> {
    pub(crate) mint: MintView<'a, 'info>,
    /// `None` when the vault was open before.
    pub(crate) event: Option<VaultOpened>,
    /// What will be in the vault once `amount` is paid in.
    pub(crate) balance: u64,
}

impl<'a, 'info> Opening<'a, 'info> {
    /// Everything but the payment of `amount`, which the caller makes afterwards.
    #[inline(never)]
    pub(crate) fn run(&self, args: &TermsArgs, amount: u64) -> Result<Opened<'a, 'info>> {
        // Decide.
        let terms = Terms::from(args);
        let site = site_of(&terms, self.vault)?;
        require!(
            self.mint.key.as_array() == terms.mint.as_bytes(),
            VaultError::WrongMint
        );
        let mint = MintView::read(self.mint, self.token_program)?;
        let tokens = tokens_of(self.vault.key, self.tokens, &mint)?;
        let before = state::load(site, self.vault, tokens.map(|tokens| tokens.amount))?;
        let set = load_set(self.set)?;
        let command = Command::Open {
            terms: &terms,
            amount: Units::from_u64(amount),
            mint_allowed: mint.is_allowed(),
            set: set.as_deref(),
        };
        let decision = decide(&before, &command, now()?)?;

        // Record.
        if decision.effects().terms_published {
            let bump = [site.bump];
            let seeds: [&[u8]; 3] = [state::VAULT_SEED, site.terms_hash.as_bytes(), &bump];
            lamports::create(self.payer, self.vault, OPEN_LEN, &seeds)?;
            state::store(decision.next(), self.vault)?;
        }

        // Execute.
        if tokens.is_none() {
            create_canonical(
                self.payer,
                self.tokens,
                self.vault,
                &mint,
                self.system_program,
            )?;
        }
        let event = decision.effects().terms_published.then(|| VaultOpened {
            vault: *self.vault.key,
            terms_hash: site.terms_hash.0,
            terms: args.clone(),
        });
        let balance = decision.next().balance().to_u64();
        Ok(Opened {
            mint,
            event,
            balance: balance.ok_or(VaultError::Broken)?,
        })
    }
}
