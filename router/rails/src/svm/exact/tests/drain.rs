//! The fee payer's lamports cannot be moved (payments-standards §4 row 16).
//!
//! On this chain lamports of an account change in two ways: as the fee of a transaction it is first signer of,
//! and by an instruction that names it. So a signature of ours is harmless exactly if no instruction names our
//! account and the fee is bounded. The judge below says that of an accepted transaction from its bytes alone,
//! by nothing of the code it judges.

use d402_objects::Hex32;
use d402_svm::{AccountMeta, Address, Instruction, VersionedMessage, VersionedTransaction};
use proptest::collection::vec;
use proptest::prelude::*;

use super::stage::{
    Draft, address, assertion, bytes, inspect_transaction, limit, memo, price, required, transfer,
};
use crate::svm::exact::requirements::FeeCaps;

const PROGRAMS: [Address; 8] = [
    Address::from_str_const("11111111111111111111111111111111"),
    Address::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"),
    Address::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"),
    Address::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL"),
    Address::from_str_const("ComputeBudget111111111111111111111111111111"),
    Address::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"),
    Address::from_str_const("L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95"),
    Address::from_str_const("Vote111111111111111111111111111111111111111"),
];
/// The fee payer twice: it is what an attacker is after.
const ACCOUNTS: [&str; 8] = [
    "gateway",
    "gateway",
    "payer",
    "source",
    "mint",
    "destination",
    "stranger",
    "thief",
];

fn account() -> impl Strategy<Value = AccountMeta> {
    (0..ACCOUNTS.len(), any::<bool>(), any::<bool>()).prop_map(|(name, signs, writes)| {
        let pubkey = address(ACCOUNTS[name]);
        AccountMeta {
            pubkey,
            is_signer: signs && ["gateway", "payer"].contains(&ACCOUNTS[name]),
            is_writable: writes,
        }
    })
}

fn instruction() -> impl Strategy<Value = Instruction> {
    let any_of_them = (0..PROGRAMS.len(), vec(account(), 0..6), data())
        .prop_map(|(program, accounts, data)| {
            Instruction::new_with_bytes(PROGRAMS[program], &data, accounts)
        })
        .boxed();
    prop_oneof![
        3 => any_of_them,
        1 => Just(assertion()),
        1 => Just(memo(b"memo")),
        1 => Just(transfer()),
        1 => any::<u32>().prop_map(limit),
        1 => any::<u64>().prop_map(price),
    ]
}

/// Data that means something to one of the programs, or nothing.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let system_transfer = any::<u64>().prop_map(|lamports| {
        let mut data = vec![2, 0, 0, 0];
        data.extend_from_slice(&lamports.to_le_bytes());
        data
    });
    prop_oneof![
        system_transfer,
        Just(transfer().data),
        Just(limit(20_000).data),
        Just(vec![4, 0, 0, 0]),
        Just(vec![9]),
        vec(any::<u8>(), 0..16),
    ]
}

/// One thing an attacker changes in a good payment.
#[derive(Clone, Debug)]
enum Spoil {
    Insert(usize, Box<Instruction>),
    Replace(usize, Box<Instruction>),
    Account(usize, usize, AccountMeta),
    Extra(usize, AccountMeta),
    Program(usize, usize),
    Data(usize, Vec<u8>),
    Swap(usize, usize),
    Remove(usize),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let place = 0..8_usize;
    prop_oneof![
        (place.clone(), instruction()).prop_map(|(at, new)| Spoil::Insert(at, Box::new(new))),
        (place.clone(), instruction()).prop_map(|(at, new)| Spoil::Replace(at, Box::new(new))),
        (place.clone(), 0..5_usize, account()).prop_map(|(at, i, who)| Spoil::Account(at, i, who)),
        (place.clone(), account()).prop_map(|(at, who)| Spoil::Extra(at, who)),
        (place.clone(), 0..PROGRAMS.len()).prop_map(|(at, program)| Spoil::Program(at, program)),
        (place.clone(), data()).prop_map(|(at, data)| Spoil::Data(at, data)),
        (place.clone(), place.clone()).prop_map(|(one, other)| Spoil::Swap(one, other)),
        place.prop_map(Spoil::Remove),
    ]
}

