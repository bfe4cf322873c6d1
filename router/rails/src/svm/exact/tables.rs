//! Address lookup tables: accounts a transaction names by place instead of by address.

use std::collections::BTreeMap;

use d402_svm::transaction::Table;
use d402_svm::{Address, VersionedMessage};

use super::{ExactFault, Received};

/// Most tables one payment may name; a stock client names none.
pub const MAX_TABLES: usize = 4;

/// Tables by their address. A table's addresses can be appended to, and never changed.
pub type Tables = BTreeMap<Address, Table>;

impl Received {
    /// The tables it names.
    ///
    /// # Errors
    /// [`ExactFault::LookupTable`] for more than [`MAX_TABLES`].
    pub fn tables(&self) -> Result<Vec<Address>, ExactFault> {
        let message = &self.transaction.message;
        let lookups = message.address_table_lookups().unwrap_or_default();
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
                let account = table.addresses.get(usize::from(*place));
                accounts.push(*account.ok_or(ExactFault::LookupTable)?);
            }
        }
        Ok(accounts)
    }
}
