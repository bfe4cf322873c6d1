//! Token accounts.

use anchor_lang::prelude::*;

use super::{ACCOUNT_LEN, ASSOCIATED, TOKEN_2022, extensions};
use crate::error::VaultError;

const TYPE_ACCOUNT: u8 = 2;
const INITIALIZED: u8 = 1;
const FROZEN: u8 = 2;
const IMMUTABLE_OWNER: u16 = 7;

/// A token account of one mint under one token program.
#[derive(Clone, Copy)]
pub(crate) struct TokenAccount {
    pub(crate) owner: Pubkey,
    pub(crate) amount: u64,
    is_frozen: bool,
    /// No extension that could make a transfer fail.
    is_plain: bool,
}

impl TokenAccount {
    /// Reads an account; `None` when it is no initialised token account of this mint and program.
    pub(crate) fn read(
        account: &AccountInfo<'_>,
        mint: &Pubkey,
        token_program: &Pubkey,
    ) -> Option<Self> {
        if account.owner != token_program {
            return None;
        }
        let data = account.try_borrow_data().ok()?;
        Self::parse(&data, mint, token_program == &TOKEN_2022)
    }

    fn parse(data: &[u8], mint: &Pubkey, may_extend: bool) -> Option<Self> {
        let is_plain = match data.len() {
            ACCOUNT_LEN => true,
            _ if may_extend => {
                let mut is_plain = true;
                let known = extensions(data, TYPE_ACCOUNT, |extension| {
                    is_plain &= extension == IMMUTABLE_OWNER;
                });
                known?;
                is_plain
            }
            _ => return None,
        };
        let (stored_mint, rest) = data.split_first_chunk::<32>()?;
        let (owner, rest) = rest.split_first_chunk::<32>()?;
        let (amount, _) = rest.split_first_chunk::<8>()?;
        let state = *data.get(108)?;
        let is_ours = stored_mint == mint.as_array() && (state == INITIALIZED || state == FROZEN);
        is_ours.then(|| Self {
            owner: Pubkey::new_from_array(*owner),
            amount: u64::from_le_bytes(*amount),
            is_frozen: state == FROZEN,
            is_plain,
        })
    }

    /// A transfer to it now cannot fail, as far as its owner is concerned (#17, M6b).
    pub(crate) fn is_payable(&self) -> bool {
        !self.is_frozen && self.is_plain
    }

    /// Worth trying: where a failing transfer hurts nobody else, extensions are the token program's
    /// question.
    pub(crate) const fn is_worth_trying(&self) -> bool {
        !self.is_frozen
    }

    /// Can be closed once empty.
    pub(crate) const fn is_closable(&self) -> bool {
        self.is_plain
    }
}

/// The canonical token account of a wallet. Costs a search for the bump.
#[inline(never)]
pub(crate) fn canonical_address(wallet: &Pubkey, mint: &Pubkey, token_program: &Pubkey) -> Pubkey {
    let seeds = [wallet.as_ref(), token_program.as_ref(), mint.as_ref()];
    Pubkey::find_program_address(&seeds, &ASSOCIATED).0
}

/// The address with a bump somebody says is the canonical one. Only for an account that is known to
/// exist: nobody can make one at any other bump, but an *absent* account at another bump must never
/// make a payee look unpayable (M6c).
#[inline(never)]
pub(crate) fn hinted_address(
    wallet: &Pubkey,
    mint: &Pubkey,
    token_program: &Pubkey,
    bump: u8,
) -> Result<Pubkey> {
    let bump = [bump];
    let seeds = [
        wallet.as_ref(),
        token_program.as_ref(),
        mint.as_ref(),
        &bump,
    ];
    let address = Pubkey::create_program_address(&seeds, &ASSOCIATED);
    Ok(address.map_err(|_| VaultError::NotCanonical)?)
}
