//! Compute units of every path, against the committed table.

use std::collections::BTreeMap;
use std::path::Path;

use d402_settlement::{Outcome, Role};
use solana_signer::Signer;
use svm_tests::program::{self, approve};
use svm_tests::scene::*;

/// Rewrites the table instead of comparing.
const UPDATE: &str = "D402_UPDATE_UNITS";

fn measure() -> BTreeMap<&'static str, u64> {
    let mut table = BTreeMap::new();
    let mut scene = Scene::new();
    let publish = program::publish_set(payer().pubkey(), &scene.set);
    table.insert(
        "publish_set, 5 members",
        accepted(scene.send(publish)).units,
    );
    let mut funded = scene.clone();
    table.insert("open", accepted(scene.open()).units);
    table.insert("open, already open", accepted(scene.open()).units);
    let (who, source) = (buyer().pubkey(), scene.tokens_of(&buyer().pubkey()));
    let place = scene.place();
    let own = program::open_funded(&place, who, source, who, 10_000);
    let done = accepted(funded.chain.send(&[own], &[&buyer()]));
    table.insert("open_funded", done.units);

    let mut unfunded = scene.clone();
    unfunded.chain.at(ISSUED + 120);
    table.insert("close_unfunded", accepted(unfunded.close_unfunded()).units);
    accepted(scene.deposit(10_000));
    let funded = scene.clone();
    table.insert(
        "settle, 3 of 5, 3 rows, commission, fee, refund",
        accepted(scene.settle(&usual())).units,
    );
    scene.chain.at(REFUND_AFTER);
    table.insert("close, settled", accepted(scene.close()).units);

    let mut refund = funded.clone();
    refund.chain.at(REFUND_AFTER);
    table.insert("sweep, refund", accepted(refund.sweep()).units);
    table.insert("close, open and empty", accepted(refund.close()).units);

    let mut owing = funded.clone();
    owing.freeze(&worker(0).pubkey(), true);
    table.insert("settle, one credit", accepted(owing.settle(&usual())).units);
    owing.freeze(&worker(0).pubkey(), false);
    let mut late = owing.clone();
    table.insert(
        "claim_credit",
        accepted(owing.claim(&worker(0).pubkey())).units,
    );
    late.chain.at(CREDITS_UNTIL);
    table.insert("lapse_credits", accepted(late.lapse()).units);

    let mut approved = funded;
    let rows: Vec<_> = (0..16).map(worker).collect();
    for who in &rows {
        approved.give_account(&who.pubkey(), 0);
    }
    let rows = rows.iter().map(|who| row(who, Role::Worker, 500)).collect();
    let settlement = receipt(Outcome::Paid, rows);
    let digest = approved.digest(&settlement);
    let instructions = [
        approved.signed(&settlement, &[0, 1, 2]),
        approve(&approved.place(), payer().pubkey(), &digest),
    ];
    let done = accepted(approved.chain.send(&instructions, &[&payer()]));
    table.insert("approve, 3 signatures", done.units);
    let settle = approved.settle_instruction(&settlement, true);
    table.insert(
        "settle_approved, 16 rows",
        accepted(approved.send(settle)).units,
    );
    let close = program::close_approval(&approved.vault(), &digest, payer().pubkey());
    table.insert("close_approval", accepted(approved.send(close)).units);
    table
}

#[test]
fn compute_units_are_within_the_goals_and_5_percent_of_the_table() {
    let measured = measure();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../task-vault/units.json");
    if std::env::var_os(UPDATE).is_some() {
        let text = serde_json::to_string_pretty(&measured).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let table: BTreeMap<String, u64> = serde_json::from_str(&text).unwrap();
    assert!(measured.keys().eq(table.keys()), "the table has other rows");
    for (path, units) in &measured {
        let limit = table[*path] * 105 / 100;
        assert!(
            *units <= limit,
            "{path}: {units} compute units, the table says {}; if that is meant, set {UPDATE}",
            table[*path]
        );
    }
    for (path, goal) in [
        ("open", 45_000),
        ("settle, 3 of 5, 3 rows, commission, fee, refund", 70_000),
        ("sweep, refund", 25_000),
        ("close, settled", 25_000),
        ("close, open and empty", 25_000),
    ] {
        assert!(measured[path] <= goal, "{path}: {}", measured[path]);
    }
}
