//! A payment as a stock client makes it, and ways to spoil it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_objects::{Cid, SigningKey};
use d402_svm::address::{COMPUTE_BUDGET, TOKEN};
use d402_svm::message::v0;
use d402_svm::{
    AccountMeta, Address, Hash, Instruction, Signature, VersionedMessage, VersionedTransaction,
};
use ed25519_dalek::Signer as _;
use serde_json::{Value, json};

use crate::svm::exact::requirements::{FeeCaps, LIGHTHOUSE_PROGRAM, MEMO_PROGRAM, Requirements};
use crate::svm::exact::{ExactFault, ExactPayment, Received, Tables, inspect};

pub(super) const AMOUNT: u64 = 1_010_000;

pub(super) fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&Cid::of(name.as_bytes()).as_bytes())
}

/// The address of [`key`], remembered: the properties ask for the same few very often.
pub(super) fn address(name: &'static str) -> Address {
    static KNOWN: Mutex<BTreeMap<&str, Address>> = Mutex::new(BTreeMap::new());
    let fresh = || Address::new_from_array(key(name).verifying_key().to_bytes());
    *KNOWN.lock().unwrap().entry(name).or_insert_with(fresh)
}

pub(super) fn required() -> Requirements {
    Requirements {
        mint: address("mint"),
        token_program: TOKEN,
        destination: address("destination"),
        amount: AMOUNT,
        fee_payer: address("gateway"),
        memo: None,
        caps: FeeCaps::DEFAULT,
    }
}

pub(super) fn limit(units: u32) -> Instruction {
    let mut data = vec![2];
    data.extend_from_slice(&units.to_le_bytes());
    Instruction::new_with_bytes(COMPUTE_BUDGET, &data, vec![])
}

pub(super) fn price(micro_lamports: u64) -> Instruction {
    let mut data = vec![3];
    data.extend_from_slice(&micro_lamports.to_le_bytes());
    Instruction::new_with_bytes(COMPUTE_BUDGET, &data, vec![])
}

pub(super) fn transfer() -> Instruction {
    let mut data = vec![12];
    data.extend_from_slice(&AMOUNT.to_le_bytes());
    data.push(6);
    let accounts = vec![
        AccountMeta::new(address("source"), false),
        AccountMeta::new_readonly(address("mint"), false),
        AccountMeta::new(address("destination"), false),
        AccountMeta::new_readonly(address("payer"), true),
    ];
    Instruction::new_with_bytes(TOKEN, &data, accounts)
}

pub(super) fn memo(text: &[u8]) -> Instruction {
    Instruction::new_with_bytes(MEMO_PROGRAM, text, vec![])
}

/// What a wallet adds: an assertion about the payer's own account.
pub(super) fn assertion() -> Instruction {
    let accounts = vec![AccountMeta::new_readonly(address("source"), false)];
    Instruction::new_with_bytes(LIGHTHOUSE_PROGRAM, &[9, 1, 0], accounts)
}

/// A transaction in the making.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) fee_payer: Address,
    pub(super) instructions: Vec<Instruction>,
}

impl Draft {
    /// What a stock client sends.
    pub(super) fn stock() -> Self {
        Self {
            fee_payer: address("gateway"),
            instructions: vec![
                limit(20_000),
                price(1),
                transfer(),
                memo(b"5be2d2fb90b24f2b0c1c9e3a4f5d6e7f"),
            ],
        }
    }

    pub(super) fn with(mut self, spoil: impl FnOnce(&mut Vec<Instruction>)) -> Self {
        spoil(&mut self.instructions);
        self
    }

    pub(super) fn message(&self) -> v0::Message {
        let blockhash = Hash::new_from_array([7; 32]);
        v0::Message::try_compile(&self.fee_payer, &self.instructions, &[], blockhash).unwrap()
    }

    /// Signed by everybody but the fee payer.
    pub(super) fn signed(&self) -> VersionedTransaction {
        sign(VersionedMessage::V0(self.message()))
    }

    pub(super) fn inspect(&self, required: &Requirements) -> Result<ExactPayment, ExactFault> {
        inspect_transaction(&self.signed(), required)
    }
}

pub(super) fn inspect_transaction(
    transaction: &VersionedTransaction,
    required: &Requirements,
) -> Result<ExactPayment, ExactFault> {
    let received = Received::parse(&payload(transaction))?;
    inspect(&received, &Tables::new(), required)
}

pub(super) fn payload(transaction: &VersionedTransaction) -> Value {
    json!({ "transaction": STANDARD.encode(bytes(transaction)) })
}

pub(super) fn bytes(transaction: &VersionedTransaction) -> Vec<u8> {
    d402_svm::transaction::encode(transaction)
}

/// Every signer but the first signs, as far as its key is one of [`NAMES`].
pub(super) fn sign(message: VersionedMessage) -> VersionedTransaction {
    let count = usize::from(message.header().num_required_signatures);
    let text = message.serialize();
    let signatures = message.static_account_keys()[..count]
        .iter()
        .enumerate()
        .map(|(place, signer)| {
            let name = NAMES.iter().find(|name| address(name) == *signer);
            match name {
                Some(name) if place > 0 => Signature::from(key(name).sign(&text).to_bytes()),
                _ => Signature::default(),
            }
        })
        .collect();
    VersionedTransaction {
        signatures,
        message,
    }
}

/// Everybody there is.
pub(super) const NAMES: [&str; 7] = [
    "gateway",
    "payer",
    "source",
    "mint",
    "destination",
    "stranger",
    "thief",
];
