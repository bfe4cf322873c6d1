//! The buyer's own `open` with the deposit in it, as x402 carries it: a whole signed transaction.
//!
//! What is accepted is one instruction of this program, byte for byte the one these terms give, behind at most a
//! limit and a price for compute units. Everything else that a transaction could do is refused unread.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_core::ports::PaymentFault;
use d402_objects::Hex32;
use d402_svm::address::{COMPUTE_BUDGET, SYSTEM};
use d402_svm::instructions::Place;
use d402_svm::transaction::{self, LIMIT};
use d402_svm::{Address, Instruction, Signature, VersionedTransaction};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::key::is_signed_by;

/// Longest base64 of a transaction.
const MAX_TEXT: usize = LIMIT.div_ceil(3).saturating_mul(4);
/// The system program's `AdvanceNonceAccount`.
const ADVANCE_NONCE: [u8; 4] = [4, 0, 0, 0];
/// Places in the accounts of `open_funded`.
const PAYER: usize = 0;
const SOURCE: usize = 8;
const AUTHORITY: usize = 9;

/// A payment: the signed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPayment {
    transaction: VersionedTransaction,
    raw: Vec<u8>,
    message: Vec<u8>,
}

/// Whose money a payment moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paying {
    /// The token account.
    pub source: Address,
    /// Its owner, who signed.
    pub authority: Address,
}

impl OpenPayment {
    /// Reads an x402 payload, `{"transaction": base64}`; `None` when it is none.
    #[must_use]
    pub fn parse(payload: &Value) -> Option<Self> {
        let text = payload.get("transaction")?.as_str()?;
        if text.len() > MAX_TEXT {
            return None;
        }
        Self::from_bytes(STANDARD.decode(text).ok()?)
    }

    /// Reads the transaction's bytes.
    #[must_use]
    pub fn from_bytes(raw: Vec<u8>) -> Option<Self> {
        let transaction = transaction::decode(&raw)?;
        let message = transaction.message.serialize();
        Some(Self {
            transaction,
            raw,
            message,
        })
    }

    /// The payment's id: SHA-256 of the message, which every signer signed and no signer can change (threat #37).
    #[must_use]
    pub fn id(&self) -> Hex32 {
        Hex32::from_bytes(Sha256::digest(&self.message).into())
    }

    /// The transaction's name on the chain.
    #[must_use]
    pub fn signature(&self) -> Signature {
        let first = self.transaction.signatures.first();
        first.copied().unwrap_or_default()
    }

    /// Its bytes.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// What it is.
    #[must_use]
    pub const fn transaction(&self) -> &VersionedTransaction {
        &self.transaction
    }

    /// Checks everything that needs no chain, in the order of [`PaymentFault`].
    ///
    /// # Errors
    /// [`PaymentFault::Mismatch`] for any other transaction than the one these terms give;
    /// [`PaymentFault::Expired`] for one that never expires.
    pub fn check(&self, place: &Place) -> Result<Paying, PaymentFault> {
        let mismatch = PaymentFault::Mismatch;
        let instructions =
            transaction::instructions(&self.transaction.message).ok_or(mismatch.clone())?;
        let (is_durable, rest) = match instructions.split_first() {
            Some((first, rest)) if advances_nonce(first) => (true, rest),
            _ => (false, instructions.as_slice()),
        };
        let paying = paying(rest, place).ok_or(mismatch)?;
        if !self.is_signed() {
            return Err(PaymentFault::Signature);
        }
        // Bound to a nonce account instead of a blockhash: nothing makes it impossible (threat #71).
        if is_durable {
            return Err(PaymentFault::Expired);
        }
        Ok(paying)
    }

    /// Every signature is there and verifies.
    fn is_signed(&self) -> bool {
        let message = &self.transaction.message;
        let count = usize::from(message.header().num_required_signatures);
        let signers = message.static_account_keys().iter().take(count);
        let signatures = &self.transaction.signatures;
        count == signatures.len()
            && signers
                .zip(signatures)
                .all(|(signer, signature)| is_signed_by(signer, &self.message, signature))
    }
}

fn advances_nonce(instruction: &Instruction) -> bool {
    instruction.program_id == SYSTEM && instruction.data.starts_with(&ADVANCE_NONCE)
}

/// Limit and price, each at most once, then exactly the instruction these terms give.
fn paying(instructions: &[Instruction], place: &Place) -> Option<Paying> {
    let (own, budget) = instructions.split_last()?;
    let kinds: Vec<u8> = budget.iter().map(budget_kind).collect::<Option<_>>()?;
    if !matches!(kinds.as_slice(), [] | [2] | [3] | [2, 3] | [3, 2]) {
        return None;
    }
    let account = |at: usize| own.accounts.get(at).map(|meta| meta.pubkey);
    let (payer, source, authority) = (account(PAYER)?, account(SOURCE)?, account(AUTHORITY)?);
    let wanted = place.open_funded(payer, (source, authority), place.terms.budget);
    let same_accounts = wanted.accounts.len() == own.accounts.len()
        && wanted
            .accounts
            .iter()
            .zip(&own.accounts)
            .all(|(wanted, given)| wanted.pubkey == given.pubkey);
    let is_it = own.program_id == wanted.program_id && own.data == wanted.data && same_accounts;
    is_it.then_some(Paying { source, authority })
}

fn budget_kind(instruction: &Instruction) -> Option<u8> {
    let is_budget = instruction.program_id == COMPUTE_BUDGET && instruction.accounts.is_empty();
    match (is_budget, instruction.data.as_slice()) {
        (true, [2, _, _, _, _]) => Some(2),
        (true, [3, _, _, _, _, _, _, _, _]) => Some(3),
        _ => None,
    }
}
