//! Ports that live in memory and count what they are asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use d402_core::ports::{
    BlobStore, Clock, CreateOutcome, Deposit, Directory, DirectoryEntry, DirectoryOutcome,
    MarketNetwork, MoneyEffect, NetworkError, NewTask, NotOpened, OpenAsk, PaymentFault, Rail,
    RailError, Step, StepOutcome, StoreError, TaskStore, Topic, VaultOpener, VaultState,
    VerifiedPayment,
};
use d402_objects::{Address, Amount, Cid, Hex32, SignedReceipt, Value};
use d402_settlement::ValidatorSet;
use d402_wire::{NodeAddress, RawEnvelope, Request, Response};

/// A clock that stands until it is moved.
pub(super) struct HandClock(pub(super) AtomicU64);

impl HandClock {
    pub(super) fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
struct Shelf {
    journals: BTreeMap<Cid, Vec<Vec<u8>>>,
    wake: BTreeMap<Cid, Option<u64>>,
    payments: BTreeMap<Hex32, Cid>,
    terms: BTreeMap<Hex32, Cid>,
    clients: BTreeMap<String, Cid>,
    money: Vec<MoneyEffect>,
}

/// Tasks in memory.
#[derive(Default)]
pub(super) struct Shelves {
    shelf: Mutex<Shelf>,
    /// Every call but those of the engine's timer.
    pub(super) calls: AtomicUsize,
}

impl Shelves {
    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.shelf.lock().unwrap()
    }

