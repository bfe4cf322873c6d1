//! Signatures that the Ed25519 precompile has checked earlier in this transaction (#43).
//!
//! The precompile lets an instruction point anywhere: at other instructions, at overlapping bytes, at
//! messages of any length. Exactly one layout is read here, so what was checked is what is read:
//!
//! ```text
//! k, 0, k offsets of 14 bytes, k times (key 32, signature 64), message 32
//! ```

use anchor_lang::prelude::*;
use anchor_lang::solana_program::instruction::{TRANSACTION_LEVEL_STACK_HEIGHT, get_stack_height};
use d402_settlement::{Approvals, IndexedSignature, Key32, MAX_VALIDATORS, ValidatorSet, Verifier};
use solana_instructions_sysvar::{load_current_index_checked, load_instruction_at_checked};

use crate::error::VaultError;

const ED25519: Pubkey = pubkey!("Ed25519SigVerify111111111111111111111111111");
const HEADER: usize = 2;
const OFFSETS: usize = 14;
const KEY: usize = 32;
const SIGNED: usize = 96;
const MESSAGE: usize = 32;
/// "In this instruction", the only place an offset may point to.
const THIS: u16 = u16::MAX;

/// One message and who signed it, in the order of the instruction.
pub(crate) struct Checked {
    message: [u8; 32],
    signed: Vec<(Key32, [u8; 64])>,
}

impl Checked {
    /// Reads the instruction directly before the current one.
    pub(crate) fn read(instructions: &AccountInfo<'_>) -> Result<Self> {
        // Inside another program's call the "current" instruction is that program's, not ours.
        require!(
            get_stack_height() == TRANSACTION_LEVEL_STACK_HEIGHT,
            VaultError::NotTopLevel
        );
        let current = load_current_index_checked(instructions)?;
        let before = current.checked_sub(1).ok_or(VaultError::NoPrecompile)?;
        let instruction = load_instruction_at_checked(usize::from(before), instructions)?;
        require_keys_eq!(instruction.program_id, ED25519, VaultError::NoPrecompile);
        Ok(parse(&instruction.data).ok_or(VaultError::PrecompileLayout)?)
    }

    /// What was signed.
    pub(crate) const fn message(&self) -> &[u8; 32] {
        &self.message
    }

    /// The signatures as members of `set`: every signer must be one, strictly ascending.
    pub(crate) fn approvals(&self, set: &ValidatorSet) -> Result<Approvals> {
        let mut indexed: Vec<IndexedSignature> = Vec::with_capacity(self.signed.len());
        for (key, signature) in &self.signed {
            let index = set.index_of(key).ok_or(VaultError::UnknownSigner)?;
            indexed.push((index, *signature));
        }
        let approvals = Approvals::check(set, self.message, &indexed, self);
        Ok(approvals.map_err(VaultError::from)?)
    }
}

impl Verifier for Checked {
    /// The precompile verifies by the strict rules (#26); this looks up what it has verified.
    fn verify(&self, key: &Key32, message: &[u8; 32], signature: &[u8; 64]) -> bool {
        let is_it = |(k, s): &(Key32, [u8; 64])| k == key && s == signature;
        message == &self.message && self.signed.iter().any(is_it)
    }
}

fn parse(data: &[u8]) -> Option<Checked> {
    let [count, padding, ..] = data else {
        return None;
    };
    let k = usize::from(*count);
    if k == 0 || k > MAX_VALIDATORS || *padding != 0 {
        return None;
    }
    let signed_from = HEADER.checked_add(OFFSETS.checked_mul(k)?)?;
    let message_from = signed_from.checked_add(SIGNED.checked_mul(k)?)?;
    if data.len() != message_from.checked_add(MESSAGE)? {
        return None;
    }
    let (offsets, rest) = data
        .get(HEADER..)?
        .split_at_checked(signed_from.checked_sub(HEADER)?)?;
    let (signed, message) = rest.split_at_checked(message_from.checked_sub(signed_from)?)?;
    let (offsets, _) = offsets.as_chunks::<OFFSETS>();
    let (signed, _) = signed.as_chunks::<SIGNED>();
    let mut checked = Checked {
        message: message.try_into().ok()?,
        signed: Vec::with_capacity(k),
    };
    let mut key_at = signed_from;
    for (offsets, signed) in offsets.iter().zip(signed) {
        if *offsets != canonical(key_at, message_from)? {
            return None;
        }
        let (key, signature) = signed.split_first_chunk::<KEY>()?;
        checked
            .signed
            .push((Key32(*key), signature.try_into().ok()?));
        key_at = key_at.checked_add(SIGNED)?;
    }
    Some(checked)
}

/// The only offsets that are read, as the precompile lays them out.
fn canonical(key_at: usize, message_at: usize) -> Option<[u8; OFFSETS]> {
    let key = u16::try_from(key_at).ok()?;
    let signature = u16::try_from(key_at.checked_add(KEY)?).ok()?;
    let message = u16::try_from(message_at).ok()?;
    let size = u16::try_from(MESSAGE).ok()?;
    let mut bytes = [0; OFFSETS];
    let words = [signature, THIS, key, THIS, message, size, THIS];
    let (slots, _) = bytes.as_chunks_mut::<2>();
    for (slot, word) in slots.iter_mut().zip(words) {
        *slot = word.to_le_bytes();
    }
    Some(bytes)
}
