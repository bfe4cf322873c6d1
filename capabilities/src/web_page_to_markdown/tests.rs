use serde_json::{Value, json};

use crate::canonical::sha256_cid;
use crate::capability::{Claim, Reason, RefusalCode, Verdict};
use crate::corpus;
use crate::workbench::{OnePage, claim_of, judge_on, reasons, run_on, with_output};

const ID: &str = "web.page_to_markdown@1";

fn input() -> Value {
    json!({"url": "https://site.example/page.html"})
}

fn article() -> &'static str {
    corpus::pages()[0].1
}

fn honest(html: &str) -> Claim {
    claim_of(&run_on(ID, &OnePage::html(html), &input()).unwrap())
}

#[test]
fn the_output_is_extraction_plus_how_the_page_was_served() {
    let executed = run_on(ID, &OnePage::html(article()), &input()).unwrap();
    let output = &executed.execution.output;
    assert_eq!(output["snapshotCid"], sha256_cid(article().as_bytes()));
    assert_eq!(
        output["evidence"]["snapshotterVersion"],
        concat!("d402-http/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(output["served"]["status"], 200);
    assert_eq!(
        executed.execution.canonical_digest,
        output["contentHash"].as_str().unwrap()
    );
}

#[test]
fn workers_that_saw_other_adverts_agree_on_the_digest_and_are_accepted() {
    let other_ads = article()
        .replace("Cheap ferries to anywhere", "Buy two boats")
        .replace("id=9911", "id=77");
    assert_ne!(other_ads, article());
    let (left, right) = (honest(article()), honest(&other_ads));
    assert_eq!(left.canonical_digest, right.canonical_digest);
    assert_ne!(left.output, right.output);
    let judgement = judge_on(ID, &OnePage::html(article()), &input(), &right).unwrap();
    assert_eq!(
        (judgement.verdict, judgement.score_bps),
        (Verdict::Accept, 10_000)
    );
}

#[test]
fn a_small_difference_in_the_article_passes_and_a_large_one_does_not() {
    let own = OnePage::html(article());
    let small = honest(&article().replace("nine hours", "ten hours"));
    let judgement = judge_on(ID, &own, &input(), &small).unwrap();
    assert_eq!(
        judgement.reasons,
        [Reason::MetadataDiffers],
        "the description names the hours too"
    );
    let small = honest(&article().replace("on Friday", "on Monday"));
    let judgement = judge_on(ID, &own, &input(), &small).unwrap();
    assert_eq!(judgement.verdict, Verdict::Accept);
    assert!(
        (9_000..10_000).contains(&judgement.score_bps),
        "{}",
        judgement.score_bps
    );
    let large = honest(&article().replace("the", "teh"));
    assert!(reasons(ID, &own, &input(), &large).contains(&Reason::BelowThreshold));
}

#[test]
fn metadata_must_be_equal() {
    let own = OnePage::html(article());
    for (from, to) in [
        ("Maren Oyelaran", "Eve"),
        ("Harbour Courier", "Evil Courier"),
        ("2026-03-14", "2026-03-15"),
    ] {
        assert_eq!(
            reasons(ID, &own, &input(), &honest(&article().replace(from, to))).last(),
            Some(&Reason::MetadataDiffers),
            "{from}"
        );
    }
}

#[test]
fn markdown_that_is_not_extracted_from_the_claimed_snapshot_is_rejected() {
    let own = OnePage::html(article());
    let honest = honest(article());
    let mut lie = with_output(&honest, |output| {
        let markdown = output["markdown"].as_str().unwrap().replace("6.4", "9.9");
        output["contentHash"] = json!(sha256_cid(markdown.as_bytes()));
        output["markdown"] = json!(markdown);
    });
    assert_eq!(reasons(ID, &own, &input(), &lie), [Reason::OutputDiffers]);
    lie = honest.clone();
    lie.canonical_digest = sha256_cid(b"lie");
    assert_eq!(reasons(ID, &own, &input(), &lie), [Reason::CanonicalDigest]);
    lie = honest;
    lie.blobs[0].bytes.push(b' ');
    assert_eq!(reasons(ID, &own, &input(), &lie), [Reason::SnapshotDigest]);
}

#[test]
fn stand_in_pages_are_refused_not_sold() {
    for (path, html, status) in corpus::pages() {
        if path.contains("blocked") || path.contains("paywall") {
            let code = run_on(ID, &OnePage::html(html), &input()).unwrap_err();
            assert!(
                matches!(
                    code,
                    RefusalCode::Captcha | RefusalCode::Paywall | RefusalCode::Blocked
                ),
                "{path} {status}"
            );
            assert_eq!(
                reasons(ID, &OnePage::html(html), &input(), &honest(article())),
                [Reason::RefetchRefused],
                "{path}"
            );
        } else {
            assert!(run_on(ID, &OnePage::html(html), &input()).is_ok(), "{path}");
        }
    }
}
