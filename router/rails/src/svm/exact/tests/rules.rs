//! One test per rule: the payment that keeps every other rule and breaks this one.

use d402_svm::address::{TOKEN, TOKEN_2022};
use d402_svm::message::legacy;
use d402_svm::message::v0::MessageAddressTableLookup;
use d402_svm::transaction::{LIMIT, Table};
use d402_svm::{AccountMeta, Address, Signature, VersionedMessage};

use super::stage::{
    AMOUNT, Draft, address, assertion, bytes, inspect_transaction, limit, memo, payload, price,
    required, sign, transfer,
};
use crate::svm::exact::requirements::{FeeCaps, Requirements, fee_lamports};
use crate::svm::exact::tables::MAX_TABLES;
use crate::svm::exact::{ExactFault, Received, Tables, inspect};

fn fault(draft: &Draft) -> ExactFault {
    draft.inspect(&required()).unwrap_err()
}

/// A payment of a stock client 2.27, as it came over the wire.
const CAPTURED: &str = include_str!("captured.txt");

#[test]
fn a_stock_clients_payment_is_signed_and_costs_what_two_signatures_cost() {
    let payment = Draft::stock().inspect(&required()).unwrap();
    assert_eq!(payment.payer, address("payer"));
    assert_eq!(payment.source, address("source"));
    assert_eq!(payment.amount, AMOUNT);
    assert_eq!(payment.fee_lamports, 10_001, "20,000 units at a millionth");
    let again = Draft::stock().signed();
    let received = Received::parse(&payload(&again)).unwrap();
    assert_eq!(payment.message_hash, received.message_hash());
}

#[test]
fn a_captured_payment_of_an_unmodified_client_passes() {
    let captured = serde_json::json!({ "transaction": CAPTURED.trim() });
    let received = Received::parse(&captured).unwrap();
    let at = |text| Address::from_str_const(text);
    let required = Requirements {
        mint: at("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"),
        destination: at(CAPTURED_DESTINATION),
        amount: 1_000_000,
        fee_payer: at(CAPTURED_FEE_PAYER),
        ..required()
    };
    let payment = inspect(&received, &Tables::new(), &required).unwrap();
    assert_eq!(payment.payer, at(CAPTURED_PAYER));
}
const CAPTURED_DESTINATION: &str = "Fpu3ABH4Q1GiTrLPrvHNhhfzVnHXK5o3U6hbodmhR7YB";
const CAPTURED_FEE_PAYER: &str = "J2xccRtuG43drESLYznHhLhQkLTdfepcKYbiQ9BsJVaf";
const CAPTURED_PAYER: &str = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj";

#[test]
fn a_payload_is_one_whole_transaction_in_base64_and_nothing_else() {
    let good = bytes(&Draft::stock().signed());
    assert!(Received::decode(good.clone()).is_ok());
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(Received::decode(longer), Err(ExactFault::Undecodable));
    for cut in 0..good.len() {
        let cut = good[..cut].to_vec();
        assert_eq!(Received::decode(cut), Err(ExactFault::Undecodable));
    }
    for spoiled in [
        serde_json::json!({}),
        serde_json::json!({ "transaction": 7 }),
        serde_json::json!({ "transaction": "!" }),
        serde_json::json!({ "transaction": "A".repeat(100_000) }),
        serde_json::json!([payload(&Draft::stock().signed())]),
    ] {
        assert_eq!(Received::parse(&spoiled), Err(ExactFault::Undecodable));
    }
    let big = Draft::stock().with(|all| all.push(memo(&[b'a'; LIMIT])));
    assert_eq!(
        Received::decode(bytes(&big.signed())),
        Err(ExactFault::Undecodable)
    );
}

#[test]
fn an_index_beyond_the_accounts_is_undecodable() {
    let mut message = Draft::stock().message();
    message.instructions[2].accounts[0] = 200;
    let transaction = sign(VersionedMessage::V0(message));
    assert_eq!(
        inspect_transaction(&transaction, &required()),
        Err(ExactFault::Undecodable)
    );
}

#[test]
fn a_legacy_message_pays_as_well() {
    let draft = Draft::stock();
    let message = draft.message();
    let message = VersionedMessage::Legacy(legacy::Message {
        header: message.header,
        account_keys: message.account_keys,
        recent_blockhash: message.recent_blockhash,
        instructions: message.instructions,
    });
    assert!(inspect_transaction(&sign(message), &required()).is_ok());
}

#[test]
fn another_fee_payer_is_refused() {
    let mut draft = Draft::stock();
    draft.fee_payer = address("stranger");
    assert_eq!(fault(&draft), ExactFault::FeePayer);
}

