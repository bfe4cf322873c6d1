//! The bytes of a money effect on an EVM chain, and the call they stand for.
//!
//! A body says what is meant, not which call to make: it comes back out of a database years later and can
//! then do nothing but pay, settle or sweep its own terms. The call is a pure function of the body, so the
//! same body is the same calldata for ever.

use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::{SolCall as _, SolValue as _};
use d402_evm::abi::{
    Ledger, LedgerAuthorization, LedgerPay, MULTICALL3, Multicall3, Row, SettlementReceipt,
    Signature, Terms, Validator, ValidatorSet,
};
use d402_objects::Hex32;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::authorization::SignedAuthorization;

/// Largest body, bytes: sixteen rows and sixteen signatures of contract wallets stay below.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// What money is meant to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "effect",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum MoneyBody {
    /// Pays the escrow of `terms` and publishes them.
    Pay {
        /// 544 bytes.
        terms: Bytes,
        /// The buyer's authorization.
        payment: SignedAuthorization,
    },
    /// Executes a receipt.
    Settle {
        /// 544 bytes.
        terms: Bytes,
        /// The receipt.
        receipt: ReceiptBody,
        /// Who may sign, as the ledger checks it against the terms.
        set: SetBody,
        /// Place in the set and signature, ascending.
        signatures: Vec<(u8, Bytes)>,
    },
    /// Returns what nobody may earn any more.
    Sweep {
        /// 544 bytes.
        terms: Bytes,
    },
}

/// A receipt as the ledger takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiptBody {
    /// CID digest.
    pub receipt_cid: B256,
    /// 1 paid, 2 rejected.
    pub outcome: u8,
    /// Payee, role, units (decimal); ascending by payee.
    pub rows: Vec<(Address, u8, d402_objects::Amount)>,
}

/// A validator set as the ledger takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetBody {
    /// How many must sign.
    pub m: u8,
    /// Key and kind, ascending by key.
    pub members: Vec<(Address, u8)>,
}

/// A contract call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Contract.
    pub target: Address,
    /// Calldata.
    pub input: Bytes,
}

/// Why bytes are no body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Longer than [`MAX_BODY_BYTES`].
    #[error("money body is too long")]
    TooLong,
    /// Not one of the effects.
    #[error("money body is not of this rail")]
    Shape(#[source] serde_json::Error),
    /// An amount or the terms do not fit the ledger's types.
    #[error("money body does not fit the ledger")]
    Values,
}

impl MoneyBody {
    /// Decodes a body.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        if bytes.len() > MAX_BODY_BYTES {
            return Err(BodyError::TooLong);
        }
        serde_json::from_slice(bytes).map_err(BodyError::Shape)
    }

    /// Encodes a body; the same value gives the same bytes.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn encode(&self) -> Result<Vec<u8>, BodyError> {
        serde_json::to_vec(self).map_err(BodyError::Shape)
    }

    /// The terms' bytes.
    #[must_use]
    pub const fn terms(&self) -> &Bytes {
        match self {
            Self::Pay { terms, .. } | Self::Settle { terms, .. } | Self::Sweep { terms } => terms,
        }
    }

    /// What is called at which contract.
    ///
    /// # Errors
    /// [`BodyError::Values`].
    pub fn call(&self, ledger: Address) -> Result<Call, BodyError> {
        let terms = terms(self.terms())?;
        Ok(match self {
            Self::Pay { payment, .. } => return pay(ledger, terms, payment),
            Self::Settle {
                receipt,
                set,
                signatures,
                ..
            } => Call {
                target: ledger,
                input: settle(terms, receipt, set, signatures)?.abi_encode().into(),
            },
            Self::Sweep { .. } => {
                let token = terms.asset;
                Call {
                    target: ledger,
                    input: Ledger::sweepCall { terms, token }.abi_encode().into(),
                }
            }
        })
    }
}

/// Name of an intent: its bytes and, for effects that may be repeated, which time it is.
#[must_use]
pub fn intent_key(body: &[u8], round: u32) -> Hex32 {
    let mut hash = Sha256::new();
    hash.update(b"d402/intent/evm/v1");
    hash.update(round.to_be_bytes());
    hash.update(body);
    Hex32::from_bytes(hash.finalize().into())
}

/// Terms as the ABI has them.
///
/// # Errors
/// [`BodyError::Values`] for anything but 17 words in range.
pub fn terms(bytes: &[u8]) -> Result<Terms, BodyError> {
    Terms::abi_decode_validate(bytes).map_err(|_| BodyError::Values)
}

/// A wallet that is not there yet is made first, in the same transaction; making it twice is no failure.
fn pay(ledger: Address, terms: Terms, payment: &SignedAuthorization) -> Result<Call, BodyError> {
    let made = payment.counterfactual();
    let signature = made
        .as_ref()
        .map_or_else(|| payment.signature.clone(), |made| made.signature.clone());
    let call = Call {
        target: ledger,
        input: pay_call(terms, payment, signature).abi_encode().into(),
    };
    let Some(made) = made else {
        return Ok(call);
    };
    if made.factory == ledger {
        return Err(BodyError::Values);
    }
    let calls = vec![
        Multicall3::Call3 {
            target: made.factory,
            allowFailure: true,
            callData: made.data,
        },
        Multicall3::Call3 {
            target: call.target,
            allowFailure: false,
            callData: call.input,
        },
    ];
    Ok(Call {
        target: MULTICALL3,
        input: Multicall3::aggregate3Call { calls }.abi_encode().into(),
    })
}

/// `pay` with a signature of any form.
pub(super) fn pay_call(
    terms: Terms,
    payment: &SignedAuthorization,
    signature: Bytes,
) -> LedgerPay::payCall {
    let given = &payment.authorization;
    LedgerPay::payCall {
        terms,
        authorization: LedgerAuthorization {
            from: given.from,
            value: given.value,
            validAfter: given.valid_after,
            validBefore: given.valid_before,
            nonce: given.nonce,
        },
        signature,
    }
}

fn settle(
    terms: Terms,
    receipt: &ReceiptBody,
    set: &SetBody,
    signatures: &[(u8, Bytes)],
) -> Result<Ledger::settleCall, BodyError> {
    let mut rows = Vec::with_capacity(receipt.rows.len());
    for (payee, role, amount) in &receipt.rows {
        rows.push(Row {
            payee: *payee,
            role: *role,
            amount: alloy::primitives::Uint::try_from(amount.get())
                .map_err(|_| BodyError::Values)?,
        });
    }
    Ok(Ledger::settleCall {
        terms,
        receipt: SettlementReceipt {
            receiptCid: receipt.receipt_cid,
            outcome: receipt.outcome,
            rows,
        },
        set: ValidatorSet {
            m: set.m,
            members: set
                .members
                .iter()
                .map(|(key, kind)| Validator {
                    key: *key,
                    kind: *kind,
                })
                .collect(),
        },
        signatures: signatures
            .iter()
            .map(|(index, sig)| Signature {
                setIndex: *index,
                sig: sig.clone(),
            })
            .collect(),
    })
}
