//! The vault's state: the ledger's own bytes (spec §2.2), in an account at `["vault", termsHash]`.

use anchor_lang::prelude::*;
use d402_settlement::ledger::{VaultSite, VaultState};
use d402_settlement::{Key32, Terms, TermsHash, Units};

use super::{VAULT_SEED, write};
use crate::cluster::DOMAIN;
use crate::error::VaultError;

/// What the vault signs with.
pub(crate) struct Signer {
    terms_hash: TermsHash,
    bump: [u8; 1],
}

impl Signer {
    pub(crate) const fn of(site: &VaultSite) -> Self {
        Self {
            terms_hash: site.terms_hash,
            bump: [site.bump],
        }
    }

    pub(crate) fn seeds(&self) -> [&[u8]; 3] {
        [VAULT_SEED, self.terms_hash.as_bytes(), &self.bump]
    }
}

/// The site of the terms somebody passed in; the account must be at their address. The account may
/// hold nothing: money can be swept out of a vault that was never opened.
#[inline(never)]
pub(crate) fn site_of(terms: &Terms, account: &AccountInfo<'_>) -> Result<VaultSite> {
    let terms_hash = terms.hash(&DOMAIN);
    let seeds = [VAULT_SEED, terms_hash.as_bytes()];
    let (address, bump) = Pubkey::find_program_address(&seeds, &crate::ID);
    require_keys_eq!(address, *account.key, VaultError::WrongVault);
    Ok(VaultSite {
        domain: DOMAIN,
        terms_hash,
        vault: Key32(address.to_bytes()),
        bump,
    })
}

/// The site an existing account says it is, which must be where it is.
#[inline(never)]
pub(crate) fn stored_site(account: &AccountInfo<'_>) -> Result<VaultSite> {
    require_keys_eq!(*account.owner, crate::ID, VaultError::NotAVault);
    let vault = Key32(account.key.to_bytes());
    let data = account.try_borrow_data()?;
    let site = VaultSite::stored(&DOMAIN, vault, &data).map_err(VaultError::from)?;
    let signer = Signer::of(&site);
    let address = Pubkey::create_program_address(&signer.seeds(), &crate::ID)
        .map_err(|_| VaultError::WrongVault)?;
    require_keys_eq!(address, *account.key, VaultError::WrongVault);
    Ok(site)
}

/// The vault as it is now. An account nobody has given to this program is no state, whatever lamports
/// it holds (#72).
#[inline(never)]
pub(crate) fn load(
    site: VaultSite,
    account: &AccountInfo<'_>,
    tokens: Option<u64>,
) -> Result<Box<VaultState>> {
    let data = account.try_borrow_data()?;
    if !data.is_empty() {
        require_keys_eq!(*account.owner, crate::ID, VaultError::NotAVault);
    }
    let tokens = tokens.map(Units::from_u64);
    let state = VaultState::decode_account(site, &data, tokens).map_err(VaultError::from)?;
    Ok(Box::new(state))
}

/// Makes the account hold exactly this state. It must belong to the program already.
#[inline(never)]
pub(crate) fn store(state: &VaultState, account: &AccountInfo<'_>) -> Result<()> {
    let bytes = state.encode_account().map_err(VaultError::from)?;
    store_bytes(bytes.as_slice(), account)
}

/// The same for a state that is encoded already.
pub(crate) fn store_bytes(bytes: &[u8], account: &AccountInfo<'_>) -> Result<()> {
    if account.data_len() != bytes.len() {
        account.resize(bytes.len())?;
    }
    write(account, bytes)
}