    pub(super) fn tasks(&self) -> usize {
        self.shelf.lock().unwrap().journals.len()
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl TaskStore for Shelves {
    async fn create(&self, task: NewTask) -> Result<CreateOutcome, StoreError> {
        let mut shelf = self.shelf();
        if let Some(known) = shelf.payments.get(&task.payment_id) {
            return Ok(CreateOutcome::SamePayment(*known));
        }
        if let Some(known) = shelf.terms.get(&task.terms_hash) {
            return Ok(CreateOutcome::TermsTaken(*known));
        }
        if let Some(known) = task.client_id.as_ref().and_then(|id| shelf.clients.get(id)) {
            return Ok(CreateOutcome::ClientIdTaken(*known));
        }
        shelf.payments.insert(task.payment_id, task.task_id);
        shelf.terms.insert(task.terms_hash, task.task_id);
        if let Some(id) = task.client_id {
            shelf.clients.insert(id, task.task_id);
        }
        shelf.journals.insert(task.task_id, vec![task.record]);
        shelf.wake.insert(task.task_id, Some(task.wake_at_ms));
        shelf.money.extend(task.money);
        Ok(CreateOutcome::Created)
    }

    async fn append(&self, steps: Vec<Step>) -> Result<Vec<StepOutcome>, StoreError> {
        let mut shelf = self.shelf();
        let mut outcomes = Vec::new();
        for step in steps {
            let journal = shelf.journals.get_mut(&step.task_id).unwrap();
            if journal.len() as u64 != step.seq {
                outcomes.push(StepOutcome::Conflict);
                continue;
            }
            journal.push(step.record);
            shelf.wake.insert(step.task_id, step.wake_at_ms);
            shelf.money.extend(step.money);
            outcomes.push(StepOutcome::Stored);
        }
        Ok(outcomes)
    }

    async fn journal(&self, task_id: Cid) -> Result<Vec<Vec<u8>>, StoreError> {
        Ok(self
            .shelf()
            .journals
            .get(&task_id)
            .cloned()
            .unwrap_or_default())
    }

    async fn lease_due(
        &self,
        _owner: &str,
        now_ms: u64,
        _until: u64,
        _limit: u32,
    ) -> Result<Vec<Cid>, StoreError> {
        let shelf = self.shelf.lock().unwrap();
        Ok(shelf
            .wake
            .iter()
            .filter(|(_, at)| at.is_some_and(|at| at <= now_ms))
            .map(|(id, _)| *id)
            .collect())
    }

    async fn release(&self, _owner: &str, _task_ids: &[Cid]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn release_all(&self, _owner: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn by_payment(&self, payment_id: Hex32) -> Result<Option<Cid>, StoreError> {
        Ok(self.shelf().payments.get(&payment_id).copied())
    }

    async fn by_client_id(&self, client_id: &str) -> Result<Option<Cid>, StoreError> {
        Ok(self.shelf().clients.get(client_id).copied())
    }

    async fn by_terms(&self, terms_hash: Hex32) -> Result<Option<Cid>, StoreError> {
        Ok(self.shelf().terms.get(&terms_hash).copied())
    }

    async fn money(&self, task_id: Cid) -> Result<Vec<MoneyEffect>, StoreError> {
        Ok(self
            .shelf()
            .money
            .iter()
            .filter(|row| row.task_id == task_id)
            .cloned()
            .collect())
    }

    async fn money_submitted(&self, _key: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn money_final(&self, key: &str, _outcome: &str) -> Result<(), StoreError> {
        self.shelf().money.retain(|row| row.key != key);
        Ok(())
    }

    async fn open_tasks(&self, _after: Option<Cid>, _limit: u32) -> Result<Vec<Cid>, StoreError> {
        Ok(Vec::new())
    }

    async fn open_count(&self) -> Result<u64, StoreError> {
        Ok(self.tasks() as u64)
    }
}

/// Content in memory.
#[derive(Default)]
pub(super) struct Blobs {
    bytes: Mutex<BTreeMap<Cid, Vec<u8>>>,
    pub(super) calls: AtomicUsize,
}

#[async_trait]
impl BlobStore for Blobs {
    async fn put(&self, bytes: &[u8]) -> Result<Cid, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let cid = Cid::of(bytes);
        self.bytes.lock().unwrap().insert(cid, bytes.to_vec());
        Ok(cid)
    }

    async fn get(&self, cid: Cid) -> Result<Option<Vec<u8>>, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(self.bytes.lock().unwrap().get(&cid).cloned())
    }
}

/// A directory that serves what it was given and refuses to be written.
#[derive(Default)]
pub(super) struct Library {
    pub(super) entries: Mutex<Vec<DirectoryEntry>>,
}

impl Library {
    pub(super) fn add(&self, cid: Cid, object: Value) {
        let kind = object["payloadType"].as_str().unwrap().to_owned();
        let mut entries = self.entries.lock().unwrap();
        entries.push(DirectoryEntry {
            cid,
            kind,
            signer: String::new(),
            slot: String::new(),
            seq: 1,
            expires_at_ms: u64::MAX,
            object: (&object).into(),
        });
        entries.sort_by_key(|entry| entry.cid);
    }

    pub(super) fn remove(&self, cid: Cid) {
        self.entries
            .lock()
            .unwrap()
            .retain(|entry| entry.cid != cid);
    }
}

#[async_trait]
impl Directory for Library {
    async fn put(&self, _entry: DirectoryEntry) -> Result<DirectoryOutcome, StoreError> {
        panic!("the boundary wrote to the directory");
    }

    async fn get(&self, cid: Cid) -> Result<Option<DirectoryEntry>, StoreError> {
        Ok(self
            .entries
            .lock()
            .unwrap()
            .iter()
            .find(|entry| entry.cid == cid)
            .cloned())
    }

    async fn list(
        &self,
        kind: &str,
        _now_ms: u64,
        after: Option<Cid>,
        limit: u32,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        let entries = self.entries.lock().unwrap();
        let after = |entry: &&DirectoryEntry| after.is_none_or(|cid| entry.cid > cid);
        Ok(entries
            .iter()
            .filter(|e| e.kind == kind)
            .filter(after)
            .take(limit as usize)
            .cloned()
            .collect())
    }
}

/// A network on which nobody is.
#[derive(Default)]
pub(super) struct Empty {
    pub(super) calls: AtomicUsize,
}

#[async_trait]
impl MarketNetwork for Empty {
    async fn request(
        &self,
        _to: &NodeAddress,
        _request: Request,
    ) -> Result<Response, NetworkError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Err(NetworkError::Unreachable)
    }

    async fn publish(&self, _topic: Topic, _object: &RawEnvelope) -> Result<(), NetworkError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn local(&self) -> NodeAddress {
        NodeAddress {
            node_id: "gateway".to_owned(),
            addresses: vec!["/ip4/127.0.0.1/tcp/9000".to_owned()],
        }
    }
}

/// What the fake rail says of payments and deposits.
#[derive(Clone, Debug)]
pub(super) enum Mood {
    Fine,
    /// The chain does not answer.
    Deaf,
    Faulty(PaymentFault),
    /// Payments never arrive, and the chain knows it.
    Impossible,
}

/// A rail whose payments are `{"payment": {"nonce": <64 hex>}}`; the nonce is the payment id.
pub(super) struct Purse {
    pub(super) mood: Mutex<Mood>,
    pub(super) calls: AtomicUsize,
    pub(super) submitted: Mutex<Vec<Vec<u8>>>,
    learned: Mutex<Vec<[u8; 32]>>,
    /// What it says when it is asked to open a vault; `None` where it opens none.
    pub(super) opening: Option<Opening>,
    /// What it was asked to open.
    pub(super) opened: Mutex<Vec<Asked>>,
    clock: Arc<HandClock>,
}

/// Budget, terms, and where the request came from.
pub(super) type Asked = (Amount, Vec<u8>, Option<IpAddr>);

/// How a rail opens vaults.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opening {
    Opens,
    Refuses,
    Silent,
}

impl Purse {
    pub(super) fn new(clock: Arc<HandClock>) -> Self {
        Self {
            mood: Mutex::new(Mood::Fine),
            calls: AtomicUsize::new(0),
            submitted: Mutex::new(Vec::new()),
            learned: Mutex::new(Vec::new()),
            opening: None,
            opened: Mutex::new(Vec::new()),
            clock,
        }
    }