#[test]
fn exactly_two_sign() {
    let third = Draft::stock().with(|all| {
        all.push(memo(b"x"));
        all[4].accounts = vec![AccountMeta::new_readonly(address("thief"), true)];
    });
    assert_eq!(fault(&third), ExactFault::Signers { got: 3 });
    let alone = Draft::stock().with(|all| all[2].accounts[3].is_signer = false);
    assert_eq!(fault(&alone), ExactFault::Signers { got: 1 });
}

#[test]
fn three_to_seven_instructions() {
    let three = Draft::stock().with(|all| all.truncate(3));
    assert!(three.inspect(&required()).is_ok());
    let seven = Draft::stock().with(|all| all.extend([assertion(), assertion(), memo(b"")]));
    assert!(seven.inspect(&required()).is_ok());
    let eight = seven.with(|all| all.push(assertion()));
    assert_eq!(fault(&eight), ExactFault::InstructionCount { got: 8 });
    let two = Draft::stock().with(|all| {
        all.truncate(3);
        all.remove(0);
    });
    assert_eq!(fault(&two), ExactFault::InstructionCount { got: 2 });
}

#[test]
fn the_compute_limit_comes_first_and_is_capped() {
    let swapped = Draft::stock().with(|all| all.swap(0, 1));
    assert_eq!(fault(&swapped), ExactFault::ComputeLimit);
    let longer = Draft::stock().with(|all| all[0].data.push(0));
    assert_eq!(fault(&longer), ExactFault::ComputeLimit);
    let elsewhere = Draft::stock().with(|all| all[0].program_id = address("stranger"));
    assert_eq!(fault(&elsewhere), ExactFault::ComputeLimit);
    let most = FeeCaps::DEFAULT.compute_units;
    let at_most = Draft::stock().with(|all| all[0] = limit(most));
    assert!(at_most.inspect(&required()).is_ok());
    let more = Draft::stock().with(|all| all[0] = limit(most + 1));
    let (got, limit) = (most + 1, most);
    assert_eq!(fault(&more), ExactFault::ComputeLimitTooHigh { got, limit });
}

#[test]
fn the_compute_price_comes_second_and_is_capped_at_five_lamports() {
    let twice = Draft::stock().with(|all| all[1] = limit(20_000));
    assert_eq!(fault(&twice), ExactFault::ComputePrice);
    let longer = Draft::stock().with(|all| all[1].data.push(0));
    assert_eq!(fault(&longer), ExactFault::ComputePrice);
    let five = |micro| {
        Draft::stock().with(|all| {
            all[0] = limit(1_000);
            all[1] = price(micro);
        })
    };
    assert!(five(5_000_000).inspect(&required()).is_ok());
    assert_eq!(fault(&five(5_000_001)), ExactFault::ComputePriceTooHigh);
}

/// payments-standards §4 row 15: the price alone may be 5 lamports, for 1.4 million units.
#[test]
fn limit_times_price_is_capped_too() {
    let of = |units, micro| {
        Draft::stock().with(|all| {
            all[0] = limit(units);
            all[1] = price(micro);
        })
    };
    let payment = of(200_000, 250_000).inspect(&required()).unwrap();
    assert_eq!(payment.fee_lamports, FeeCaps::DEFAULT.most_lamports());
    let more = of(200_000, 250_001);
    assert_eq!(fault(&more), ExactFault::ComputePriceTooHigh);
    assert_eq!(fee_lamports(1, 1), 10_001, "rounded up");
    assert_eq!(fee_lamports(u32::MAX, u64::MAX), u64::MAX, "no overflow");
}

#[test]
fn the_transfer_is_checked_of_the_mints_own_program_and_has_four_accounts() {
    let plain = Draft::stock().with(|all| all[2].data[0] = 3);
    assert_eq!(fault(&plain), ExactFault::NoTransfer);
    let shorter = Draft::stock().with(|all| {
        all[2].data.pop();
    });
    assert_eq!(fault(&shorter), ExactFault::NoTransfer);
    let longer = Draft::stock().with(|all| all[2].data.push(0));
    assert_eq!(fault(&longer), ExactFault::NoTransfer);
    let other = Draft::stock().with(|all| all[2].program_id = TOKEN_2022);
    assert_eq!(fault(&other), ExactFault::NoTransfer);
    let multisig = Draft::stock().with(|all| {
        let more = AccountMeta::new_readonly(address("payer"), true);
        all[2].accounts[3] = AccountMeta::new_readonly(address("stranger"), false);
        all[2].accounts.push(more);
    });
    assert_eq!(fault(&multisig), ExactFault::NoTransfer);
    let token_2022 = Requirements {
        token_program: TOKEN_2022,
        ..required()
    };
    let extended = Draft::stock().with(|all| all[2].program_id = TOKEN_2022);
    assert!(extended.inspect(&token_2022).is_ok());
}

