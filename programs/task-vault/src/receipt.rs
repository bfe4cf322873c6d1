//! The receipt as an instruction carries it, and the accounts it pays.
//!
//! A row names its payee by the payee's token account alone, which saves 32 bytes: the wallet is read
//! out of that account, which must then be the canonical one of that wallet. Only where there is no such
//! account, or it belongs to somebody else by now, does the row carry the wallet itself.
//!
//! ```text
//! outcome u8, receiptCid 32, count u8, rows
//! row: role u8, amount u64, bump u8 [, wallet 32 if bump is 0]
//! ```

use std::io::{self, Read, Write};

use anchor_lang::prelude::*;
use d402_settlement::{Key32, Outcome, ReceiptCid, Role, Row, Rows, Settlement, Units};

use crate::error::VaultError;
use crate::token::{MintView, TokenAccount, canonical_address, hinted_address};

/// What validators signed, except the payees, which are accounts of the instruction.
#[derive(Clone)]
pub struct ReceiptArgs {
    /// 1 paid, 2 rejected.
    pub outcome: u8,
    /// CID of the full receipt.
    pub receipt_cid: [u8; 32],
    /// Strictly ascending by wallet; one remaining account each, in this order.
    pub rows: Vec<RowArgs>,
}

/// One payee.
#[derive(Clone)]
pub struct RowArgs {
    /// 0 worker, 1 validator.
    pub role: u8,
    /// Atomic units, before commission.
    pub amount: u64,
    /// How the wallet is found.
    pub payee: Payee,
}

/// Whose account the row's account is.
#[derive(Clone)]
pub enum Payee {
    /// Read the wallet out of the account; this is the bump of its canonical address, never 0.
    InAccount(u8),
    /// This wallet: its canonical account is missing or cannot be paid.
    Wallet([u8; 32]),
}

impl AnchorDeserialize for ReceiptArgs {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        let outcome = u8::deserialize_reader(reader)?;
        let receipt_cid = <[u8; 32]>::deserialize_reader(reader)?;
        let count = u8::deserialize_reader(reader)?;
        let rows = (0..count).map(|_| RowArgs::deserialize_reader(reader));
        Ok(Self {
            outcome,
            receipt_cid,
            rows: rows.collect::<io::Result<_>>()?,
        })
    }
}

impl AnchorDeserialize for RowArgs {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        let role = u8::deserialize_reader(reader)?;
        let amount = u64::deserialize_reader(reader)?;
        let payee = match u8::deserialize_reader(reader)? {
            0 => Payee::Wallet(<[u8; 32]>::deserialize_reader(reader)?),
            bump => Payee::InAccount(bump),
        };
        Ok(Self {
            role,
            amount,
            payee,
        })
    }
}

impl AnchorSerialize for ReceiptArgs {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        let too_many = || io::Error::from(io::ErrorKind::InvalidData);
        let count = u8::try_from(self.rows.len()).map_err(|_| too_many())?;
        self.outcome.serialize(writer)?;
        self.receipt_cid.serialize(writer)?;
        count.serialize(writer)?;
        self.rows.iter().try_for_each(|row| row.serialize(writer))
    }
}

impl AnchorSerialize for RowArgs {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        self.role.serialize(writer)?;
        self.amount.serialize(writer)?;
        match &self.payee {
            Payee::InAccount(bump) => bump.serialize(writer),
            Payee::Wallet(wallet) => {
                0u8.serialize(writer)?;
                wallet.serialize(writer)
            }
        }
    }
}

#[cfg(feature = "idl-build")]
impl anchor_lang::IdlBuild for ReceiptArgs {
    fn get_full_path() -> String {
        "ReceiptArgs".to_owned()
    }

    fn create_type() -> Option<anchor_lang::idl::types::IdlTypeDef> {
        use anchor_lang::idl::types::{IdlSerialization, IdlTypeDef, IdlTypeDefTy};
        Some(IdlTypeDef {
            name: Self::get_full_path(),
            docs: vec![
                "outcome u8, receiptCid 32 bytes, row count u8, then for each row: role u8, amount u64, \
                 bump u8 and, if the bump is 0, the payee's wallet, 32 bytes"
                    .to_owned(),
            ],
            serialization: IdlSerialization::Custom("d402-receipt".to_owned()),
            repr: None,
            generics: Vec::new(),
            ty: IdlTypeDefTy::Struct { fields: None },
        })
    }
}

