//! One escrow: random terms, then random commands at times that never run backwards.

use d402_settlement::evm::{EvmAccount, EvmSigners, EvmTerms, chain_word};
use d402_settlement::ledger::base::{BaseCommand, Escrow};
use d402_settlement::ledger::{Effects, Unpayable};
use d402_settlement::{Bps, Outcome, ReceiptCid, Role, Row, Rows, Settlement};
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};

use crate::base_scene::{
    ASSET, BUYER, CREATOR, GATEWAY, ISSUED, JUDGE, REFUND_AFTER, SEPOLIA, SETTLE_BY, WORKER,
    WORKER_2, account, at, base_terms, sign, units, validators,
};
use crate::dice::Dice;

/// Everybody who may be paid, ascending.
pub const PARTIES: [EvmAccount; 6] = [BUYER, CREATOR, GATEWAY, WORKER, WORKER_2, JUDGE];
const SIZES: [(u8, u8); 4] = [(1, 1), (2, 3), (3, 4), (4, 5)];
const STEPS: usize = 14;
const CREDITS_UNTIL: i64 = REFUND_AFTER + 180 * 86_400;
/// The seconds at which something changes, and some between.
const TIMES: [i64; 9] = [
    ISSUED,
    ISSUED + 60,
    SETTLE_BY - 1,
    SETTLE_BY,
    REFUND_AFTER - 1,
    REFUND_AFTER,
    REFUND_AFTER + 5,
    CREDITS_UNTIL - 1,
    CREDITS_UNTIL,
];

fn set_of(at: usize) -> (EvmSigners, Vec<SigningKey>) {
    let (m, n) = SIZES[at];
    validators(m, n, 500 + 10 * at as u32)
}

pub fn sets() -> Value {
    let one = |at: usize| {
        let keys = set_of(at).1;
        let secrets = keys.iter().map(|key| crate::hex0x(key.to_bytes()));
        json!({ "m": SIZES[at].0.to_string(), "keys": secrets.collect::<Vec<_>>() })
    };
    (0..SIZES.len()).map(one).collect()
}

pub struct Life {
    pub bytes: Vec<u8>,
    pub done: usize,
    pub refused: usize,
    terms: EvmTerms,
    set: usize,
    escrow: Escrow,
    paid: [u64; PARTIES.len()],
}

impl Life {
    pub fn tell(number: u32) -> Self {
        let mut dice = Dice::of(&format!("life {number}"));
        let set = dice.below(SIZES.len() as u64) as usize;
        let terms = terms(&mut dice, set);
        let mut bytes = terms.encode().to_vec();
        bytes.push(set as u8);
        let mut life = Self {
            bytes,
            done: 0,
            refused: 0,
            terms,
            set,
            escrow: Escrow::of(&SEPOLIA, &terms),
            paid: [0; PARTIES.len()],
        };
        let mut time = 0;
        for _ in 0..STEPS {
            // Mostly the time stands still, so that one escrow sees several commands in each phase.
            time += [0, 0, 0, 1, 1, 2][dice.below(6) as usize];
            let now = TIMES[usize::min(time, TIMES.len() - 1)];
            life.step(&mut dice, now);
        }
        life
    }

    fn step(&mut self, dice: &mut Dice, now: i64) {
        let frozen = if dice.below(2) == 0 {
            0
        } else {
            dice.below(1 << PARTIES.len()) as u8
        };
        self.put(now as u64);
        self.bytes.push(frozen);
        let kind = [0, 0, 1, 2, 2, 2, 2, 3, 3, 4, 5, 5, 6, 7, 8][dice.below(15) as usize];
        self.bytes.push(kind);
        let before = self.escrow;
        let done = match kind {
            0 | 1 => self.fund(dice, kind, now),
            2 => self.settle(dice, frozen, now),
            3 | 4 => self.claim(dice, kind, frozen, now),
            _ => self.sweep(dice, kind, frozen, now),
        };
        if done {
            self.done += 1;
        } else {
            assert_eq!(before, self.escrow, "a refusal changes nothing");
            self.refused += 1;
        }
        self.bytes.push(u8::from(done));
        self.world();
    }

