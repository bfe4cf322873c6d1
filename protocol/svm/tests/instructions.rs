//! Bytes and sizes of what is sent, on fixed inputs. The golden file is read by the program's own tests as well
//! (`programs/svm-tests`), which build the same instructions from the program's side.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking, on numbers chosen here"
)]

use std::collections::BTreeMap;
use std::path::Path;

use d402_settlement::{
    Bps, Domain, Key32, Outcome, ReceiptCid, Role, Row, Rows, Settlement, TERMS_LEN, Terms, Units,
    ValidatorSet, settlement_digest,
};
use d402_svm::address::{self, INSTRUCTIONS, TOKEN, address};
use d402_svm::instructions::{Place, Receipt, ed25519, publish_set, unit_limit, unit_price};
use d402_svm::settling::{Evidence, Plan, fits, plan};
use d402_svm::transaction::{self, LIMIT, Table, assemble, size};
use d402_svm::{Address, Hash, Instruction, Signature, VersionedMessage};
use proptest::prelude::*;

/// Set it to write the golden file anew.
const UPDATE: &str = "D402_UPDATE_VECTORS";
const PROGRAM: Address = Address::from_str_const("9WtXEHG1vNwiuEqg9XdCmvRKbThp4p8Afianb3juYUSy");
const GENESIS: Address = Address::from_str_const("EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG");
const PAYER: Address = Address::new_from_array([0xA1; 32]);
const SOURCE: Address = Address::new_from_array([0xA2; 32]);
const AUTHORITY: Address = Address::new_from_array([0xA3; 32]);

const DOMAIN: Domain = Domain {
    genesis: GENESIS.to_bytes(),
    program: Key32(PROGRAM.to_bytes()),
};

/// Every byte of the terms differs from its neighbours.
fn terms() -> Terms {
    let mut bytes = [0; TERMS_LEN];
    for (at, byte) in (0_u32..).zip(bytes.iter_mut()) {
        *byte = u8::try_from((at * 7 + 3) % 251).unwrap();
    }
    Terms::decode(&bytes)
}

fn place() -> Place {
    Place::of(&DOMAIN, &terms(), TOKEN).unwrap()
}

fn set(m: u8, n: u8) -> ValidatorSet {
    let keys: Vec<Key32> = (1..=n).map(|i| Key32([i; 32])).collect();
    ValidatorSet::new(m, &keys).unwrap()
}

fn settlement(rows: u8) -> Settlement {
    let row = |i: u8| Row {
        payee: Key32([0x40 + i; 32]),
        role: if i == 0 {
            Role::Validator
        } else {
            Role::Worker
        },
        amount: Units::from_u64(1_000 + u64::from(i)),
    };
    let rows: Vec<Row> = (0..rows).map(row).collect();
    Settlement {
        receipt_cid: ReceiptCid([0x77; 32]),
        outcome: Outcome::Paid,
        rows: Rows::new(&rows).unwrap(),
    }
}

fn receipt(place: &Place, rows: u8, readable: bool) -> Receipt {
    Receipt::new(place, &settlement(rows), |_| readable, false).unwrap()
}

fn signatures(count: u8) -> Vec<([u8; 32], [u8; 64])> {
    (1..=count).map(|i| ([i; 32], [0x80 + i; 64])).collect()
}

fn text(instruction: &Instruction) -> String {
    let accounts: Vec<String> = instruction
        .accounts
        .iter()
        .map(|meta| {
            let signs = if meta.is_signer { "s" } else { "-" };
            let writes = if meta.is_writable { "w" } else { "-" };
            format!("{}{signs}{writes}", meta.pubkey)
        })
        .collect();
    format!(
        "{} {} {}",
        instruction.program_id,
        accounts.join(","),
        hex::encode(&instruction.data)
    )
}

fn every_instruction() -> BTreeMap<&'static str, Instruction> {
    let place = place();
    let digest = settlement_digest(&DOMAIN, &place.terms_hash, &settlement(3));
    let payee = Address::new_from_array([0x41; 32]);
    let receipt = receipt(&place, 3, true);
    BTreeMap::from([
        (
            "publish_set",
            publish_set(&DOMAIN, PAYER, &set(3, 5)).unwrap(),
        ),
        ("open", place.open(PAYER)),
        (
            "open_funded",
            place.open_funded(PAYER, (SOURCE, AUTHORITY), 123_456),
        ),
        ("settle", place.settle(PAYER, &receipt).unwrap()),
        (
            "settle, wallets",
            place
                .settle(PAYER, &self::receipt(&place, 3, false))
                .unwrap(),
        ),
        (
            "settle_approved",
            place.settle_approved(PAYER, &digest, &receipt).unwrap(),
        ),
        ("approve", place.approve(PAYER, &digest).unwrap()),
        ("claim_credit", place.claim_credit(payee).unwrap()),
        ("claim_credit_to", place.claim_credit_to(payee, SOURCE)),
        ("lapse_credits", place.lapse_credits()),
        ("sweep", place.sweep(PAYER).unwrap()),
        ("sweep_to", place.sweep_to(SOURCE)),
        ("close_unfunded", place.close_unfunded()),
        ("close, open", place.close(true)),
        ("close, settled", place.close(false)),
        (
            "close_approval",
            place.close_approval(&digest, AUTHORITY).unwrap(),
        ),
        ("ed25519", ed25519(&signatures(3), &digest).unwrap()),
    ])
}

