//! Reads `derive.json` back: the cases every other implementation is checked against.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::str::FromStr;

use serde_json::Value;

use super::scene::{FAST, OVER, SLOW};
use crate::derive::{
    Ack, Circumstances, Claim, Commit, Derived, Inputs, Lease, Mode, Receipt, Rules,
    ValidatorTerms, derive,
};
use crate::{Role, Row};

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().expect(key)
}

fn get<T: FromStr<Err: Debug>>(value: &Value, key: &str) -> T {
    text(value, key).parse().expect(key)
}

fn bytes(value: &Value, key: &str) -> [u8; 32] {
    hex::decode(text(value, key))
        .expect(key)
        .try_into()
        .expect(key)
}

fn list<T>(value: &Value, key: &str, read: impl Fn(&Value) -> T) -> Vec<T> {
    value[key].as_array().expect(key).iter().map(read).collect()
}

fn inputs(value: &Value) -> Inputs {
    Inputs {
        leases: list(value, "leases", |lease| Lease {
            attempt: get(lease, "attempt"),
            set_root: bytes(lease, "setRoot"),
            lease_count: get(lease, "leaseCount"),
            worker: bytes(lease, "worker"),
            payee: get(lease, "payee"),
            price: get(lease, "price"),
        }),
        commits: list(value, "commits", |commit| Commit {
            lease: get(commit, "lease"),
            commit: bytes(commit, "commit"),
        }),
        acks: list(value, "acks", |ack| Ack {
            validator: get(ack, "validator"),
            lease: get(ack, "lease"),
            commit: bytes(ack, "commit"),
            rank: get(ack, "rank"),
        }),
        claims: list(value, "claims", |claim| Claim {
            cid: bytes(claim, "cid"),
            lease: get(claim, "lease"),
            commit: bytes(claim, "commit"),
            salt: bytes(claim, "salt"),
            canonical_digest: bytes(claim, "canonicalDigest"),
        }),
        receipts: list(value, "receipts", |receipt| Receipt {
            validator: get(receipt, "validator"),
            claim: get(receipt, "claim"),
            accept: receipt["accept"].as_bool().unwrap(),
            cid: bytes(receipt, "cid"),
        }),
    }
}

fn circumstances(name: &str) -> Circumstances {
    match name {
        "early" => FAST,
        "deadlinePassed" => Circumstances {
            deadline_passed: true,
            ..FAST
        },
        "noLeaseFollows" => Circumstances {
            no_lease_follows: true,
            ..FAST
        },
        "over" => OVER,
        "decideAt" => SLOW,
        "depositLate" => Circumstances {
            deposit_late: true,
            ..FAST
        },
        "paidElsewhere" => Circumstances {
            paid_elsewhere: true,
            ..SLOW
        },
        other => panic!("unknown circumstances {other}"),
    }
}

/// Index lists and rows of an answer, by the names of the file.
fn check(
    answer: &Value,
    first: &str,
    (indexes, receipts, rows): (&[usize], &[usize], &[Row]),
    name: &str,
) {
    let numbers = |key: &str| {
        list(answer, key, |number| {
            number.as_str().unwrap().parse::<usize>().unwrap()
        })
    };
    assert_eq!(numbers(first), indexes, "{name}");
    assert_eq!(numbers("receipts"), receipts, "{name}");
    let expected = list(answer, "rows", |row| Row {
        payee: get(row, "payee"),
        role: Role::from_u8(get(row, "role")).unwrap(),
        amount: get(row, "amount"),
    });
    assert_eq!(expected, rows, "{name}");
}

#[test]
fn outcomes_and_open_questions_are_those_of_the_vectors() {
    let path = format!("{}/../vectors/derive.json", env!("CARGO_MANIFEST_DIR"));
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (mut paid, mut rejected, mut open) = (0, 0, 0);
    for case in file["cases"].as_array().unwrap() {
        let validators = list(case, "validators", |validator| ValidatorTerms {
            payee: get(validator, "payee"),
            fee: get(validator, "fee"),
        });
        let rules = Rules {
            mode: match text(case, "mode") {
                "single" => Mode::Single,
                "race" => Mode::Race,
                "quorum" => Mode::Quorum {
                    agree: get(case, "agree"),
                },
                other => panic!("unknown mode {other}"),
            },
            m: get(case, "m"),
            validators: &validators,
            validator_fee_cap: get(case, "validatorFeeCap"),
            terms_hash: bytes(case, "termsHash"),
        };
        let inputs = inputs(&case["inputs"]);
        for (asked, answer) in case["answers"].as_object().unwrap() {
            let name: String = format!("{}, {asked}", text(case, "name"));
            match derive(&rules, &inputs, circumstances(asked)) {
                Derived::Undecided(why) => {
                    open += 1;
                    assert_eq!(format!("{why:?}"), text(answer, "undecided"), "{name}");
                }
                Derived::Paid {
                    winners,
                    receipts,
                    rows,
                } => {
                    paid += 1;
                    check(
                        &answer["paid"],
                        "winners",
                        (&winners, &receipts, &rows),
                        &name,
                    );
                }
                Derived::Rejected {
                    judged,
                    receipts,
                    rows,
                } => {
                    rejected += 1;
                    check(
                        &answer["rejected"],
                        "judged",
                        (&judged, &receipts, &rows),
                        &name,
                    );
                }
            }
        }
    }
    assert!(
        paid > 100 && rejected > 100 && open > 50,
        "{paid} paid, {rejected} rejected, {open} open"
    );
}
