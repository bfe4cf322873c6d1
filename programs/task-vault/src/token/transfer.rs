//! Calls of the token programs.

use anchor_lang::prelude::*;
use anchor_lang::solana_program::instruction::Instruction;
use anchor_lang::solana_program::program::{invoke, invoke_signed};

use super::{ASSOCIATED, MintView};

const TRANSFER_CHECKED: u8 = 12;
const CLOSE_ACCOUNT: u8 = 9;
const CREATE_IDEMPOTENT: u8 = 1;

/// The vault's token account and what is needed to spend from it.
pub(crate) struct Wallet<'a, 'info> {
    pub(crate) vault: &'a AccountInfo<'info>,
    pub(crate) tokens: &'a AccountInfo<'info>,
    pub(crate) mint: &'a MintView<'a, 'info>,
    pub(crate) seeds: &'a [&'a [u8]],
}

impl<'info> Wallet<'_, 'info> {
    /// Pays out of the vault.
    pub(crate) fn pay(&self, to: &AccountInfo<'info>, amount: u64) -> Result<()> {
        let (call, accounts) = transfer(self.tokens, self.mint, to, self.vault, amount);
        invoke_signed(&call, &accounts, &[self.seeds])?;
        Ok(())
    }

    /// Closes the vault's empty token account.
    pub(crate) fn close(&self, rent_to: &AccountInfo<'info>) -> Result<()> {
        let call = Instruction {
            program_id: *self.mint.token_program.key,
            accounts: vec![
                AccountMeta::new(*self.tokens.key, false),
                AccountMeta::new(*rent_to.key, false),
                AccountMeta::new_readonly(*self.vault.key, true),
            ],
            data: vec![CLOSE_ACCOUNT],
        };
        let accounts = [self.tokens.clone(), rent_to.clone(), self.vault.clone()];
        invoke_signed(&call, &accounts, &[self.seeds])?;
        Ok(())
    }
}

/// Pays into the vault out of the signer's account.
pub(crate) fn pay_in<'info>(
    source: &AccountInfo<'info>,
    mint: &MintView<'_, 'info>,
    to: &AccountInfo<'info>,
    authority: &AccountInfo<'info>,
    amount: u64,
) -> Result<()> {
    let (call, accounts) = transfer(source, mint, to, authority, amount);
    invoke(&call, &accounts)?;
    Ok(())
}

fn transfer<'info>(
    from: &AccountInfo<'info>,
    mint: &MintView<'_, 'info>,
    to: &AccountInfo<'info>,
    authority: &AccountInfo<'info>,
    amount: u64,
) -> (Instruction, [AccountInfo<'info>; 4]) {
    let mut data = Vec::with_capacity(10);
    data.push(TRANSFER_CHECKED);
    data.extend(amount.to_le_bytes());
    data.push(mint.decimals);
    let call = Instruction {
        program_id: *mint.token_program.key,
        accounts: vec![
            AccountMeta::new(*from.key, false),
            AccountMeta::new_readonly(*mint.mint.key, false),
            AccountMeta::new(*to.key, false),
            AccountMeta::new_readonly(*authority.key, true),
        ],
        data,
    };
    let accounts = [
        from.clone(),
        mint.mint.clone(),
        to.clone(),
        authority.clone(),
    ];
    (call, accounts)
}

/// Makes the vault's token account; does nothing when somebody else was faster (#72).
pub(crate) fn create_canonical<'info>(
    payer: &AccountInfo<'info>,
    tokens: &AccountInfo<'info>,
    vault: &AccountInfo<'info>,
    mint: &MintView<'_, 'info>,
    system_program: &AccountInfo<'info>,
) -> Result<()> {
    let call = Instruction {
        program_id: ASSOCIATED,
        accounts: vec![
            AccountMeta::new(*payer.key, true),
            AccountMeta::new(*tokens.key, false),
            AccountMeta::new_readonly(*vault.key, false),
            AccountMeta::new_readonly(*mint.mint.key, false),
            AccountMeta::new_readonly(*system_program.key, false),
            AccountMeta::new_readonly(*mint.token_program.key, false),
        ],
        data: vec![CREATE_IDEMPOTENT],
    };
    let accounts = [
        payer.clone(),
        tokens.clone(),
        vault.clone(),
        mint.mint.clone(),
        system_program.clone(),
        mint.token_program.clone(),
    ];
    invoke(&call, &accounts)?;
    Ok(())
}
