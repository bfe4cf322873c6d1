//! The 402: what it carries, what it is bound to, what it leaves behind.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use d402_core::admission::{NotAdmitted, TaskRequest};
use d402_objects::{
    Manifest, Registration, Signed, TaskIntent, ValidatorOffer, Value, canonical, parse_payload,
};
use d402_settlement::market::testkit::wallet;
use d402_settlement::market::{Quote, TaskParts};
use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use serde_json::json;

use super::world::{World, payment, wish};
use crate::http::Policy;
use crate::http::challenge::{Bound, redeem, sorted_query};
use crate::http::secrets::Secrets;

#[tokio::test]
async fn a_client_recomputes_terms_and_address_from_the_402() {
    let world = World::new();
    let offer = world.post(&wish(), &[]).await;
    assert_eq!(offer.status, 402);
    assert_eq!(offer.header("cache-control"), Some("no-store"));
    let required = offer.coded("payment-required");
    let body = offer.json();
    assert_eq!(body["x402"], required);
    assert_eq!(required["x402Version"], 2);
    assert_eq!(required["resource"]["url"], "http://gateway.test/tasks");
    assert!(required["extensions"]["payment-identifier"]["info"].is_object());
    let entry = &required["accepts"][0];
    assert_eq!(
        (&entry["scheme"], &entry["network"]),
        (&json!("exact"), &json!("d402:simulated"))
    );
    assert_eq!(entry["extra"]["paymentFlow"], "upfront");
    assert_eq!(entry["maxTimeoutSeconds"], 60);

    let raw_intent = &entry["extra"]["d402"]["intent"];
    assert_eq!(&body["intent"], raw_intent);
    let (intent, task_id) = parse_payload::<TaskIntent>(&canonical::to_bytes(raw_intent)).unwrap();
    let manifest = Signed::<Manifest>::from_value(body["manifest"].clone()).unwrap();
    let registration = Signed::<Registration>::from_value(body["registration"].clone()).unwrap();
    let offers: Vec<Signed<ValidatorOffer>> = body["offers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| Signed::from_value(o.clone()).unwrap())
        .collect();
    let parts = TaskParts {
        intent: &intent,
        task_id,
        manifest: &manifest,
        registration: &registration,
        offers: &offers,
    };
    let quote = Quote::of(&parts, 0).unwrap();
    assert_eq!(entry["payTo"], quote.pay_to_address().unwrap().as_str());
    let terms = URL_SAFE_NO_PAD
        .decode(entry["extra"]["d402"]["terms"].as_str().unwrap())
        .unwrap();
    assert_eq!(terms, *quote.terms_bytes);
    assert_eq!(intent.payment[0].refund_to, wallet("refund", 0));
    assert_eq!(entry["amount"], intent.payment[0].budget.to_string());
    assert_eq!((quote.set.m(), quote.set.n()), (3, 4));
}

#[tokio::test]
async fn an_unpaid_request_leaves_nothing_behind() {
    let world = World::new();
    for _ in 0..3 {
        assert_eq!(world.post(&wish(), &[]).await.status, 402);
    }
    assert_eq!(world.traces(), [0; 4]);
}

#[tokio::test]
async fn equal_requests_are_different_tasks() {
    let world = World::new();
    let (one, two) = (world.entry(&wish()).await, world.entry(&wish()).await);
    assert_ne!(one["payTo"], two["payTo"]);
}

#[tokio::test]
async fn the_header_of_a_large_set_is_refused_rather_than_sent_over_its_bound() {
    let mut spec = d402_settlement::market::testkit::TaskSpec::single(9, 16);
    spec.validator_fee = 1;
    let world = World::of(spec, |config| {
        config.policy.validator_set_size = 16;
        config.policy.validator_threshold = 9;
    });
    let offer = world.post(&wish(), &[]).await;
    match offer.status.as_u16() {
        402 => assert!(offer.header("payment-required").unwrap().len() <= 6 * 1024),
        _ => assert_eq!(offer.problem(), "challenge-too-large"),
    }
    let small = World::new().post(&wish(), &[]).await;
    assert!(small.header("payment-required").unwrap().len() <= 6 * 1024);
}

#[tokio::test]
async fn without_refund_to_no_rail_is_offered_and_the_problem_says_what_to_send() {
    let world = World::new();
    let mut body = wish();
    body.as_object_mut().unwrap().remove("refundTo");
    let answer = world.post(&body, &[]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (422, "no-rail")
    );
    assert_eq!(answer.json()["networks"][0]["network"], "d402:simulated");
    assert!(answer.json()["send"]["refundTo"]["d402:simulated"].is_string());
    assert!(answer.header("payment-required").is_none());
}

#[tokio::test]
async fn the_gateway_draws_a_token_when_the_buyer_brings_none_and_binds_its_hash() {
    let world = World::new();
    let mut body = wish();
    body.as_object_mut().unwrap().remove("accessHash");
    let offer = world.post(&body, &[]).await.json();
    let token = offer["accessToken"].as_str().unwrap();
    assert_eq!(
        offer["intent"]["accessHash"],
        crate::http::secrets::access_hash(token).to_string()
    );
    assert!(
        world
            .post(&wish(), &[])
            .await
            .json()
            .get("accessToken")
            .is_none()
    );
}

/// Paths of all leaves of a JSON value.
fn leaves(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, item) in fields {
                leaves(item, format!("{at}/{name}"), out);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, format!("{at}/{index}"), out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push(at),
    }
}

