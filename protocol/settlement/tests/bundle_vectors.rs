//! Reads `bundles.json` back: every bundle, honest or damaged, gets the verdict the file says.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use d402_objects::{Value, canonical};
use d402_settlement::market::Bundle;

fn load() -> Value {
    let path = format!("{}/../vectors/bundles.json", env!("CARGO_MANIFEST_DIR"));
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

#[test]
fn every_bundle_gets_the_verdict_of_the_vectors() {
    let file = load();
    let (mut accepted, mut refused) = (0, 0);
    for case in file["cases"].as_array().expect("cases") {
        let name = case["name"].as_str().expect("a name");
        let base = file["bases"][case["base"].as_str().expect("a base")]
            .as_str()
            .expect("a bundle");
        match Bundle::verify(&bytes(base, &case["change"])) {
            Ok(proof) => {
                accepted += 1;
                assert_eq!(
                    case["ok"]["receiptCid"],
                    proof.receipt_cid.to_string(),
                    "{name}"
                );
                assert_eq!(case["ok"]["payTo"], proof.pay_to.to_string(), "{name}");
                assert_eq!(
                    case["ok"]["ground"],
                    format!("{:?}", proof.ground),
                    "{name}"
                );
                assert_eq!(case["ok"]["owed"], proof.plan.owed.to_string(), "{name}");
            }
            Err(link) => {
                refused += 1;
                let debug = format!("{link:?}");
                let class = case["broken"]
                    .as_str()
                    .unwrap_or_else(|| panic!("{name}: {debug}"));
                let rest = debug.strip_prefix(class);
                assert!(
                    rest.is_some_and(|r| !r.starts_with(char::is_alphanumeric)),
                    "{name}: {debug}"
                );
                if let Some(cause) = case["cause"].as_str() {
                    assert!(
                        debug.contains(cause.split('.').next().unwrap()),
                        "{name}: {debug}"
                    );
                }
            }
        }
    }
    assert!(
        accepted >= 8 && refused >= 90,
        "{accepted} accepted, {refused} refused"
    );
}
