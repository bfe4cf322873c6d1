//! Mints, and which of them a vault may hold (#59).

use anchor_lang::prelude::*;

use super::{ACCOUNT_LEN, TOKEN, TOKEN_2022, extensions};
use crate::error::VaultError;

const MINT_LEN: usize = 82;
const TYPE_MINT: u8 = 1;
/// Wrapped SOL: its balance changes outside the token program's rules.
const NATIVE: [Pubkey; 2] = [
    pubkey!("So11111111111111111111111111111111111111112"),
    pubkey!("9pan9bMn5HatX4EJdBwg9VgCa7Uz5HL8N1m5D3NdXej9"),
];
/// Metadata and group pointers and their data: nothing that can take, tax, hold or block money.
const ALLOWED: [u16; 4] = [18, 19, 20, 22];

/// A mint and its program.
pub(crate) struct MintView<'a, 'info> {
    pub(crate) mint: &'a AccountInfo<'info>,
    pub(crate) token_program: &'a AccountInfo<'info>,
    pub(crate) decimals: u8,
    is_allowed: bool,
}

impl<'a, 'info> MintView<'a, 'info> {
    /// Reads a mint of either token program.
    pub(crate) fn read(
        mint: &'a AccountInfo<'info>,
        token_program: &'a AccountInfo<'info>,
    ) -> Result<Self> {
        let program = token_program.key;
        require!(
            program == &TOKEN || program == &TOKEN_2022,
            VaultError::WrongTokenProgram
        );
        require_keys_eq!(*mint.owner, *program, VaultError::WrongTokenProgram);
        let data = mint.try_borrow_data()?;
        let (decimals, is_plain) =
            parse(&data, program == &TOKEN_2022).ok_or(VaultError::NotAMint)?;
        Ok(Self {
            mint,
            token_program,
            decimals,
            is_allowed: is_plain && !NATIVE.contains(mint.key),
        })
    }

    /// On the allow-list of #59.
    pub(crate) const fn is_allowed(&self) -> bool {
        self.is_allowed
    }
}

/// Decimals, and whether every extension is allowed.
fn parse(data: &[u8], may_extend: bool) -> Option<(u8, bool)> {
    let mut is_plain = true;
    if data.len() != MINT_LEN {
        if !may_extend || data.len() <= ACCOUNT_LEN {
            return None;
        }
        extensions(data, TYPE_MINT, |extension| {
            is_plain &= ALLOWED.contains(&extension);
        })?;
    }
    let (decimals, is_initialized) = (*data.get(44)?, *data.get(45)?);
    (is_initialized == 1).then_some((decimals, is_plain))
}
