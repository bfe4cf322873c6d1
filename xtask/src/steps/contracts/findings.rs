//! What static analysis finds in `contracts/src` is exactly what `contracts/slither.json` accepts, each with
//! its reason: a new finding fails, and so does an acceptance of something that is gone.

use std::fs;

use serde::Deserialize;
use serde_json::Value;

use crate::{failure::Failure, process::Call, steps::Context};

const ACCEPTED: &str = "contracts/slither.json";
const REPORT: &str = "target/foundry/slither.json";
const ELSEWHERE: &str = "node_modules|contracts/(test|script|dev)";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    check: String,
    #[serde(rename = "where")]
    place: String,
    why: String,
}

pub(super) fn expect_accepted(context: &Context, slither: Call) -> Result<(), Failure> {
    let report = context.workspace.join(REPORT);
    if let Some(folder) = report.parent() {
        fs::create_dir_all(folder).map_err(Failure::file("creating", folder))?;
    }
    // It refuses to write over a report.
    let _ = fs::remove_file(&report);
    slither
        .args([".", "--exclude-dependencies", "--fail-none"])
        .args(["--filter-paths", ELSEWHERE])
        .args(["--json", REPORT])
        .run()?;
    let text = fs::read_to_string(&report).map_err(Failure::file("reading", &report))?;
    let found = read(&text).ok_or(Failure::Unproven {
        what: "the analyser's report is not what this tool reads",
    })?;
    let list = context.workspace.join(ACCEPTED);
    let text = fs::read_to_string(&list).map_err(Failure::file("reading", &list))?;
    let accepted: Vec<Accepted> = serde_json::from_str(&text).map_err(|source| Failure::Json {
        command: ACCEPTED.to_owned(),
        source,
    })?;
    let differences = compare(found, &accepted);
    differences.iter().for_each(|line| println!("{line}"));
    if differences.is_empty() {
        println!("{} findings, all accepted with a reason", accepted.len());
        return Ok(());
    }
    Err(Failure::Findings {
        rule: "slither",
        count: differences.len(),
    })
}

/// Detector and place of every finding; `None` when the report has another form.
fn read(report: &str) -> Option<Vec<(String, String)>> {
    let report: Value = serde_json::from_str(report).ok()?;
    if report.get("success")?.as_bool() != Some(true) {
        return None;
    }
    let results = report.get("results")?.as_object()?;
    let found = results.get("detectors").and_then(Value::as_array);
    found
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|finding| {
            let check = finding.get("check")?.as_str()?.to_owned();
            Some((check, place(finding.pointer("/elements/0")?)))
        })
        .collect()
}

/// `Contract.function`, or `Contract.function.variable`.
fn place(element: &Value) -> String {
    let mut names = Vec::new();
    let mut at = Some(element);
    while let Some(one) = at {
        names.extend(one.get("name").and_then(Value::as_str));
        at = one.pointer("/type_specific_fields/parent");
    }
    names.reverse();
    names.join(".")
}

fn compare(mut found: Vec<(String, String)>, accepted: &[Accepted]) -> Vec<String> {
    let mut lines = Vec::new();
    for one in accepted {
        let at = found
            .iter()
            .position(|(check, place)| *check == one.check && *place == one.place);
        match at {
            Some(at) if !one.why.is_empty() => drop(found.swap_remove(at)),
            Some(_) => lines.push(format!(
                "{ACCEPTED}: {} in {}: no reason",
                one.check, one.place
            )),
            None => lines.push(format!(
                "{ACCEPTED}: {} in {} is accepted but not found any more",
                one.check, one.place
            )),
        }
    }
    let new = found
        .iter()
        .map(|(check, place)| format!("{check} in {place}: not accepted in {ACCEPTED}"));
    lines.extend(new);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"success":true,"results":{"detectors":[{"check":"timestamp","elements":[
        {"name":"last","type_specific_fields":{"parent":{"name":"f","type_specific_fields":
        {"parent":{"name":"A"}}}}}]}]}}"#;

    fn accepted(place: &str, why: &str) -> Vec<Accepted> {
        vec![Accepted {
            check: "timestamp".to_owned(),
            place: place.to_owned(),
            why: why.to_owned(),
        }]
    }

    #[test]
    fn new_findings_stale_acceptances_and_missing_reasons_are_all_told() {
        let found = || read(REPORT).unwrap();
        assert_eq!(
            compare(found(), &accepted("A.f.last", "reason")),
            Vec::<String>::new()
        );
        assert_eq!(compare(found(), &accepted("A.g", "reason")).len(), 2);
        assert_eq!(compare(found(), &accepted("A.f.last", "")).len(), 2);
        assert_eq!(compare(found(), &[]).len(), 1);
    }

    #[test]
    fn a_report_of_a_failed_analysis_is_no_report() {
        assert_eq!(read(r#"{"success":false,"results":{}}"#), None);
        assert_eq!(read(r#"{"success":true,"results":{}}"#), Some(Vec::new()));
    }
}
