//! Token accounts and mints as bytes, in every condition they can be in.

use solana_address::{Address, address};
use solana_instruction::{AccountMeta, Instruction};

pub const TOKEN: Address = address!("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
pub const TOKEN_2022: Address = address!("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
pub const ASSOCIATED: Address = address!("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
pub const NATIVE: Address = address!("So11111111111111111111111111111111111111112");
pub const RENT_ATA: u64 = 2_039_280;

pub fn ata(wallet: &Address, mint: &Address, program: &Address) -> (Address, u8) {
    let seeds = [wallet.as_ref(), program.as_ref(), mint.as_ref()];
    Address::find_program_address(&seeds, &ASSOCIATED)
}

pub fn mint_bytes(decimals: u8) -> Vec<u8> {
    let mut data = vec![0; 82];
    data[36..44].copy_from_slice(&u64::MAX.to_le_bytes());
    data[44] = decimals;
    data[45] = 1;
    data
}

/// A Token-2022 mint with the given extensions (type, value).
pub fn mint_2022_bytes(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut data = mint_bytes(6);
    data.resize(165, 0);
    data.push(1);
    data.extend(tlv(extensions));
    data
}

pub fn account_bytes(mint: &Address, owner: &Address, amount: u64) -> Vec<u8> {
    let mut data = vec![0; 165];
    data[..32].copy_from_slice(mint.as_ref());
    data[32..64].copy_from_slice(owner.as_ref());
    data[64..72].copy_from_slice(&amount.to_le_bytes());
    data[108] = 1;
    data
}

/// A Token-2022 account with the given extensions.
pub fn account_2022_bytes(
    mint: &Address,
    owner: &Address,
    amount: u64,
    extensions: &[(u16, Vec<u8>)],
) -> Vec<u8> {
    let mut data = account_bytes(mint, owner, amount);
    data.push(2);
    data.extend(tlv(extensions));
    data
}

fn tlv(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut data = Vec::new();
    for (kind, value) in extensions {
        data.extend(kind.to_le_bytes());
        data.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        data.extend(value);
    }
    data
}

/// Long enough, and with a list of extensions that ends where the bytes do.
pub fn is_well_formed(data: &[u8]) -> bool {
    let Some(mut rest) = data.get(165..) else {
        return false;
    };
    if let [kind, list @ ..] = rest {
        rest = list;
        if *kind != 2 {
            return false;
        }
    }
    while let [_, _, low, high, tail @ ..] = rest {
        let Some(next) = tail.get(usize::from(u16::from_le_bytes([*low, *high]))..) else {
            return false;
        };
        rest = next;
    }
    rest.is_empty()
}

pub fn amount(data: &[u8]) -> u64 {
    u64::from_le_bytes(data[64..72].try_into().unwrap())
}

/// A plain transfer, as any wallet makes it.
pub fn transfer(
    from: &Address,
    mint: &Address,
    to: &Address,
    authority: &Address,
    units: u64,
    program: &Address,
) -> Instruction {
    let mut data = vec![12];
    data.extend(units.to_le_bytes());
    data.push(6);
    Instruction {
        program_id: *program,
        accounts: vec![
            AccountMeta::new(*from, false),
            AccountMeta::new_readonly(*mint, false),
            AccountMeta::new(*to, false),
            AccountMeta::new_readonly(*authority, true),
        ],
        data,
    }
}
