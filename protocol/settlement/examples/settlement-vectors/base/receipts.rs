//! More than a thousand receipts of Base, honest and with one thing wrong, and what happens to each.
//!
//! `terms[i]` is `abi.encode(Terms)`; `sets[i]` is `u8 m ‖ (20 bytes account ‖ u8 kind)…`. A case is packed,
//! big endian:
//! `u16 terms ‖ u8 set ‖ u64 now ‖ u64 balance ‖ bytes32 receiptCid ‖ u8 outcome ‖ u8 rows ‖
//! (bytes20 payee ‖ u8 role ‖ u64 amount)… ‖ u8 signatures ‖ (u8 setIndex ‖ u8 length ‖ bytes)… ‖ u8 class`, and
//! for class 0 `u64 commission ‖ u64 fee ‖ u64 refund ‖ u64 net of each row`. `classes[class]` is its name.

use d402_settlement::evm::{EvmAccount, EvmTerms, chain_word};
use d402_settlement::{Bps, Outcome, ReceiptCid, Role, Row, Rows, Settlement};
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};

use super::dice::Dice;
use super::{domain, hex0x};
use crate::base_scene::{
    ASSET, REFUND_AFTER, SEPOLIA, SETTLE_BY, account, base_terms, evm_key, high_s, sign, units,
    validators,
};
use crate::corpus::{CLASSES, Call, Class, GivenSet, judge, pack};
use crate::json::dec;

const HONEST: u32 = 400;
const MUTANTS: u32 = 640;
/// Terms before those a mutation adds.
const SETTLEABLE: u64 = 60;

struct World {
    terms: Vec<EvmTerms>,
    sets: Vec<GivenSet>,
    keys: Vec<Vec<SigningKey>>,
    /// Of the terms that are honest, by index.
    set_of: Vec<u8>,
}

fn world() -> World {
    let mut world = World {
        terms: Vec::new(),
        sets: Vec::new(),
        keys: Vec::new(),
        set_of: Vec::new(),
    };
    let mut dice = Dice::of("terms");
    for (place, (m, n)) in (0u8..).zip([(1, 1), (2, 3), (3, 4), (3, 5), (4, 4)]) {
        let (signers, keys) = validators(m, n, 100 * u32::from(place));
        let members = signers
            .set()
            .keys()
            .iter()
            .map(|key| (EvmAccount::from_key(key).unwrap().0, 0));
        world.sets.push(GivenSet {
            m,
            members: members.collect(),
        });
        world.keys.push(keys);
        for silence in [0, 1] {
            for rates in [
                (1_000, 200),
                (0, 0),
                (2_000, 0),
                (0, 2_000),
                (1, 1),
                (777, 333),
            ] {
                let mut terms = base_terms(signers.hash());
                terms.on_silence = silence;
                terms.commission_bps = Bps(rates.0);
                terms.gateway_fee_bps = Bps(rates.1);
                if rates.0 == 0 {
                    terms.commission_payee = EvmAccount::ZERO;
                }
                if rates.1 == 0 {
                    terms.gateway_fee_payee = EvmAccount::ZERO;
                }
                let budget = match dice.below(4) {
                    0 => 10_000,
                    1 => 1 + dice.below(1_000),
                    2 => 1_000_000 + dice.below(1_000_000_000),
                    _ => u64::MAX >> dice.below(16),
                };
                terms.budget = units(budget);
                terms.validator_fee_cap = units(budget / (2 + dice.below(4)));
                terms.salt = dice.bytes();
                world.terms.push(terms);
                world.set_of.push(place);
            }
        }
    }
    world
}

