//! One escrow on Base, its validators, and settlements of it.

use d402_settlement::evm::{EvmAccount, EvmDomain, EvmSigners, EvmTerms, SignerKind, chain_word};
use d402_settlement::market::LEDGER;
use d402_settlement::{
    Bps, Outcome, ReceiptCid, Role, Row, Rows, SetHash, Settlement, TaskId, Units, UnixSeconds,
};
use k256::ecdsa::SigningKey;
use sha2::{Digest, Sha256};

pub const ISSUED: i64 = 1_795_332_906;
pub const SETTLE_BY: i64 = ISSUED + 190;
pub const REFUND_AFTER: i64 = SETTLE_BY + 1_800;

pub const SEPOLIA: EvmDomain = EvmDomain {
    chain_id: 84_532,
    ledger: LEDGER,
};
pub const MAINNET: EvmDomain = EvmDomain {
    chain_id: 8_453,
    ledger: LEDGER,
};

pub const fn account(byte: u8) -> EvmAccount {
    EvmAccount([byte; 20])
}

pub const ASSET: EvmAccount = account(2);
pub const BUYER: EvmAccount = account(3);
pub const CREATOR: EvmAccount = account(5);
pub const GATEWAY: EvmAccount = account(6);
pub const WORKER: EvmAccount = account(0x10);
pub const WORKER_2: EvmAccount = account(0x11);
pub const JUDGE: EvmAccount = account(0x20);

pub fn at(seconds: i64) -> UnixSeconds {
    UnixSeconds(seconds)
}

pub fn units(raw: u64) -> Units {
    Units::from_u64(raw)
}

/// The key that follows from a number.
pub fn evm_key(number: u32) -> SigningKey {
    let seed = Sha256::digest(format!("d402/base-vectors/key/{number}"));
    SigningKey::from_slice(&seed).unwrap()
}

/// The account of a key, by the recovery every signature check uses.
pub fn account_of(key: &SigningKey) -> EvmAccount {
    let digest = [7; 32];
    d402_settlement::evm::recover(&digest, &sign(key, &digest)).unwrap()
}

/// r ‖ s ‖ v over a digest, as a wallet signs it.
pub fn sign(key: &SigningKey, digest: &[u8; 32]) -> [u8; 65] {
    let (signature, recovery) = key.sign_prehash_recoverable(digest);
    let mut bytes = [27 + recovery.to_byte(); 65];
    bytes[..64].copy_from_slice(&signature.to_bytes());
    bytes
}

/// The same signature with s in the upper half of the order, and the v that goes with it.
pub fn high_s(signature: &[u8; 65]) -> [u8; 65] {
    let parsed = k256::ecdsa::Signature::from_slice(&signature[..64]).unwrap();
    let scalars = (parsed.r().to_bytes(), (-*parsed.s()).to_bytes());
    let high = k256::ecdsa::Signature::from_scalars(scalars.0, scalars.1).unwrap();
    let mut bytes = *signature;
    bytes[..64].copy_from_slice(&high.to_bytes());
    bytes[64] ^= 27 ^ 28;
    bytes
}

/// `n` keys from `first` on in set order, and their set of which `m` must sign.
pub fn validators(m: u8, n: u8, first: u32) -> (EvmSigners, Vec<SigningKey>) {
    let mut keys: Vec<SigningKey> = (0..u32::from(n)).map(|i| evm_key(first + i)).collect();
    keys.sort_by_key(account_of);
    let members: Vec<(EvmAccount, SignerKind)> = keys
        .iter()
        .map(|key| (account_of(key), SignerKind::Ecdsa))
        .collect();
    (EvmSigners::new(m, &members).unwrap(), keys)
}

pub fn base_terms(set: SetHash) -> EvmTerms {
    EvmTerms {
        version: 1,
        on_silence: 0,
        commission_bps: Bps(1_000),
        gateway_fee_bps: Bps(200),
        budget: units(10_000),
        validator_fee_cap: units(1_000),
        issued_at: ISSUED as u64,
        settle_by: SETTLE_BY as u64,
        refund_after: REFUND_AFTER as u64,
        chain_id: chain_word(SEPOLIA.chain_id),
        task_id: TaskId([1; 32]),
        asset: ASSET,
        refund_to: BUYER,
        validator_set: set,
        commission_payee: CREATOR,
        gateway_fee_payee: GATEWAY,
        salt: [8; 32],
    }
}

pub fn worker(payee: EvmAccount, amount: u64) -> Row {
    Row {
        payee: payee.to_key(),
        role: Role::Worker,
        amount: units(amount),
    }
}

pub fn judge(payee: EvmAccount, amount: u64) -> Row {
    Row {
        role: Role::Validator,
        ..worker(payee, amount)
    }
}

pub fn paid(rows: &[Row]) -> Settlement {
    Settlement {
        receipt_cid: ReceiptCid([9; 32]),
        outcome: Outcome::Paid,
        rows: Rows::new(rows).unwrap(),
    }
}

pub fn rejected(rows: &[Row]) -> Settlement {
    Settlement {
        outcome: Outcome::Rejected,
        ..paid(rows)
    }
}
