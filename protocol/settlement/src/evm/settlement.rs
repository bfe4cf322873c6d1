//! The struct hash validators sign on an EVM chain.

use sha3::{Digest, Keccak256};

use super::word::{Word, keccak, uint};
use crate::ids::TermsHash;
use crate::receipt::Settlement;

/// EIP-712 type of a row.
pub const ROW_TYPE: &str = "Row(address payee,uint8 role,uint96 amount)";
/// EIP-712 type of a settlement, as it is hashed.
pub const SETTLEMENT_TYPE: &str = "Settlement(bytes32 termsHash,bytes32 receiptCid,uint8 outcome,Row[] rows)\
     Row(address payee,uint8 role,uint96 amount)";

pub(super) fn struct_hash(terms_hash: &TermsHash, settlement: &Settlement) -> Word {
    let row_type = keccak(&[ROW_TYPE.as_bytes()]);
    let mut rows = Keccak256::new();
    for row in settlement.rows.as_slice() {
        rows.update(keccak(&[
            &row_type,
            row.payee.as_bytes(),
            &uint(u128::from(row.role.as_u8())),
            &uint(row.amount.get()),
        ]));
    }
    let rows: Word = rows.finalize().into();
    keccak(&[
        &keccak(&[SETTLEMENT_TYPE.as_bytes()]),
        terms_hash.as_bytes(),
        settlement.receipt_cid.as_bytes(),
        &uint(u128::from(settlement.outcome.as_u8())),
        &rows,
    ])
}