    fn run(&mut self, command: &BaseCommand<'_>, now: i64) -> bool {
        let Ok((next, effects)) = self.escrow.apply(command, at(now)) else {
            return false;
        };
        self.escrow = next;
        if !matches!(command, BaseCommand::Sweep { other: Some(_), .. }) {
            self.count(&effects);
        }
        true
    }

    fn count(&mut self, effects: &Effects) {
        for transfer in effects.transfers.iter() {
            let place = PARTIES
                .iter()
                .position(|party| party.to_key() == transfer.to)
                .expect("every payee is a party");
            self.paid[place] += transfer.amount.to_u64().unwrap();
        }
    }

    fn fund(&mut self, dice: &mut Dice, kind: u8, now: i64) -> bool {
        let raw = [1, 500, 9_999, 10_000, 10_200][dice.below(5) as usize] + dice.below(3);
        self.put(raw);
        let (terms, amount) = (self.terms, units(raw));
        let command = match kind {
            0 => BaseCommand::Deposit { amount },
            _ => BaseCommand::Pay {
                terms: &terms,
                amount,
            },
        };
        self.run(&command, now)
    }

    fn settle(&mut self, dice: &mut Dice, frozen: u8, now: i64) -> bool {
        let rejected = dice.below(5) == 0;
        let mut rows = Vec::new();
        for place in 3..PARTIES.len() {
            if dice.below(3) == 0 {
                continue;
            }
            let judge = PARTIES[place] == JUDGE || rejected;
            let most = if judge { 900 } else { 4_000 };
            rows.push((place, u8::from(judge), 1 + dice.below(most)));
        }
        let settlement = Settlement {
            receipt_cid: ReceiptCid(dice.word()),
            outcome: if rejected {
                Outcome::Rejected
            } else {
                Outcome::Paid
            },
            rows: Rows::new(&rows.iter().map(row).collect::<Vec<_>>()).unwrap(),
        };
        let (signers, keys) = set_of(self.set);
        let most = keys.len() as u64;
        let count = if dice.below(4) == 0 {
            dice.below(most + 1)
        } else {
            most
        } as usize;
        self.bytes.extend(settlement.receipt_cid.as_bytes());
        self.bytes.push(settlement.outcome.as_u8());
        self.bytes.extend([count as u8, rows.len() as u8]);
        for (place, role, amount) in &rows {
            self.bytes.extend([*place as u8, *role]);
            self.put(*amount);
        }
        let digest = SEPOLIA.settlement_digest(&self.terms.hash(&SEPOLIA.ledger), &settlement);
        let signed: Vec<(u8, [u8; 65])> = (0u8..)
            .zip(&keys)
            .take(count)
            .map(|(index, key)| (index, sign(key, &digest)))
            .collect();
        let signed: Vec<(u8, &[u8])> = signed.iter().map(|(i, s)| (*i, s.as_slice())).collect();
        let approvals = signers.check(digest, &signed).unwrap();
        let frozen = (0..PARTIES.len()).filter(|place| frozen >> place & 1 == 1);
        let unpayable = Unpayable::among(frozen.map(|i| PARTIES[i].to_key()), |_| false).unwrap();
        let terms = self.terms;
        let command = BaseCommand::Settle {
            terms: &terms,
            settlement: &settlement,
            approvals: &approvals,
            unpayable: &unpayable,
        };
        self.run(&command, now)
    }

    fn claim(&mut self, dice: &mut Dice, kind: u8, frozen: u8, now: i64) -> bool {
        let place = dice.below(PARTIES.len() as u64) as usize;
        self.bytes.push(place as u8);
        let payee = PARTIES[place];
        let (to, payable) = match kind {
            3 => (None, frozen >> place & 1 == 0),
            _ => {
                let (to, payable) = self.elsewhere(dice, frozen);
                (Some((payee, to)), payable)
            }
        };
        self.run(&BaseCommand::Claim { payee, to, payable }, now)
    }

