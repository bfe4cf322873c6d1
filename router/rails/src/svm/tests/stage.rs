//! A node, a rail over it, validators, buyers and terms.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_core::ports::{Clock, Rail as _};
use d402_objects::{
    Amount, Cid, Hex32, IndexedSignature, Outcome, ReceiptRow, RowRole, SettlementReceipt,
    SignatureBytes, SignedReceipt,
};
use d402_settlement::market::{SOLANA_DEVNET, SOLANA_DEVNET_NETWORK};
use d402_settlement::{
    Bps, Codec, Key32, ReceiptCid, Role, Row, Rows, Settlement, TaskId, Terms, Units, UnixSeconds,
    ValidatorSet, settlement_digest,
};
use d402_svm::address::{ASSOCIATED, SYSTEM, TOKEN, key as key_of, token_account};
use d402_svm::instructions::{Place, unit_limit};
use d402_svm::transaction::{assemble, encode, signed};
use d402_svm::{
    AccountMeta, Address, Chain, ChainOptions, Finality, Instruction, Level, Signature,
    VersionedTransaction,
};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use super::proxy::Proxy;
use crate::svm::book::TransactionBook;
use crate::svm::devnet::{Devnet, DevnetOptions, USDC};
use crate::svm::{Caps, Sender, SolanaKey, VaultRail, VaultRailOptions};

/// Long enough that a blockhash outlives a slow machine.
const SLOT_MS: u64 = 150;

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
pub(super) fn key(number: u64) -> SolanaKey {
    let seed = Cid::of(format!("d402-rails svm test key {number}").as_bytes()).as_bytes();
    SolanaKey::from_secret(&seed)
}

/// The node, and numbers nobody has used.
pub(super) struct Node {
    pub(super) devnet: Devnet,
    numbers: AtomicU64,
}

