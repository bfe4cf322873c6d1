//! Bundles of whole tasks, honest and damaged in every way, and what a verifier says of each.
//!
//! A damaged bundle is written as changes to an honest one: `edits` replace or remove values, and the
//! result is written canonically; `append`, `cut` and `flip` then change bytes.

mod base;
mod on_chain;
mod resigned;
mod solana;

use d402_objects::{Ed25519Id, Mode, Value, Verdict, canonical};
use d402_settlement::market::testkit::{Scene, TaskSpec, TaskStory, funded_at, key};
use d402_settlement::market::{
    BrokenLink, Bundle, BundleContent, DepositFact, Evidence, EvidenceObject, Facts,
    SIMULATED_NETWORK, decide,
};
use serde_json::{Map, json};

use crate::json::fault;

struct Tale {
    network: &'static str,
    bases: Map<String, Value>,
    cases: Vec<Value>,
}

impl Tale {
    fn of(network: &'static str) -> Self {
        Self {
            network,
            bases: Map::new(),
            cases: Vec::new(),
        }
    }

    /// The task on the network of this tale.
    fn spec(&self, spec: TaskSpec) -> TaskSpec {
        spec.on(self.network)
    }

    /// The honest task of a mode with 3-of-4 validators.
    fn story(&self, mode: Mode) -> TaskStory {
        TaskStory::honest(self.spec(match mode {
            Mode::Single => TaskSpec::single(3, 4),
            Mode::Race => TaskSpec::race(3, 4),
            Mode::Quorum => TaskSpec::quorum(3, 4),
        }))
    }

    /// An honest bundle, and the case that says so.
    fn base(&mut self, name: &str, bundle: &[u8]) -> Value {
        let text = std::str::from_utf8(bundle).expect("JSON is text");
        self.bases.insert(name.to_owned(), Value::from(text));
        self.case(name, name, bundle, json!({}));
        serde_json::from_slice(bundle).expect("JSON")
    }

    fn case(&mut self, base: &str, name: &str, bytes: &[u8], change: Value) {
        let mut case = json!({ "base": base, "name": name, "change": change });
        match Bundle::verify(bytes) {
            Ok(proof) => {
                case["ok"] = json!({
                    "taskId": proof.task_id.to_string(),
                    "termsHash": proof.terms_hash.to_string(),
                    "payTo": proof.pay_to.to_string(),
                    "receiptCid": proof.receipt_cid.to_string(),
                    "outcome": format!("{:?}", proof.outcome),
                    "ground": format!("{:?}", proof.ground),
                    "owed": proof.plan.owed.to_string(),
                    "residual": proof.plan.residual.to_string(),
                    "signers": proof.signers.iter().map(ToString::to_string).collect::<Vec<_>>(),
                });
            }
            Err(link) => {
                case["broken"] = fault(&link);
                case["cause"] = cause(&link).unwrap_or(Value::Null);
            }
        }
        self.cases.push(case);
    }

    fn damaged(&mut self, base: (&str, &Value), name: &str, change: impl FnOnce(&mut Value)) {
        let mut bundle = base.1.clone();
        change(&mut bundle);
        let mut edits = Vec::new();
        difference(base.1, &bundle, &mut Vec::new(), &mut edits);
        assert!(!edits.is_empty(), "{name} changes nothing");
        self.case(
            base.0,
            name,
            &canonical::to_bytes(&bundle),
            json!({ "edits": edits }),
        );
    }
}

/// The rule below the link, where it is one of the task's and not of an encoding.
fn cause(link: &BrokenLink) -> Option<Value> {
    if let BrokenLink::Dossier(source) = link {
        return Some(fault(source));
    }
    if let BrokenLink::Evidence { source, .. } = link {
        return Some(fault(source));
    }
    if let BrokenLink::Receipt(source) = link {
        return Some(fault(source));
    }
    None
}

/// Paths and values that turn one value into the other; lists of another length are replaced.
fn difference(from: &Value, to: &Value, path: &mut Vec<Value>, edits: &mut Vec<Value>) {
    match (from, to) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().filter(|name| !b.contains_key(*name)) {
                path.push(Value::from(name.as_str()));
                edits.push(json!({ "path": path.as_slice() }));
                path.pop();
            }
            for (name, value) in b {
                path.push(Value::from(name.as_str()));
                match a.get(name) {
                    Some(old) => difference(old, value, path, edits),
                    None => edits.push(json!({ "path": path.as_slice(), "value": value })),
                }
                path.pop();
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (old, new)) in a.iter().zip(b).enumerate() {
                path.push(Value::from(index));
                difference(old, new, path, edits);
                path.pop();
            }
        }
        _ if from == to => {}
        _ => edits.push(json!({ "path": path.as_slice(), "value": to })),
    }
}