impl World {
    /// A call that executes: its money is within every bound, its signers are enough at its time.
    fn honest(&self, number: u32) -> Call {
        let mut dice = Dice::of(&format!("receipt {number}"));
        let at = dice.below(SETTLEABLE) as usize;
        let terms = &self.terms[at];
        let set = self.set_of[at];
        let now = match dice.below(4) {
            0 => SETTLE_BY - 1,
            1 => SETTLE_BY,
            2 => REFUND_AFTER - 1,
            _ => SETTLE_BY - 100,
        };
        let now = u64::try_from(now).unwrap();
        let budget = terms.budget.to_u64().unwrap();
        let cap = terms.validator_fee_cap.to_u64().unwrap();
        let validators = if cap < 8 { 0 } else { dice.below(4) };
        let rejected = dice.below(6) == 0;
        let fee_bps = u64::from(terms.gateway_fee_bps.0);
        // Worker total and its fee fit what the cap leaves.
        let room = u64::try_from(u128::from(budget - cap) * 10_000 / u128::from(10_000 + fee_bps))
            .unwrap();
        let workers = if rejected || room == 0 {
            0
        } else {
            1 + dice.below(3.min(room))
        };
        let mut rows = Vec::new();
        for _ in 0..workers {
            rows.push((dice.bytes::<20>(), 0, 1 + dice.below(room / workers)));
        }
        for _ in 0..validators {
            rows.push((dice.bytes::<20>(), 1, 1 + dice.below(cap / validators)));
        }
        rows.sort_unstable();
        let extra = [0, 1, dice.below(1_000_000)][dice.below(3) as usize];
        let mut call = Call {
            terms: at as u16,
            set,
            now,
            balance: budget.saturating_add(extra),
            receipt_cid: dice.bytes(),
            outcome: if workers == 0 { 2 } else { 1 },
            rows,
            signatures: Vec::new(),
        };
        let count = self.need(&call) + (dice.below(2) as usize);
        self.sign(&mut call, count);
        call
    }

    fn need(&self, call: &Call) -> usize {
        let terms = &self.terms[usize::from(call.terms)];
        let set = &self.sets[usize::from(self.set_of[usize::from(call.terms)])];
        if terms.on_silence == 1 && call.now >= terms.settle_by {
            set.members.len() / 2 + 1
        } else {
            usize::from(set.m)
        }
    }

    fn digest(&self, call: &Call, chain_id: u64) -> [u8; 32] {
        let rows: Vec<Row> = call
            .rows
            .iter()
            .map(|(payee, role, amount)| Row {
                payee: EvmAccount(*payee).to_key(),
                role: Role::from_u8(*role).unwrap_or(Role::Worker),
                amount: units(*amount),
            })
            .collect();
        let settlement = Settlement {
            receipt_cid: ReceiptCid(call.receipt_cid),
            outcome: Outcome::from_u8(call.outcome).unwrap_or(Outcome::Paid),
            rows: Rows::new(&rows).unwrap_or_else(|_| Rows::none()),
        };
        let mut place = SEPOLIA;
        place.chain_id = chain_id;
        let hash = self.terms[usize::from(call.terms)].hash(&place.ledger);
        place.settlement_digest(&hash, &settlement)
    }

    /// Signs with the first `count` of the set that the call's terms name, at most all.
    fn sign(&self, call: &mut Call, count: usize) {
        let digest = self.digest(call, SEPOLIA.chain_id);
        let keys = &self.keys[usize::from(self.set_of[usize::from(call.terms)])];
        call.signatures = keys
            .iter()
            .take(count)
            .zip(0u8..)
            .map(|(key, index)| (index, sign(key, &digest).to_vec()))
            .collect();
    }
}

/// One thing wrong: `None` when this receipt has no place for it.
fn mutate(world: &mut World, call: &Call, kind: u64) -> Option<(Class, Call)> {
    match kind % 6 {
        0 => signatures(world, call, kind / 6),
        1 => rows(world, call, kind / 6),
        2 => money(world, call, kind / 6),
        3 => other_terms(world, call, kind / 6),
        4 => sets(world, call, kind / 6),
        _ => names(world, call, kind / 6),
    }
}

fn signatures(world: &World, call: &Call, kind: u64) -> Option<(Class, Call)> {
    let mut bad = call.clone();
    let digest = world.digest(call, SEPOLIA.chain_id);
    let n = world.sets[usize::from(call.set)].members.len();
    match kind % 11 {
        0 => {
            bad.signatures.truncate(world.need(call) - 1);
            return Some((Class::NotEnoughSignatures, bad));
        }
        1 => bad.signatures[0].1[9] ^= 4,
        2 => bad.signatures[0].1[64] -= 27,
        3 => bad.signatures[0].1 = high_s(&bad.signatures[0].1.clone().try_into().ok()?).to_vec(),
        4 => {
            let v = bad.signatures[0].1.pop()?;
            bad.signatures[0].1[32] |= (v - 27) << 7;
        }
        5 => bad.signatures.last_mut()?.0 = u8::try_from(n).ok()?,
        6 => {
            let again = bad.signatures[0].clone();
            bad.signatures.insert(0, again);
        }
        7 => bad.signatures[0].1 = sign(&evm_key(9_999), &digest).to_vec(),
        8 => {
            let (first, second) = (
                bad.signatures.first()?.clone(),
                bad.signatures.get(1)?.clone(),
            );
            bad.signatures[0].1 = second.1;
            bad.signatures[1].1 = first.1;
        }
        // Signed for the other chain: everything else is equal (M7a).
        9 => {
            let digest = world.digest(call, 8_453);
            let keys = &world.keys[usize::from(call.set)];
            for (index, signature) in &mut bad.signatures {
                *signature = sign(&keys[usize::from(*index)], &digest).to_vec();
            }
        }
        _ => {
            let at = bad.signatures.len().checked_sub(2)?;
            bad.signatures.swap(at, at + 1);
        }
    }
    Some((Class::BadSignature, bad))
}