impl Node {
    pub(super) fn fresh(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    /// A key with lamports for fees.
    pub(super) async fn rich(&self) -> SolanaKey {
        let key = key(self.fresh());
        self.devnet.give_gas(&key.address()).await.unwrap();
        key
    }

    /// Executes instructions, `payer` alone signing; what went wrong, if anything.
    pub(super) async fn send(
        &self,
        payer: &SolanaKey,
        instructions: &[Instruction],
    ) -> Result<Signature, Value> {
        let chain = self.devnet.chain();
        let blockhash = chain.latest_blockhash().await.unwrap().hash;
        let mut all = vec![unit_limit(400_000)];
        all.extend_from_slice(instructions);
        let message = assemble(&payer.address(), &all, blockhash, None).unwrap();
        let signature = payer.sign(&message.serialize());
        let raw = encode(&signed(message, vec![signature]));
        let tried = chain.simulate(&raw, false).await.unwrap();
        if let Some(err) = tried.err {
            return Err(err);
        }
        chain.broadcast(&raw).await.unwrap();
        for _ in 0..500 {
            match chain.status(&signature).await.unwrap() {
                Some(status) if status.is_confirmed() => {
                    return status.err.map_or(Ok(signature), Err);
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        panic!("transaction is not confirmed");
    }
}

/// Sends units of a stranger to a wallet's canonical account, made where it is missing, as a wallet does it.
pub(super) async fn transfer(node: &Node, to: &Address, units: u64) {
    let from = node.rich().await;
    node.devnet.give(&from.address(), units).await.unwrap();
    let source = token_account(&from.address(), &USDC, &TOKEN).unwrap().0;
    let target = token_account(to, &USDC, &TOKEN).unwrap().0;
    let make = Instruction {
        program_id: ASSOCIATED,
        accounts: vec![
            AccountMeta::new(from.address(), true),
            AccountMeta::new(target, false),
            AccountMeta::new_readonly(*to, false),
            AccountMeta::new_readonly(USDC, false),
            AccountMeta::new_readonly(SYSTEM, false),
            AccountMeta::new_readonly(TOKEN, false),
        ],
        data: vec![1],
    };
    let mut data = vec![12];
    data.extend(units.to_le_bytes());
    data.push(6);
    let pay = Instruction {
        program_id: TOKEN,
        accounts: vec![
            AccountMeta::new(source, false),
            AccountMeta::new_readonly(USDC, false),
            AccountMeta::new(target, false),
            AccountMeta::new_readonly(from.address(), true),
        ],
        data,
    };
    node.send(&from, &[make, pay]).await.unwrap();
}

/// Validators of a test, ascending by key.
pub(super) struct Validators {
    keys: Vec<SigningKey>,
    pub(super) set: ValidatorSet,
}

impl Validators {
    pub(super) fn new(m: u8, n: u64) -> Self {
        let seed = |i: u64| Cid::of(format!("d402-rails svm validator {m} {i}").as_bytes());
        let mut keys: Vec<SigningKey> = (0..n)
            .map(|i| SigningKey::from_bytes(&seed(i).as_bytes()))
            .collect();
        keys.sort_by_key(|key| key.verifying_key().to_bytes());
        let members: Vec<Key32> = keys
            .iter()
            .map(|key| Key32(key.verifying_key().to_bytes()))
            .collect();
        Self {
            set: ValidatorSet::new(m, &members).unwrap(),
            keys,
        }
    }

    /// A receipt over these rows, signed by `missing` fewer than needed.
    pub(super) fn receipt(&self, terms: &Terms, rows: &[Row], missing: usize) -> SignedReceipt {
        let receipt = receipt(terms, rows);
        let cid = d402_objects::cid_of(&receipt).unwrap();
        let settlement = Settlement {
            receipt_cid: ReceiptCid(cid.to_hex32().as_bytes()),
            outcome: outcome(rows),
            rows: Rows::new(rows).unwrap(),
        };
        let digest = settlement_digest(&SOLANA_DEVNET, &terms.hash(&SOLANA_DEVNET), &settlement);
        let count = usize::from(self.set.m()) - missing;
        let signatures = (0u8..)
            .zip(&self.keys)
            .take(count)
            .map(|(set_index, key)| IndexedSignature {
                set_index,
                signature: SignatureBytes::new(&key.sign(&digest).to_bytes()).unwrap(),
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

fn receipt(terms: &Terms, rows: &[Row]) -> SettlementReceipt {
    let codec = Codec::Solana(SOLANA_DEVNET);
    let rows_out = rows.iter().map(|row| ReceiptRow {
        payee: codec.address_of(&row.payee).unwrap(),
        role: match row.role {
            Role::Worker => RowRole::Worker,
            Role::Validator => RowRole::Validator,
        },
        amount: Amount::new(row.amount.get()).unwrap(),
    });
    SettlementReceipt {
        object_version: 1,
        network: SOLANA_DEVNET_NETWORK.parse().unwrap(),
        terms_hash: Hex32::from_bytes(terms.hash(&SOLANA_DEVNET).0),
        verifier: codec.address_of(&SOLANA_DEVNET.program).unwrap(),
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

pub(super) fn row(payee: &Address, role: Role, amount: u64) -> Row {
    Row {
        payee: key_of(payee),
        role,
        amount: Units::from_u64(amount),
    }
}

/// The vault of terms on the node.
pub(super) fn place(terms: &Terms) -> Place {
    Place::of(&SOLANA_DEVNET, terms, TOKEN).unwrap()
}

/// Everything a test needs.
pub(super) struct Stage {
    pub(super) node: Arc<Node>,
    pub(super) proxy: Proxy,
    pub(super) rail: Arc<VaultRail>,
    pub(super) validators: Validators,
    pub(super) folder: tempfile::TempDir,
}

impl Stage {
    pub(super) async fn start() -> Self {
        Self::with(Caps {
            wait: Duration::from_secs(3),
            ..Caps::SOLANA
        })
        .await
    }

    pub(super) async fn with(caps: Caps) -> Self {
        let node = Arc::new(Node {
            devnet: Devnet::start(DevnetOptions { slot_ms: SLOT_MS })
                .await
                .unwrap(),
            numbers: AtomicU64::new(1),
        });
        let proxy = Proxy::start(node.clone()).await;
        let folder = tempfile::tempdir().unwrap();
        let rail = rail(&proxy.url, folder.path(), caps).await;
        let payer = rail.sender().payer();
        node.devnet.give_gas(&payer).await.unwrap();
        let validators = Validators::new(3, 4);
        rail.learn_set(&validators.set);
        Self {
            node,
            proxy,
            rail,
            validators,
            folder,
        }
    }

    /// A wallet nobody has used, able to be paid.
    pub(super) async fn wallet(&self) -> Address {
        let wallet = key(self.node.fresh()).address();
        self.node.devnet.open_tokens(&wallet).await.unwrap();
        wallet
    }

    /// A buyer with lamports and units.
    pub(super) async fn buyer(&self, units: u64) -> SolanaKey {
        let buyer = self.node.rich().await;
        self.node
            .devnet
            .give(&buyer.address(), units)
            .await
            .unwrap();
        buyer
    }

    /// Fresh terms of these validators, without commission and fee.
    pub(super) async fn terms(&self, budget: u64, set: &ValidatorSet) -> Terms {
        let issued_at = self.node.devnet.now().await.unwrap() - 60;
        let refund_to = self.wallet().await;
        let number = self.node.fresh();
        Terms {
            version: 1,
            on_silence: 0,
            commission_bps: Bps(0),
            gateway_fee_bps: Bps(0),
            reserved: 0,
            budget,
            validator_fee_cap: budget / 10,
            issued_at: UnixSeconds(issued_at),
            settle_by: UnixSeconds(issued_at + 400),
            refund_after: UnixSeconds(issued_at + 1_300),
            task_id: TaskId(Cid::of(&number.to_le_bytes()).as_bytes()),
            mint: key_of(&USDC),
            refund_to: key_of(&refund_to),
            validator_set: set.hash(),
            commission_payee: Key32::ZERO,
            gateway_fee_payee: Key32::ZERO,
            rent_to: key_of(&self.rail.sender().payer()),
            salt: [7; 32],
        }
    }

    /// The buyer's own `open` with a deposit of `units`.
    pub(super) async fn opening(
        &self,
        terms: &Terms,
        buyer: &SolanaKey,
        units: u64,
    ) -> VersionedTransaction {
        let source = token_account(&buyer.address(), &USDC, &TOKEN).unwrap().0;
        let open = place(terms).open_funded(buyer.address(), (source, buyer.address()), units);
        self.transaction(buyer, &[unit_limit(200_000), open]).await
    }

    pub(super) async fn transaction(
        &self,
        payer: &SolanaKey,
        instructions: &[Instruction],
    ) -> VersionedTransaction {
        let chain = self.node.devnet.chain();
        let blockhash = chain.latest_blockhash().await.unwrap().hash;
        let message = assemble(&payer.address(), instructions, blockhash, None).unwrap();
        let signature = payer.sign(&message.serialize());
        signed(message, vec![signature])
    }

    /// Waits until every blockhash of now is void: the clock goes forward, and the blocks with it.
    pub(super) async fn outlive_blockhashes(&self) {
        let devnet = &self.node.devnet;
        let height = || async {
            let heights = devnet.chain().block_heights(Level::Confirmed).await;
            heights.unwrap().0
        };
        let until = height().await + 152;
        let seconds = i64::try_from(152 * SLOT_MS / 1_000).unwrap() + 1;
        let now = devnet.now().await.unwrap();
        devnet.advance_to(now + seconds).await.unwrap();
        while height().await < until {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A rail over the proxy, with its book in a folder.
pub(super) async fn rail(url: &str, folder: &std::path::Path, caps: Caps) -> Arc<VaultRail> {
    rail_with(url, folder, caps, None).await
}

pub(super) async fn rail_with(
    url: &str,
    folder: &std::path::Path,
    caps: Caps,
    table: Option<Address>,
) -> Arc<VaultRail> {
    let options = ChainOptions {
        finality: Finality::DEVELOPMENT,
        ..ChainOptions::solana(SOLANA_DEVNET)
    };
    let chain = Arc::new(Chain::new(&[url.to_owned()], options).unwrap());
    let book = TransactionBook::open(&folder.join("book.sqlite"))
        .await
        .unwrap();
    let sender = Sender::new(chain.clone(), (key(0), book), caps, Arc::new(WallClock));
    let options = VaultRailOptions {
        network: SOLANA_DEVNET_NETWORK.to_owned(),
        mint: USDC,
        table,
    };
    Arc::new(VaultRail::new(options, chain, sender))
}

/// A transaction as x402 carries it.
pub(super) fn payload(transaction: &VersionedTransaction) -> Value {
    json!({"transaction": STANDARD.encode(encode(transaction))})
}
