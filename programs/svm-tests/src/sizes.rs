//! How many bytes a transaction has, with and without a lookup table.

use solana_address::Address;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{AddressLookupTableAccount, Hash, VersionedMessage, v0};

use crate::chain::transaction;

/// The most a packet of the network carries.
pub const LIMIT: usize = 1_232;

/// Bytes of a legacy transaction: count and signatures, then the message.
pub fn legacy(instructions: &[Instruction], signers: &[&Keypair]) -> usize {
    let transaction = transaction(instructions, signers, Hash::default());
    1 + 64 * signers.len() + transaction.message.serialize().len()
}

/// Bytes of a v0 transaction that may use the addresses of `table`.
pub fn v0(instructions: &[Instruction], signers: &[&Keypair], table: &[Address]) -> usize {
    use solana_signer::Signer;
    let table = AddressLookupTableAccount {
        key: Address::new_from_array([7; 32]),
        addresses: table.to_vec(),
    };
    let message = v0::Message::try_compile(
        &signers[0].pubkey(),
        instructions,
        &[table],
        Hash::default(),
    )
    .unwrap();
    1 + 64 * signers.len() + VersionedMessage::V0(message).serialize().len()
}