fn apply(all: &mut Vec<Instruction>, spoil: Spoil) {
    let count = all.len().max(1);
    let mut at = |place: usize, change: &mut dyn FnMut(&mut Instruction)| {
        if let Some(instruction) = all.get_mut(place % count) {
            change(instruction);
        }
    };
    match spoil {
        Spoil::Insert(place, new) => all.insert(place % (all.len() + 1), *new),
        Spoil::Replace(place, new) => at(place, &mut |old| *old = (*new).clone()),
        Spoil::Account(place, which, who) => at(place, &mut |old| {
            if let Some(account) = old.accounts.get_mut(which) {
                *account = who.clone();
            }
        }),
        Spoil::Extra(place, who) => at(place, &mut |old| old.accounts.push(who.clone())),
        Spoil::Program(place, which) => at(place, &mut |old| old.program_id = PROGRAMS[which]),
        Spoil::Data(place, data) => at(place, &mut |old| old.data.clone_from(&data)),
        Spoil::Swap(one, other) => all.swap(one % count, other % count),
        Spoil::Remove(place) => {
            if place < all.len() {
                all.remove(place);
            }
        }
    }
}

/// What a signature of the first key would do, judged from the message as the network reads it.
fn harm(transaction: &VersionedTransaction) -> Option<String> {
    let VersionedMessage::V0(message) = &transaction.message else {
        return Some("not a message of version 0".to_owned());
    };
    if !message.address_table_lookups.is_empty() {
        return Some("accounts nobody looked at".to_owned());
    }
    let us = address("gateway");
    let named = |index: u8| message.account_keys[usize::from(index)] == us;
    let (mut units, mut micro) = (u64::from(u32::MAX), 0);
    for instruction in &message.instructions {
        if named(instruction.program_id_index) || instruction.accounts.iter().any(|a| named(*a)) {
            return Some(format!(
                "an instruction names the fee payer: {instruction:?}"
            ));
        }
        let program = message.account_keys[usize::from(instruction.program_id_index)];
        if program == PROGRAMS[4] {
            match *instruction.data.as_slice() {
                [2, a, b, c, d] => units = u64::from(u32::from_le_bytes([a, b, c, d])),
                [3, a, b, c, d, e, f, g, h] => {
                    micro = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
                }
                ref other => return Some(format!("compute budget {other:?}")),
            }
        }
    }
    let signatures = u64::from(message.header.num_required_signatures);
    let fee = u128::from(signatures * 5_000)
        + (u128::from(units) * u128::from(micro)).div_ceil(1_000_000);
    let most = u128::from(FeeCaps::DEFAULT.most_lamports());
    (fee > most).then(|| format!("a fee of {fee} lamports"))
}

fn spoiled(spoils: Vec<Spoil>) -> Option<VersionedTransaction> {
    let mut draft = Draft::stock();
    for spoil in spoils {
        apply(&mut draft.instructions, spoil);
    }
    let signed = draft.signed();
    (bytes(&signed).len() <= 1_232).then_some(signed)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(2_048))]

    #[test]
    fn threat_fee_payer_drain_whatever_is_accepted_can_cost_the_fee_only(spoils in vec(spoil(), 0..4)) {
        let Some(transaction) = spoiled(spoils) else { return Ok(()) };
        if inspect_transaction(&transaction, &required()).is_ok() {
            prop_assert_eq!(harm(&transaction), None);
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(raw in vec(any::<u8>(), 0..1_300)) {
        let _refused_or_not = crate::svm::exact::Received::decode(raw);
    }

    #[test]
    fn one_changed_byte_never_gives_the_same_payment(place in 0..4_096_usize, change in 1..=255_u8) {
        let good = bytes(&Draft::stock().signed());
        let payment = Draft::stock().inspect(&required()).unwrap();
        let mut raw = good.clone();
        let place = place % raw.len();
        raw[place] ^= change;
        let id: Option<Hex32> = crate::svm::exact::Received::decode(raw)
            .and_then(|received| {
                crate::svm::exact::inspect(&received, &Default::default(), &required())
            })
            .map(|other| other.message_hash)
            .ok();
        prop_assert_ne!(id, Some(payment.message_hash));
    }
}

/// Without it the properties could hold because nothing is ever accepted.
#[test]
fn the_attackers_payments_are_accepted_often_enough_to_mean_something() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::{TestRng, TestRunner};
    let rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config(1), rng);
    let (mut accepted, mut harmful) = (0, 0);
    for _ in 0..2_000 {
        let spoils = vec(spoil(), 0..4).new_tree(&mut runner).unwrap().current();
        let Some(transaction) = spoiled(spoils) else {
            continue;
        };
        accepted += u32::from(inspect_transaction(&transaction, &required()).is_ok());
        harmful += u32::from(harm(&transaction).is_some());
    }
    assert!(accepted > 200, "{accepted} of 2,000 are accepted");
    assert!(harmful > 200, "{harmful} of 2,000 would do harm");
}
