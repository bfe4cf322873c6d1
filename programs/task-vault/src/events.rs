//! One event for every change of state, as an inner instruction, so that no log limit can cut it off. From them alone
//! anybody can rebuild what happened to the money.

use anchor_lang::prelude::*;
use d402_settlement::ledger::{Effects, TransferKind};

use crate::instructions::TermsArgs;

/// A validator set can be used in terms from now on.
#[event]
pub struct SetPublished {
    /// Its name in terms.
    pub set_hash: [u8; 32],
    /// How many must sign.
    pub m: u8,
    /// How many there are.
    pub n: u8,
}

/// Terms are public: from here on anybody can refund the vault without the gateway (M5b).
#[event]
pub struct VaultOpened {
    pub vault: Pubkey,
    pub terms_hash: [u8; 32],
    pub terms: TermsArgs,
}

/// Money came in by `open_funded`. A plain transfer makes no event of this program.
#[event]
pub struct VaultFunded {
    pub vault: Pubkey,
    /// What came in.
    pub amount: u64,
    /// What is in now.
    pub balance: u64,
}

/// Signatures over a digest were remembered.
#[event]
pub struct SignaturesRemembered {
    pub vault: Pubkey,
    pub digest: [u8; 32],
    /// Bit i: set index i has signed, in all approvals so far.
    pub signers: u16,
}

/// Money that moved, or that became a credit.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct Payment {
    /// The wallet; where the signer chose the account, that account.
    pub to: Pubkey,
    pub amount: u64,
    /// 0 worker, 1 validator, 2 creator, 3 gateway, 4 refund, 5 credit paid.
    pub kind: u8,
}

/// A receipt was executed.
#[event]
pub struct VaultSettled {
    pub vault: Pubkey,
    pub terms_hash: [u8; 32],
    pub receipt_cid: [u8; 32],
    /// 1 paid, 2 rejected.
    pub outcome: u8,
    /// Bit i: set index i has signed.
    pub signers: u16,
    /// Paid in this transaction, refund included.
    pub paid: Vec<Payment>,
    /// Owed, but could not be paid now.
    pub credits: Vec<Payment>,
}

/// A credit of an earlier settlement was paid.
#[event]
pub struct CreditPaid {
    pub vault: Pubkey,
    pub payee: Pubkey,
    /// The token account.
    pub to: Pubkey,
    pub amount: u64,
}

/// Credits nobody claimed belong to `refundTo` now.
#[event]
pub struct CreditsLapsed {
    pub vault: Pubkey,
    pub amount: u64,
}

/// What is not a credit went back.
#[event]
pub struct VaultSwept {
    pub vault: Pubkey,
    pub mint: Pubkey,
    /// The token account.
    pub to: Pubkey,
    /// Zero when only the empty token account was closed.
    pub amount: u64,
    pub tokens_closed: bool,
}

/// The vault's state is gone and its rent was returned.
#[event]
pub struct VaultClosed {
    pub vault: Pubkey,
    pub rent_to: Pubkey,
    pub lamports: u64,
}

/// Remembered signatures are gone and their rent was returned.
#[event]
pub struct ApprovalClosed {
    pub vault: Pubkey,
    pub digest: [u8; 32],
    pub lamports: u64,
}

const fn kind(kind: TransferKind) -> u8 {
    match kind {
        TransferKind::Worker => 0,
        TransferKind::Validator => 1,
        TransferKind::Creator => 2,
        TransferKind::Gateway => 3,
        TransferKind::Refund => 4,
        TransferKind::Credit => 5,
    }
}

/// What a settlement paid and what it left as credits.
pub(crate) fn payments(effects: &Effects) -> (Vec<Payment>, Vec<Payment>) {
    let paid = effects.transfers.iter().map(|transfer| Payment {
        to: transfer.to.0.into(),
        amount: transfer.amount.to_u64().unwrap_or(u64::MAX),
        kind: kind(transfer.kind),
    });
    let credits = effects.credits.iter().map(|credit| Payment {
        to: credit.to.0.into(),
        amount: credit.amount.to_u64().unwrap_or(u64::MAX),
        kind: kind(credit.role.into()),
    });
    (paid.collect(), credits.collect())
}
