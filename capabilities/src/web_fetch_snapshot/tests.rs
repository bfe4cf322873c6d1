use serde_json::{Value, json};

use crate::canonical::sha256_cid;
use crate::capability::{Reason, RefusalCode, Verdict};
use crate::workbench::{OnePage, claim_of, judge_on, reasons, run_on, with_output};

const ID: &str = "web.fetch.snapshot@1";

fn input() -> Value {
    json!({"url": "https://site.example/page.html"})
}

/// A page of a hundred words with a part that differs per fetch.
fn page(changing: &str) -> String {
    let words: Vec<String> = (0..100).map(|number| format!("word{number}")).collect();
    format!(
        "<title>T</title><p>{}</p><p>{changing}</p><a href='/next'>next</a>",
        words.join(" ")
    )
}

#[test]
fn a_snapshot_is_the_bytes_and_how_they_were_served() {
    let html = page("x");
    let executed = run_on(ID, &OnePage::html(&html), &input()).unwrap();
    let output = &executed.execution.output;
    assert_eq!(output["snapshotCid"], sha256_cid(html.as_bytes()));
    assert_eq!(
        output["served"]["finalUrl"],
        "https://site.example/page.html"
    );
    assert_eq!(executed.execution.blobs[0].bytes, html.as_bytes());
    assert_eq!(executed.execution.blobs[0].name, "snapshot");
    assert_eq!(
        executed.execution.canonical_digest,
        output["textDigest"].as_str().unwrap()
    );
}

#[test]
fn a_snapshot_like_the_validators_own_is_accepted_and_another_page_is_not() {
    let claim = claim_of(&run_on(ID, &OnePage::html(&page("one")), &input()).unwrap());
    let judgement = judge_on(ID, &OnePage::html(&page("two")), &input(), &claim).unwrap();
    assert_eq!(judgement.verdict, Verdict::Accept);
    assert!(
        (8_000..10_000).contains(&judgement.score_bps),
        "{}",
        judgement.score_bps
    );
    let other = OnePage::html(&page(&"entirely other text here ".repeat(20)));
    assert_eq!(
        reasons(ID, &other, &input(), &claim),
        [Reason::BelowThreshold]
    );
}

#[test]
fn the_same_words_with_other_links_are_another_page() {
    let links = |host: &str| {
        (0..40)
            .map(|number| format!("<a href='https://{host}/{number}'>w{number}</a> "))
            .collect::<String>()
    };
    let claim = claim_of(&run_on(ID, &OnePage::html(&links("evil.example")), &input()).unwrap());
    assert_eq!(
        reasons(ID, &OnePage::html(&links("site.example")), &input(), &claim),
        [Reason::BelowThreshold]
    );
}

#[test]
fn a_claim_that_contradicts_itself_is_rejected() {
    let html = page("x");
    let own = OnePage::html(&html);
    let honest = claim_of(&run_on(ID, &own, &input()).unwrap());
    assert_eq!(
        judge_on(ID, &own, &input(), &honest).unwrap().score_bps,
        10_000
    );
    let judged = |claim: &crate::Claim| reasons(ID, &own, &input(), claim);

    let lie = with_output(&honest, |output| {
        output["snapshotCid"] = json!(sha256_cid(b"lie"))
    });
    assert_eq!(judged(&lie), [Reason::SnapshotDigest]);
    let lie = with_output(&honest, |output| {
        output["textDigest"] = json!(sha256_cid(b"lie"))
    });
    assert_eq!(judged(&lie), [Reason::OutputDiffers]);
    let lie = with_output(&honest, |output| output["bytes"] = json!(1));
    assert_eq!(judged(&lie), [Reason::OutputDiffers]);
    let lie = with_output(&honest, |output| {
        output["served"]["finalUrl"] = json!("https://evil.example/")
    });
    assert_eq!(judged(&lie), [Reason::FetchDiffers]);
    let lie = with_output(&honest, |output| {
        output["served"]["headers"]["content-language"] = json!("x")
    });
    assert_eq!(judged(&lie), [Reason::FetchDiffers]);
    let mut lie = honest.clone();
    lie.canonical_digest = sha256_cid(b"lie");
    assert_eq!(judged(&lie), [Reason::CanonicalDigest]);
    let mut lie = honest.clone();
    lie.blobs.clear();
    assert_eq!(judged(&lie), [Reason::Evidence]);
    let mut lie = honest.clone();
    lie.blobs[0].media_type = "application/x-evil".to_owned();
    assert_eq!(judged(&lie), [Reason::FetchDiffers]);
}

#[test]
fn blocked_pages_are_refused_by_workers_and_rejected_by_validators() {
    let blocked =
        OnePage::html("<title>Access denied</title><p>You don't have permission to access this.");
    assert_eq!(
        run_on(ID, &blocked, &input()).unwrap_err(),
        RefusalCode::Blocked
    );
    let claim = claim_of(&run_on(ID, &OnePage::html(&page("x")), &input()).unwrap());
    assert_eq!(
        reasons(ID, &blocked, &input(), &claim),
        [Reason::RefetchRefused]
    );
    // A worker that sells the blocked page itself.
    let html = "<title>Access denied</title><p>You don't have permission to access this.";
    let mut lie = with_output(&claim, |output| {
        output["snapshotCid"] = json!(sha256_cid(html.as_bytes()));
        output["bytes"] = json!(html.len());
    });
    lie.blobs[0].bytes = html.as_bytes().to_vec();
    assert_eq!(
        reasons(ID, &OnePage::html(&page("x")), &input(), &lie),
        [Reason::SnapshotRefused]
    );
}

#[test]
fn a_refetch_that_fails_for_now_gives_no_verdict_and_one_that_fails_for_good_a_rejection() {
    let claim = claim_of(&run_on(ID, &OnePage::html(&page("x")), &input()).unwrap());
    for code in [
        RefusalCode::Network,
        RefusalCode::Timeout,
        RefusalCode::Unavailable,
    ] {
        assert_eq!(
            judge_on(ID, &OnePage(Err(code)), &input(), &claim),
            Err(code)
        );
    }
    for code in [
        RefusalCode::Ssrf,
        RefusalCode::HttpStatus,
        RefusalCode::Captcha,
        RefusalCode::TooLarge,
    ] {
        assert_eq!(
            reasons(ID, &OnePage(Err(code)), &input(), &claim),
            [Reason::RefetchRefused]
        );
    }
}

#[test]
fn inputs_outside_of_the_schema_are_refused() {
    for input in [
        json!({}),
        json!({"url": "ftp://site.example/"}),
        json!({"url": format!("https://site.example/{}", "x".repeat(2048))}),
        json!({"url": "https://site.example/", "timeoutMs": 20_001}),
        json!({"url": "https://site.example/", "maxBytes": 0}),
        json!({"url": "https://site.example/", "maxBytes": 4_194_305}),
        json!({"url": "https://"}),
    ] {
        assert_eq!(
            run_on(ID, &OnePage::html(&page("x")), &input).unwrap_err(),
            RefusalCode::BadInput,
            "{input}"
        );
    }
}