    pub(super) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn mood(&self) -> Mood {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.mood.lock().unwrap().clone()
    }
}

#[async_trait]
impl Rail for Purse {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn network(&self) -> &str {
        "d402:simulated"
    }

    fn learn_set(&self, set: &ValidatorSet) {
        self.learned.lock().unwrap().push(set.hash().0);
    }

    fn payment_id(&self, payload: &Value) -> Option<Hex32> {
        payload.pointer("/payment/nonce")?.as_str()?.parse().ok()
    }

    async fn verify(
        &self,
        payload: &Value,
        terms: &[u8],
    ) -> Result<Result<VerifiedPayment, PaymentFault>, RailError> {
        let mood = self.mood();
        let terms = d402_settlement::Terms::decode(terms.try_into().unwrap());
        assert!(
            self.learned
                .lock()
                .unwrap()
                .contains(&terms.validator_set.0),
            "set of the terms was not learned"
        );
        match mood {
            Mood::Deaf => return Err(RailError::Unknown),
            Mood::Faulty(fault) => return Ok(Err(fault)),
            Mood::Fine | Mood::Impossible => {}
        }
        let Some(payment_id) = self.payment_id(payload) else {
            return Ok(Err(PaymentFault::Malformed));
        };
        Ok(Ok(VerifiedPayment {
            payment_id,
            payer: "payer".to_owned(),
            body: payload.to_string().into_bytes(),
        }))
    }

    async fn submit(&self, body: &[u8]) -> Result<(), RailError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.submitted.lock().unwrap().push(body.to_vec());
        Ok(())
    }

    fn settle_body(&self, _terms: &[u8], receipt: &SignedReceipt) -> Result<Vec<u8>, RailError> {
        Ok(receipt.as_bytes().to_vec())
    }

    fn sweep_body(&self, terms: &[u8]) -> Vec<u8> {
        terms.to_vec()
    }

    async fn deposit(&self, _terms: &[u8], _payment_id: Hex32) -> Result<Deposit, RailError> {
        match self.mood() {
            Mood::Impossible => Ok(Deposit::Impossible),
            Mood::Deaf => Err(RailError::Unknown),
            Mood::Fine | Mood::Faulty(_) => Ok(Deposit::Funded {
                amount: Amount::from(10_000),
                at_ms: self.clock.now_ms(),
            }),
        }
    }

    async fn transaction(&self, payment_id: Hex32) -> Result<Option<String>, RailError> {
        match self.mood() {
            Mood::Fine => Ok(Some(format!("transaction-of-{payment_id}"))),
            Mood::Impossible | Mood::Faulty(_) => Ok(None),
            Mood::Deaf => Err(RailError::Unknown),
        }
    }

    fn opener(&self) -> Option<&dyn VaultOpener> {
        self.opening.map(|_| self as &dyn VaultOpener)
    }

    async fn vault(&self, _terms: &[u8]) -> Result<VaultState, RailError> {
        Ok(VaultState::Open {
            balance: Amount::from(10_000),
        })
    }

    async fn chain_now_ms(&self) -> Result<u64, RailError> {
        Ok(self.clock.now_ms())
    }
}

#[async_trait]
impl VaultOpener for Purse {
    fn lender(&self) -> Option<Address> {
        Some(d402_settlement::market::testkit::wallet("lender", 0))
    }

    async fn open(
        &self,
        ask: &OpenAsk<'_>,
        terms: &[u8],
    ) -> Result<Result<(), NotOpened>, RailError> {
        let decoded = d402_settlement::Terms::decode(terms.try_into().unwrap());
        let learned = self.learned.lock().unwrap();
        assert!(
            learned.contains(&decoded.validator_set.0),
            "set not learned"
        );
        assert_eq!(ask.now_ms, self.clock.now_ms());
        let opened = (ask.budget, terms.to_vec(), ask.from);
        self.opened.lock().unwrap().push(opened);
        match self.opening.unwrap() {
            Opening::Opens => Ok(Ok(())),
            Opening::Refuses => Ok(Err(NotOpened::NoMoney)),
            Opening::Silent => Err(RailError::Unknown),
        }
    }
}
