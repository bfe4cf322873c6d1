//! Messages and transactions: their form, their size, their bytes.
//!
//! A message is made, measured, and only then signed. Legacy is tried first; a lookup table is named only where
//! it makes the difference (spec §2.5: by size, not by number of signers).

use solana_address::Address;
use solana_hash::Hash;
use solana_instruction::{AccountMeta, Instruction};
use solana_message::{AddressLookupTableAccount, VersionedMessage, legacy, v0};
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;

use crate::address::LOOKUP_TABLES;
use crate::wire::Account;

/// The most a packet of the network carries, bytes.
pub const LIMIT: usize = 1_232;
/// Bytes in front of a lookup table's addresses.
const TABLE_HEAD: usize = 56;

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleFault {
    /// Larger than [`LIMIT`] in every form.
    #[error("transaction has {bytes} bytes, at most 1232 fit")]
    TooLarge {
        /// Of the smallest form.
        bytes: usize,
    },
    /// More accounts than an index can name.
    #[error("transaction names too many accounts")]
    TooManyAccounts,
}

/// An address lookup table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Where it is.
    pub key: Address,
    /// What it holds, in order.
    pub addresses: Vec<Address>,
}

impl Table {
    /// Reads a table's account; `None` for anything else, and for a table that is being given up.
    #[must_use]
    pub fn read(key: Address, account: &Account) -> Option<Self> {
        let (head, addresses) = account.data.split_at_checked(TABLE_HEAD)?;
        let (kind, rest) = head.split_first_chunk::<4>()?;
        let (given_up, _) = rest.split_first_chunk::<8>()?;
        let (addresses, odd) = addresses.as_chunks::<32>();
        let is_live = u32::from_le_bytes(*kind) == 1 && u64::from_le_bytes(*given_up) == u64::MAX;
        if account.owner != LOOKUP_TABLES || !is_live || !odd.is_empty() {
            return None;
        }
        Some(Self {
            key,
            addresses: addresses
                .iter()
                .map(|bytes| Address::new_from_array(*bytes))
                .collect(),
        })
    }
}

/// The smallest form of a message that fits: legacy, or v0 with the table.
///
/// # Errors
/// [`AssembleFault`].
pub fn assemble(
    payer: &Address,
    instructions: &[Instruction],
    blockhash: Hash,
    table: Option<&Table>,
) -> Result<VersionedMessage, AssembleFault> {
    let named: usize = instructions
        .iter()
        .map(|instruction| instruction.accounts.len().saturating_add(1))
        .fold(1, usize::saturating_add);
    // The compiler of messages gives up hard beyond 256 accounts.
    if named > usize::from(u8::MAX) {
        return Err(AssembleFault::TooManyAccounts);
    }
    let legacy = VersionedMessage::Legacy(legacy::Message::new_with_blockhash(
        instructions,
        Some(payer),
        &blockhash,
    ));
    let bytes = size(&legacy);
    if bytes <= LIMIT {
        return Ok(legacy);
    }
    let Some(table) = table else {
        return Err(AssembleFault::TooLarge { bytes });
    };
    let table = AddressLookupTableAccount {
        key: table.key,
        addresses: table.addresses.clone(),
    };
    let message = v0::Message::try_compile(payer, instructions, &[table], blockhash)
        .map_err(|_| AssembleFault::TooManyAccounts)?;
    let message = VersionedMessage::V0(message);
    let smaller = size(&message);
    if smaller <= LIMIT {
        return Ok(message);
    }
    Err(AssembleFault::TooLarge {
        bytes: bytes.min(smaller),
    })
}

/// Bytes of the transaction a message makes, signatures included.
#[must_use]
pub fn size(message: &VersionedMessage) -> usize {
    let signatures = usize::from(message.header().num_required_signatures);
    // One byte counts up to 127 signatures; more do not fit anyway.
    message
        .serialize()
        .len()
        .saturating_add(signatures.saturating_mul(64))
        .saturating_add(1)
}

/// The transaction of a message and its signatures, in the order of the message's signers.
#[must_use]
pub const fn signed(message: VersionedMessage, signatures: Vec<Signature>) -> VersionedTransaction {
    VersionedTransaction {
        signatures,
        message,
    }
}

/// The bytes the network carries; empty for what it cannot carry.
#[must_use]
pub fn encode(transaction: &VersionedTransaction) -> Vec<u8> {
    wincode::serialize(transaction).unwrap_or_default()
}

/// Inverse of [`encode`]. `None` for anything that is not exactly one well-formed legacy or v0 transaction of at
/// most [`LIMIT`] bytes in its one encoding: two spellings of one transaction would be two payments.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<VersionedTransaction> {
    if bytes.len() > LIMIT {
        return None;
    }
    let transaction: VersionedTransaction = wincode::deserialize_exact(bytes).ok()?;
    match &transaction.message {
        VersionedMessage::Legacy(_) | VersionedMessage::V0(_) => {}
        VersionedMessage::V1(_) => return None,
    }
    transaction.sanitize().ok()?;
    (encode(&transaction) == bytes).then_some(transaction)
}

/// The instructions of a message, with their accounts looked up; `None` for a message that needs a lookup table.
#[must_use]
pub fn instructions(message: &VersionedMessage) -> Option<Vec<Instruction>> {
    if message
        .address_table_lookups()
        .is_some_and(|l| !l.is_empty())
    {
        return None;
    }
    let keys = message.static_account_keys();
    let meta = |at: &u8| {
        let at = usize::from(*at);
        Some(AccountMeta {
            pubkey: *keys.get(at)?,
            is_signer: message.is_signer(at),
            is_writable: is_writable(message, at),
        })
    };
    let compiled = message.instructions().iter().map(|instruction| {
        Some(Instruction {
            program_id: *keys.get(usize::from(instruction.program_id_index))?,
            accounts: instruction
                .accounts
                .iter()
                .map(meta)
                .collect::<Option<_>>()?,
            data: instruction.data.clone(),
        })
    });
    compiled.collect()
}

/// What the header says, whatever the runtime makes of it.
fn is_writable(message: &VersionedMessage, at: usize) -> bool {
    let header = message.header();
    let signers = usize::from(header.num_required_signatures);
    let (first, count, read_only) = if at < signers {
        (0, signers, header.num_readonly_signed_accounts)
    } else {
        let all = message.static_account_keys().len();
        let rest = all.saturating_sub(signers);
        (signers, rest, header.num_readonly_unsigned_accounts)
    };
    let writable = count.saturating_sub(usize::from(read_only));
    at.saturating_sub(first) < writable
}
