//! Reads the bundles back, of the simulated rail, of Base and of Solana: every one, honest or damaged, gets the verdict
//! its file says.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::fmt::Debug;

use d402_objects::{Value, canonical};
use d402_settlement::market::{BrokenLink, Bundle, LEDGER, Proof, SOLANA, SOLANA_DEVNET};
use serde_json::json;

fn load(file: &str) -> Value {
    let path = format!("{}/../vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("a vector file")).expect("JSON")
}

/// Puts `value` at a path, or takes away what is there.
fn edit(target: &mut Value, path: &[Value], value: Option<&Value>) {
    let (last, parents) = path.split_last().expect("a path");
    let place = parents.iter().fold(target, |at, step| match step.as_str() {
        Some(name) => &mut at[name],
        None => &mut at[usize::try_from(step.as_u64().unwrap()).unwrap()],
    });
    match (last.as_str(), value) {
        (Some(name), Some(value)) => place[name] = value.clone(),
        (Some(name), None) => {
            place
                .as_object_mut()
                .expect("an object")
                .remove(name)
                .expect("a field");
        }
        (None, value) => {
            let index = usize::try_from(last.as_u64().unwrap()).unwrap();
            place[index] = value.expect("a value").clone();
        }
    }
}

/// The bytes of a case: its base, with the edits, and then the changed bytes.
fn bytes(base: &str, change: &Value) -> Vec<u8> {
    let mut bytes = base.as_bytes().to_vec();
    if let Some(edits) = change["edits"].as_array() {
        let mut bundle: Value = serde_json::from_str(base).expect("JSON");
        for one in edits {
            edit(
                &mut bundle,
                one["path"].as_array().expect("a path"),
                one.get("value"),
            );
        }
        bytes = canonical::to_bytes(&bundle);
    }
    if let Some(text) = change["append"].as_str() {
        bytes.extend(text.as_bytes());
    }
    if let Some(cut) = change["cut"].as_u64() {
        bytes.truncate(
            bytes
                .len()
                .checked_sub(usize::try_from(cut).unwrap())
                .expect("so many bytes"),
        );
    }
    if let Some(at) = change["flip"].as_u64() {
        bytes[usize::try_from(at).unwrap()] ^= 1;
    }
    bytes
}

fn proven(proof: &Proof) -> Value {
    json!({
        "taskId": proof.task_id.to_string(),
        "termsHash": proof.terms_hash.to_string(),
        "payTo": proof.pay_to.to_string(),
        "receiptCid": proof.receipt_cid.to_string(),
        "outcome": format!("{:?}", proof.outcome),
        "ground": format!("{:?}", proof.ground),
        "owed": proof.plan.owed.to_string(),
        "residual": proof.plan.residual.to_string(),
        "signers": proof.signers.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// Whether a value's variant has this name, or `Outer.Inner` where one wraps another.
fn is_named(fault: &impl Debug, name: &str) -> bool {
    let text = format!("{fault:?}");
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    name.split('.').all(|part| words.next() == Some(part))
}

fn is_cause(link: &BrokenLink, cause: Option<&str>) -> bool {
    let named = |fault: &dyn Debug| cause.is_some_and(|name| is_named(&fault, name));
    if let BrokenLink::Dossier(source) = link {
        return named(source);
    }
    if let BrokenLink::Evidence { source, .. } = link {
        return named(source);
    }
    if let BrokenLink::Receipt(source) = link {
        return named(source);
    }
    cause.is_none()
}

/// How many bundles of a file are accepted and refused, each as the file says.
fn judge(file: &Value) -> [usize; 2] {
    let (mut accepted, mut refused) = (0, 0);
    for case in file["cases"].as_array().expect("cases") {
        let name = case["name"].as_str().expect("a name");
        let base = file["bases"][case["base"].as_str().expect("a base")]
            .as_str()
            .expect("a bundle");
        match Bundle::verify(&bytes(base, &case["change"])) {
            Ok(proof) => {
                accepted += 1;
                assert_eq!(case["ok"], proven(&proof), "{name}");
            }
            Err(link) => {
                refused += 1;
                let class = case["broken"]
                    .as_str()
                    .unwrap_or_else(|| panic!("{name}: {link:?}"));
                assert!(is_named(&link, class), "{name}: {link:?}");
                assert!(is_cause(&link, case["cause"].as_str()), "{name}: {link:?}");
            }
        }
    }
    [accepted, refused]
}

#[test]
fn every_bundle_gets_the_verdict_of_the_vectors() {
    let [accepted, refused] = judge(&load("bundles.json"));
    assert!(accepted >= 8 && refused >= 90, "{accepted}, {refused}");
}

#[test]
fn every_bundle_of_base_gets_the_verdict_of_the_vectors() {
    let file = load("bundles-base.json");
    assert_eq!(file["ledger"], LEDGER.to_string());
    let [accepted, refused] = judge(&file);
    assert!(accepted >= 11 && refused >= 120, "{accepted}, {refused}");
}

#[test]
fn every_bundle_of_solana_gets_the_verdict_of_the_vectors() {
    let file = load("bundles-solana.json");
    let listed = file["domains"].as_array().expect("domains");
    for (domain, listed) in [SOLANA, SOLANA_DEVNET].iter().zip(listed) {
        assert_eq!(listed["genesis"], hex::encode(domain.genesis));
        assert_eq!(listed["program"], hex::encode(domain.program.0));
    }
    let [accepted, refused] = judge(&file);
    assert!(accepted >= 9 && refused >= 25, "{accepted}, {refused}");
}
