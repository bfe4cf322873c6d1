//! Every rule that needs no chain, as one pure function over bytes.

use d402_objects::{Hex32, signature};
use d402_svm::{Address, Hash, Signature};

use super::layout::{Layout, Transfer};
use super::requirements::{SIGNATURES, fee_lamports};
use super::{ExactFault, Received, Requirements, Tables};

/// A transaction that pays as required. Signing it costs the fee payer at most [`ExactPayment::fee_lamports`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactPayment {
    /// SHA-256 of the message.
    pub message_hash: Hex32,
    /// Owner of the money.
    pub payer: Address,
    /// Its token account.
    pub source: Address,
    /// Token program of the transfer.
    pub token_program: Address,
    /// The token.
    pub mint: Address,
    /// Units.
    pub amount: u64,
    /// What it is valid with.
    pub blockhash: Hash,
    /// What it costs at most, lamports.
    pub fee_lamports: u64,
}

/// Checks a transaction against what was asked for. `tables` are those of [`Received::tables`]; a table that is
/// not there is not resolved.
///
/// # Errors
/// The first rule it breaks.
pub fn inspect(
    received: &Received,
    tables: &Tables,
    required: &Requirements,
) -> Result<ExactPayment, ExactFault> {
    let message = &received.transaction.message;
    let keys = message.static_account_keys();
    let (Some(first), Some(second)) = (keys.first(), keys.get(1)) else {
        return Err(ExactFault::Undecodable);
    };
    if *first != required.fee_payer {
        return Err(ExactFault::FeePayer);
    }
    let got = message.header().num_required_signatures;
    if got != SIGNATURES {
        return Err(ExactFault::Signers { got });
    }
    let accounts = received.accounts(tables)?;
    let layout = Layout::read(message.instructions(), &accounts, required)?;
    check_transfer(&layout.transfer, required)?;
    // The second signature is the owner's, or nobody's we know.
    if layout.transfer.authority != *second {
        return Err(ExactFault::Payer);
    }
    check_memo(&layout.memos, required)?;
    check_signatures(received, second)?;
    Ok(ExactPayment {
        message_hash: received.message_hash(),
        payer: *second,
        source: layout.transfer.source,
        token_program: required.token_program,
        mint: required.mint,
        amount: required.amount,
        blockhash: *message.recent_blockhash(),
        fee_lamports: fee_lamports(layout.compute_units, layout.price_micro_lamports),
    })
}

fn check_transfer(transfer: &Transfer, required: &Requirements) -> Result<(), ExactFault> {
    if transfer.mint != required.mint {
        return Err(ExactFault::Mint);
    }
    if transfer.destination != required.destination {
        return Err(ExactFault::Recipient);
    }
    if transfer.amount != required.amount {
        return Err(ExactFault::Amount {
            got: transfer.amount,
            needed: required.amount,
        });
    }
    // A transfer to itself succeeds and moves nothing.
    if transfer.source == transfer.destination {
        return Err(ExactFault::Payer);
    }
    Ok(())
}

fn check_memo(memos: &[Vec<u8>], required: &Requirements) -> Result<(), ExactFault> {
    let Some(wanted) = &required.memo else {
        return Ok(());
    };
    let [memo] = memos else {
        return Err(ExactFault::MemoCount { got: memos.len() });
    };
    if memo.as_slice() != wanted.as_bytes() {
        return Err(ExactFault::MemoMismatch);
    }
    Ok(())
}

/// Our place is empty, the payer's is filled by the payer. By the strict rule, which is the network's (#26).
fn check_signatures(received: &Received, payer: &Address) -> Result<(), ExactFault> {
    let [ours, theirs] = received.transaction.signatures.as_slice() else {
        return Err(ExactFault::Undecodable);
    };
    if *ours != Signature::default() {
        return Err(ExactFault::FeePayerSigned);
    }
    signature::verify_strict(payer.as_array(), &received.message, theirs.as_array())
        .map_err(|_| ExactFault::Signature)
}