fn rows(world: &World, call: &Call, kind: u64) -> Option<(Class, Call)> {
    let mut bad = call.clone();
    let class = match kind % 9 {
        0 => {
            bad.rows.first_mut()?.2 = 0;
            Class::BadRows
        }
        1 => {
            bad.rows.first_mut()?.0 = [0; 20];
            Class::BadRows
        }
        2 => {
            let twice = *bad.rows.first()?;
            bad.rows.insert(0, twice);
            Class::BadRows
        }
        3 => {
            bad.rows.get(1)?;
            bad.rows.swap(0, 1);
            Class::BadRows
        }
        4 => {
            bad.rows.first_mut()?.1 = 2;
            Class::BadRows
        }
        5 => {
            bad.rows = (1..=17)
                .map(|i| (account(i).0, u8::from(i > 1), 1))
                .collect();
            Class::BadRows
        }
        6 => {
            bad.outcome = [0, 3, 255][(call.now % 3) as usize];
            Class::BadOutcome
        }
        7 => {
            bad.outcome = 3 - bad.outcome;
            Class::BadOutcome
        }
        _ => {
            let terms = &world.terms[usize::from(call.terms)];
            let hash = terms.hash(&SEPOLIA.ledger);
            let escrow = d402_settlement::evm::escrow_address(&SEPOLIA.ledger, &hash);
            let forbidden = [escrow.0, ASSET.0, SEPOLIA.ledger.0];
            bad.rows.first_mut()?.0 = forbidden[(kind / 9 % 3) as usize];
            bad.rows.sort_unstable();
            Class::BadPayee
        }
    };
    let count = bad.signatures.len();
    world.sign(&mut bad, count);
    Some((class, bad))
}

fn money(world: &World, call: &Call, kind: u64) -> Option<(Class, Call)> {
    let mut bad = call.clone();
    let terms = &world.terms[usize::from(call.terms)];
    let (budget, cap) = (terms.budget.to_u64()?, terms.validator_fee_cap.to_u64()?);
    let class = match kind % 3 {
        0 => {
            let row = bad.rows.iter_mut().find(|row| row.1 == 0)?;
            row.2 = budget.checked_add(1)?;
            bad.balance = u64::MAX;
            Class::OverBudget
        }
        1 => {
            for row in &mut bad.rows {
                row.2 = 1;
            }
            let row = bad.rows.iter_mut().find(|row| row.1 == 1)?;
            row.2 = cap.checked_add(1)?;
            Class::ValidatorsOverCap
        }
        _ => {
            let moved = judge(&SEPOLIA, terms, &world.sets[usize::from(call.set)], call).ok()?;
            let owed = call.balance - moved.refund;
            bad.balance = owed.checked_sub(1)?;
            Class::Underfunded
        }
    };
    let count = bad.signatures.len();
    world.sign(&mut bad, count);
    Some((class, bad))
}

/// The same receipt under terms nobody may settle, or at a time nobody may.
fn other_terms(world: &mut World, call: &Call, kind: u64) -> Option<(Class, Call)> {
    let mut bad = call.clone();
    let mut terms = world.terms[usize::from(call.terms)];
    match kind % 12 {
        0 | 1 => {
            bad.now = terms.refund_after + [0, 1, 600][(kind / 12 % 3) as usize];
            let count = bad.signatures.len();
            world.sign(&mut bad, count);
            return Some((Class::TooLate, bad));
        }
        2 => terms.version = 2,
        3 => terms.chain_id = chain_word(8_453),
        4 => terms.on_silence = 2,
        5 => terms.commission_bps = Bps(2_001),
        6 => terms.validator_fee_cap = units(terms.budget.to_u64()? / 2 + 1),
        7 => terms.issued_at += 86_400,
        8 => terms.refund_after = terms.settle_by + 599,
        9 => terms.refund_to = terms.asset,
        10 => terms.refund_to = SEPOLIA.ledger,
        _ => terms.gateway_fee_payee = flip(terms.gateway_fee_payee),
    }
    let set = world.set_of[usize::from(call.terms)];
    bad.terms = u16::try_from(world.terms.len()).ok()?;
    world.terms.push(terms);
    world.set_of.push(set);
    let count = bad.signatures.len();
    world.sign(&mut bad, count);
    Some((Class::NotSettleable, bad))
}

