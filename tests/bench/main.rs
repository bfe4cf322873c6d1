//! The benchmarks still run, and what they produce is right. No numbers are judged here.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

use std::process::Command;

/// Lines of the table.
const ROWS: usize = 6;

#[test]
fn every_scenario_of_the_market_benchmark_runs_and_its_checks_hold() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench-market"))
        .args(["--smoke", "--json"])
        .output()
        .expect("the benchmark starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = report["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), ROWS, "{report}");
    for row in rows {
        for field in ["name", "goal", "measured"] {
            assert!(row[field].as_str().is_some_and(|t| !t.is_empty()), "{row}");
        }
    }
}