/// Another value of the same type, of the same shape as far as possible.
fn changed(value: &Value) -> Value {
    match value {
        Value::Bool(flag) => Value::Bool(!flag),
        Value::Number(number) => json!(number.as_u64().unwrap() + 1),
        Value::String(text) => {
            let last = if text.ends_with('0') { "1" } else { "0" };
            Value::from(format!("{}{last}", &text[..text.len() - 1]))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => Value::from("another"),
    }
}

#[tokio::test]
async fn no_leaf_of_an_entry_can_be_changed_or_left_out() {
    let world = World::new();
    let entry = world.entry(&wish()).await;
    let mut paths = Vec::new();
    leaves(&entry, String::new(), &mut paths);
    assert!(paths.len() > 40, "{paths:?}");
    for path in paths {
        let mut forged = entry.clone();
        let leaf = forged.pointer_mut(&path).unwrap();
        *leaf = changed(leaf);
        let answer = world
            .post(&wish(), &[("payment-signature", &payment(&forged, 1))])
            .await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 402),
            "{path}: {answer:?}"
        );
    }
    assert_eq!(world.store.tasks(), 0);
    let untouched = world
        .post(&wish(), &[("payment-signature", &payment(&entry, 1))])
        .await;
    assert_eq!(untouched.status, 202, "{untouched:?}");
}

#[tokio::test]
async fn an_entry_is_taken_however_the_client_orders_and_spaces_it() {
    let world = World::new();
    let entry = world.entry(&wish()).await;
    let mut reordered = serde_json::Map::new();
    for (name, value) in entry.as_object().unwrap().iter().rev() {
        reordered.insert(name.clone(), value.clone());
    }
    let answer = world
        .post(
            &wish(),
            &[("payment-signature", &payment(&Value::Object(reordered), 1))],
        )
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

#[tokio::test]
async fn a_challenge_of_one_gateway_is_worth_nothing_at_another() {
    let one = World::new();
    let entry = one.entry(&wish()).await;
    let header = payment(&entry, 1);
    let other_name = World::with(|config| config.cluster_id = Some("another".to_owned()));
    let other_root = World::with(|config| config.root_secret = [8; 32]);
    for other in [other_name, other_root] {
        let answer = other.post(&wish(), &[("payment-signature", &header)]).await;
        assert_eq!(answer.status, 402);
        assert_eq!(answer.json()["x402"]["error"], "invalid_challenge");
        assert_eq!(other.store.tasks(), 0);
    }
}

#[tokio::test]
async fn a_challenge_pays_for_the_body_and_query_it_was_made_for_only() {
    let world = World::new();
    let entry = world.entry(&wish()).await;
    let mut other = wish();
    other["input"]["text"] = json!("something else");
    let answer = world
        .post(&other, &[("payment-signature", &payment(&entry, 1))])
        .await;
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.json()["x402"]["error"].as_str()
        ),
        (402, Some("invalid_challenge"))
    );
    let header = payment(&entry, 1);
    let answer = world
        .post_bytes(
            "/tasks?x=1",
            wish().to_string().into_bytes(),
            &[("payment-signature", &header)],
        )
        .await;
    assert_eq!(answer.status, 402);
    assert_eq!(world.store.tasks(), 0);
}

