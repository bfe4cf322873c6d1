//! A chain, a rail over it, validators, buyers and terms.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy::primitives::{Address, B256, Bytes, U256};
use d402_core::ports::Clock;
use d402_evm::{Chain, ChainOptions, Finality};
use d402_objects::{
    Amount, Cid, Hex32, IndexedSignature, Outcome, ReceiptRow, RowRole, SettlementReceipt,
    SignatureBytes, SignedReceipt,
};
use d402_settlement::evm::{
    EvmAccount, EvmDomain, EvmSigners, EvmTerms, SignerKind, chain_word, escrow_address,
};
use d402_settlement::{Bps, ReceiptCid, Role, Row, Rows, Settlement, TaskId, Units, ValidatorSet};
use serde_json::{Value, json};

use super::proxy::Proxy;
use crate::evm::authorization::{Authorization, SignedAuthorization, TokenDomain};
use crate::evm::book::NonceBook;
use crate::evm::devnet::{CHAIN_ID, Devnet, DevnetOptions, USDC, WHALE};
use crate::evm::{BaseDirectRail, Caps, EscrowRail, EscrowRailOptions, EvmKey, Sequencer};

pub(super) const NETWORK: &str = "eip155:84532";

/// The machine's clock.
#[derive(Debug)]
pub(super) struct WallClock;

#[allow(clippy::disallowed_methods, reason = "the clock of these tests")]
impl Clock for WallClock {
    fn now_ms(&self) -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap().as_millis() as u64
    }
}

/// The key of a number.
pub(super) fn key(number: u64) -> EvmKey {
    let seed = Cid::of(format!("d402-rails evm test key {number}").as_bytes()).as_bytes();
    EvmKey::from_secret(&seed).unwrap()
}

pub(super) fn token() -> TokenDomain {
    TokenDomain {
        asset: USDC,
        name: "USDC".to_owned(),
        version: "2".to_owned(),
        chain_id: CHAIN_ID,
    }
}

pub(super) fn ledger() -> Address {
    Address::from(d402_settlement::market::LEDGER.0)
}

pub(super) fn domain() -> EvmDomain {
    EvmDomain {
        chain_id: CHAIN_ID,
        ledger: EvmAccount(ledger().into_array()),
    }
}

pub(super) fn caps() -> Caps {
    Caps {
        wait: std::time::Duration::from_secs(3),
        max_fee: 100_000_000_000,
        ..Caps::BASE
    }
}

/// Validators of a test, ascending by account.
pub(super) struct Validators {
    pub(super) keys: Vec<EvmKey>,
    pub(super) signers: EvmSigners,
}

impl Validators {
    pub(super) fn new(m: u8, n: u64) -> Self {
        let mut keys: Vec<EvmKey> = (0..n).map(|i| key(1_000_000 + i)).collect();
        keys.sort_by_key(EvmKey::address);
        let members: Vec<_> = keys
            .iter()
            .map(|key| (EvmAccount(key.address().into_array()), SignerKind::Ecdsa))
            .collect();
        Self {
            signers: EvmSigners::new(m, &members).unwrap(),
            keys,
        }
    }

    pub(super) fn set(&self) -> &ValidatorSet {
        self.signers.set()
    }

    /// A receipt over these rows, signed by `missing` fewer than needed.
    pub(super) fn receipt(&self, terms: &EvmTerms, rows: &[Row], missing: usize) -> SignedReceipt {
        let receipt = receipt(terms, rows);
        let unsigned = SignedReceipt::new(receipt.clone(), Vec::new());
        let cid = match &unsigned {
            Ok(unsigned) => unsigned.receipt_cid(),
            Err(_) => d402_objects::cid_of(&receipt).unwrap(),
        };
        let settlement = Settlement {
            receipt_cid: ReceiptCid(cid.to_hex32().as_bytes()),
            outcome: outcome(rows),
            rows: Rows::new(rows).unwrap(),
        };
        let digest = domain().settlement_digest(&terms.hash(&domain().ledger), &settlement);
        let count = usize::from(self.signers.set().m()) - missing;
        let signatures = (0u8..)
            .zip(&self.keys)
            .take(count)
            .map(|(set_index, key)| IndexedSignature {
                set_index,
                signature: SignatureBytes::new(&key.sign(&B256::from(digest)).unwrap()).unwrap(),
            })
            .collect();
        SignedReceipt::new(receipt, signatures).unwrap()
    }
}