    fn sweep(&mut self, dice: &mut Dice, kind: u8, frozen: u8, now: i64) -> bool {
        let home = frozen & 1 == 0;
        let (mut other, mut to, mut payable) = (None, None, home);
        match kind {
            5 => {}
            6 => {
                let caller = [0, 0, 0, 3][dice.below(4) as usize];
                self.bytes.push(caller as u8);
                let (target, reachable) = self.elsewhere(dice, frozen);
                (to, payable) = (Some((PARTIES[caller], target)), reachable);
            }
            _ => {
                // Freezing is the asset's; other tokens and ether reach everybody.
                let raw = dice.below(3) * 7;
                self.put(raw);
                (other, payable) = (Some(units(raw)), true);
            }
        }
        let terms = self.terms;
        let command = BaseCommand::Sweep {
            terms: &terms,
            other,
            to,
            payable,
        };
        self.run(&command, now)
    }

    /// Some receiver, now and then one that is never allowed.
    fn elsewhere(&mut self, dice: &mut Dice, frozen: u8) -> (EvmAccount, bool) {
        let place = dice.below(PARTIES.len() as u64 + 4) as usize;
        self.bytes.push(place as u8);
        match place.checked_sub(PARTIES.len()) {
            None => (PARTIES[place], frozen >> place & 1 == 0),
            Some(0) => (EvmAccount::from_key(&self.escrow.address()).unwrap(), true),
            Some(1) => (ASSET, true),
            Some(2) => (SEPOLIA.ledger, true),
            Some(_) => (EvmAccount::ZERO, true),
        }
    }

    fn world(&mut self) {
        self.bytes.push(u8::from(self.escrow.is_marked()));
        self.put(self.escrow.balance().to_u64().unwrap());
        self.put(self.escrow.credits().to_u64().unwrap());
        for place in 0..PARTIES.len() {
            self.put(self.paid[place]);
            let credit = self.escrow.credit_of(&PARTIES[place]);
            self.put(credit.to_u64().unwrap());
        }
    }

    fn put(&mut self, value: u64) {
        self.bytes.extend(value.to_be_bytes());
    }
}

fn row((place, role, amount): &(usize, u8, u64)) -> Row {
    Row {
        payee: PARTIES[*place].to_key(),
        role: Role::from_u8(*role).unwrap(),
        amount: units(*amount),
    }
}

fn terms(dice: &mut Dice, set: usize) -> EvmTerms {
    let mut terms = base_terms(set_of(set).0.hash());
    terms.salt = dice.word();
    terms.on_silence = dice.below(2) as u8;
    let rates = [(1_000, 200), (2_000, 0), (0, 333), (0, 0), (1, 1)][dice.below(5) as usize];
    (terms.commission_bps, terms.gateway_fee_bps) = (Bps(rates.0), Bps(rates.1));
    // Now and then the creator is a worker too: two payouts, one credit.
    let creators = [CREATOR, CREATOR, WORKER];
    terms.commission_payee = creators[dice.below(3) as usize];
    if rates.0 == 0 {
        terms.commission_payee = EvmAccount::ZERO;
    }
    if rates.1 == 0 {
        terms.gateway_fee_payee = EvmAccount::ZERO;
    }
    match dice.below(12) {
        0 => terms.version = 2,
        1 => terms.chain_id = chain_word(8_453),
        2 => terms.issued_at = ISSUED as u64 + 640,
        3 => terms.commission_payee = account(0x77),
        _ => {}
    }
    // Later settleable, not at first: the deadlines move with it.
    if terms.issued_at > ISSUED as u64 {
        terms.settle_by = terms.issued_at + 300;
        terms.refund_after = terms.settle_by + 600;
    }
    if terms.commission_payee == account(0x77) {
        terms.commission_payee = if rates.0 == 0 {
            CREATOR
        } else {
            EvmAccount::ZERO
        };
    }
    terms
}