#[tokio::test]
async fn an_expired_challenge_gives_a_fresh_one() {
    let world = World::new();
    let mut body = wish();
    body["deadlineMs"] = json!(600_000);
    let entry = world.entry(&body).await;
    world.clock.advance(119_999);
    let in_time = world
        .post(&body, &[("payment-signature", &payment(&entry, 1))])
        .await;
    assert_eq!(in_time.status, 202, "{in_time:?}");
    let entry = world.entry(&body).await;
    world.clock.advance(120_000);
    let late = world
        .post(&body, &[("payment-signature", &payment(&entry, 2))])
        .await;
    assert_eq!(
        (late.status.as_u16(), late.json()["x402"]["error"].as_str()),
        (402, Some("challenge_expired"))
    );
}

#[tokio::test]
async fn a_challenge_ends_when_its_deposit_would_be_late() {
    let world = World::new();
    let entry = world.entry(&wish()).await;
    let challenge = &entry["extra"]["d402"]["challenge"];
    let life =
        challenge["expiresAtMs"].as_u64().unwrap() - challenge["issuedAtMs"].as_u64().unwrap();
    assert_eq!(life, 25_000, "30 s deadline less the funding margin");
}

#[tokio::test]
async fn two_key_ids_live_during_a_rotation_and_the_third_does_not() {
    let mut world = World::new();
    let entry = world.entry(&wish()).await;
    world.rebuild(|config| config.kids = vec!["2".to_owned(), "1".to_owned()]);
    let rotated = world
        .post(&wish(), &[("payment-signature", &payment(&entry, 1))])
        .await;
    assert_eq!(rotated.status, 202, "{rotated:?}");
    let entry = world.entry(&wish()).await;
    assert_eq!(entry["extra"]["d402"]["challenge"]["kid"], "2");
    world.rebuild(|config| config.kids = vec!["4".to_owned(), "3".to_owned(), "2".to_owned()]);
    let gone = world
        .post(&wish(), &[("payment-signature", &payment(&entry, 2))])
        .await;
    assert_eq!(gone.json()["x402"]["error"], "invalid_challenge");
}

#[tokio::test]
async fn a_challenge_below_the_floor_of_now_is_not_honoured() {
    let mut world = World::new();
    let entry = world.entry(&wish()).await;
    world.rebuild(|config| config.policy.price_floor = 20_000.into());
    let answer = world
        .post(&wish(), &[("payment-signature", &payment(&entry, 1))])
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (422, "budget")
    );
    assert_eq!(world.store.tasks(), 0);
}

#[tokio::test]
async fn a_challenge_with_validators_outside_the_configuration_of_now_is_not_honoured() {
    let mut world = World::new();
    let entry = world.entry(&wish()).await;
    let trusted = vec![world.actors.validators[0].id()];
    world.rebuild(|config| config.policy.trusted_validators = trusted);
    // The new boundary reads the directory for the first time.
    world.get("/health", &[]).await;
    let answer = world
        .post(&wish(), &[("payment-signature", &payment(&entry, 1))])
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (422, "unusable-offer")
    );
    assert_eq!(world.store.tasks(), 0);
}