/// A wallet that may be paid, and where.
pub(crate) struct Party<'a, 'info> {
    wallet: Key32,
    pub(crate) tokens: &'a AccountInfo<'info>,
    is_payable: bool,
}

impl<'a, 'info> Party<'a, 'info> {
    /// The party of a known wallet: only its canonical account will do, so that nobody can make a
    /// payee look unpayable by passing another one (M6c).
    pub(crate) fn of(
        wallet: Key32,
        tokens: &'a AccountInfo<'info>,
        mint: &MintView<'_, 'info>,
    ) -> Result<Self> {
        let (program, mint) = (mint.token_program.key, mint.mint.key);
        let owner = Pubkey::new_from_array(wallet.0);
        let address = canonical_address(&owner, mint, program);
        require_keys_eq!(address, *tokens.key, VaultError::NotCanonical);
        let account = TokenAccount::read(tokens, mint, program);
        let is_payable =
            account.is_some_and(|account| account.owner == owner && account.is_payable());
        Ok(Self {
            wallet,
            tokens,
            is_payable,
        })
    }

    fn in_account(
        tokens: &'a AccountInfo<'info>,
        bump: u8,
        mint: &MintView<'_, 'info>,
    ) -> Result<Self> {
        let (program, mint) = (mint.token_program.key, mint.mint.key);
        let account =
            TokenAccount::read(tokens, mint, program).ok_or(VaultError::NotATokenAccount)?;
        let address = hinted_address(&account.owner, mint, program, bump)?;
        require_keys_eq!(address, *tokens.key, VaultError::NotCanonical);
        Ok(Self {
            wallet: Key32(account.owner.to_bytes()),
            tokens,
            is_payable: account.is_payable(),
        })
    }
}

/// Everybody a receipt may pay.
pub(crate) struct Parties<'a, 'info>(Vec<Party<'a, 'info>>);

impl<'a, 'info> Parties<'a, 'info> {
    /// The payees of the rows, from the instruction's remaining accounts.
    #[inline(never)]
    pub(crate) fn of_rows(
        receipt: &ReceiptArgs,
        accounts: &'a [AccountInfo<'info>],
        mint: &MintView<'_, 'info>,
    ) -> Result<Self> {
        let mut parties = Vec::with_capacity(receipt.rows.len().saturating_add(3));
        for (row, tokens) in receipt.rows.iter().zip(accounts) {
            parties.push(match &row.payee {
                Payee::InAccount(bump) => Party::in_account(tokens, *bump, mint)?,
                Payee::Wallet(wallet) => Party::of(Key32(*wallet), tokens, mint)?,
            });
        }
        require!(
            parties.len() == receipt.rows.len(),
            VaultError::MissingAccount
        );
        Ok(Self(parties))
    }

    pub(crate) fn add(&mut self, party: Party<'a, 'info>) {
        self.0.push(party);
    }

    /// Nobody who is not here is payable.
    pub(crate) fn is_payable(&self, wallet: &Key32) -> bool {
        self.find(wallet).is_some_and(|party| party.is_payable)
    }

    pub(crate) fn tokens(&self, wallet: &Key32) -> Result<&'a AccountInfo<'info>> {
        let party = self.find(wallet).ok_or(VaultError::MissingAccount)?;
        Ok(party.tokens)
    }

    fn find(&self, wallet: &Key32) -> Option<&Party<'a, 'info>> {
        self.0.iter().find(|party| &party.wallet == wallet)
    }

    /// The receipt as the ledger knows it. The rows come first among the parties.
    #[inline(never)]
    pub(crate) fn settlement(&self, receipt: &ReceiptArgs) -> Result<Box<Settlement>> {
        let outcome = Outcome::from_u8(receipt.outcome).ok_or(VaultError::UnknownOutcome)?;
        let mut rows = Vec::with_capacity(receipt.rows.len());
        for (row, party) in receipt.rows.iter().zip(&self.0) {
            rows.push(Row {
                payee: party.wallet,
                role: Role::from_u8(row.role).ok_or(VaultError::UnknownRole)?,
                amount: Units::from_u64(row.amount),
            });
        }
        Ok(Box::new(Settlement {
            receipt_cid: ReceiptCid(receipt.receipt_cid),
            outcome,
            rows: Rows::new(&rows).map_err(VaultError::from)?,
        }))
    }
}
