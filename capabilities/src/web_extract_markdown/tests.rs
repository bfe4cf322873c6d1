#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the other JSON types are one case here"
)]

use serde_json::{Value, json};

use crate::canonical::sha256_cid;
use crate::capability::{Context, NoNetwork, Reason, RefusalCode, Verdict};
use crate::corpus;
use crate::execute::execute;
use crate::registry::capability;
use crate::workbench::{claim_of, judge_on, reasons, run, with_output};

const ID: &str = "web.extract.markdown@1";

fn article() -> &'static str {
    corpus::pages()[0].1
}

#[test]
fn the_output_carries_markdown_metadata_and_the_truth_about_the_converter() {
    let input = json!({"html": article(), "url": "https://courier.example/2026/article.html"});
    let executed = run(ID, &input).unwrap();
    let output = &executed.execution.output;
    let markdown = output["markdown"].as_str().unwrap();
    assert!(markdown.contains("(https://courier.example/2026/documents/hearing-2026.pdf)"));
    assert_eq!(output["contentHash"], sha256_cid(markdown.as_bytes()));
    assert_eq!(
        executed.execution.canonical_digest,
        sha256_cid(markdown.as_bytes())
    );
    assert_eq!(output["snapshotCid"], sha256_cid(article().as_bytes()));
    assert_eq!(output["title"], "Tidal turbines pass a winter of storms");
    assert_eq!(output["metadata"]["author"], "Maren Oyelaran");
    assert!(output["metadata"]["wordCount"].as_u64().unwrap() > 300);
    assert_eq!(
        output["evidence"],
        json!({"converter": "dom_smoothie@0.19 dom_query@0.29 d402-markdown@1", "snapshotterVersion": null, "quality": {"blocked": false, "reason": null}})
    );
}

#[test]
fn a_snapshot_is_found_by_what_it_hashes_to() {
    let listed = capability(ID).unwrap();
    let bytes = b"<p>Un caf\xe9 au lait, s'il vous pla\xeet, dit le client.".to_vec();
    let input = json!({"snapshotCid": sha256_cid(&bytes), "charset": "iso-8859-1"});
    let context = Context::new(
        listed.manifest(),
        &NoNetwork,
        vec![b"other".to_vec(), bytes],
    );
    let executed = execute(listed.capability(), &context, &input).unwrap();
    assert_eq!(
        executed.execution.output["markdown"],
        "Un café au lait, s'il vous plaît, dit le client.\n"
    );
    assert_eq!(run(ID, &input).unwrap_err(), RefusalCode::MissingBlob);
}

#[test]
fn without_the_snapshot_a_validator_cannot_judge() {
    let input = json!({"html": article()});
    let claim = claim_of(&run(ID, &input).unwrap());
    let other = json!({"snapshotCid": sha256_cid(b"not here")});
    assert_eq!(
        judge_on(ID, &NoNetwork, &other, &claim),
        Err(RefusalCode::MissingBlob)
    );
}

#[test]
fn inputs_with_both_or_neither_source_are_refused() {
    let cid = sha256_cid(b"x");
    for input in [
        json!({}),
        json!({"html": "<p>x", "snapshotCid": cid}),
        json!({"html": "<p>x", "charset": "utf-8"}),
        json!({"html": "<p>x", "url": "file:///etc/passwd"}),
        json!({"html": "<p>x", "url": "https://["}),
        json!({"snapshotCid": "sha256:00"}),
    ] {
        assert_eq!(
            run(ID, &input).unwrap_err(),
            RefusalCode::BadInput,
            "{input}"
        );
    }
}

#[test]
fn a_claim_with_any_other_byte_is_rejected() {
    let input = json!({"html": article()});
    let honest = claim_of(&run(ID, &input).unwrap());
    assert_eq!(
        judge_on(ID, &NoNetwork, &input, &honest).unwrap().verdict,
        Verdict::Accept
    );
    for pointer in [
        "/markdown",
        "/contentHash",
        "/title",
        "/metadata/author",
        "/metadata/wordCount",
        "/evidence/converter",
    ] {
        let lie = with_output(&honest, |output| {
            let member = output.pointer_mut(pointer).unwrap();
            *member = match &*member {
                Value::Number(_) => json!(7),
                _ if pointer == "/contentHash" => json!(sha256_cid(b"lie")),
                _ => json!("lie"),
            };
        });
        assert_eq!(
            reasons(ID, &NoNetwork, &input, &lie),
            [Reason::OutputDiffers],
            "{pointer}"
        );
    }
    let blocked = with_output(&honest, |output| {
        output["evidence"]["quality"]["blocked"] = json!(true)
    });
    assert_eq!(
        reasons(ID, &NoNetwork, &input, &blocked),
        [Reason::OutputSchema]
    );
}
