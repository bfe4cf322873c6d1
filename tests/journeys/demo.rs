//! `d402 demo`, read the way a program reads it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use d402_tests::{now_ms, run};
use serde_json::Value;

/// How long the demo may take on a machine that compiles at the same time.
const DEMO: Duration = Duration::from_secs(170);
/// One offline check.
const VERIFY: Duration = Duration::from_secs(20);

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a text: {value}"))
}

/// Units are decimal strings without signs or leading zeros.
fn units(value: &Value) -> u128 {
    let text = text(value);
    let number: u128 = text.parse().unwrap();
    assert_eq!(number.to_string(), text, "not a plain decimal");
    number
}

fn list(value: &Value) -> &Vec<Value> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("not a list: {value}"))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

async fn demo(state: &Path, rail: &str) -> Value {
    let started = now_ms();
    let state = state.to_str().unwrap();
    let output = run(&["--json", "demo", "--rail", rail, "--state", state], DEMO).await;
    eprintln!("the demo took {} ms", now_ms() - started);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", output.status);
    let lines = String::from_utf8(output.stdout).unwrap();
    let last = lines.lines().last().expect("the demo prints");
    serde_json::from_str(last).unwrap_or_else(|error| panic!("last line: {error}: {last}"))
}

/// Capability, mode, whether it works; one entry per task in any order.
const TASKS: [(&str, &str, bool); 6] = [
    ("json.transform@1", "single", true),
    ("proof.verify@1", "single", true),
    ("web.page_to_markdown@1", "quorum", true),
    ("web.page_to_markdown@1", "race", true),
    ("web.page_to_markdown@1", "single", false),
    ("web.page_to_markdown@1", "single", true),
];

fn check_task(task: &Value, dishonest: &BTreeSet<&str>) {
    let expected = [
        "taskId",
        "capabilityId",
        "mode",
        "status",
        "budgetUnits",
        "payouts",
        "refundUnits",
        "receipt",
        "ms",
    ];
    assert_eq!(keys(task), expected.into(), "{task}");
    assert!(task["ms"].is_u64(), "{task}");
    let mut sum = units(&task["refundUnits"]);
    let mut roles = BTreeSet::new();
    for payout in list(&task["payouts"]) {
        assert_eq!(keys(payout), ["payee", "units", "role"].into(), "{payout}");
        assert!(
            !dishonest.contains(text(&payout["payee"])),
            "a liar is paid: {task}"
        );
        roles.insert(text(&payout["role"]));
        sum += units(&payout["units"]);
    }
    assert_eq!(sum, units(&task["budgetUnits"]), "{task}");
    if task["status"] == "accepted" {
        assert_eq!(
            roles,
            ["creator", "gateway", "validator", "worker"].into(),
            "{task}"
        );
    } else {
        assert!(
            !roles.contains("worker") && !roles.contains("creator"),
            "{task}"
        );
        assert!(units(&task["refundUnits"]) > 0, "{task}");
    }
}

async fn verify(path: &Path) -> (bool, Value) {
    let output = run(&["--json", "verify", path.to_str().unwrap()], VERIFY).await;
    let document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.success(), document)
}

/// Changes one byte in the middle of the file; the copy is no bundle any more.
fn with_flipped_byte(bundle: &Path, place: usize) -> PathBuf {
    let mut bytes = std::fs::read(bundle).unwrap();
    let index = bytes.len() * place / 100;
    bytes[index] ^= 1;
    let copy = bundle.with_extension(format!("flipped-{place}"));
    std::fs::write(&copy, bytes).unwrap();
    copy
}

#[tokio::test]
async fn the_demo_pays_the_honest_refunds_the_rest_and_leaves_bundles_that_verify() {
    holds("simulated").await;
}

#[tokio::test]
async fn the_demo_on_solana_is_the_same_demo() {
    holds("solana-vault").await;
}

async fn holds(rail: &str) {
    let state = tempfile::tempdir().unwrap();
    let document = demo(state.path(), rail).await;
    assert_eq!(keys(&document), ["rail", "tasks", "dishonest"].into());
    assert_eq!(document["rail"], rail);
    let liars = &document["dishonest"];
    assert_eq!(
        (
            list(&liars["workers"]).len(),
            list(&liars["validators"]).len()
        ),
        (1, 1)
    );
    let liars: BTreeSet<&str> = list(&liars["workers"])
        .iter()
        .chain(list(&liars["validators"]))
        .map(text)
        .collect();
    let tasks = list(&document["tasks"]);
    let mut sold: Vec<_> = tasks
        .iter()
        .map(|task| {
            (
                text(&task["capabilityId"]),
                text(&task["mode"]),
                task["status"] == "accepted",
            )
        })
        .collect();
    sold.sort_unstable();
    assert_eq!(sold, TASKS);
    let ids: BTreeSet<&str> = tasks.iter().map(|task| text(&task["taskId"])).collect();
    assert_eq!(
        ids.len(),
        tasks.len(),
        "every purchase is a task of its own"
    );
    for task in tasks {
        check_task(task, &liars);
        let (good, proof) = verify(Path::new(text(&task["receipt"]))).await;
        assert!(good, "the bundle of {task} does not verify: {proof}");
        assert_eq!(proof["taskId"], task["taskId"]);
    }
    let bundle = Path::new(text(&tasks[0]["receipt"]));
    for place in [3, 50, 97] {
        let (good, broken) = verify(&with_flipped_byte(bundle, place)).await;
        assert!(!good, "one flipped byte at {place} % verifies");
        assert_eq!(broken["verified"], false);
        assert!(
            !text(&broken["brokenLink"]).is_empty(),
            "the broken link has a name"
        );
    }
}
