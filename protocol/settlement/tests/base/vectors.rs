//! Reads the vectors of Base back and recomputes every answer in them.

use std::fmt::Debug;

use d402_settlement::evm::{
    EvmAccount, EvmDomain, EvmSigners, EvmTerms, SignerKind, account_implementation,
    escrow_address, recover,
};
use d402_settlement::{
    Codec, Outcome, ReceiptCid, Role, Row, Rows, Settlement, TermsHash, Units, UnixSeconds,
};
use serde_json::Value;

use crate::corpus::{CLASSES, Class, GivenSet, judge, pack, unpack};

fn load(name: &str) -> Value {
    let path = format!("{}/../vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("a vector file")).expect("JSON")
}

/// The cases under `key`; an empty list is a failure.
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let cases = value[key].as_array().expect(key);
    assert!(!cases.is_empty(), "no {key}");
    cases
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value).strip_prefix("0x").expect("0x")).expect("hex")
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("as many bytes")
}

fn account(value: &Value) -> EvmAccount {
    EvmAccount(array(value))
}

fn number<T: std::str::FromStr<Err: Debug>>(value: &Value) -> T {
    text(value).parse().expect("a number")
}

fn domain(value: &Value) -> EvmDomain {
    EvmDomain {
        chain_id: number(&value["chainId"]),
        ledger: account(&value["ledger"]),
    }
}

/// The variant's name, as the files spell faults.
fn variant(fault: &impl Debug) -> String {
    let text = format!("{fault:?}");
    let mut names = text
        .split(['(', ' ', '{', ')'])
        .filter(|part| !part.is_empty());
    names.next().unwrap().to_owned()
}

fn assert_fault<T: Debug>(result: Result<T, impl Debug>, case: &Value) {
    assert_eq!(variant(&result.unwrap_err()), text(&case["fault"]));
}

#[test]
fn terms_encode_decode_hash_and_settle_as_their_vectors_say() {
    let file = load("terms-base.json");
    let here = domain(&file["settleableDomain"]);
    for case in list(&file, "cases") {
        let encoded = array(&case["bytes"]);
        let terms = EvmTerms::decode(&encoded).unwrap();
        assert_eq!(terms.encode(), encoded);
        let fields = &case["fields"];
        assert_eq!(terms.budget, number(&fields["budget"]));
        assert_eq!(terms.refund_after, number::<u64>(&fields["refundAfter"]));
        assert_eq!(terms.chain_id, array(&fields["chainId"]));
        assert_eq!(terms.gateway_fee_payee, account(&fields["gatewayFeePayee"]));
        for hash in list(case, "hashes") {
            let want = TermsHash(array(&hash["termsHash"]));
            assert_eq!(terms.hash(&account(&hash["ledger"])), want);
        }
        for verdict in list(case, "settleable") {
            let refusal = terms.settleable(&here, UnixSeconds(number(&verdict["now"])));
            let name = refusal.err().map(|refusal| variant(&refusal));
            assert_eq!(
                name.as_deref(),
                verdict["refusal"].as_str(),
                "{}",
                case["name"]
            );
        }
    }
    for case in list(&file, "refused") {
        assert_fault(EvmTerms::decode(&array(&case["bytes"])), case);
    }
}

fn members(value: &Value) -> Vec<(EvmAccount, SignerKind)> {
    value["members"]
        .as_array()
        .expect("members")
        .iter()
        .map(|member| {
            let kind = SignerKind::from_u8(number(&member["kind"])).unwrap();
            (account(&member["key"]), kind)
        })
        .collect()
}

#[test]
fn validator_sets_hash_and_refuse_as_their_vectors_say() {
    for case in list(&load("vset-base.json"), "sets") {
        match EvmSigners::new(number(&case["m"]), &members(case)) {
            Ok(set) => assert_eq!(set.hash().0, array(&case["setHash"])),
            Err(refused) => assert_fault::<()>(Err(refused), case),
        }
    }
}

