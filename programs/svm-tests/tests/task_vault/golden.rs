//! The product's client (`protocol/svm`) writes the same instructions as these tests, which the program executes.

use std::collections::BTreeMap;
use std::path::Path;

use d402_settlement::{
    Key32, Outcome, ReceiptCid, Role, Row, Rows, Settlement, TERMS_LEN, Terms, Units, ValidatorSet,
    settlement_digest,
};
use ed25519_dalek::SigningKey;
use solana_address::Address;
use solana_instruction::Instruction;
use svm_tests::program::{self, Named, Place, address_of};
use svm_tests::scene::DOMAIN;
use svm_tests::token::{TOKEN, ata};

const PAYER: Address = Address::new_from_array([0xA1; 32]);
const SOURCE: Address = Address::new_from_array([0xA2; 32]);
const AUTHORITY: Address = Address::new_from_array([0xA3; 32]);

fn place() -> Place {
    let mut bytes = [0; TERMS_LEN];
    for (at, byte) in (0_u32..).zip(bytes.iter_mut()) {
        *byte = ((at * 7 + 3) % 251) as u8;
    }
    let terms = Terms::decode(&bytes);
    let (mint, hash) = (address_of(&terms.mint), terms.hash(&DOMAIN));
    let find =
        |seed: &[u8], name: &[u8]| Address::find_program_address(&[seed, name], &program::ID).0;
    let vault = find(b"vault", hash.as_bytes());
    Place {
        terms,
        vault,
        tokens: ata(&vault, &mint, &TOKEN).0,
        mint,
        token_program: TOKEN,
        set: find(b"vset", terms.validator_set.as_bytes()),
        rent_to: address_of(&terms.rent_to),
    }
}

fn settlement() -> Settlement {
    let row = |i: u8| Row {
        payee: Key32([0x40 + i; 32]),
        role: if i == 0 {
            Role::Validator
        } else {
            Role::Worker
        },
        amount: Units::from_u64(1_000 + u64::from(i)),
    };
    Settlement {
        receipt_cid: ReceiptCid([0x77; 32]),
        outcome: Outcome::Paid,
        rows: Rows::new(&[row(0), row(1), row(2)]).unwrap(),
    }
}

fn settle(place: &Place, with_wallets: bool, approval: Option<Address>) -> Instruction {
    let settlement = settlement();
    let tokens = |wallet: &Key32| ata(&address_of(wallet), &place.mint, &TOKEN);
    let rows = settlement.rows.as_slice();
    let accounts: Vec<Address> = rows.iter().map(|row| tokens(&row.payee).0).collect();
    let named = |row: &Row| match with_wallets {
        true => Named::Wallet,
        false => Named::Bump(tokens(&row.payee).1),
    };
    let names: Vec<Named> = rows.iter().map(named).collect();
    let terms = &place.terms;
    let fixed = (
        tokens(&terms.refund_to).0,
        Some(tokens(&terms.commission_payee).0),
        Some(tokens(&terms.gateway_fee_payee).0),
    );
    let receipt = program::receipt_bytes(&settlement, &names);
    program::settle(place, PAYER, &receipt, fixed, &accounts, approval)
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
    let data: String = instruction
        .data
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("{} {} {data}", instruction.program_id, accounts.join(","))
}

#[test]
fn the_products_client_writes_the_instructions_of_these_tests() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../protocol/svm/tests/golden/instructions.json");
    let mut golden: BTreeMap<String, String> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let place = place();
    let digest = settlement_digest(&DOMAIN, &place.terms.hash(&DOMAIN), &settlement());
    let approval = program::approval_address(&place.vault, &digest);
    let payee = Address::new_from_array([0x41; 32]);
    let keys: Vec<Key32> = (1..=5).map(|i| Key32([i; 32])).collect();
    let set = ValidatorSet::new(3, &keys).unwrap();
    let refund = ata(&address_of(&place.terms.refund_to), &place.mint, &TOKEN).0;
    let credit = ata(&payee, &place.mint, &TOKEN).0;
    for (name, instruction) in [
        ("publish_set", program::publish_set(PAYER, &set)),
        ("open", program::open(&place, PAYER)),
        (
            "open_funded",
            program::open_funded(&place, PAYER, SOURCE, AUTHORITY, 123_456),
        ),
        ("settle", settle(&place, false, None)),
        ("settle, wallets", settle(&place, true, None)),
        ("settle_approved", settle(&place, false, Some(approval))),
        ("approve", program::approve(&place, PAYER, &digest)),
        ("claim_credit", program::claim_credit(&place, payee, credit)),
        (
            "claim_credit_to",
            program::claim_credit_to(&place, payee, SOURCE),
        ),
        ("lapse_credits", program::lapse_credits(&place)),
        ("sweep", program::sweep(&place, PAYER, refund)),
        (
            "sweep_to",
            program::sweep_to(&place, address_of(&place.terms.refund_to), SOURCE),
        ),
        ("close_unfunded", program::close_unfunded(&place)),
        ("close, open", program::close(&place, true)),
        ("close, settled", program::close(&place, false)),
        (
            "close_approval",
            program::close_approval(&place.vault, &digest, AUTHORITY),
        ),
    ] {
        assert_eq!(golden.remove(name), Some(text(&instruction)), "{name}");
    }
    // Keys and signatures of the golden file are no real ones; the layout is.
    let keys: Vec<SigningKey> = (1..=3).map(|i| SigningKey::from_bytes(&[i; 32])).collect();
    let real = text(&program::ed25519(&keys.iter().collect::<Vec<_>>(), &digest));
    let precompile = golden.remove("ed25519").unwrap();
    let head = program::ED25519.to_string().len() + 2 + 2 * (2 + 3 * 14);
    assert_eq!(precompile[..head], real[..head], "header");
    assert_eq!(precompile[precompile.len() - 64..], real[real.len() - 64..]);
    assert_eq!(precompile.len(), real.len());
    assert_eq!(golden, BTreeMap::new(), "instructions nobody compares");
}