#[test]
fn every_instruction_has_the_bytes_and_accounts_of_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/instructions.json");
    let made: BTreeMap<&str, String> = every_instruction()
        .iter()
        .map(|(name, instruction)| (*name, text(instruction)))
        .collect();
    if std::env::var_os(UPDATE).is_some() {
        let text = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let golden: BTreeMap<String, String> =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert!(golden.keys().eq(made.keys()), "other instructions");
    for (name, text) in made {
        assert_eq!(golden[name], text, "{name}");
    }
}

#[test]
fn derived_addresses_are_those_the_runtime_finds() {
    // Published by the token programs: a wallet's USDC account on mainnet, and its bump.
    let wallet = Address::from_str_const("5Q544fKrFoe6tsEbD7S8EmxGTJYAKtTVhAW5Q5pge4j1");
    let mint = Address::from_str_const("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v");
    let (account, bump) = address::token_account(&wallet, &mint, &TOKEN).unwrap();
    let seeds = [wallet.as_ref(), TOKEN.as_ref(), mint.as_ref()];
    assert_eq!(derive(&seeds, bump), account);
    let (vault, bump) = address::vault(&DOMAIN, &place().terms_hash).unwrap();
    assert_eq!(place().vault, vault);
    let hash = place().terms_hash;
    let seeds: [&[u8]; 2] = [b"vault", hash.as_bytes()];
    assert_eq!(derive_for(&PROGRAM, &seeds, bump), vault);
}

fn derive(seeds: &[&[u8]], bump: u8) -> Address {
    derive_for(&address::ASSOCIATED, seeds, bump)
}

fn derive_for(program: &Address, seeds: &[&[u8]], bump: u8) -> Address {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    seeds.iter().for_each(|seed| hash.update(seed));
    hash.update([bump]);
    hash.update(program.as_ref());
    hash.update(b"ProgramDerivedAddress");
    Address::new_from_array(hash.finalize().into())
}

/// What transactions of many tasks have in common (spec §2.5).
fn common(place: &Place) -> Table {
    let fee = address(&place.terms.gateway_fee_payee);
    Table {
        key: Address::new_from_array([7; 32]),
        addresses: vec![
            place.mint,
            place.token_program,
            INSTRUCTIONS,
            place.events,
            place.set,
            place.tokens_of(&fee).unwrap().0,
            place.rent_to(),
        ],
    }
}

fn planned(signed: u8, rows: u8, table: Option<&Table>) -> Option<Plan> {
    let place = place();
    let digest = settlement_digest(&DOMAIN, &place.terms_hash, &settlement(rows));
    let signatures = signatures(signed);
    let evidence = Evidence {
        digest: &digest,
        signatures: &signatures,
    };
    plan(&place, PAYER, &receipt(&place, rows, true), evidence, table)
}

fn budgeted(instructions: &[Instruction]) -> Vec<Instruction> {
    let mut all = vec![unit_limit(u32::MAX), unit_price(u64::MAX)];
    all.extend_from_slice(instructions);
    all
}

#[test]
fn one_settlement_has_the_size_of_the_spec() {
    let Some(Plan::One(instructions)) = planned(3, 3, None) else {
        panic!("one transaction");
    };
    let message = assemble(&PAYER, &budgeted(&instructions), Hash::default(), None).unwrap();
    assert_eq!(size(&message), 1_157);
    let signed = transaction::signed(message, vec![Signature::default()]);
    assert_eq!(transaction::encode(&signed).len(), 1_157);
}

#[test]
fn one_transaction_or_two_steps_is_chosen_as_the_spec_counts() {
    let table = common(&place());
    // m, rows in a legacy transaction, rows with the common table.
    for (m, most_legacy, most_v0) in [
        (1, 9, 14),
        (2, 7, 11),
        (3, 4, 8),
        (4, 2, 6),
        (5, 0, 3),
        (6, 0, 1),
    ] {
        for rows in 1..=16 {
            let one = |table| matches!(planned(m, rows, table), Some(Plan::One(_)));
            assert_eq!(one(None), rows <= most_legacy, "m {m}, {rows} rows");
            assert_eq!(
                one(Some(&table)),
                rows <= most_v0,
                "m {m}, {rows} rows, table"
            );
        }
    }
}

