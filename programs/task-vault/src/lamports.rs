//! Lamports: making program-owned accounts and giving their rent back.

use anchor_lang::prelude::*;
use anchor_lang::system_program;

use crate::error::VaultError;

/// Makes an account of this program at a derived address. An address that already holds lamports is
/// topped up instead: `create_account` would fail there, and one lamport would block a vault for ever (#72).
pub(crate) fn create<'info>(
    payer: &AccountInfo<'info>,
    account: &AccountInfo<'info>,
    space: usize,
    seeds: &[&[u8]],
) -> Result<()> {
    let needed = Rent::get()?.minimum_balance(space);
    let len = u64::try_from(space).map_err(|_| VaultError::Broken)?;
    let signers = [seeds];
    if account.lamports() == 0 {
        let accounts = system_program::CreateAccount {
            from: payer.clone(),
            to: account.clone(),
        };
        let context = CpiContext::new_with_signer(system_program::ID, accounts, &signers);
        return system_program::create_account(context, needed, len, &crate::ID);
    }
    top_up(payer, account, needed)?;
    let accounts = system_program::Allocate {
        account_to_allocate: account.clone(),
    };
    let context = CpiContext::new_with_signer(system_program::ID, accounts, &signers);
    system_program::allocate(context, len)?;
    let accounts = system_program::Assign {
        account_to_assign: account.clone(),
    };
    let context = CpiContext::new_with_signer(system_program::ID, accounts, &signers);
    system_program::assign(context, &crate::ID)
}

/// Raises an account to `needed` lamports out of the payer's pocket.
pub(crate) fn top_up<'info>(
    payer: &AccountInfo<'info>,
    account: &AccountInfo<'info>,
    needed: u64,
) -> Result<()> {
    let missing = needed.saturating_sub(account.lamports());
    if missing == 0 {
        return Ok(());
    }
    let accounts = system_program::Transfer {
        from: payer.clone(),
        to: account.clone(),
    };
    system_program::transfer(CpiContext::new(system_program::ID, accounts), missing)
}

/// Can this account take `lamports` now? The terms name it, so it may be anything: an address the
/// runtime never lets anybody write to, or one that would stay below the rent minimum. A settlement or
/// a refund that failed because of it would be a lock on somebody else's money.
pub(crate) fn can_receive(account: &AccountInfo<'_>, lamports: u64) -> Result<bool> {
    let minimum = Rent::get()?.minimum_balance(account.data_len());
    let after = account.lamports().checked_add(lamports);
    Ok(account.is_writable && !account.executable && after.is_some_and(|after| after >= minimum))
}

/// Moves lamports out of an account of this program.
pub(crate) fn give(from: &AccountInfo<'_>, to: &AccountInfo<'_>, lamports: u64) -> Result<()> {
    from.sub_lamports(lamports)?;
    to.add_lamports(lamports)?;
    Ok(())
}

/// Ends an account of this program: all its lamports go, gifts included (#20).
pub(crate) fn close(account: &AccountInfo<'_>, to: &AccountInfo<'_>) -> Result<u64> {
    let lamports = account.lamports();
    require!(
        account.key != to.key && can_receive(to, lamports)?,
        VaultError::RentToCannotReceive
    );
    give(account, to, lamports)?;
    account.assign(&system_program::ID);
    account.resize(0)?;
    Ok(lamports)
}