#[test]
fn after_the_transfer_come_memos_and_assertions_only() {
    for program in [TOKEN, Address::default(), address("stranger")] {
        let draft = Draft::stock().with(|all| all[3].program_id = program);
        assert_eq!(fault(&draft), ExactFault::Unexpected { place: 3 });
    }
    let second = Draft::stock().with(|all| all.push(transfer()));
    assert_eq!(fault(&second), ExactFault::Unexpected { place: 4 });
    let raised = Draft::stock().with(|all| all.push(limit(1_400_000)));
    assert_eq!(fault(&raised), ExactFault::Unexpected { place: 4 });
}

/// payments-standards §4 row 14.
#[test]
fn a_wallets_assertions_are_allowed_before_and_after_the_memo() {
    let draft = Draft::stock().with(|all| {
        all.insert(3, assertion());
        all.push(assertion());
    });
    assert!(draft.inspect(&required()).is_ok());
}

#[test]
fn the_fee_payer_is_in_no_instruction() {
    let us = address("gateway");
    for (instruction, account) in [(2, 0), (2, 1), (2, 2), (4, 0)] {
        let draft = Draft::stock().with(|all| {
            all.push(assertion());
            all[instruction].accounts[account].pubkey = us;
        });
        assert_eq!(fault(&draft), ExactFault::FeePayerInvolved);
    }
    let authority = Draft::stock().with(|all| {
        all[2].accounts[3].pubkey = us;
        all[3].accounts = vec![AccountMeta::new_readonly(address("payer"), true)];
    });
    assert_eq!(fault(&authority), ExactFault::FeePayerInvolved);
    let in_memo = Draft::stock().with(|all| {
        all[3].accounts = vec![AccountMeta::new_readonly(us, true)];
    });
    assert_eq!(fault(&in_memo), ExactFault::FeePayerInvolved);
    for place in 0..2 {
        let in_budget = Draft::stock().with(|all| {
            all[place].accounts = vec![AccountMeta::new_readonly(us, false)];
        });
        assert_eq!(fault(&in_budget), ExactFault::FeePayerInvolved);
    }
}

/// A message may name one account at two places; by place the fee payer would be the first only.
#[test]
fn the_fee_payer_is_found_under_any_index() {
    let mut message = Draft::stock().with(|all| all.push(assertion())).message();
    let twin = u8::try_from(message.account_keys.len()).unwrap();
    message.account_keys.push(address("gateway"));
    message.header.num_readonly_unsigned_accounts += 1;
    message.instructions[4].accounts[0] = twin;
    let transaction = sign(VersionedMessage::V0(message));
    assert_eq!(
        inspect_transaction(&transaction, &required()),
        Err(ExactFault::FeePayerInvolved)
    );
}

/// A transaction whose assertion names its account through a table.
fn through_a_table() -> (Received, Address) {
    let mut message = Draft::stock().with(|all| all.push(assertion())).message();
    let place = u8::try_from(message.account_keys.len()).unwrap();
    let table = address("stranger");
    message.address_table_lookups = vec![MessageAddressTableLookup {
        account_key: table,
        writable_indexes: vec![],
        readonly_indexes: vec![1],
    }];
    message.instructions[4].accounts[0] = place;
    let transaction = sign(VersionedMessage::V0(message));
    (Received::parse(&payload(&transaction)).unwrap(), table)
}

#[test]
fn lookup_tables_are_resolved_or_the_payment_is_refused() {
    let (received, table) = through_a_table();
    assert_eq!(received.tables(), Ok(vec![table]));
    let with = |addresses| {
        Tables::from([(
            table,
            Table {
                key: table,
                addresses,
            },
        )])
    };
    let resolved = with(vec![address("thief"), address("source")]);
    assert!(inspect(&received, &resolved, &required()).is_ok());
    let short = with(vec![address("thief")]);
    for tables in [Tables::new(), short] {
        assert_eq!(
            inspect(&received, &tables, &required()),
            Err(ExactFault::LookupTable)
        );
    }
}

#[test]
fn the_fee_payer_is_found_behind_a_lookup_table() {
    let (received, table) = through_a_table();
    let us = Table {
        key: table,
        addresses: vec![address("thief"), address("gateway")],
    };
    assert_eq!(
        inspect(&received, &Tables::from([(table, us)]), &required()),
        Err(ExactFault::FeePayerInvolved)
    );
}