#[test]
fn digests_signatures_and_approvals_are_those_of_their_vectors() {
    let file = load("settlement-base.json");
    for case in list(&file, "digests") {
        let rows: Vec<Row> = case["rows"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| Row {
                payee: account(&row["payee"]).to_key(),
                role: Role::from_u8(number(&row["role"])).unwrap(),
                amount: number::<Units>(&row["amount"]),
            })
            .collect();
        let settlement = Settlement {
            receipt_cid: ReceiptCid(array(&case["receiptCid"])),
            outcome: Outcome::from_u8(number(&case["outcome"])).unwrap(),
            rows: Rows::new(&rows).unwrap(),
        };
        let hash = TermsHash(array(&case["termsHash"]));
        let digest = domain(&case["domain"]).settlement_digest(&hash, &settlement);
        assert_eq!(digest, array(&case["digest"]));
    }
    let anywhere = Codec::Evm(EvmDomain {
        chain_id: 1,
        ledger: EvmAccount::ZERO,
    });
    let mut valid = 0;
    for case in list(&file, "signatures") {
        let (digest, signature) = (array(&case["digest"]), bytes(&case["signature"]));
        let key = account(&case["key"]).to_key();
        let verifies = anywhere.verifies(&key, &digest, &signature);
        assert_eq!(Some(verifies), case["valid"].as_bool(), "{}", case["name"]);
        valid += u32::from(verifies);
        let signer = <&[u8; 65]>::try_from(signature.as_slice())
            .ok()
            .and_then(|bytes| recover(&digest, bytes));
        assert_eq!(
            signer.map(|s| s.to_string()).as_deref(),
            case["recovered"].as_str()
        );
    }
    assert_eq!(
        valid, 1,
        "one signature is good and all its variations are not"
    );
    for case in list(&file, "approvals") {
        let set = EvmSigners::new(number(&case["m"]), &members(case)).unwrap();
        let given: Vec<(u8, Vec<u8>)> = case["signatures"]
            .as_array()
            .expect("signatures")
            .iter()
            .map(|s| (number(&s["setIndex"]), bytes(&s["signature"])))
            .collect();
        let given: Vec<(u8, &[u8])> = given.iter().map(|(i, s)| (*i, s.as_slice())).collect();
        match set.check(array(&case["digest"]), &given) {
            Ok(approvals) => assert_eq!(approvals.count(), number::<u8>(&case["count"])),
            Err(refused) => assert_fault::<()>(Err(refused), case),
        }
    }
}

#[test]
fn escrow_addresses_are_those_of_their_vectors() {
    for case in list(&load("escrow-address.json"), "escrows") {
        let ledger = account(&case["ledger"]);
        assert_eq!(
            account_implementation(&ledger),
            account(&case["implementation"])
        );
        let hash = TermsHash(array(&case["termsHash"]));
        assert_eq!(escrow_address(&ledger, &hash), account(&case["escrow"]));
    }
}

/// The addresses everybody prints for this deployer's first contracts.
#[test]
fn the_implementation_is_the_first_contract_of_the_ledger() {
    let deployer = EvmAccount(hex_account("6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0"));
    let first = EvmAccount(hex_account("343c43a37d37dff08ae8c4a11544c718abb4fcf8"));
    assert_eq!(account_implementation(&deployer), first);
}

fn hex_account(text: &str) -> [u8; 20] {
    hex::decode(text).unwrap().try_into().unwrap()
}

#[test]
fn a_thousand_receipts_get_the_verdict_of_their_vectors() {
    let file = load("receipts-base.json");
    let here = domain(&file["domain"]);
    let terms: Vec<EvmTerms> = list(&file, "terms")
        .iter()
        .map(|terms| EvmTerms::decode(&array(terms)).unwrap())
        .collect();
    let sets: Vec<GivenSet> = list(&file, "sets").iter().map(given_set).collect();
    let cases = list(&file, "cases");
    assert!(cases.len() >= 1_000);
    let mut seen = [0u32; CLASSES.len()];
    for case in cases {
        let (call, want) = unpack(&bytes(case));
        let set = &sets[usize::from(call.set)];
        let got = judge(&here, &terms[usize::from(call.terms)], set, &call);
        assert_eq!(got, want, "{call:?}");
        assert_eq!(pack(&call, &got), bytes(case));
        seen[got.err().unwrap_or(Class::Executed) as usize] += 1;
    }
    assert!(seen.iter().all(|count| *count >= 5), "{seen:?}");
}

fn given_set(value: &Value) -> GivenSet {
    let packed = bytes(value);
    let (m, members) = packed.split_first().unwrap();
    GivenSet {
        m: *m,
        members: members
            .chunks_exact(21)
            .map(|entry| (entry[..20].try_into().unwrap(), entry[20]))
            .collect(),
    }
}
