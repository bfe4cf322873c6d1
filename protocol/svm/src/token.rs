//! Token accounts and mints, from raw bytes, by the program's own rules (`programs/task-vault/src/token`).

use solana_address::Address;

use crate::address::{TOKEN, TOKEN_2022};
use crate::wire::Account;

/// Length of a token account without extensions; a mint with extensions is padded to it.
const ACCOUNT_LEN: usize = 165;
const MINT_LEN: usize = 82;
const TYPE_MINT: u8 = 1;
const TYPE_ACCOUNT: u8 = 2;
const IMMUTABLE_OWNER: u16 = 7;
/// Metadata and group pointers and their data: nothing that can take, tax, hold or block money (#59).
const ALLOWED: [u16; 4] = [18, 19, 20, 22];

/// Wrapped SOL: its balance changes outside the token program's rules, so no vault may hold it (#59).
pub const NATIVE: [Address; 2] = [
    Address::from_str_const("So11111111111111111111111111111111111111112"),
    Address::from_str_const("9pan9bMn5HatX4EJdBwg9VgCa7Uz5HL8N1m5D3NdXej9"),
];

/// A mint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mint {
    /// SPL Token or Token-2022.
    pub program: Address,
    /// Decimals of its unit.
    pub decimals: u8,
    /// Whether every extension is on the allow-list of #59.
    pub is_allowed: bool,
}

impl Mint {
    /// Reads a mint; `None` for anything else.
    #[must_use]
    pub fn read(account: &Account) -> Option<Self> {
        let data = &account.data;
        let may_extend = account.owner == TOKEN_2022;
        if account.owner != TOKEN && !may_extend {
            return None;
        }
        let mut is_allowed = true;
        if data.len() != MINT_LEN {
            if !may_extend || data.len() <= ACCOUNT_LEN {
                return None;
            }
            extensions(data, TYPE_MINT, |kind| {
                is_allowed &= ALLOWED.contains(&kind)
            })?;
        }
        let (decimals, is_initialized) = (*data.get(44)?, *data.get(45)?);
        (is_initialized == 1).then_some(Self {
            program: account.owner,
            decimals,
            is_allowed,
        })
    }
}

/// A token account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenAccount {
    /// Its mint.
    pub mint: Address,
    /// Whose money it is.
    pub owner: Address,
    /// Units.
    pub amount: u64,
    /// Neither gives nor takes.
    pub is_frozen: bool,
    /// Without an extension that could make a transfer fail.
    pub is_plain: bool,
}

impl TokenAccount {
    /// Reads an initialised token account; `None` for anything else.
    #[must_use]
    pub fn read(account: &Account) -> Option<Self> {
        let data = &account.data;
        let may_extend = account.owner == TOKEN_2022;
        if account.owner != TOKEN && !may_extend {
            return None;
        }
        let mut is_plain = true;
        if data.len() != ACCOUNT_LEN {
            if !may_extend {
                return None;
            }
            extensions(data, TYPE_ACCOUNT, |kind| {
                is_plain &= kind == IMMUTABLE_OWNER
            })?;
        }
        let (mint, rest) = data.split_first_chunk::<32>()?;
        let (owner, rest) = rest.split_first_chunk::<32>()?;
        let (amount, _) = rest.split_first_chunk::<8>()?;
        let state = *data.get(108)?;
        (state == 1 || state == 2).then_some(Self {
            mint: Address::new_from_array(*mint),
            owner: Address::new_from_array(*owner),
            amount: u64::from_le_bytes(*amount),
            is_frozen: state == 2,
            is_plain,
        })
    }

    /// Whether the program would pay `wallet` here now (#17).
    #[must_use]
    pub fn is_payable_to(&self, wallet: &Address, mint: &Address) -> bool {
        self.owner == *wallet && self.mint == *mint && !self.is_frozen && self.is_plain
    }
}

/// Calls `check` with the type of every extension. `None` for anything that is not a well-formed list.
fn extensions(data: &[u8], account_type: u8, mut check: impl FnMut(u16)) -> Option<()> {
    let (kind, mut rest) = data.get(ACCOUNT_LEN..)?.split_first()?;
    if *kind != account_type {
        return None;
    }
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let [type_low, type_high, len_low, len_high] = *head;
        let extension = u16::from_le_bytes([type_low, type_high]);
        if extension == 0 {
            return Some(());
        }
        check(extension);
        rest = tail.get(usize::from(u16::from_le_bytes([len_low, len_high]))..)?;
    }
    rest.iter().all(|byte| *byte == 0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(owner: Address, state: u8, extra: &[u8]) -> Account {
        let mut data = vec![0; 165];
        data[..32].fill(1);
        data[32..64].fill(2);
        data[64..72].copy_from_slice(&77_u64.to_le_bytes());
        data[108] = state;
        data.extend(extra);
        Account {
            lamports: 1,
            owner,
            data,
        }
    }

    #[test]
    fn a_frozen_reowned_or_extended_account_is_not_payable() {
        let (mint, wallet) = (
            Address::new_from_array([1; 32]),
            Address::new_from_array([2; 32]),
        );
        let read = |account| TokenAccount::read(&account).unwrap();
        let plain = read(tokens(TOKEN, 1, &[]));
        assert_eq!(plain.amount, 77);
        assert!(plain.is_payable_to(&wallet, &mint));
        assert!(!plain.is_payable_to(&mint, &mint), "re-owned");
        assert!(!plain.is_payable_to(&wallet, &wallet), "another mint");
        assert!(!read(tokens(TOKEN, 2, &[])).is_payable_to(&wallet, &mint));
        let immutable = read(tokens(TOKEN_2022, 1, &[2, 7, 0, 0, 0]));
        assert!(immutable.is_payable_to(&wallet, &mint));
        let memo = read(tokens(TOKEN_2022, 1, &[2, 8, 0, 1, 0, 1]));
        assert!(!memo.is_payable_to(&wallet, &mint));
    }

    #[test]
    fn what_no_token_program_owns_or_initialised_is_no_token_account() {
        assert_eq!(TokenAccount::read(&tokens(TOKEN, 0, &[])), None);
        assert_eq!(TokenAccount::read(&tokens(TOKEN, 1, &[0])), None);
        let stranger = Address::new_from_array([9; 32]);
        assert_eq!(TokenAccount::read(&tokens(stranger, 1, &[])), None);
        assert_eq!(TokenAccount::read(&tokens(TOKEN_2022, 1, &[1])), None);
    }
}
