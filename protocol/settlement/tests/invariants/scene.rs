//! One vault, its validators, and a tally of everything that moved.

use std::collections::BTreeMap;

use d402_settlement::ledger::{
    Command, Effects, Refusal, RentFlow, TransferKind, Unpayable, VaultAccount, VaultSite,
    VaultState, apply,
};
use d402_settlement::{
    Approvals, Bps, Domain, Key32, Outcome, ReceiptCid, Role, Row, Rows, SetHash, Settlement,
    StrictEd25519, TaskId, Terms, Units, UnixSeconds, ValidatorSet, settlement_digest,
};
use ed25519_dalek::{Signer, SigningKey};

pub const ISSUED: i64 = 1_795_332_906;
pub const SETTLE_BY: i64 = ISSUED + 190;
pub const REFUND_AFTER: i64 = SETTLE_BY + 900;
pub const CREDITS_UNTIL: i64 = REFUND_AFTER + 180 * 86_400;

pub const DOMAIN: Domain = Domain {
    genesis: [0xEE; 32],
    program: Key32([0xA1; 32]),
};

pub const fn key(byte: u8) -> Key32 {
    Key32([byte; 32])
}

pub const MINT: Key32 = key(2);
pub const BUYER: Key32 = key(3);
pub const CREATOR: Key32 = key(5);
pub const GATEWAY: Key32 = key(6);
pub const SPONSOR: Key32 = key(7);
pub const WORKER: Key32 = key(0x10);
pub const WORKER_2: Key32 = key(0x11);
pub const JUDGE: Key32 = key(0x20);

pub fn at(seconds: i64) -> UnixSeconds {
    UnixSeconds(seconds)
}

pub fn units(raw: u64) -> Units {
    Units::from_u64(raw)
}

/// `n` signing keys in set order, and their set.
pub fn validators(m: u8, n: u8) -> (ValidatorSet, Vec<SigningKey>) {
    let mut keys: Vec<SigningKey> = (1..=n).map(|i| SigningKey::from_bytes(&[i; 32])).collect();
    keys.sort_by_key(|key| key.verifying_key().to_bytes());
    let members: Vec<Key32> = keys
        .iter()
        .map(|key| Key32(key.verifying_key().to_bytes()))
        .collect();
    (ValidatorSet::new(m, &members).unwrap(), keys)
}

pub fn base_terms(set: SetHash) -> Terms {
    Terms {
        version: 1,
        on_silence: 0,
        commission_bps: Bps(1_000),
        gateway_fee_bps: Bps(200),
        reserved: 0,
        budget: 10_000,
        validator_fee_cap: 1_000,
        issued_at: at(ISSUED),
        settle_by: at(SETTLE_BY),
        refund_after: at(REFUND_AFTER),
        task_id: TaskId([1; 32]),
        mint: MINT,
        refund_to: BUYER,
        validator_set: set,
        commission_payee: CREATOR,
        gateway_fee_payee: GATEWAY,
        rent_to: SPONSOR,
        salt: [8; 32],
    }
}

pub fn worker(payee: Key32, amount: u64) -> Row {
    let role = Role::Worker;
    Row {
        payee,
        role,
        amount: units(amount),
    }
}