fn list<'a>(bundle: &'a mut Value, name: &str) -> &'a mut Vec<Value> {
    bundle[name].as_array_mut().expect("a list")
}

const LISTS: [&str; 6] = [
    "leases",
    "leaseAccepts",
    "commits",
    "acks",
    "claims",
    "validationReceipts",
];

pub fn files() -> [(&'static str, Value); 3] {
    [
        ("bundles.json", simulated()),
        ("bundles-base.json", base::vectors()),
        ("bundles-solana.json", solana::vectors()),
    ]
}

fn simulated() -> Value {
    let mut tale = Tale::of(SIMULATED_NETWORK);
    honest(&mut tale);
    let story = TaskStory::honest(TaskSpec::single(1, 1));
    let small = tale.base("single, 1 of 1", story.bundle().as_bytes());
    bytes(&mut tale, story.bundle().as_bytes());
    file(&mut tale, ("single, 1 of 1", &small));
    objects(&mut tale, ("single, 1 of 1", &small));
    resigned::resigned(&mut tale, ("single, 1 of 1", &small), &story);
    resigned::ruleless(&mut tale, ("single, 1 of 1", &small), &story);
    receipts(&mut tale, ("single, 1 of 1", &small), &story);
    evidence(&mut tale);
    json!({ "spec": "2.1, 5", "bases": tale.bases, "cases": tale.cases })
}

fn honest(tale: &mut Tale) {
    for mode in [Mode::Single, Mode::Race, Mode::Quorum] {
        tale.base(
            &format!("{mode:?}, 3 of 4"),
            tale.story(mode).bundle().as_bytes(),
        );
    }
    let rejected = TaskStory::judged(tale.spec(TaskSpec::single(3, 4)), Verdict::Reject);
    tale.base("Single, 3 of 4, rejected", rejected.bundle().as_bytes());
    let scene = Scene::new(tale.spec(TaskSpec::single(1, 1)));
    let evidence = Evidence::new(&scene.dossier);
    let facts = Facts {
        now_ms: scene.at(20_000),
        deposit: DepositFact::Late,
        paid_elsewhere: false,
    };
    let decided = decide(&evidence, &facts).decided().expect("rejected");
    let signed_receipt = decided
        .signed(scene.settlement_signatures(&[0], &decided.digest))
        .expect("signed");
    let content = BundleContent {
        evidence: &evidence,
        decided: &decided,
        signed_receipt: &signed_receipt,
        bids: &[],
        contents: &[],
    };
    tale.base(
        "late deposit",
        Bundle::build(&content).expect("a bundle").as_bytes(),
    );
    let mut spec = tale.spec(TaskSpec::single(1, 1));
    spec.commission_bps = 0;
    spec.gateway_fee_bps = 0;
    spec.validator_fee = 0;
    spec.buyer_signs = false;
    tale.base(
        "no commission, no fee",
        TaskStory::honest(spec).bundle().as_bytes(),
    );
}

fn bytes(tale: &mut Tale, bundle: &[u8]) {
    let base = "single, 1 of 1";
    for text in ["\n", " ", "}", "\u{0}"] {
        let longer = [bundle, text.as_bytes()].concat();
        tale.case(
            base,
            &format!("{text:?} after the end"),
            &longer,
            json!({ "append": text }),
        );
    }
    for cut in [1, bundle.len() / 2, bundle.len()] {
        let shorter = &bundle[..bundle.len() - cut];
        tale.case(
            base,
            &format!("{cut} bytes cut"),
            shorter,
            json!({ "cut": cut }),
        );
    }
    // One byte in each part of the file, spread evenly.
    for step in 0..24 {
        let at = step * bundle.len() / 24 + step;
        let mut flipped = bundle.to_vec();
        flipped[at] ^= 1;
        tale.case(
            base,
            &format!("byte {at} flipped"),
            &flipped,
            json!({ "flip": at }),
        );
    }
}

fn file(tale: &mut Tale, base: (&str, &Value)) {
    tale.damaged(base, "an unknown field", |b| {
        b["comment"] = Value::from("hello")
    });
    tale.damaged(base, "no bids field", |b| {
        b.as_object_mut().expect("an object").remove("bids");
    });
    tale.damaged(base, "a list that is none", |b| b["acks"] = json!({}));
    tale.damaged(base, "payment index beyond a byte", |b| {
        b["paymentIndex"] = json!(256)
    });
    tale.damaged(base, "another version", |b| b["bundleVersion"] = json!(2));
    tale.damaged(base, "another network", |b| {
        b["network"] = Value::from("d402:other")
    });
    tale.damaged(base, "another payment", |b| b["paymentIndex"] = json!(1));
    tale.damaged(base, "no contents", |b| list(b, "blobs").clear());
    tale.damaged(base, "other content under the CID", |b| {
        b["blobs"][0]["base64"] = json!("AAAA")
    });
    tale.damaged(base, "content with padding", |b| {
        let text = b["blobs"][0]["base64"].as_str().expect("a text").to_owned() + "=";
        b["blobs"][0]["base64"] = Value::from(text);
    });
    tale.damaged(base, "content twice", |b| {
        let blob = b["blobs"][0].clone();
        list(b, "blobs").push(blob);
    });
    let other = b"content nobody asked for";
    tale.damaged(base, "content nobody asked for", |b| {
        let cid = d402_objects::Cid::of(other);
        let blobs = list(b, "blobs");
        blobs.push(json!({ "cid": cid.to_string(), "base64": "Y29udGVudCBub2JvZHkgYXNrZWQgZm9y" }));
        blobs.sort_by_key(|blob| blob["cid"].as_str().expect("a CID").to_owned());
    });
    for name in LISTS {
        tale.damaged(base, &format!("no {name}"), |b| list(b, name).clear());
        tale.damaged(base, &format!("{name} twice"), |b| {
            let first = list(b, name)[0].clone();
            list(b, name).insert(0, first);
        });
    }
    tale.damaged(base, "no bids", |b| list(b, "bids").clear());
    tale.damaged(base, "no offers", |b| list(b, "offers").clear());
}

fn objects(tale: &mut Tale, base: (&str, &Value)) {
    tale.damaged(base, "a field beside the envelope", |b| {
        b["acks"][0]["note"] = json!(1)
    });
    tale.damaged(base, "a field in a payload", |b| {
        b["acks"][0]["payload"]["note"] = json!(1)
    });
    tale.damaged(base, "another rank", |b| {
        b["acks"][0]["payload"]["rank"] = json!(2)
    });
    tale.damaged(base, "another price", |b| {
        b["leases"][0]["payload"]["price"] = json!("10001")
    });
    tale.damaged(base, "another commission", |b| {
        b["registration"]["payload"]["commission"]["bps"] = json!(1_001);
    });
    tale.damaged(base, "a verdict turned", |b| {
        b["validationReceipts"][0]["payload"]["verdict"] = json!("reject");
    });
    tale.damaged(base, "another kind", |b| {
        b["acks"][0]["payloadType"] = json!("d402.claimCommit")
    });
    tale.damaged(base, "another signer", |b| {
        b["acks"][0]["signer"] = json!(Ed25519Id::from(&key("worker", 0)).to_string());
    });
    tale.damaged(base, "a signature of zeros", |b| {
        b["intent"]["signature"] = Value::from("0".repeat(128));
    });
    tale.damaged(base, "the intent is no object", |b| b["intent"] = json!([]));
}

/// The receipt and the signatures under it.
fn receipts(tale: &mut Tale, base: (&str, &Value), story: &TaskStory) {
    tale.damaged(base, "no signature", |b| {
        list(&mut b["signedReceipt"], "signatures").clear()
    });
    tale.damaged(base, "another row amount", |b| {
        b["signedReceipt"]["receipt"]["rows"][0]["amount"] = json!("9999");
    });
    tale.damaged(base, "another commission in the receipt", |b| {
        b["signedReceipt"]["receipt"]["commission"] = json!("1");
    });
    tale.damaged(base, "another gateway fee in the receipt", |b| {
        b["signedReceipt"]["receipt"]["gatewayFee"] = json!("1");
    });
    tale.damaged(base, "another claim in the receipt", |b| {
        b["signedReceipt"]["receipt"]["claimCids"] = json!([story.leases[0].cid().to_string()]);
    });
    tale.damaged(base, "another verifier", |b| {
        b["signedReceipt"]["receipt"]["verifier"] = Value::from("1".repeat(64));
    });
    tale.damaged(base, "a receipt of another task", |b| {
        b["signedReceipt"]["receipt"]["taskId"] = json!(story.leases[0].cid().to_string());
    });
    tale.damaged(base, "rows descending", |b| {
        list(&mut b["signedReceipt"]["receipt"], "rows").reverse()
    });
    tale.damaged(base, "a set index that is not in the set", |b| {
        b["signedReceipt"]["signatures"][0]["setIndex"] = json!(1);
    });
    tale.damaged(base, "a short signature", |b| {
        b["signedReceipt"]["signatures"][0]["signature"] = json!("00");
    });
    tale.damaged(base, "the signature of the envelope key", |b| {
        b["signedReceipt"]["signatures"][0]["signature"] = b["acks"][0]["signature"].clone();
    });
    // Signed by the validator, but not what the evidence gives.
    let mut receipt = story.decided.receipt.clone();
    receipt.validation_receipt_cids.clear();
    let unsigned =
        d402_objects::SignedReceipt::new(receipt.clone(), Vec::new()).expect("a receipt");
    let scene = &story.scene;
    let settlement = d402_settlement::Settlement {
        receipt_cid: d402_settlement::ReceiptCid(unsigned.receipt_cid().as_bytes()),
        ..story.decided.settlement
    };
    let terms_hash = &scene.dossier.quote().terms_hash;
    let digest = scene
        .dossier
        .codec()
        .settlement_digest(terms_hash, &settlement);
    let signatures = scene.settlement_signatures(&[0], &digest);
    let carrier = unsigned.with_signatures(signatures).expect("signed");
    tale.damaged(base, "a signed receipt the evidence does not give", |b| {
        b["signedReceipt"] = carrier.to_value();
    });
}

/// Larger tasks: evidence taken out or reordered, and decisions that need all of it.
fn evidence(tale: &mut Tale) {
    let race = tale.story(Mode::Race);
    let name = "Race, 3 of 4";
    let bundle: Value = serde_json::from_slice(race.bundle().as_bytes()).expect("JSON");
    let base = (name, &bundle);
    let winner = race.decided.receipt.claim_cids[0].to_string();
    tale.damaged(base, "the winner's verdicts are gone", |b| {
        list(b, "validationReceipts").retain(|r| r["payload"]["claimCid"] != winner.as_str());
    });
    tale.damaged(base, "the loser's verdicts are gone", |b| {
        list(b, "validationReceipts").retain(|r| r["payload"]["claimCid"] == winner.as_str());
    });
    tale.damaged(base, "acks reversed", |b| list(b, "acks").reverse());
    tale.damaged(base, "offers reversed", |b| list(b, "offers").reverse());
    tale.damaged(base, "one lease of two", |b| {
        list(b, "leases").remove(0);
    });
    tale.damaged(base, "a signature too few", |b| {
        list(&mut b["signedReceipt"], "signatures").remove(0);
    });
    tale.damaged(base, "signatures swapped", |b| {
        let signatures = list(&mut b["signedReceipt"], "signatures");
        let first = signatures[0]["signature"].clone();
        signatures[0]["signature"] = signatures[1]["signature"].clone();
        signatures[1]["signature"] = first;
    });
    tale.damaged(base, "acks of the winner are gone", |b| {
        let lease = race.leases[0].cid().to_string();
        list(b, "acks").retain(|ack| ack["payload"]["leaseCid"] != lease.as_str());
    });
    tale.damaged(base, "half of the validators are enough", |b| {
        b["intent"]["payload"]["validation"]["threshold"] = json!(2);
        resigned::force_signature(&mut b["intent"], &race.scene.actors.buyer);
    });

    // Judged by nobody: rejected only when time is up.
    let mut story = TaskStory::honest(tale.spec(TaskSpec::single(1, 1).seeded(3)));
    let unjudged = story
        .objects
        .iter()
        .filter(|object| !matches!(object, EvidenceObject::Receipt(_)));
    let mut evidence = Evidence::new(&story.scene.dossier);
    assert!(evidence.insert_all(unjudged.cloned().collect()).is_empty());
    story.evidence = evidence;
    let facts = funded_at(story.scene.dossier.times().decide_at_ms);
    story.decided = decide(&story.evidence, &facts).decided().expect("rejected");
    let signatures = story
        .scene
        .settlement_signatures(&[0], &story.decided.digest);
    story.signed_receipt = story.decided.signed(signatures).expect("signed");
    tale.base("judged by nobody", story.bundle().as_bytes());
}
