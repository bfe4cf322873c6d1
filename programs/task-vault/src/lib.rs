//! `task-vault`: the money of one task on Solana.
//!
//! Responsible for: finding out what is true on chain (accounts, clock, precompile signatures), asking
//! `protocol/settlement` what follows, storing its answer and executing its effects. Not responsible for any
//! decision about money: that is the ledger's, which the simulated rail runs too.
//!
//! Every instruction is open to anyone. There is no admin, no pause, no configuration.
#![allow(
    clippy::diverging_sub_expression,
    unexpected_cfgs,
    reason = "the framework's macros expand to them"
)]

mod cluster;
mod error;
pub mod events;
mod instructions;
mod lamports;
mod precompile;
mod receipt;
mod state;
mod token;

use anchor_lang::prelude::*;

pub use error::VaultError;
pub use instructions::*;

#[cfg(not(any(feature = "devnet", feature = "mainnet")))]
declare_id!("9WtXEHG1vNwiuEqg9XdCmvRKbThp4p8Afianb3juYUSy");
#[cfg(feature = "devnet")]
declare_id!("BdVuVjfbYYWNmA4wpaqsEuN5LdtcJsFnzRPTKQZoMKcP");
#[cfg(all(feature = "mainnet", not(feature = "devnet")))]
declare_id!("HSyPcHf1jxE8iYyxsJeMrWNXDncbrLNWbJLn5DhK9Tay");

#[program]
pub mod task_vault {
    use super::*;

    /// Stores a validator set for ever; does nothing when it is there.
    pub fn publish_set(ctx: Context<PublishSet>, m: u8, keys: Vec<[u8; 32]>) -> Result<()> {
        instructions::publish_set::handler(ctx, m, &keys)
    }

    /// Puts terms on chain and makes the vault's token account.
    pub fn open(ctx: Context<Open>, terms: TermsArgs) -> Result<()> {
        instructions::open::handler(ctx, &terms)
    }

    /// `open`, and pays `amount` in from the signer's own account.
    pub fn open_funded(ctx: Context<OpenFunded>, terms: TermsArgs, amount: u64) -> Result<()> {
        instructions::open_funded::handler(ctx, &terms, amount)
    }

    /// Executes a receipt whose signatures are in the instruction before this one.
    pub fn settle<'info>(ctx: Context<'info, Settle<'info>>, receipt: ReceiptArgs) -> Result<()> {
        instructions::settle::handler(ctx, &receipt)
    }

    /// Remembers signatures over a receipt that is too large for one transaction.
    pub fn approve(ctx: Context<Approve>) -> Result<()> {
        instructions::approve::handler(ctx)
    }

    /// Executes a receipt whose signatures were remembered.
    pub fn settle_approved<'info>(
        ctx: Context<'info, SettleApproved<'info>>,
        receipt: ReceiptArgs,
    ) -> Result<()> {
        instructions::settle_approved::handler(ctx, &receipt)
    }

    /// Pays a credit to the payee's canonical account.
    pub fn claim_credit(ctx: Context<ClaimCredit>, terms: TermsArgs, payee: Pubkey) -> Result<()> {
        instructions::claim_credit::handler(ctx, &terms, payee)
    }

    /// Pays a credit anywhere, by the payee's signature.
    pub fn claim_credit_to(ctx: Context<ClaimCreditTo>, terms: TermsArgs) -> Result<()> {
        instructions::claim_credit_to::handler(ctx, &terms)
    }

    /// Gives credits nobody claimed in time back to the residual.
    pub fn lapse_credits(ctx: Context<LapseCredits>) -> Result<()> {
        instructions::lapse_credits::handler(ctx)
    }

    /// The refund: everything that is not a credit goes to `refundTo`.
    pub fn sweep(ctx: Context<Sweep>, terms: TermsArgs) -> Result<()> {
        instructions::sweep::handler(ctx, &terms)
    }

    /// The refund, anywhere, by the signature of `refundTo`.
    pub fn sweep_to(ctx: Context<SweepTo>, terms: TermsArgs) -> Result<()> {
        instructions::sweep_to::handler(ctx, &terms)
    }

    /// Gives the rent of a vault back into which nobody paid.
    pub fn close_unfunded(ctx: Context<CloseUnfunded>, terms: TermsArgs) -> Result<()> {
        instructions::close_unfunded::handler(ctx, &terms)
    }

    /// Gives the rent of a finished vault back.
    pub fn close(ctx: Context<Close>) -> Result<()> {
        instructions::close::handler(ctx)
    }

    /// Gives the rent of remembered signatures back to who paid it.
    pub fn close_approval(ctx: Context<CloseApproval>, digest: [u8; 32]) -> Result<()> {
        instructions::close_approval::handler(ctx, digest)
    }
}
