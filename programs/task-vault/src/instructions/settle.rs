//! `settle`: executes a receipt whose signatures the Ed25519 instruction before this one carries.
//!
//! Authority   anyone
//! Requires    Open, now < refundAfter; enough members of the vault's set signed exactly this receipt; rows
//!             valid and within budget, cap and balance; every account canonical
//! Effects     Settled first; payable payees, commission and fee paid, the others become credits; residual to
//!             refundTo if payable; empty token account closed; state shrinks to the tombstone
//! Emits       `VaultSettled`
//! Invariants  M1–M4, M6 (a payee that cannot be paid costs the others nothing), M7

use anchor_lang::prelude::*;
use anchor_lang::system_program;
use d402_settlement::ledger::{
    Command, OpenVault, RentAccount, Unpayable, VaultAccount, VaultSite,
};
use d402_settlement::{Approvals, Key32, ValidatorSet, settlement_digest};
use solana_instructions_sysvar::ID as INSTRUCTIONS;

use super::shared::{Decision, address, decide, expect_rent_to, now, tokens_of};
use crate::error::VaultError;
use crate::events::{VaultSettled, payments};
use crate::lamports;
use crate::precompile::Checked;
use crate::receipt::{Parties, Party, ReceiptArgs};
use crate::state::{self, Signer as VaultSigner, load_set, stored_site};
use crate::token::{MintView, Wallet};

#[event_cpi]
#[derive(Accounts)]
pub struct Settle<'info> {
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
    /// CHECK: one address.
    #[account(address = INSTRUCTIONS)]
    pub instructions: UncheckedAccount<'info>,
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
    ctx: Context<'info, Settle<'info>>,
    receipt: &ReceiptArgs,
) -> Result<()> {
    let checked = Checked::read(ctx.accounts.instructions.as_ref())?;
    let settling = Settling {
        payer: ctx.accounts.payer.as_ref(),
        vault: ctx.accounts.vault.as_ref(),
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
        require!(checked.message() == &digest, VaultError::WrongDigest);
        checked.approvals(set)
    })?;
    emit_cpi!(settled);
    Ok(())
}

/// The accounts of `settle` and `settle_approved`.
pub(crate) struct Settling<'a, 'info> {
    pub(crate) payer: &'a AccountInfo<'info>,
    pub(crate) vault: &'a AccountInfo<'info>,
    pub(crate) tokens: &'a AccountInfo<'info>,
    pub(crate) mint: &'a AccountInfo<'info>,
    pub(crate) token_program: &'a AccountInfo<'info>,
    pub(crate) refund: &'a AccountInfo<'info>,
    pub(crate) rent_to: &'a AccountInfo<'info>,
    pub(crate) set: &'a AccountInfo<'info>,
    pub(crate) commission: Option<&'a AccountInfo<'info>>,
    pub(crate) gateway_fee: Option<&'a AccountInfo<'info>>,
    /// The payees' token accounts in the order of the rows, then the system program if rent is due.
    pub(crate) rest: &'a [AccountInfo<'info>],
}

impl<'a, 'info> Settling<'a, 'info> {
    pub(crate) fn run(
        &self,
        receipt: &ReceiptArgs,
        approve: impl FnOnce(&ValidatorSet, [u8; 32]) -> Result<Approvals>,
    ) -> Result<VaultSettled> {
        // Decide.
        let site = stored_site(self.vault)?;
        let mint = MintView::read(self.mint, self.token_program)?;
        let tokens = tokens_of(self.vault.key, self.tokens, &mint)?;
        let before = state::load(site, self.vault, tokens.map(|tokens| tokens.amount))?;
        let open = self.expect_open(&before.account)?;
        let parties = self.parties(open, receipt, &mint)?;
        let settlement = parties.settlement(receipt)?;
        let set = load_set(self.set)?.ok_or(VaultError::WrongSet)?;
        require!(set.hash() == open.validator_set, VaultError::WrongSet);
        let digest = settlement_digest(&site.domain, &site.terms_hash, &settlement);
        let approvals = approve(&set, digest)?;
        let unpayable = Unpayable::among(open.parties(&settlement.rows), |wallet| {
            parties.is_payable(wallet)
        });
        let command = Command::Settle {
            settlement: &settlement,
            approvals: &approvals,
            unpayable: &unpayable.map_err(|_| VaultError::Broken)?,
        };
        let decision = decide(&before, &command, now()?)?;

        // Record.
        self.record(&decision, receipt)?;

        // Execute.
        self.pay(&decision, &site, &mint, &parties)?;
        self.return_rent(&decision)?;
        let (paid, credits) = payments(decision.effects());
        Ok(VaultSettled {
            vault: *self.vault.key,
            terms_hash: site.terms_hash.0,
            receipt_cid: receipt.receipt_cid,
            outcome: receipt.outcome,
            signers: approvals.signers(),
            paid,
            credits,
        })
    }

