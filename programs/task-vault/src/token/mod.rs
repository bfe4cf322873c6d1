//! Tokens, from raw bytes: what an account is, whether it can be paid, and moving money.
//!
//! Raw, because the question "can this be paid?" must have an answer before any call is made: a call that
//! fails takes the whole transaction with it (#17).

mod account;
mod mint;
mod transfer;

pub(crate) use account::{TokenAccount, canonical_address, hinted_address};
pub(crate) use mint::MintView;
pub(crate) use transfer::{Wallet, create_canonical, pay_in};

use anchor_lang::prelude::*;

/// SPL Token.
const TOKEN: Pubkey = pubkey!("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
/// Token-2022.
const TOKEN_2022: Pubkey = pubkey!("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
/// Derives and makes canonical token accounts.
pub(crate) const ASSOCIATED: Pubkey = pubkey!("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");

/// Length of a token account without extensions; a mint with extensions is padded to it.
const ACCOUNT_LEN: usize = 165;

/// Calls `check` with the type of every extension of a Token-2022 account. `None` for anything that is
/// not a well-formed list, so that a strange account counts as one with a strange extension.
fn extensions(data: &[u8], account_type: u8, mut check: impl FnMut(u16)) -> Option<()> {
    let (kind, mut rest) = data.get(ACCOUNT_LEN..)?.split_first()?;
    if *kind != account_type {
        return None;
    }
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let [type_low, type_high, len_low, len_high] = *head;
        let extension = u16::from_le_bytes([type_low, type_high]);
        if extension == 0 {
            // Uninitialised space that a reallocation left behind.
            return Some(());
        }
        check(extension);
        rest = tail.get(usize::from(u16::from_le_bytes([len_low, len_high]))..)?;
    }
    rest.iter().all(|byte| *byte == 0).then_some(())
}
