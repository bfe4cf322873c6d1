//! Bundles of whole stories, and every way to damage one.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};

use d402_objects::{Mode, OnSilence, Signed, Value, Verdict, canonical};

use super::*;
use crate::market::testkit::{Scene, TaskSpec, TaskStory, funded_at};
use crate::market::{Basis, DepositFact, EvidenceObject, Facts, decide};

fn rewrite(bundle: &Bundle, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(bundle.as_bytes()).unwrap();
    change(&mut value);
    canonical::to_bytes(&value)
}

fn list<'a>(value: &'a mut Value, name: &str) -> &'a mut Vec<Value> {
    value.get_mut(name).unwrap().as_array_mut().unwrap()
}

#[test]
fn an_honest_bundle_of_every_mode_is_proved_from_its_bytes_alone() {
    for (m, n) in [(1, 1), (3, 4)] {
        for spec in [
            TaskSpec::single(m, n),
            TaskSpec::race(m, n),
            TaskSpec::quorum(m, n),
        ] {
            let workers = usize::from(if spec.mode == Mode::Quorum {
                spec.fanout
            } else {
                1
            });
            let story = TaskStory::honest(spec);
            let proof = Bundle::verify(story.bundle().as_bytes()).unwrap();
            assert_eq!(proof.task_id, story.scene.dossier.task_id());
            assert_eq!(proof.receipt_cid, story.decided.receipt_cid);
            assert_eq!(proof.ground, Ground::Early);
            assert_eq!(proof.plan, story.decided.plan);
            assert_eq!(proof.rows.len(), workers + usize::from(m));
            assert_eq!(proof.signers.len(), usize::from(m));
            assert!(proof.links.contains(&Proven::Contents {
                count: 1,
                output: true
            }));
        }
    }
}

#[test]
fn a_rejected_task_has_a_bundle_too() {
    let story = TaskStory::judged(TaskSpec::quorum(3, 4), Verdict::Reject);
    let proof = Bundle::verify(story.bundle().as_bytes()).unwrap();
    assert_eq!(proof.outcome, d402_objects::Outcome::Rejected);
    assert_eq!(proof.rows.len(), 3, "the judges are paid (threat #25)");
    assert_eq!(proof.ground, Ground::Early, "every lease is out");
    // A claim that was not judged by m is only out at decideAt.
    let mut story = TaskStory::honest(TaskSpec::single(3, 4));
    let kept: Vec<EvidenceObject> = story
        .objects
        .iter()
        .filter(|object| !matches!(object, EvidenceObject::Receipt(_)))
        .cloned()
        .collect();
    story.evidence = Evidence::new(&story.scene.dossier);
    assert!(story.evidence.insert_all(kept).is_empty());
    let at_decide = funded_at(story.scene.dossier.times().decide_at_ms);
    story.decided = decide(&story.evidence, &at_decide).decided().unwrap();
    let signatures = story
        .scene
        .settlement_signatures(&[1, 2, 3], &story.decided.digest);
    story.signed_receipt = story.decided.signed(signatures).unwrap();
    let proof = Bundle::verify(story.bundle().as_bytes()).unwrap();
    assert_eq!(proof.ground, Ground::Final);
}

#[test]
fn a_rejection_for_a_late_deposit_holds_no_evidence_and_says_whose_word_it_is() {
    let scene = Scene::new(TaskSpec::single(3, 4));
    let evidence = Evidence::new(&scene.dossier);
    let facts = Facts {
        now_ms: scene.at(20_000),
        deposit: DepositFact::Late,
        paid_elsewhere: false,
    };
    let decided = decide(&evidence, &facts).decided().unwrap();
    let signatures = scene.settlement_signatures(&[0, 1, 2], &decided.digest);
    let signed_receipt = decided.signed(signatures).unwrap();
    let bundle = Bundle::build(&BundleContent {
        evidence: &evidence,
        decided: &decided,
        signed_receipt: &signed_receipt,
        bids: &[],
        contents: &[],
    })
    .unwrap();
    let proof = Bundle::verify(bundle.as_bytes()).unwrap();
    assert_eq!(
        (proof.ground, decided.basis),
        (Ground::NoEvidence, Basis::DepositLate)
    );
    assert_eq!(proof.plan.residual, crate::Units::from_u64(100_000));
}

