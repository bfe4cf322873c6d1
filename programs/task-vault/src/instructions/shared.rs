//! What several instructions need: terms as an argument, the clock, the ledger's answer, the balance.

use anchor_lang::prelude::*;
use d402_settlement::ledger::{Command, Effects, RentAccount, VaultState, apply};
use d402_settlement::{Bps, Key32, SetHash, TaskId, Terms, UnixSeconds};

use crate::error::VaultError;
use crate::token::{MintView, TokenAccount, canonical_address};

/// The 304 bytes of spec §2.2, field by field.
#[derive(AnchorSerialize, AnchorDeserialize, Clone)]
pub struct TermsArgs {
    pub version: u8,
    pub on_silence: u8,
    pub commission_bps: u16,
    pub gateway_fee_bps: u16,
    pub reserved: u16,
    pub budget: u64,
    pub validator_fee_cap: u64,
    pub issued_at: i64,
    pub settle_by: i64,
    pub refund_after: i64,
    pub task_id: [u8; 32],
    pub mint: Pubkey,
    pub refund_to: Pubkey,
    pub validator_set: [u8; 32],
    pub commission_payee: Pubkey,
    pub gateway_fee_payee: Pubkey,
    pub rent_to: Pubkey,
    pub salt: [u8; 32],
}

impl From<&TermsArgs> for Terms {
    fn from(args: &TermsArgs) -> Self {
        Self {
            version: args.version,
            on_silence: args.on_silence,
            commission_bps: Bps(args.commission_bps),
            gateway_fee_bps: Bps(args.gateway_fee_bps),
            reserved: args.reserved,
            budget: args.budget,
            validator_fee_cap: args.validator_fee_cap,
            issued_at: UnixSeconds(args.issued_at),
            settle_by: UnixSeconds(args.settle_by),
            refund_after: UnixSeconds(args.refund_after),
            task_id: TaskId(args.task_id),
            mint: key(&args.mint),
            refund_to: key(&args.refund_to),
            validator_set: SetHash(args.validator_set),
            commission_payee: key(&args.commission_payee),
            gateway_fee_payee: key(&args.gateway_fee_payee),
            rent_to: key(&args.rent_to),
            salt: args.salt,
        }
    }
}

pub(crate) fn key(address: &Pubkey) -> Key32 {
    Key32(address.to_bytes())
}

pub(crate) fn address(key: &Key32) -> Pubkey {
    Pubkey::new_from_array(key.0)
}

/// The chain's clock, the only one there is.
pub(crate) fn now() -> Result<UnixSeconds> {
    Ok(UnixSeconds(Clock::get()?.unix_timestamp))
}

/// The ledger's answer. On the heap: it does not fit twice into a frame of this machine's stack.
pub(crate) struct Decision(Box<(VaultState, Effects)>);

#[inline(never)]
pub(crate) fn decide(
    state: &VaultState,
    command: &Command<'_>,
    now: UnixSeconds,
) -> Result<Decision> {
    match apply(state, command, now) {
        Ok(decided) => Ok(Decision(Box::new(decided))),
        Err(refusal) => Err(VaultError::from(refusal).into()),
    }
}

impl Decision {
    pub(crate) fn next(&self) -> &VaultState {
        &self.0.0
    }

    pub(crate) fn effects(&self) -> &Effects {
        &self.0.1
    }

    /// The ledger wants this account's rent to move.
    pub(crate) fn moves_rent_of(&self, account: RentAccount) -> bool {
        let mut notes = self.effects().rent.iter();
        notes.any(|note| note.account == account)
    }
}

/// What lies in the vault's canonical token account of this mint; `None` while there is no account.
#[inline(never)]
pub(crate) fn tokens_of(
    vault: &Pubkey,
    tokens: &AccountInfo<'_>,
    mint: &MintView<'_, '_>,
) -> Result<Option<TokenAccount>> {
    let (program, mint) = (mint.token_program.key, mint.mint.key);
    let address = canonical_address(vault, mint, program);
    require_keys_eq!(address, *tokens.key, VaultError::NotCanonical);
    if tokens.data_is_empty() {
        return Ok(None);
    }
    let account = TokenAccount::read(tokens, mint, program);
    Ok(Some(account.ok_or(VaultError::NotATokenAccount)?))
}

/// The account the terms name for rent.
pub(crate) fn expect_rent_to(account: &AccountInfo<'_>, named: &Key32) -> Result<()> {
    require_keys_eq!(*account.key, address(named), VaultError::WrongRentTo);
    Ok(())
}
