//! Calls the program in its first account with all its other accounts and its data: an attacker that wraps an
//! instruction which must only work at the top level of a transaction (#43). Never deployed.
#![allow(unexpected_cfgs, reason = "the entrypoint macro expands to them")]

use anchor_lang::solana_program::account_info::AccountInfo;
use anchor_lang::solana_program::entrypoint;
use anchor_lang::solana_program::entrypoint::ProgramResult;
use anchor_lang::solana_program::instruction::{AccountMeta, Instruction};
use anchor_lang::solana_program::program::invoke;
use anchor_lang::solana_program::program_error::ProgramError;
use anchor_lang::solana_program::pubkey::Pubkey;

entrypoint!(relay);

fn relay(_: &Pubkey, accounts: &[AccountInfo<'_>], data: &[u8]) -> ProgramResult {
    let (target, others) = accounts
        .split_first()
        .ok_or(ProgramError::NotEnoughAccountKeys)?;
    let metas = others.iter().map(|account| AccountMeta {
        pubkey: *account.key,
        is_signer: account.is_signer,
        is_writable: account.is_writable,
    });
    let call = Instruction {
        program_id: *target.key,
        accounts: metas.collect(),
        data: data.to_vec(),
    };
    invoke(&call, accounts)
}