#[test]
fn two_steps_carry_any_set_and_with_the_table_any_receipt() {
    let table = common(&place());
    for signed in 1..=16 {
        let Some(Plan::Steps { approve, .. }) = planned(signed, 16, Some(&table)) else {
            panic!("{signed} signatures");
        };
        assert_eq!(approve.len(), usize::from(signed).div_ceil(7));
        let steps = planned(signed, 14, None);
        let Some(Plan::Steps { approve, settle }) = steps else {
            panic!("{signed} signatures, no table");
        };
        assert_eq!(approve.len(), usize::from(signed).div_ceil(6));
        assert!(
            approve
                .iter()
                .chain([&settle])
                .all(|s| fits(&PAYER, s, None))
        );
    }
    assert_eq!(planned(3, 15, None), None, "needs the table");
}

#[test]
fn opening_has_the_sizes_of_the_spec() {
    let place = place();
    let size_of = |instruction, payer: &Address| {
        let all = budgeted(&[instruction]);
        size(&assemble(payer, &all, Hash::default(), None).unwrap())
    };
    assert_eq!(size_of(place.open(PAYER), &PAYER), 800);
    let own = place.open_funded(AUTHORITY, (SOURCE, AUTHORITY), 1);
    assert_eq!(size_of(own, &AUTHORITY), 842);
    let sponsored = place.open_funded(PAYER, (SOURCE, AUTHORITY), 1);
    assert_eq!(size_of(sponsored, &PAYER), 938);
}

#[test]
fn shares_nobody_gets_name_no_account() {
    let mut terms = terms();
    terms.commission_bps = Bps(0);
    terms.commission_payee = Key32::ZERO;
    let place = Place::of(&DOMAIN, &terms, TOKEN).unwrap();
    let settle = place.settle(PAYER, &receipt(&place, 1, true)).unwrap();
    assert_eq!(settle.accounts[9].pubkey, PROGRAM);
    assert!(!settle.accounts[9].is_writable);
    assert_eq!(Place::of(&DOMAIN, &terms, PAYER), None, "no token program");
}

#[test]
fn no_signature_or_more_than_a_set_has_is_no_instruction() {
    assert_eq!(ed25519(&[], &[0; 32]), None);
    assert!(ed25519(&signatures(16), &[0; 32]).is_some());
    assert_eq!(ed25519(&signatures(17), &[0; 32]), None);
}

fn some_transaction() -> Vec<u8> {
    let place = place();
    let own = place.open_funded(AUTHORITY, (SOURCE, AUTHORITY), 5);
    let message = assemble(&AUTHORITY, &budgeted(&[own]), Hash::default(), None).unwrap();
    transaction::encode(&transaction::signed(
        message,
        vec![Signature::from([9; 64])],
    ))
}

#[test]
fn a_transaction_has_one_spelling_and_one_length() {
    let bytes = some_transaction();
    let decoded = transaction::decode(&bytes).unwrap();
    assert_eq!(transaction::encode(&decoded), bytes);
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(transaction::decode(&longer), None, "left over");
    assert_eq!(transaction::decode(&bytes[..bytes.len() - 1]), None);
    // The count of signatures as two bytes instead of one.
    let two_bytes = [&[0x81, 0x00], &bytes[1..]].concat();
    assert_eq!(transaction::decode(&two_bytes), None, "another spelling");
    assert_eq!(transaction::decode(&[0; LIMIT + 1]), None);
}

#[test]
fn instructions_come_back_out_of_a_message_with_their_accounts() {
    let decoded = transaction::decode(&some_transaction()).unwrap();
    let found = transaction::instructions(&decoded.message).unwrap();
    let own = place().open_funded(AUTHORITY, (SOURCE, AUTHORITY), 5);
    assert_eq!(found.len(), 3);
    assert_eq!(found[2].data, own.data);
    for (found, own) in found[2].accounts.iter().zip(&own.accounts) {
        assert_eq!(found.pubkey, own.pubkey);
        assert!(found.is_writable || !own.is_writable);
    }
    let table = common(&place());
    let Some(Plan::One(large)) = planned(5, 3, Some(&table)) else {
        panic!("one transaction");
    };
    let message = assemble(&PAYER, &budgeted(&large), Hash::default(), Some(&table)).unwrap();
    assert!(matches!(message, VersionedMessage::V0(_)));
    assert_eq!(transaction::instructions(&message), None, "needs the table");
}

proptest! {
    #[test]
    fn whatever_bytes_come_decoding_ends_and_what_it_takes_it_gives_back(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        at in 0..842_usize,
        byte in any::<u8>(),
    ) {
        if let Some(decoded) = transaction::decode(&bytes) {
            prop_assert_eq!(transaction::encode(&decoded), bytes);
        }
        let mut changed = some_transaction();
        let at = at.min(changed.len() - 1);
        changed[at] = byte;
        if let Some(decoded) = transaction::decode(&changed) {
            prop_assert_eq!(transaction::encode(&decoded), changed);
            let _ = transaction::instructions(&decoded.message);
        }
    }
}