fn outcome(rows: &[Row]) -> d402_settlement::Outcome {
    if rows.iter().any(|row| row.role == Role::Worker) {
        d402_settlement::Outcome::Paid
    } else {
        d402_settlement::Outcome::Rejected
    }
}

fn receipt(terms: &EvmTerms, rows: &[Row]) -> SettlementReceipt {
    let rows_out = rows.iter().map(|row| ReceiptRow {
        payee: text(EvmAccount::from_key(&row.payee).unwrap())
            .parse()
            .unwrap(),
        role: match row.role {
            Role::Worker => RowRole::Worker,
            Role::Validator => RowRole::Validator,
        },
        amount: Amount::new(row.amount.get()).unwrap(),
    });
    SettlementReceipt {
        object_version: 1,
        network: NETWORK.parse().unwrap(),
        terms_hash: Hex32::from_bytes(*terms.hash(&domain().ledger).as_bytes()),
        verifier: text(domain().ledger).parse().unwrap(),
        task_id: Cid::from_digest(*terms.task_id.as_bytes()),
        outcome: match outcome(rows) {
            d402_settlement::Outcome::Paid => Outcome::Paid,
            d402_settlement::Outcome::Rejected => Outcome::Rejected,
        },
        rows: rows_out.collect(),
        commission: Amount::ZERO,
        gateway_fee: Amount::ZERO,
        claim_cids: Vec::new(),
        validation_receipt_cids: Vec::new(),
        lease_set_roots: Vec::new(),
    }
}

/// An account as objects spell it.
pub(super) fn text(account: EvmAccount) -> String {
    format!("{:#x}", Address::from(account.0))
}

pub(super) fn account(address: Address) -> EvmAccount {
    EvmAccount(address.into_array())
}

pub(super) fn escrow_of(terms: &EvmTerms) -> Address {
    let ledger = domain().ledger;
    Address::from(escrow_address(&ledger, &terms.hash(&ledger)).0)
}

/// Everything a test needs.
pub(super) struct Stage {
    pub(super) devnet: Devnet,
    pub(super) proxy: Proxy,
    pub(super) chain: Arc<Chain>,
    pub(super) rail: EscrowRail,
    pub(super) validators: Validators,
    pub(super) folder: tempfile::TempDir,
    numbers: AtomicU64,
}

impl Stage {
    pub(super) async fn start() -> Self {
        let devnet = Devnet::start(DevnetOptions::default()).await.unwrap();
        let proxy = Proxy::start(devnet.url()).await;
        let chain = Arc::new(chain(
            std::slice::from_ref(&proxy.url),
            Finality::DEVELOPMENT,
        ));
        let folder = tempfile::tempdir().unwrap();
        let rail = rail(&chain, folder.path()).await;
        devnet.give_gas(rail.sequencer().signer()).await.unwrap();
        let validators = Validators::new(3, 4);
        d402_core::ports::Rail::learn_set(&rail, validators.set());
        Self {
            devnet,
            proxy,
            chain,
            rail,
            validators,
            folder,
            numbers: AtomicU64::new(1),
        }
    }

