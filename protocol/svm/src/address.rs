//! Programs, sysvars and derived addresses.

use d402_settlement::{Domain, Key32, SetHash, TermsHash, program_address};
use solana_address::Address;

/// Makes accounts, moves lamports.
pub const SYSTEM: Address = Address::from_str_const("11111111111111111111111111111111");
/// The instructions of the transaction that runs.
pub const INSTRUCTIONS: Address =
    Address::from_str_const("Sysvar1nstructions1111111111111111111111111");
/// The chain's clock.
pub const CLOCK: Address = Address::from_str_const("SysvarC1ock11111111111111111111111111111111");
/// Checks Ed25519 signatures.
pub const ED25519: Address = Address::from_str_const("Ed25519SigVerify111111111111111111111111111");
/// Limits and prices compute units.
pub const COMPUTE_BUDGET: Address =
    Address::from_str_const("ComputeBudget111111111111111111111111111111");
/// SPL Token.
pub const TOKEN: Address = Address::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
/// Token-2022.
pub const TOKEN_2022: Address =
    Address::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
/// Derives and makes canonical token accounts.
pub const ASSOCIATED: Address =
    Address::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
/// Owns address lookup tables.
pub const LOOKUP_TABLES: Address =
    Address::from_str_const("AddressLookupTab1e1111111111111111111111111");

/// The address of a key.
#[must_use]
pub const fn address(key: &Key32) -> Address {
    Address::new_from_array(key.0)
}

/// The key of an address.
#[must_use]
pub const fn key(address: &Address) -> Key32 {
    Key32(address.to_bytes())
}

/// The canonical token account of a wallet, and its bump.
///
/// `None` with a probability of 2^-256.
#[must_use]
pub fn token_account(
    wallet: &Address,
    mint: &Address,
    token_program: &Address,
) -> Option<(Address, u8)> {
    let seeds = [wallet.as_ref(), token_program.as_ref(), mint.as_ref()];
    found(program_address(seeds, &key(&ASSOCIATED)))
}

/// The vault of these terms, and its bump; `None` as for [`token_account`].
#[must_use]
pub fn vault(domain: &Domain, terms_hash: &TermsHash) -> Option<(Address, u8)> {
    found(d402_settlement::vault_address(terms_hash, &domain.program))
}

/// Where a validator set is published; `None` as for [`token_account`].
#[must_use]
pub fn set(domain: &Domain, set_hash: &SetHash) -> Option<Address> {
    let at = d402_settlement::vset_address(set_hash, &domain.program)?;
    Some(address(&at.0))
}

/// Where the signatures over a digest are remembered; `None` as for [`token_account`].
#[must_use]
pub fn approval(domain: &Domain, vault: &Address, digest: &[u8; 32]) -> Option<Address> {
    let seeds: [&[u8]; 3] = [b"approval", vault.as_ref(), digest];
    Some(address(&program_address(seeds, &domain.program)?.0))
}

/// Who signs the program's events; `None` as for [`token_account`].
#[must_use]
pub fn event_authority(domain: &Domain) -> Option<Address> {
    let seeds: [&[u8]; 3] = [b"__event_authority", &[], &[]];
    Some(address(&program_address(seeds, &domain.program)?.0))
}

fn found(at: Option<(Key32, u8)>) -> Option<(Address, u8)> {
    at.map(|(key, bump)| (address(&key), bump))
}
