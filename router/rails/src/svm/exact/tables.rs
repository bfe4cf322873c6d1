//! Address lookup tables: accounts a transaction names by place instead of by address.

use std::collections::BTreeMap;

use solana_address::Address;
use solana_message::VersionedMessage;

use super::{ExactFault, Received};

/// The program whose accounts they are.
pub const LOOKUP_TABLE_PROGRAM: Address =
    Address::from_str_const("AddressLookupTab1e1111111111111111111111111");
/// Bytes before the first address.
const META_LEN: usize = 56;
/// First word of a table.
const IS_TABLE: [u8; 4] = [1, 0, 0, 0];
/// A table that was not deactivated.
const ACTIVE: [u8; 8] = [0xff; 8];
/// Most tables one payment may name; a stock client names none.
pub const MAX_TABLES: usize = 4;

/// The addresses of a table. They can be appended to, and never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookupTable(pub Vec<Address>);

impl LookupTable {
    /// Reads the data of an account of [`LOOKUP_TABLE_PROGRAM`]; `None` when it is no active table.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (meta, addresses) = data.split_at_checked(META_LEN)?;
        let (chunks, rest) = addresses.as_chunks::<32>();
        let active = meta.starts_with(&IS_TABLE) && meta.get(4..12)? == ACTIVE;
        (active && rest.is_empty()).then(|| {
            Self(
                chunks
                    .iter()
                    .copied()
                    .map(Address::new_from_array)
                    .collect(),
            )
        })
    }
}

/// Tables by their address.
pub type Tables = BTreeMap<Address, LookupTable>;

impl Received {
    /// The tables it names.
    ///
    /// # Errors
    /// [`ExactFault::LookupTable`] for more than [`MAX_TABLES`].
    pub fn tables(&self) -> Result<Vec<Address>, ExactFault> {
        let lookups = self
            .transaction
            .message
            .address_table_lookups()
            .unwrap_or_default();
        if lookups.len() > MAX_TABLES {
            return Err(ExactFault::LookupTable);
        }
        Ok(lookups.iter().map(|lookup| lookup.account_key).collect())
    }

    /// Every account in the order instructions count them.
    pub(super) fn accounts(&self, tables: &Tables) -> Result<Vec<Address>, ExactFault> {
        let message = &self.transaction.message;
        let mut accounts = message.static_account_keys().to_vec();
        let VersionedMessage::V0(message) = message else {
            return Ok(accounts);
        };
        let lookups = &message.address_table_lookups;
        let writable = lookups
            .iter()
            .map(|lookup| (lookup.account_key, &lookup.writable_indexes));
        let readonly = lookups
            .iter()
            .map(|lookup| (lookup.account_key, &lookup.readonly_indexes));
        for (table, places) in writable.chain(readonly) {
            let table = tables.get(&table).ok_or(ExactFault::LookupTable)?;
            for place in places {
                let account = table.0.get(usize::from(*place));
                accounts.push(*account.ok_or(ExactFault::LookupTable)?);
            }
        }
        Ok(accounts)
    }
}