    fn expect_open<'s>(&self, account: &'s VaultAccount) -> Result<&'s OpenVault> {
        let open = match account {
            VaultAccount::Absent => return err!(VaultError::NotOpen),
            VaultAccount::Settled(_) => return err!(VaultError::AlreadySettled),
            VaultAccount::Open(open) => open,
        };
        require_keys_eq!(*self.mint.key, address(&open.mint), VaultError::WrongMint);
        expect_rent_to(self.rent_to, &open.rent_to)?;
        Ok(open)
    }

    #[inline(never)]
    fn parties(
        &self,
        open: &OpenVault,
        receipt: &ReceiptArgs,
        mint: &MintView<'_, 'info>,
    ) -> Result<Parties<'a, 'info>> {
        let mut parties = Parties::of_rows(receipt, self.rest, mint)?;
        let fixed: [(&Key32, Option<&'a AccountInfo<'info>>); 3] = [
            (&open.commission_payee, self.commission),
            (&open.gateway_fee_payee, self.gateway_fee),
            (&open.refund_to, Some(self.refund)),
        ];
        for (wallet, tokens) in fixed {
            if !wallet.is_zero() {
                let tokens = tokens.ok_or(VaultError::MissingAccount)?;
                parties.add(Party::of(*wallet, tokens, mint)?);
            }
        }
        Ok(parties)
    }

    /// Marks the vault settled before any token moves. Credits beyond four need more room than the open
    /// vault had; the caller pays for it, and rentTo gets it in the end.
    #[inline(never)]
    fn record(&self, decision: &Decision, receipt: &ReceiptArgs) -> Result<()> {
        let extra = self.rest.get(receipt.rows.len()..).unwrap_or(&[]);
        require!(extra.len() <= 1, VaultError::ExtraAccount);
        let system = extra
            .first()
            .filter(|extra| extra.key == &system_program::ID);
        require!(
            system.is_some() || extra.is_empty(),
            VaultError::ExtraAccount
        );
        let bytes = decision.next().encode_account().map_err(VaultError::from)?;
        let needed = Rent::get()?.minimum_balance(bytes.len());
        if self.vault.lamports() < needed {
            require!(system.is_some(), VaultError::MissingAccount);
            lamports::top_up(self.payer, self.vault, needed)?;
        }
        state::store_bytes(bytes.as_slice(), self.vault)
    }

    #[inline(never)]
    fn pay(
        &self,
        decision: &Decision,
        site: &VaultSite,
        mint: &MintView<'_, 'info>,
        parties: &Parties<'a, 'info>,
    ) -> Result<()> {
        let signer = VaultSigner::of(site);
        let wallet = Wallet {
            vault: self.vault,
            tokens: self.tokens,
            mint,
            seeds: &signer.seeds(),
        };
        for transfer in &decision.effects().transfers {
            let amount = transfer.amount.to_u64().ok_or(VaultError::Broken)?;
            wallet.pay(parties.tokens(&transfer.to)?, amount)?;
        }
        // A rent account that cannot take lamports must not hold up the workers: the empty token
        // account then waits for a sweep.
        if decision.moves_rent_of(RentAccount::Tokens)
            && lamports::can_receive(self.rent_to, self.tokens.lamports())?
        {
            wallet.close(self.rent_to)?;
        }
        Ok(())
    }

    /// What the smaller account no longer needs; for the same reason it may also wait for `close`.
    fn return_rent(&self, decision: &Decision) -> Result<()> {
        let len = self.vault.data_len();
        let spare = self
            .vault
            .lamports()
            .saturating_sub(Rent::get()?.minimum_balance(len));
        let is_due = decision.moves_rent_of(RentAccount::State) && spare > 0;
        if is_due && lamports::can_receive(self.rent_to, spare)? {
            lamports::give(self.vault, self.rent_to, spare)?;
        }
        Ok(())
    }
}
