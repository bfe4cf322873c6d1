//! Bundles whose objects all carry good signatures, but do not say what the task needs.

use d402_objects::{
    Amount, Bps, Ed25519Id, Hex32, ResultClaim, Signed, UnixMs, Value, Verdict, canonical,
};
use d402_settlement::market::testkit::{TaskStory, key};
use serde_json::json;

use super::Tale;

/// Objects that verify, but say something else.
pub(super) fn resigned(tale: &mut Tale, base: (&str, &Value), story: &TaskStory) {
    let scene = &story.scene;
    let (lease, claim, commit) = (&story.leases[0], &story.claims[0], &story.commits[0]);
    let gateway = &scene.actors.gateway;
    tale.damaged(base, "an ack too late", |b| {
        let mut ack = scene.ack(0, lease, commit, 1).payload().clone();
        ack.at_ms = scene.dossier.times().commit_by_ms;
        b["acks"][0] = signed(ack, &scene.actors.validators[0].key);
    });
    tale.damaged(base, "an ack by a stranger", |b| {
        let stranger = key("stranger", 0);
        let mut ack = scene.ack(0, lease, commit, 1).payload().clone();
        ack.validator = (&stranger).into();
        b["acks"][0] = signed(ack, &stranger);
    });
    tale.damaged(base, "an ack of another attempt", |b| {
        let mut ack = scene.ack(0, lease, commit, 1).payload().clone();
        ack.attempt = 2;
        b["acks"][0] = signed(ack, &scene.actors.validators[0].key);
    });
    tale.damaged(base, "a rank above the number of leases", |b| {
        b["acks"][0] = scene.ack(0, lease, commit, 2).to_value();
    });
    tale.damaged(base, "an ack of a commit nobody made", |b| {
        let mut ack = scene.ack(0, lease, commit, 1).payload().clone();
        ack.commit = Hex32::from_bytes([9; 32]);
        b["acks"][0] = signed(ack, &scene.actors.validators[0].key);
    });
    tale.damaged(base, "a lease by another gateway", |b| {
        let mut other = lease.payload().clone();
        let stranger = key("stranger", 0);
        other.gateway = (&stranger).into();
        b["leases"][0] = signed(other, &stranger);
    });
    tale.damaged(base, "a lease over the budget", |b| {
        let mut other = lease.payload().clone();
        other.price = Amount::from(90_000);
        other.lease_set_root = d402_objects::lease_set_root(&[(other.worker, other.price)]);
        b["leases"][0] = signed(other, gateway);
    });
    tale.damaged(base, "a lease with another root", |b| {
        let mut other = lease.payload().clone();
        other.lease_set_root = Hex32::from_bytes([9; 32]);
        b["leases"][0] = signed(other, gateway);
    });
    tale.damaged(base, "a lease that ends after the deadline", |b| {
        let mut other = lease.payload().clone();
        other.expires_at_ms = scene.at(30_001);
        b["leases"][0] = signed(other, gateway);
    });
    tale.damaged(base, "a lease accepted when it had expired", |b| {
        let mut accept = scene.accept(lease).payload().clone();
        accept.at_ms = lease.payload().expires_at_ms;
        b["leaseAccepts"][0] = signed(accept, scene.worker_of(lease));
    });
    tale.damaged(base, "a claim of another task", |b| {
        let mut other: ResultClaim = claim.payload().clone();
        other.task_id = claim.cid();
        b["claims"][0] = signed(other, scene.worker_of(lease));
    });
    tale.damaged(base, "a claim under other terms", |b| {
        let mut other: ResultClaim = claim.payload().clone();
        other.terms_hash = Hex32::from_bytes([9; 32]);
        b["claims"][0] = signed(other, scene.worker_of(lease));
    });
    tale.damaged(base, "a commit by a worker without the lease", |b| {
        let mut other = commit.payload().clone();
        other.worker = scene.actors.workers[1].id();
        b["commits"][0] = signed(other, &scene.actors.workers[1].key);
    });
    tale.damaged(base, "a commit for another network", |b| {
        let mut other = commit.payload().clone();
        other.network = "d402:other".parse().expect("a network");
        b["commits"][0] = signed(other, scene.worker_of(lease));
    });
    tale.damaged(base, "a lease that pays a validator", |b| {
        let mut other = lease.payload().clone();
        other.payout.address = scene.actors.validators[0].payout.clone();
        b["leases"][0] = signed(other, gateway);
    });
    tale.damaged(base, "a claim that opens no commit", |b| {
        b["claims"][0] = scene.claim(lease, b"another output").to_value();
    });
    tale.damaged(base, "a verdict by another model", |b| {
        let mut verdict = scene.verdict(0, claim, Verdict::Accept).payload().clone();
        verdict.model = d402_objects::ValidationModel::Scored;
        b["validationReceipts"][0] = signed(verdict, &scene.actors.validators[0].key);
    });
    tale.damaged(base, "a verdict the other way", |b| {
        b["validationReceipts"][0] = scene.verdict(0, claim, Verdict::Reject).to_value();
    });
    tale.damaged(base, "a bid that no lease answers", |b| {
        b["bids"][0] = scene.bid(5).to_value();
    });
    tale.damaged(base, "an intent with another salt", |b| {
        let mut intent = scene.dossier.intent().clone();
        intent.payment[0].salt = Hex32::from_bytes([9; 32]);
        b["intent"] = signed(intent, &scene.actors.buyer);
    });
    tale.damaged(base, "an intent for another set", |b| {
        let mut intent = scene.dossier.intent().clone();
        intent.payment[0].validator_set = Hex32::from_bytes([9; 32]);
        b["intent"] = signed(intent, &scene.actors.buyer);
    });
    tale.damaged(base, "a manifest with another decision time", |b| {
        let mut manifest = scene.dossier.manifest().clone();
        manifest.decision_time_s = 61;
        b["manifest"] = signed(manifest, &scene.actors.author);
    });
    tale.damaged(base, "a registration with another commission", |b| {
        let mut registration = scene.dossier.registration().clone();
        registration.commission.bps = Bps::new(999).expect("a rate");
        b["registration"] = signed(registration, &scene.actors.author);
    });
    tale.damaged(base, "an offer with another fee", |b| {
        let mut offer = scene.dossier.parts().offers[0].payload().clone();
        offer.fees[0].fee = Amount::from(1);
        b["offers"][0] = signed(offer, &scene.actors.validators[0].key);
    });
    tale.damaged(base, "an offer of another time", |b| {
        let mut offer = scene.dossier.parts().offers[0].payload().clone();
        offer.expires_at_ms = UnixMs::new(1).expect("a time");
        b["offers"][0] = signed(offer, &scene.actors.validators[0].key);
    });
}