pub fn judge(payee: Key32, amount: u64) -> Row {
    let role = Role::Validator;
    Row {
        payee,
        role,
        amount: units(amount),
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

/// Signatures of the given set indexes over `digest`.
pub fn sign(keys: &[SigningKey], digest: [u8; 32], signers: &[u8]) -> Vec<(u8, [u8; 64])> {
    signers
        .iter()
        .map(|index| (*index, keys[usize::from(*index)].sign(&digest).to_bytes()))
        .collect()
}

pub struct Scene {
    pub terms: Terms,
    pub set: ValidatorSet,
    pub keys: Vec<SigningKey>,
    pub state: VaultState,
    pub frozen: Vec<Key32>,
    /// Everything paid in, and everything paid out by (wallet, kind).
    pub deposited: u128,
    pub paid: BTreeMap<(Key32, TransferKind), u128>,
    pub lamports_in: u64,
    pub lamports_out: BTreeMap<Option<Key32>, u64>,
    pub settled_times: u32,
}

impl Scene {
    pub fn new(m: u8, n: u8) -> Self {
        Self::with(m, n, |_| {})
    }

    pub fn with(m: u8, n: u8, change: impl FnOnce(&mut Terms)) -> Self {
        let (set, keys) = validators(m, n);
        let mut terms = base_terms(set.hash());
        change(&mut terms);
        let site = VaultSite::of(&DOMAIN, &terms).unwrap();
        Self {
            terms,
            set,
            keys,
            state: VaultState::absent(site),
            frozen: Vec::new(),
            deposited: 0,
            paid: BTreeMap::new(),
            lamports_in: 0,
            lamports_out: BTreeMap::new(),
            settled_times: 0,
        }
    }

    /// Opened and funded with `amount` at `ISSUED`.
    pub fn funded(m: u8, n: u8, amount: u64) -> Self {
        let mut scene = Self::new(m, n);
        scene.open(amount, ISSUED).unwrap();
        scene
    }

    /// Applies one command, keeps the tally, and checks what must hold after every command.
    pub fn run(&mut self, command: &Command<'_>, now: i64) -> Result<Effects, Refusal> {
        let (next, effects) = apply(&self.state, command, at(now))?;
        self.state = next;
        self.deposited += effects.deposited.get();
        for transfer in &effects.transfers {
            assert!(!transfer.amount.is_zero());
            *self.paid.entry((transfer.to, transfer.kind)).or_default() += transfer.amount.get();
        }
        for note in &effects.rent {
            match note.flow {
                RentFlow::FromCaller => self.lamports_in += note.lamports,
                RentFlow::To(key) => {
                    *self.lamports_out.entry(Some(key)).or_default() += note.lamports;
                }
                RentFlow::ToCaller => {
                    *self.lamports_out.entry(None).or_default() += note.lamports;
                }
            }
        }
        if matches!(command, Command::Settle { .. }) {
            self.settled_times += 1;
        }
        self.check_money();
        Ok(effects)
    }

    /// M1a and M1b.
    pub fn check_money(&self) {
        let out: u128 = self.paid.values().sum();
        assert_eq!(
            self.deposited,
            out + self.state.balance().get(),
            "M1a conservation"
        );
        assert!(
            self.credits() <= self.state.balance().get(),
            "M1b credits are covered"
        );
    }

    pub fn credits(&self) -> u128 {
        match &self.state.account {
            VaultAccount::Settled(tombstone) => tombstone.credit_total().get(),
            VaultAccount::Absent | VaultAccount::Open(_) => 0,
        }
    }

    pub fn paid_to(&self, key: Key32, kind: TransferKind) -> u128 {
        self.paid.get(&(key, kind)).copied().unwrap_or(0)
    }

    pub fn payable(&self, key: &Key32) -> bool {
        !self.frozen.contains(key)
    }

    pub fn digest(&self, settlement: &Settlement) -> [u8; 32] {
        settlement_digest(&DOMAIN, &self.state.site.terms_hash, settlement)
    }

    pub fn approve(&self, settlement: &Settlement, signers: &[u8]) -> Approvals {
        let digest = self.digest(settlement);
        let signatures = sign(&self.keys, digest, signers);
        Approvals::check(&self.set, digest, &signatures, &StrictEd25519).unwrap()
    }

    pub fn open(&mut self, amount: u64, now: i64) -> Result<Effects, Refusal> {
        let (terms, set) = (self.terms, self.set);
        self.run(
            &Command::Open {
                terms: &terms,
                amount: units(amount),
                mint_allowed: true,
                set: Some(&set),
            },
            now,
        )
    }

    pub fn deposit(&mut self, amount: u64, now: i64) -> Result<Effects, Refusal> {
        let amount = units(amount);
        self.run(&Command::Deposit { amount }, now)
    }

    pub fn settle_with(
        &mut self,
        settlement: &Settlement,
        approvals: &Approvals,
        now: i64,
    ) -> Result<Effects, Refusal> {
        let parties: Vec<Key32> = match &self.state.account {
            VaultAccount::Open(open) => open.parties(&settlement.rows).collect(),
            VaultAccount::Absent | VaultAccount::Settled(_) => Vec::new(),
        };
        let unpayable = Unpayable::among(parties, |key| self.payable(key)).unwrap();
        let command = Command::Settle {
            settlement,
            approvals,
            unpayable: &unpayable,
        };
        self.run(&command, now)
    }

    /// Settles with the first `m` members.
    pub fn settle(&mut self, settlement: &Settlement, now: i64) -> Result<Effects, Refusal> {
        let signers: Vec<u8> = (0..self.set.m()).collect();
        let approvals = self.approve(settlement, &signers);
        self.settle_with(settlement, &approvals, now)
    }

    pub fn sweep(&mut self, now: i64) -> Result<Effects, Refusal> {
        let terms = self.terms;
        let payable = self.payable(&terms.refund_to);
        self.run(
            &Command::Sweep {
                terms: &terms,
                payable,
            },
            now,
        )
    }

    pub fn claim(&mut self, payee: Key32, now: i64) -> Result<Effects, Refusal> {
        let payable = self.payable(&payee);
        self.run(&Command::ClaimCredit { payee, payable }, now)
    }

    pub fn lapse(&mut self, now: i64) -> Result<Effects, Refusal> {
        self.run(&Command::LapseCredits, now)
    }

    pub fn close(&mut self, now: i64) -> Result<Effects, Refusal> {
        self.run(&Command::Close, now)
    }

    pub fn close_unfunded(&mut self, now: i64) -> Result<Effects, Refusal> {
        let terms = self.terms;
        self.run(&Command::CloseUnfunded { terms: &terms }, now)
    }

    pub fn is_settled(&self) -> bool {
        matches!(self.state.account, VaultAccount::Settled(_))
    }
}
