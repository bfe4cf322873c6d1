//! A chain on loopback with a real file, a clock that only tests move, validators and terms.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use d402_core::ports::Clock;
use d402_objects::{
    Amount, Cid, Hex32, IndexedSignature, Outcome, ReceiptRow, RowRole, SettlementReceipt,
    SignatureBytes, SignedReceipt, SigningKey,
};
use d402_settlement::{
    Bps, Domain, Key32, ReceiptCid, Role, Row, Rows, Settlement, TaskId, Terms, Units, UnixSeconds,
    ValidatorSet, settlement_digest,
};
use d402_wire::simchain::{NETWORK, Payment, Rpc, SettleRow};
use ed25519_dalek::Signer as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::simulated::server::{Location, Options, RunError, SimChain, serve};
use crate::simulated::{BuyerAccount, PaymentOrder, SimClient, VaultTerms, asset};

/// First second of every test.
pub(super) const START: i64 = 1_795_333_000;

/// A wall clock that stands still until a test moves it.
#[derive(Debug)]
pub(super) struct StillClock(pub(super) AtomicU64);

impl StillClock {
    pub(super) fn at(unix_s: i64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(unix_s as u64 * 1000)))
    }

    pub(super) fn set(&self, unix_s: i64) {
        self.0.store(unix_s as u64 * 1000, Ordering::SeqCst);
    }
}

impl Clock for StillClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A served chain.
pub(super) struct Served {
    pub(super) client: SimClient,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), RunError>>,
}

impl Served {
    pub(super) async fn start(path: PathBuf, options: Options, clock: Arc<StillClock>) -> Self {
        let chain = SimChain::open(&Location::File(path), options, clock)
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = SimClient::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, chain, async {
            let _ = stopped.await;
        }));
        Self { client, stop, task }
    }

    /// Ends in order.
    pub(super) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }

    /// Ends as a killed process would: at once, whatever is going on.
    pub(super) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// A key from a number.
pub(super) fn seed(number: u64) -> [u8; 32] {
    Cid::of(format!("d402-rails test key {number}").as_bytes()).as_bytes()
}

pub(super) fn account(number: u64) -> Hex32 {
    BuyerAccount::from_seed(&seed(number)).address()
}

/// Validators of a test, ascending by key.
pub(super) struct Validators {
    keys: Vec<SigningKey>,
    pub(super) set: ValidatorSet,
}