pub(super) fn signed<T: d402_objects::Payload>(
    payload: T,
    key: &d402_objects::SigningKey,
) -> Value {
    Signed::sign(payload, key).expect("signed").to_value()
}

/// Name, place of the object in the bundle, field of its payload, value, who signs.
type RuleCase<'a> = (
    &'a str,
    &'a [&'a str],
    &'a [&'a str],
    Value,
    &'a d402_objects::SigningKey,
);

/// Objects with good signatures that break a rule between their fields, which no honest signer writes.
pub(super) fn ruleless(tale: &mut Tale, base: (&str, &Value), story: &TaskStory) {
    let actors = &story.scene.actors;
    let (buyer, gateway, author) = (&actors.buyer, &actors.gateway, &actors.author);
    let (worker, validator) = (&actors.workers[0].key, &actors.validators[0].key);
    let zeros = Value::from("0".repeat(64));
    let cases: [RuleCase<'_>; 18] = [
        (
            "a deadline after a day",
            &["intent"],
            &["deadlineMs"],
            json!(1_795_100_000_000u64),
            buyer,
        ),
        (
            "nine attempts",
            &["intent"],
            &["maxAttempts"],
            json!(9),
            buyer,
        ),
        (
            "single with two workers",
            &["intent"],
            &["fanout"],
            json!(2),
            buyer,
        ),
        (
            "a threshold of none",
            &["intent"],
            &["validation", "threshold"],
            json!(0),
            buyer,
        ),
        (
            "a threshold above n",
            &["intent"],
            &["validation", "threshold"],
            json!(2),
            buyer,
        ),
        ("no payment", &["intent"], &["payment"], json!([]), buyer),
        (
            "a budget of nothing",
            &["intent"],
            &["payment", "0", "budget"],
            json!("0"),
            buyer,
        ),
        (
            "a cap above half",
            &["intent"],
            &["payment", "0", "validatorFeeCap"],
            json!("50001"),
            buyer,
        ),
        (
            "a gateway fee of 20.01 %",
            &["intent"],
            &["payment", "0", "gatewayFeeBps"],
            json!(2_001),
            buyer,
        ),
        (
            "a fee without a payee",
            &["intent"],
            &["payment", "0", "gatewayFeePayee"],
            Value::Null,
            buyer,
        ),
        (
            "a commission of 20.01 %",
            &["registration"],
            &["commission", "bps"],
            json!(2_001),
            author,
        ),
        (
            "valid until it begins",
            &["registration"],
            &["validUntilMs"],
            json!(0),
            author,
        ),
        (
            "a similarity nobody asked for",
            &["manifest"],
            &["similarity"],
            json!({ "name": "same", "thresholdBps": 1 }),
            author,
        ),
        (
            "no way to judge",
            &["manifest"],
            &["validationModels"],
            json!([]),
            author,
        ),
        (
            "a lease index of none",
            &["leases", "0"],
            &["leaseIndex"],
            json!(1),
            gateway,
        ),
        (
            "a free lease",
            &["leases", "0"],
            &["price"],
            json!("0"),
            gateway,
        ),
        ("rank 0", &["acks", "0"], &["rank"], json!(0), validator),
        (
            "another evidence root",
            &["claims", "0"],
            &["evidenceRoot"],
            zeros,
            worker,
        ),
    ];
    for (name, place, field, value, key) in cases {
        tale.damaged(base, name, |b| {
            let envelope = at(b, place);
            *at(&mut envelope["payload"], field) = value;
            force_signature(envelope, key);
        });
    }
}

fn at<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Value {
    path.iter()
        .fold(value, |at, step| match step.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[*step],
        })
}

/// Signs an envelope's payload as it stands.
pub(super) fn force_signature(envelope: &mut Value, key: &d402_objects::SigningKey) {
    use ed25519_dalek::Signer as _;

    let kind = envelope["payloadType"]
        .as_str()
        .expect("a kind")
        .replace("d402.", "");
    let network = envelope["payload"]["network"]
        .as_str()
        .map(|name| name.parse().expect("a network"));
    let digest = canonical::digest(&envelope["payload"]);
    let signer = Ed25519Id::from(key).into();
    let message = d402_objects::preimage(&kind, 1, network.as_ref(), &signer, &digest);
    envelope["signature"] = Value::from(hex::encode(key.sign(&message).to_bytes()));
}