#[tokio::test]
async fn an_offer_replaced_after_the_402_is_still_good_for_its_challenge() {
    let world = World::new();
    let entry = world.entry(&wish()).await;
    let cid = entry["extra"]["d402"]["intent"]["validation"]["offerCids"][0]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    world.library.remove(cid);
    world.clock.advance(10_000);
    assert_eq!(
        world.post(&wish(), &[]).await.problem(),
        "too-few-validators",
        "the view was read anew"
    );
    let answer = world
        .post(&wish(), &[("payment-signature", &payment(&entry, 1))])
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

/// The kind of the 422 a changed policy answers a request with.
async fn refused(change: fn(&mut Policy), body: Value) -> String {
    let world = World::with(|config| change(&mut config.policy));
    let answer = world.post(&body, &[]).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    answer.problem()
}

#[tokio::test]
async fn policy_decides_what_is_sold() {
    type Change = fn(&mut Policy);
    let changes: [(Change, &str); 8] = [
        (
            |p| p.accepted_manifests.extend([d402_objects::Cid::of(b"x")]),
            "not-accepted",
        ),
        (
            |p| {
                p.trusted_namespaces
                    .extend(["other".parse().ok()].into_iter().flatten())
            },
            "not-accepted",
        ),
        (|p| p.namespace_proof_required = true, "not-accepted"),
        (|p| p.max_commission_bps = 999, "not-accepted"),
        (|p| p.max_budget = 9_999.into(), "budget"),
        // The four validators ask 2,000 together.
        (|p| p.default_budget = 3_999.into(), "no-rail"),
        (|p| p.allow_async = false, "async-refused"),
        (|p| p.max_deadline_ms = 29_999, "deadline"),
    ];
    for (change, kind) in changes {
        assert_eq!(refused(change, wish()).await, kind);
    }
}

#[tokio::test]
async fn a_request_nobody_could_serve_is_not_sold() {
    let other = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    for (name, value, kind) in [
        ("deadlineMs", json!(9_999), "invalid-task"),
        ("fanout", json!(2), "invalid-task"),
        ("capabilityId", json!("no.such@1"), "unknown-capability"),
        ("manifestCid", json!(other), "unknown-capability"),
        ("input", json!("not an object"), "input-schema"),
        (
            "validation",
            json!({"offerCids": [other], "threshold": 1}),
            "unusable-offer",
        ),
        ("refundTo", json!({"d402:simulated": "nobody"}), "no-terms"),
    ] {
        let mut body = wish();
        body[name] = value;
        assert_eq!(refused(|_| {}, body).await, kind, "{name}");
    }
    assert_eq!(refused(|_| {}, json!({"input": {}})).await, "no-capability");
}

#[tokio::test]
async fn the_buyer_may_name_its_validators() {
    let world = World::new();
    let first = world.entry(&wish()).await;
    let offers = first["extra"]["d402"]["intent"]["validation"]["offerCids"]
        .as_array()
        .unwrap()
        .clone();
    let mut body = wish();
    body["validation"] =
        json!({"offerCids": [offers[2], offers[0]], "threshold": 2, "model": "exact"});
    let entry = world.entry(&body).await;
    let intent = &entry["extra"]["d402"]["intent"];
    assert_eq!(
        intent["validation"]["offerCids"],
        json!([offers[2], offers[0]])
    );
    assert_eq!(intent["validation"]["threshold"], 2);
    let closed = World::with(|config| config.policy.allow_other_validators = false);
    assert_eq!(closed.post(&body, &[]).await.problem(), "unusable-offer");
}

#[test]
fn a_lookalike_of_another_author_makes_a_name_ambiguous() {
    use d402_core::admission::{Catalogue, Draw, admit};
    use d402_objects::{Hex32, Nonce16, SigningKey};
    use d402_settlement::market::testkit::{Actors, Scene, TaskSpec};
    let spec = TaskSpec::single(3, 4);
    let parts = Scene::parts(&spec, &Actors::new(4));
    let stranger = SigningKey::from_bytes(&[9; 32]);
    let mut manifest = parts.manifest.payload().clone();
    manifest.author = (&stranger).into();
    let copy = Signed::sign(manifest, &stranger).unwrap();
    let mut registration = parts.registration.payload().clone();
    (registration.author, registration.manifest_cid) = ((&stranger).into(), copy.cid());
    let copied = Signed::sign(registration, &stranger).unwrap();
    let request: TaskRequest = serde_json::from_value(wish()).unwrap();
    let draw = Draw {
        gateway: (&stranger).into(),
        now_ms: super::world::START_MS,
        nonce: Nonce16::from_bytes([0; 16]),
        salt: [0; 32],
        access_hash: Hex32::from_bytes([0; 32]),
    };
    let catalogue = Catalogue::new(
        &[parts.manifest, copy],
        vec![parts.registration, copied],
        draw.now_ms,
    );
    let refusal = admit(
        &request,
        &crate::http::Policy::default(),
        &catalogue,
        &[],
        &draw,
    )
    .unwrap_err();
    assert!(matches!(refusal, NotAdmitted::Ambiguous { manifests } if manifests.len() == 2));
}

/// Any JSON, a few levels deep, with the names an entry has.
fn any_entry() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("extra".to_owned()),
        Just("d402".to_owned()),
        Just("challenge".to_owned()),
        Just("intent".to_owned()),
        "[a-z]{0,4}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_a_stranger_sends_is_a_challenge(entry in any_entry(), with_d402 in any::<bool>()) {
        let secrets = Secrets::new(&[7; 32], &["1".to_owned()]);
        let entry = if with_d402 { json!({"extra": {"d402": entry}}) } else { entry };
        let bound = Bound {
            cluster_id: "a",
            method: "POST",
            path: "/tasks",
            query: "",
            body_sha256: d402_objects::Hex32::from_bytes([0; 32]),
        };
        prop_assert!(redeem(&secrets, &entry, &bound).is_err());
    }

    #[test]
    fn a_query_is_bound_whatever_its_order(mut pairs in prop::collection::vec("[a-z]=[a-z]", 0..5)) {
        let one = sorted_query(Some(&pairs.join("&")));
        pairs.reverse();
        prop_assert_eq!(one, sorted_query(Some(&pairs.join("&"))));
    }
}