impl Validators {
    pub(super) fn new(m: u8, n: u64) -> Self {
        let mut keys: Vec<SigningKey> = (0..n)
            .map(|i| SigningKey::from_bytes(&seed(1_000_000 + i)))
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

    pub(super) fn publish(&self) -> Rpc {
        let keys = self.set.keys().iter().map(|key| key.0.into()).collect();
        Rpc::PublishSet {
            threshold: self.set.m(),
            keys,
        }
    }

    /// `missing` fewer signatures than the threshold.
    pub(super) fn sign(
        &self,
        terms: &VaultTerms,
        settlement: &Settlement,
        missing: usize,
    ) -> Vec<(u8, [u8; 64])> {
        let digest = settlement_digest(&Domain::SIMULATED, &terms.terms_hash(), settlement);
        let count = usize::from(self.set.m()) - missing;
        (0u8..)
            .zip(&self.keys)
            .take(count)
            .map(|(index, key)| (index, key.sign(&digest).to_bytes()))
            .collect()
    }

    /// A settlement as a request.
    pub(super) fn settle(&self, terms: &VaultTerms, receipt_cid: [u8; 32], rows: &[Row]) -> Rpc {
        let outcome = if rows.iter().any(|row| row.role == Role::Worker) {
            1
        } else {
            2
        };
        let settlement = Settlement {
            receipt_cid: ReceiptCid(receipt_cid),
            outcome: d402_settlement::Outcome::from_u8(outcome).unwrap(),
            rows: Rows::new(rows).unwrap(),
        };
        let rows = rows
            .iter()
            .map(|row| SettleRow {
                payee: row.payee.0.into(),
                role: row.role.as_u8(),
                amount: Amount::from(row.amount.to_u64().unwrap()),
            })
            .collect();
        let signatures = self
            .sign(terms, &settlement, 0)
            .into_iter()
            .map(|(i, s)| (i, hex::encode(s)))
            .collect();
        Rpc::Settle {
            terms: terms.to_hex(),
            receipt_cid: receipt_cid.into(),
            outcome,
            rows,
            signatures,
        }
    }

    /// A receipt as the market writes it.
    pub(super) fn receipt(
        &self,
        terms: &VaultTerms,
        rows: &[Row],
        missing: usize,
    ) -> SignedReceipt {
        let paid = rows.iter().any(|row| row.role == Role::Worker);
        let receipt = SettlementReceipt {
            object_version: 1,
            terms_hash: terms.hash(),
            network: NETWORK.parse().unwrap(),
            verifier: "00".repeat(32).parse().unwrap(),
            task_id: Cid::from_digest(terms.terms().task_id.0),
            outcome: if paid {
                Outcome::Paid
            } else {
                Outcome::Rejected
            },
            rows: rows
                .iter()
                .map(|row| ReceiptRow {
                    payee: row.payee.to_string().parse().unwrap(),
                    role: if row.role == Role::Worker {
                        RowRole::Worker
                    } else {
                        RowRole::Validator
                    },
                    amount: Amount::from(row.amount.to_u64().unwrap()),
                })
                .collect(),
            commission: Amount::ZERO,
            gateway_fee: Amount::ZERO,
            claim_cids: Vec::new(),
            validation_receipt_cids: Vec::new(),
            lease_set_roots: Vec::new(),
        };
        let unsigned = SignedReceipt::new(receipt, Vec::new()).unwrap();
        let settlement = Settlement {
            receipt_cid: ReceiptCid(unsigned.receipt_cid().as_bytes()),
            outcome: if paid {
                d402_settlement::Outcome::Paid
            } else {
                d402_settlement::Outcome::Rejected
            },
            rows: Rows::new(rows).unwrap(),
        };
        let signatures = self
            .sign(terms, &settlement, missing)
            .into_iter()
            .map(|(set_index, bytes)| IndexedSignature {
                set_index,
                signature: SignatureBytes::new(&bytes).unwrap(),
            })
            .collect();
        unsigned.with_signatures(signatures).unwrap()
    }
}

/// Terms without commission and fee, issued at `now`; `salt` makes them different.
pub(super) fn terms(set: &ValidatorSet, budget: u64, now: i64, salt: u64) -> VaultTerms {
    VaultTerms::new(Terms {
        version: 1,
        on_silence: 0,
        commission_bps: Bps(0),
        gateway_fee_bps: Bps(0),
        reserved: 0,
        budget,
        validator_fee_cap: budget / 2,
        issued_at: UnixSeconds(now),
        settle_by: UnixSeconds(now + 190),
        refund_after: UnixSeconds(now + 190 + 900),
        task_id: TaskId(seed(2_000_000 + salt)),
        mint: Key32(asset().as_bytes()),
        refund_to: Key32(account(3_000_000 + salt).as_bytes()),
        validator_set: set.hash(),
        commission_payee: Key32::ZERO,
        gateway_fee_payee: Key32::ZERO,
        rent_to: Key32(account(3_000_000 + salt).as_bytes()),
        salt: seed(4_000_000 + salt),
    })
    .unwrap()
}

pub(super) fn worker_row(payee: Hex32, units: u64) -> Row {
    Row {
        payee: Key32(payee.as_bytes()),
        role: Role::Worker,
        amount: Units::from_u64(units),
    }
}

pub(super) fn validator_row(payee: Hex32, units: u64) -> Row {
    Row {
        payee: Key32(payee.as_bytes()),
        role: Role::Validator,
        amount: Units::from_u64(units),
    }
}

/// A payment into `terms` by buyer number `buyer`, single use per `nonce`.
pub(super) fn payment(
    terms: &VaultTerms,
    buyer: u64,
    units: u64,
    (nonce, valid_before): (u64, i64),
) -> Payment {
    BuyerAccount::from_seed(&seed(buyer)).pay(&PaymentOrder {
        pay_to: terms.address(),
        asset: asset(),
        units,
        nonce: seed(5_000_000 + nonce).into(),
        valid_before,
    })
}

pub(super) fn mint(to: Hex32, units: u64) -> Rpc {
    Rpc::Mint {
        to,
        asset: asset(),
        amount: Amount::from(units),
    }
}