/// A payee where there was none, or none where there was one.
fn flip(payee: EvmAccount) -> EvmAccount {
    if payee.is_zero() {
        account(6)
    } else {
        EvmAccount::ZERO
    }
}

/// Other sets than the terms name, and sets that are none.
fn sets(world: &mut World, call: &Call, kind: u64) -> Option<(Class, Call)> {
    let mut bad = call.clone();
    let mut set = world.sets[usize::from(call.set)].clone();
    let class = match kind % 6 {
        0 => {
            set.members.last_mut()?.1 = 1;
            Class::WrongSet
        }
        1 => {
            set.members.last_mut()?.0 = [0xFE; 20];
            Class::WrongSet
        }
        2 => {
            set.m = 0;
            Class::BadSet
        }
        3 => {
            set.members.last_mut()?.1 = 2;
            Class::BadSet
        }
        4 => {
            set.members.get(1)?;
            set.members.swap(0, 1);
            Class::BadSet
        }
        _ => {
            set.m = u8::try_from(set.members.len()).ok()? + 1;
            Class::BadSet
        }
    };
    let known = world.sets.iter().position(|other| *other == set);
    let at = known.unwrap_or_else(|| {
        world.sets.push(set);
        world.keys.push(Vec::new());
        world.sets.len() - 1
    });
    bad.set = u8::try_from(at).ok()?;
    Some((class, bad))
}

/// A signed value changed after signing: nobody signed what is asked for.
fn names(_: &World, call: &Call, kind: u64) -> Option<(Class, Call)> {
    let mut bad = call.clone();
    match kind % 4 {
        0 => bad.receipt_cid[(kind % 32) as usize] ^= 1,
        1 => {
            let row = bad.rows.first_mut()?;
            row.2 = row.2.checked_sub(1).filter(|left| *left > 0)?;
        }
        2 => {
            bad.rows.last_mut()?.0[19] ^= 1;
            bad.rows.sort_unstable();
        }
        _ => {
            // Never the last worker: that would be a second fault.
            let at = bad.rows.iter().position(|row| row.1 == 1)?;
            bad.rows.remove(at);
        }
    }
    Some((Class::BadSignature, bad))
}

pub(super) fn vectors() -> Value {
    let mut world = world();
    let mut cases = Vec::new();
    let mut seen = [0u32; 13];
    for number in 0..HONEST {
        let call = world.honest(number);
        cases.push((Class::Executed, call));
    }
    let mut number = HONEST;
    while cases.len() < (HONEST + MUTANTS) as usize {
        let honest = world.honest(number);
        let kind = Dice::of(&format!("mutation {number}")).next();
        cases.extend(mutate(&mut world, &honest, kind));
        number += 1;
    }
    let packed: Vec<Value> = cases
        .iter()
        .map(|(expected, call)| {
            let terms = &world.terms[usize::from(call.terms)];
            let set = &world.sets[usize::from(call.set)];
            let verdict = judge(&SEPOLIA, terms, set, call);
            let class = verdict.as_ref().err().copied().unwrap_or(Class::Executed);
            assert_eq!(class, *expected, "{call:?}");
            seen[class as usize] += 1;
            hex0x(pack(call, &verdict))
        })
        .collect();
    assert!(seen.iter().all(|count| *count >= 5), "{seen:?}");
    let sets: Value = world
        .sets
        .iter()
        .map(|set| {
            let mut bytes = vec![set.m];
            for (account, kind) in &set.members {
                bytes.extend(account);
                bytes.push(*kind);
            }
            hex0x(bytes)
        })
        .collect();
    json!({
        "spec": "2.3, 2.4, 3.1 settle",
        "domain": domain(&SEPOLIA),
        "classes": CLASSES.iter().map(|class| format!("{class:?}")).collect::<Vec<_>>(),
        "counts": CLASSES.iter().map(|class| dec(seen[*class as usize])).collect::<Vec<_>>(),
        "terms": world.terms.iter().map(|terms| hex0x(terms.encode())).collect::<Vec<_>>(),
        "sets": sets,
        "cases": packed,
    })
}
