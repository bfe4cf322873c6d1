//! Signatures over one digest, collected in several transactions, at `["approval", vault, digest]`.
//!
//! One account per digest: a member that signs something else cannot reset another digest's count.
//!
//! ```text
//! discriminator 8, version 1, bump, signers u16, rentTo 32
//! ```

use anchor_lang::prelude::*;
use d402_settlement::{Approvals, IndexedSignature, Key32, ValidatorSet, Verifier};

use super::{APPROVAL_SEED, VERSION, write};
use crate::error::VaultError;
use crate::lamports;

/// First eight bytes of `sha256("account:Approval")`.
const DISCRIMINATOR: [u8; 8] = [0xe9, 0x09, 0x99, 0x31, 0x0b, 0xde, 0x3b, 0x82];
const LEN: usize = 44;

/// Who has signed a digest so far.
pub(crate) struct Approval {
    digest: [u8; 32],
    bump: u8,
    /// Bit i: set index i.
    pub(crate) signers: u16,
    /// Who paid for the account.
    pub(crate) rent_to: Pubkey,
}

impl Approval {
    /// The approval of `digest` for this vault; an empty one where there is no account yet.
    pub(crate) fn load(
        vault: &Pubkey,
        digest: [u8; 32],
        account: &AccountInfo<'_>,
        payer: &Pubkey,
    ) -> Result<Self> {
        let seeds = [APPROVAL_SEED, vault.as_ref(), &digest];
        let (address, bump) = Pubkey::find_program_address(&seeds, &crate::ID);
        require_keys_eq!(address, *account.key, VaultError::WrongApproval);
        let data = account.try_borrow_data()?;
        if data.is_empty() {
            return Ok(Self {
                digest,
                bump,
                signers: 0,
                rent_to: *payer,
            });
        }
        require_keys_eq!(*account.owner, crate::ID, VaultError::WrongApproval);
        Ok(Self::parse(&data, digest, bump).ok_or(VaultError::WrongApproval)?)
    }

    fn parse(data: &[u8], digest: [u8; 32], bump: u8) -> Option<Self> {
        let data: &[u8; LEN] = data.try_into().ok()?;
        let (head, rest) = data.split_first_chunk::<10>()?;
        let [discriminator @ .., version, stored_bump] = head;
        if *discriminator != DISCRIMINATOR || *version != VERSION || *stored_bump != bump {
            return None;
        }
        let (signers, rent_to) = rest.split_first_chunk::<2>()?;
        Some(Self {
            digest,
            bump,
            signers: u16::from_le_bytes(*signers),
            rent_to: Pubkey::try_from(rent_to).ok()?,
        })
    }

    /// Writes the account, making it first where it is missing.
    pub(crate) fn store<'info>(
        &self,
        vault: &Pubkey,
        payer: &AccountInfo<'info>,
        account: &AccountInfo<'info>,
    ) -> Result<()> {
        if account.data_is_empty() {
            let seeds: [&[u8]; 4] = [APPROVAL_SEED, vault.as_ref(), &self.digest, &[self.bump]];
            lamports::create(payer, account, LEN, &seeds)?;
        }
        let mut bytes = DISCRIMINATOR.to_vec();
        bytes.extend([VERSION, self.bump]);
        bytes.extend(self.signers.to_le_bytes());
        bytes.extend(self.rent_to.as_ref());
        write(account, &bytes)
    }

    /// The remembered signatures as members of `set`.
    pub(crate) fn approvals(&self, set: &ValidatorSet) -> Result<Approvals> {
        let recorded = Recorded {
            set,
            approval: self,
        };
        let has = |index: &u8| recorded.has(*index);
        let signed: Vec<IndexedSignature> = (0..set.n())
            .filter(has)
            .map(|index| (index, [0; 64]))
            .collect();
        let approvals = Approvals::check(set, self.digest, &signed, &recorded);
        Ok(approvals.map_err(VaultError::from)?)
    }
}

/// Vouches for signatures that an earlier `approve` of this program saw verified. The set cannot have
/// changed in between: the terms name it, and the account's address names the terms.
struct Recorded<'a> {
    set: &'a ValidatorSet,
    approval: &'a Approval,
}

impl Recorded<'_> {
    fn has(&self, index: u8) -> bool {
        let bit = 1u16.checked_shl(u32::from(index)).unwrap_or(0);
        self.approval.signers & bit != 0
    }
}

impl Verifier for Recorded<'_> {
    fn verify(&self, key: &Key32, message: &[u8; 32], _: &[u8; 64]) -> bool {
        let signed = self.set.index_of(key).is_some_and(|index| self.has(index));
        signed && message == &self.approval.digest
    }
}