    pub(super) fn fresh(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    /// An account nobody has used.
    pub(super) fn stranger(&self) -> Address {
        key(self.fresh()).address()
    }

    /// Blocks an account at the token, or lets it in again.
    pub(super) async fn set_blocked(&self, who: Address, blocked: bool) {
        alloy::sol! { function setBlocked(address who, bool value) external; }
        let call = setBlockedCall {
            who,
            value: blocked,
        };
        let data = alloy::sol_types::SolCall::abi_encode(&call).into();
        self.devnet.send(WHALE, USDC, data).await.unwrap();
    }

    /// A factory that deploys whatever it is called with, the call that makes a wallet of `owner`, and the
    /// wallet's address. The wallet answers ERC-1271 by recovering its owner and does nothing else.
    pub(super) async fn wallet_of(&self, owner: Address) -> (Address, Bytes, Address) {
        let factory = Address::repeat_byte(0xFA);
        // calldatacopy(0, 0, calldatasize()); create2(0, 0, calldatasize(), 0)
        let code = "0x363d3d373d363d3df560005260206000f3";
        let placed = self
            .devnet
            .ask("anvil_setCode", json!([factory, code]))
            .await;
        placed.unwrap();
        // ecrecover(hash, v, r, s) == owner ? 0x1626ba7e : 0
        let owner = alloy::primitives::hex::encode(owner);
        let runtime = format!(
            "60043560005260a43560f81c6020526064356040526084356060526020600060806000600\
             15afa50600051 73{owner}14 631626ba7e60e01b02 60005260206000f3"
        )
        .replace([' ', '\n'], "");
        let length = runtime.len() / 2;
        let init: Bytes = format!("0x61{length:04x}80600c6000396000f3{runtime}")
            .parse()
            .unwrap();
        let wallet = factory.create2(B256::ZERO, alloy::primitives::keccak256(&init));
        (factory, init, wallet)
    }

    pub(super) async fn now(&self) -> u64 {
        self.devnet.head().await.unwrap().timestamp.to()
    }

    /// Fresh terms of the stage's validators, without commission and fee.
    pub(super) async fn terms(&self, budget: u64) -> EvmTerms {
        let issued_at = self.now().await - 60;
        EvmTerms {
            version: 1,
            on_silence: 0,
            commission_bps: Bps(0),
            gateway_fee_bps: Bps(0),
            budget: Units::from_u64(budget),
            validator_fee_cap: Units::from_u64(budget / 2),
            issued_at,
            settle_by: issued_at + 200,
            refund_after: issued_at + 2_000,
            chain_id: chain_word(CHAIN_ID),
            task_id: TaskId([1; 32]),
            asset: account(USDC),
            refund_to: account(self.stranger()),
            validator_set: self.validators.signers.hash(),
            commission_payee: EvmAccount::ZERO,
            gateway_fee_payee: EvmAccount::ZERO,
            salt: Cid::of(&self.fresh().to_be_bytes()).as_bytes(),
        }
    }

    /// A buyer with units.
    pub(super) async fn buyer(&self, units: u64) -> EvmKey {
        let buyer = key(self.fresh());
        self.devnet.give(buyer.address(), units).await.unwrap();
        buyer
    }
}

/// What a buyer authorizes: receiver, units, void from.
pub(super) fn authorize(
    buyer: &EvmKey,
    to: Address,
    units: u64,
    (nonce, valid_before): (u64, u64),
) -> SignedAuthorization {
    let authorization = Authorization {
        from: buyer.address(),
        to,
        value: U256::from(units),
        valid_after: U256::ZERO,
        valid_before: U256::from(valid_before),
        nonce: B256::from(Cid::of(&nonce.to_be_bytes()).as_bytes()),
    };
    SignedAuthorization {
        signature: buyer.sign(&token().digest(&authorization)).unwrap(),
        authorization,
    }
}

pub(super) fn payload(payment: &SignedAuthorization) -> Value {
    json!(payment)
}

pub(super) fn chain(urls: &[String], finality: Finality) -> Chain {
    let options = ChainOptions {
        finality,
        block_time_s: 1,
        ..ChainOptions::base(CHAIN_ID)
    };
    Chain::new(urls, options).unwrap()
}

/// A direct rail with a sender of its own, in another folder.
pub(super) async fn direct(chain: &Arc<Chain>, folder: &std::path::Path) -> BaseDirectRail {
    let signer = key(0);
    let book = NonceBook::open(&folder.join("nonces.sqlite"), signer.address())
        .await
        .unwrap();
    let sequencer = Sequencer::new(
        Arc::clone(chain),
        (signer, book),
        caps(),
        Arc::new(WallClock),
    );
    BaseDirectRail::new(
        NETWORK.to_owned(),
        token(),
        Arc::clone(chain),
        Arc::new(sequencer),
    )
}

pub(super) async fn rail(chain: &Arc<Chain>, folder: &std::path::Path) -> EscrowRail {
    let signer = key(0);
    let book = NonceBook::open(&folder.join("nonces.sqlite"), signer.address())
        .await
        .unwrap();
    let sequencer = Sequencer::new(
        Arc::clone(chain),
        (signer, book),
        caps(),
        Arc::new(WallClock),
    );
    let options = EscrowRailOptions {
        network: NETWORK.to_owned(),
        token: token(),
        ledger: ledger(),
    };
    EscrowRail::new(options, Arc::clone(chain), sequencer)
}