#[test]
fn a_payment_names_few_tables() {
    let mut message = Draft::stock().message();
    let lookup = |place: usize| MessageAddressTableLookup {
        account_key: Address::new_from_array([place as u8; 32]),
        writable_indexes: vec![0],
        readonly_indexes: vec![],
    };
    message.address_table_lookups = (0..=MAX_TABLES).map(lookup).collect();
    let transaction = sign(VersionedMessage::V0(message));
    let received = Received::parse(&payload(&transaction)).unwrap();
    assert_eq!(received.tables(), Err(ExactFault::LookupTable));
}

#[test]
fn token_place_and_amount_are_exactly_those_of_the_offer() {
    let mint = Draft::stock().with(|all| all[2].accounts[1].pubkey = address("stranger"));
    assert_eq!(fault(&mint), ExactFault::Mint);
    let place = Draft::stock().with(|all| all[2].accounts[2].pubkey = address("thief"));
    assert_eq!(fault(&place), ExactFault::Recipient);
    for got in [AMOUNT - 1, AMOUNT + 1, 0, u64::MAX] {
        let draft =
            Draft::stock().with(|all| all[2].data[1..9].copy_from_slice(&got.to_le_bytes()));
        let needed = AMOUNT;
        assert_eq!(fault(&draft), ExactFault::Amount { got, needed });
    }
}

#[test]
fn the_one_that_signs_is_the_one_that_pays() {
    let stranger = Draft::stock().with(|all| {
        all[2].accounts[3] = AccountMeta::new_readonly(address("stranger"), false);
        all[3].accounts = vec![AccountMeta::new_readonly(address("payer"), true)];
    });
    assert_eq!(fault(&stranger), ExactFault::Payer);
    let itself = Draft::stock().with(|all| all[2].accounts[0].pubkey = address("destination"));
    assert_eq!(fault(&itself), ExactFault::Payer);
}

#[test]
fn where_a_memo_is_asked_for_exactly_one_matches() {
    let wanted = Requirements {
        memo: Some("d402:order 7".to_owned()),
        ..required()
    };
    let fault = |draft: Draft| draft.inspect(&wanted).unwrap_err();
    let none = Draft::stock().with(|all| all.truncate(3));
    assert_eq!(fault(none), ExactFault::MemoCount { got: 0 });
    let other = Draft::stock();
    assert_eq!(fault(other), ExactFault::MemoMismatch);
    let right = Draft::stock().with(|all| all[3] = memo(b"d402:order 7"));
    assert!(right.inspect(&wanted).is_ok());
    let twice = right.clone().with(|all| all.push(memo(b"d402:order 7")));
    assert_eq!(fault(twice), ExactFault::MemoCount { got: 2 });
    let beside = right.with(|all| all.push(assertion()));
    assert!(beside.inspect(&wanted).is_ok());
}

#[test]
fn our_place_among_the_signatures_is_empty() {
    let mut transaction = Draft::stock().signed();
    transaction.signatures[0] = Signature::from([1; 64]);
    assert_eq!(
        inspect_transaction(&transaction, &required()),
        Err(ExactFault::FeePayerSigned)
    );
}

#[test]
fn the_payers_signature_is_over_this_message() {
    let mut empty = Draft::stock().signed();
    empty.signatures[1] = Signature::default();
    let mut other = Draft::stock().signed();
    other.signatures[1] = Draft::stock()
        .with(|all| all[3] = memo(b"another"))
        .signed()
        .signatures[1];
    for transaction in [empty, other] {
        assert_eq!(
            inspect_transaction(&transaction, &required()),
            Err(ExactFault::Signature)
        );
    }
}

/// Threat #26: a key of small order "signs" everything under the loose rule.
#[test]
fn threat_26_a_payer_key_of_small_order_signs_nothing() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let weak = Address::new_from_array(identity);
    let draft = Draft::stock().with(|all| all[2].accounts[3].pubkey = weak);
    let mut transaction = draft.signed();
    let mut signature = [0; 64];
    signature[0] = 1;
    transaction.signatures[1] = Signature::from(signature);
    assert_eq!(
        inspect_transaction(&transaction, &required()),
        Err(ExactFault::Signature)
    );
}

#[test]
fn the_payments_id_is_of_the_message_alone() {
    let transaction = Draft::stock().signed();
    let mut resigned = transaction.clone();
    resigned.signatures[1] = Signature::from([3; 64]);
    let id = |t| Received::parse(&payload(t)).unwrap().message_hash();
    assert_eq!(id(&transaction), id(&resigned));
    let other = Draft::stock().with(|all| all[3] = memo(b"another"));
    assert_ne!(id(&transaction), id(&other.signed()));
}
