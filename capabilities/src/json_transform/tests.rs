use proptest::prelude::*;
use serde_json::{Value, json};

use crate::capability::{NoNetwork, Reason, RefusalCode, Verdict};
use crate::workbench::{claim_of, judge_on, reasons, run, with_output};

const ID: &str = "json.transform@1";

fn jq(program: &str, data: Value) -> Result<Value, RefusalCode> {
    run(ID, &json!({"program": program, "data": data}))
        .map(|executed| executed.execution.output["results"].clone())
}

#[test]
fn programs_transform_documents() {
    let orders = json!([{"id": 2, "lines": [{"sku": "b", "n": 3}]}, {"id": 1, "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]}]);
    assert_eq!(
        jq(
            "[.[].lines[]] | group_by(.sku) | map({sku: .[0].sku, n: (map(.n) | add)})",
            orders.clone()
        )
        .unwrap(),
        json!([[{"sku": "a", "n": 1}, {"sku": "b", "n": 5}]])
    );
    assert_eq!(jq("sort_by(.id) | .[].id", orders).unwrap(), json!([1, 2]));
    assert_eq!(
        jq("def f(x): x * 2; map(f(.)) | add", json!([1, 2.5])).unwrap(),
        json!([7])
    );
    assert_eq!(jq("empty", json!(null)).unwrap(), json!([]));
    assert_eq!(
        jq(
            "test(\"^a+$\"), ascii_upcase, @base64, (.|tojson|fromjson)",
            json!("aaa")
        )
        .unwrap(),
        json!([true, "AAA", "YWFh", "aaa"])
    );
    assert_eq!(
        jq(
            "reduce range(0; 5) as $i (0; . + $i), [limit(2; .[])], (try error(\"x\") catch .)",
            json!([7, 8, 9])
        )
        .unwrap(),
        json!([10, [7, 8], "x"])
    );
    assert_eq!(
        jq(
            "todate, (todate | fromdate), strftime(\"%Y\")",
            json!(1_700_000_000)
        )
        .unwrap(),
        json!(["2023-11-14T22:13:20Z", 1_700_000_000, "2023"])
    );
}

#[test]
fn names_come_in_canonical_order_whatever_the_input_order() {
    let program = "keys_unsorted, (to_entries | map(.value))";
    let left: Value = serde_json::from_str(r#"{"b":1,"a":2}"#).unwrap();
    let right: Value = serde_json::from_str(r#"{"a":2,"b":1}"#).unwrap();
    assert_eq!(jq(program, left).unwrap(), json!([["a", "b"], [2, 1]]));
    assert_eq!(jq(program, right).unwrap(), json!([["a", "b"], [2, 1]]));
}

#[test]
fn programs_cannot_see_the_machine() {
    for program in [
        "env",
        "$ENV",
        "env.PATH",
        "now",
        "input",
        "[inputs]",
        "halt",
        "halt(3)",
        "halt_error",
        "localtime",
        "strflocaltime(\"%Z\")",
        "strptime(\"%Q\")",
        "stderr",
        "include \"x\"; .",
        "import \"x\" as x; .",
        "import \"/etc/passwd\" as $x; $x",
        "input_filename",
        "$__prog_args",
        "get_search_list",
        "input_line_number",
    ] {
        assert_eq!(
            jq(program, json!(1)),
            Err(RefusalCode::ProgramError),
            "{program}"
        );
    }
}

#[test]
fn programs_that_fail_or_do_not_parse_are_refused() {
    for program in [
        "error(\"no\")",
        ".a",
        "1 +",
        "nosuch(1)",
        "\"a\" - 1",
        "[.[] | error]",
    ] {
        assert_eq!(
            jq(program, json!([1])),
            Err(RefusalCode::ProgramError),
            "{program}"
        );
    }
    assert_eq!(
        run(ID, &json!({"program": "."})).unwrap_err(),
        RefusalCode::BadInput
    );
    assert_eq!(
        run(ID, &json!({"program": ".", "data": 1, "more": 2})).unwrap_err(),
        RefusalCode::BadInput
    );
    assert_eq!(
        run(ID, &json!({"program": ".".repeat(20_000), "data": 1})).unwrap_err(),
        RefusalCode::BadInput
    );
}

#[test]
fn results_without_a_canonical_form_are_refused() {
    assert_eq!(
        jq("9007199254740993", json!(null)),
        Err(RefusalCode::UnsafeNumber)
    );
    assert_eq!(
        jq(". * 10000000000", json!(9_007_199_254_740_991_u64)),
        Err(RefusalCode::UnsafeNumber)
    );
    assert_eq!(jq("nan", json!(null)), Err(RefusalCode::ProgramError));
    assert_eq!(jq("infinite", json!(null)), Err(RefusalCode::ProgramError));
    assert_eq!(jq("{(1): 2}", json!(null)), Err(RefusalCode::ProgramError));
    assert_eq!(
        jq("\"a\" | tobytes | .[0:1]", json!(null)),
        Err(RefusalCode::ProgramError)
    );
    assert_eq!(
        jq("1.10, 1e2, -0.0", json!(null)).unwrap().to_string(),
        "[1.1,100,0]"
    );
}

#[test]
fn endless_results_end_at_the_output_limit() {
    assert_eq!(
        jq("repeat(\"xxxxxxxxxxxxxxxx\")", json!(1)),
        Err(RefusalCode::TooLarge)
    );
    assert_eq!(
        jq("[limit(300000; repeat(\"xxxxxxxxxxxxxxxx\"))]", json!(1)),
        Err(RefusalCode::TooLarge)
    );
}

#[test]
fn an_honest_claim_is_accepted_and_every_other_one_rejected() {
    let input = json!({"program": "map(. + 1)", "data": [1, 2]});
    let executed = run(ID, &input).unwrap();
    assert_eq!(executed.output_bytes, br#"{"results":[[2,3]]}"#);
    let honest = claim_of(&executed);
    let judgement = judge_on(ID, &NoNetwork, &input, &honest).unwrap();
    assert_eq!(
        (judgement.verdict, judgement.score_bps),
        (Verdict::Accept, 10_000)
    );
    assert_eq!(
        judge_on(ID, &NoNetwork, &input, &honest).unwrap(),
        judgement
    );

    let judged = |claim: &crate::Claim| reasons(ID, &NoNetwork, &input, claim);
    assert_eq!(
        judged(&with_output(&honest, |output| output["results"] = json!([[2, 4]]))),
        [Reason::OutputDiffers]
    );
    assert_eq!(
        judged(&with_output(&honest, |output| output["more"] = json!(1))),
        [Reason::OutputSchema]
    );
    let mut claim = honest.clone();
    claim.output = br#"{"results": [[2,3]]}"#.to_vec();
    assert_eq!(judged(&claim), [Reason::OutputNotCanonical]);
    claim.output = br#"{"results":[[2,3]],"results":[[2,3]]}"#.to_vec();
    assert_eq!(judged(&claim), [Reason::OutputNotCanonical]);
    claim.output = b"\xff".to_vec();
    assert_eq!(judged(&claim), [Reason::OutputNotCanonical]);
    claim.output = vec![b' '; 3 << 20];
    assert_eq!(judged(&claim), [Reason::OutputTooLarge]);
    let mut claim = honest.clone();
    claim.canonical_digest = format!("sha256:{}", "0".repeat(64));
    assert_eq!(judged(&claim), [Reason::CanonicalDigest]);
    let mut claim = honest.clone();
    claim.units = "2".to_owned();
    assert_eq!(judged(&claim), [Reason::Units]);
    let mut claim = honest.clone();
    claim.blobs.push(crate::Blob {
        name: "extra".to_owned(),
        media_type: "text/plain".to_owned(),
        bytes: Vec::new(),
    });
    assert_eq!(judged(&claim), [Reason::Evidence]);
    // A claim for work that has no result, and one under an input that does not fit the manifest.
    assert_eq!(
        reasons(
            ID,
            &NoNetwork,
            &json!({"program": "error", "data": 1}),
            &honest
        ),
        [Reason::Refused]
    );
    assert_eq!(
        reasons(ID, &NoNetwork, &json!({"program": 1, "data": 1}), &honest),
        [Reason::InputSchema]
    );
}

#[test]
fn transcripts_differ_when_anything_judged_differs() {
    let input = json!({"program": ".", "data": 1});
    let honest = claim_of(&run(ID, &input).unwrap());
    let lie = with_output(&honest, |output| output["results"] = json!([2]));
    let accepted = judge_on(ID, &NoNetwork, &input, &honest)
        .unwrap()
        .transcript_digest;
    let rejected = judge_on(ID, &NoNetwork, &input, &lie)
        .unwrap()
        .transcript_digest;
    assert_ne!(accepted, rejected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_identity_program_returns_its_document(numbers in prop::collection::vec(any::<i32>(), 0..8), text in "\\PC{0,12}") {
        let data = json!({"n": numbers, "t": text});
        prop_assert_eq!(jq(".", data.clone()).unwrap(), json!([data]));
    }
}