/// What a byte is changed to: its lowest bit flipped and, where that makes another kind of character of it (a
/// hex digit that is none any more is refused too easily), another character of its kind as well.
fn replacements(byte: u8) -> Vec<u8> {
    let flipped = byte ^ 1;
    let kind = |b: u8| {
        (
            b.is_ascii_digit(),
            b.is_ascii_lowercase(),
            b.is_ascii_uppercase(),
        )
    };
    let other = match byte {
        b'a' => b'b',
        b'f' => b'e',
        b'z' => b'y',
        b'A' => b'B',
        b'Z' => b'Y',
        _ => b'0',
    };
    if kind(byte) == kind(flipped) {
        vec![flipped]
    } else {
        vec![flipped, other]
    }
}

#[test]
fn threat_28_every_single_byte_change_of_a_bundle_is_refused() {
    let story = TaskStory::honest(TaskSpec::single(1, 1));
    let bundle = story.bundle().into_bytes();
    Bundle::verify(&bundle).unwrap();
    let tried = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for start in 0..4 {
            let (bundle, tried) = (&bundle, &tried);
            scope.spawn(move || {
                let mut changed = bundle.clone();
                for at in (start..bundle.len()).step_by(4) {
                    let byte = bundle[at];
                    for replacement in replacements(byte) {
                        changed[at] = replacement;
                        let verdict = Bundle::verify(&changed);
                        assert!(verdict.is_err(), "byte {at}: {byte} became {replacement}");
                    }
                    changed[at] = byte;
                    tried.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(tried.into_inner(), bundle.len());
}

#[test]
fn threat_28_whitespace_and_a_missing_or_extra_byte_are_refused() {
    let story = TaskStory::honest(TaskSpec::single(1, 1));
    let bytes = story.bundle().into_bytes();
    let mut newline = bytes.clone();
    newline.push(b'\n');
    assert!(matches!(
        Bundle::verify(&newline),
        Err(BrokenLink::NotCanonical { .. })
    ));
    for cut in [1, 2, bytes.len() / 2, bytes.len()] {
        let shorter = &bytes[..bytes.len() - cut];
        assert!(matches!(
            Bundle::verify(shorter),
            Err(BrokenLink::Strict(_))
        ));
    }
    let pretty =
        serde_json::to_vec_pretty(&serde_json::from_slice::<Value>(&bytes).unwrap()).unwrap();
    assert!(matches!(
        Bundle::verify(&pretty),
        Err(BrokenLink::NotCanonical { .. })
    ));
}

#[test]
fn the_schema_is_closed() {
    let bundle = TaskStory::honest(TaskSpec::single(1, 1)).bundle();
    let extra = rewrite(&bundle, |b| {
        b["comment"] = Value::from("hello");
    });
    assert!(matches!(Bundle::verify(&extra), Err(BrokenLink::Schema(_))));
    let newer = rewrite(&bundle, |b| b["bundleVersion"] = Value::from(2));
    assert!(matches!(
        Bundle::verify(&newer),
        Err(BrokenLink::Version { got: 2, known: 1 })
    ));
    let network = rewrite(&bundle, |b| b["network"] = Value::from("d402:other"));
    assert!(matches!(
        Bundle::verify(&network),
        Err(BrokenLink::OtherNetwork)
    ));
    let payment = rewrite(&bundle, |b| b["paymentIndex"] = Value::from(1));
    assert!(matches!(
        Bundle::verify(&payment),
        Err(BrokenLink::Dossier(_))
    ));
    let inside = rewrite(&bundle, |b| b["acks"][0]["note"] = Value::from(1));
    assert!(matches!(
        Bundle::verify(&inside),
        Err(BrokenLink::Object { index: 0, .. })
    ));
}

#[test]
fn an_object_taken_out_or_put_in_twice_or_out_of_order_is_refused() {
    let bundle = TaskStory::of(Mode::Race).bundle();
    for name in [
        "leases",
        "leaseAccepts",
        "commits",
        "acks",
        "claims",
        "validationReceipts",
    ] {
        let without = rewrite(&bundle, |b| list(b, name).clear());
        assert!(Bundle::verify(&without).is_err(), "no {name}");
        let twice = rewrite(&bundle, |b| {
            let first = list(b, name)[0].clone();
            list(b, name).insert(0, first);
        });
        assert!(
            matches!(Bundle::verify(&twice), Err(BrokenLink::Order { .. })),
            "{name} twice"
        );
        let reversed = rewrite(&bundle, |b| list(b, name).reverse());
        assert!(
            matches!(Bundle::verify(&reversed), Err(BrokenLink::Order { .. })),
            "{name} reversed"
        );
    }
    let offers = rewrite(&bundle, |b| list(b, "offers").reverse());
    assert!(matches!(
        Bundle::verify(&offers),
        Err(BrokenLink::Dossier(_))
    ));
}

#[test]
fn content_is_the_input_and_paid_outputs_and_nothing_else() {
    let mut spec = TaskSpec::single(1, 1);
    spec.input = br#"{"text":"other than the output"}"#.to_vec();
    let mut story = TaskStory::honest(spec);
    story.output = b"not what was claimed".to_vec();
    let foreign = story.bundle();
    assert!(matches!(
        Bundle::verify(foreign.as_bytes()),
        Err(BrokenLink::UnneededContent(_))
    ));
    let no_input = rewrite(&foreign, |b| list(b, "blobs").clear());
    assert!(matches!(
        Bundle::verify(&no_input),
        Err(BrokenLink::NoInput(_))
    ));
    let swapped = rewrite(&foreign, |b| b["blobs"][0]["base64"] = Value::from("AAAA"));
    assert!(matches!(
        Bundle::verify(&swapped),
        Err(BrokenLink::Content(_))
    ));
}

#[test]
fn a_bid_that_no_lease_answers_is_refused() {
    let story = TaskStory::honest(TaskSpec::single(1, 1));
    let stranger = story.scene.bid(5);
    let with_stranger = rewrite(&story.bundle(), |b| {
        list(b, "bids").push(stranger.to_value());
        list(b, "bids").sort_by_key(|bid| {
            Signed::<d402_objects::Bid>::from_value(bid.clone())
                .unwrap()
                .cid()
        });
    });
    let verdict = Bundle::verify(&with_stranger);
    assert!(matches!(verdict, Err(BrokenLink::Bid(cid)) if cid == stranger.cid()));
    // And `build` leaves it out by itself.
    let mut more = story.clone();
    more.bids.push(stranger);
    assert_eq!(more.bundle(), story.bundle());
}

#[test]
fn a_receipt_of_other_evidence_is_another_outcome() {
    let story = TaskStory::of(Mode::Race);
    let winner = story.decided.receipt.claim_cids[0];
    let without = rewrite(&story.bundle(), |b| {
        list(b, "validationReceipts").retain(|r| r["payload"]["claimCid"] != winner.to_string());
    });
    assert!(matches!(
        Bundle::verify(&without),
        Err(BrokenLink::OtherOutcome)
    ));
}

#[test]
fn too_few_signatures_are_refused_and_a_majority_is_enough_only_where_the_terms_say_so() {
    for (on_silence, enough) in [(OnSilence::Refund, 4), (OnSilence::Majority, 3)] {
        let mut spec = TaskSpec::single(4, 4);
        spec.on_silence = on_silence;
        let mut story = TaskStory::honest(spec);
        for count in 0..=4usize {
            let signers: Vec<usize> = (0..count).collect();
            let signatures = story
                .scene
                .settlement_signatures(&signers, &story.decided.digest);
            story.signed_receipt = story.decided.signed(signatures).unwrap();
            let verdict = Bundle::verify(story.bundle().as_bytes());
            assert_eq!(
                verdict.is_ok(),
                count >= enough,
                "{on_silence:?} with {count}"
            );
        }
    }
}

#[test]
fn building_needs_the_decided_receipt_and_all_of_its_inputs() {
    let story = TaskStory::honest(TaskSpec::single(1, 1));
    let other = TaskStory::honest(TaskSpec::single(1, 1).seeded(1));
    let build = |evidence, signed_receipt| {
        Bundle::build(&BundleContent {
            evidence,
            decided: &story.decided,
            signed_receipt,
            bids: &[],
            contents: &[],
        })
    };
    let empty = Evidence::new(&story.scene.dossier);
    assert!(matches!(
        build(&empty, &story.signed_receipt),
        Err(BundleError::Evidence(_))
    ));
    assert!(matches!(
        build(&story.evidence, &other.signed_receipt),
        Err(BundleError::OtherReceipt { .. })
    ));
    // Evidence that came later stays out.
    let mut later = story.evidence.clone();
    later.insert(story.scene.no_more_leases()).unwrap();
    assert!(
        later
            .objects()
            .iter()
            .any(|o| matches!(o, EvidenceObject::NoMoreLeases(_)))
    );
    let bundle = build(&later, &story.signed_receipt).unwrap();
    assert!(Bundle::verify(bundle.as_bytes()).is_ok());
    assert!(
        decide(&later, &funded_at(story.scene.at(6_000)))
            .decided()
            .is_some()
    );
}
