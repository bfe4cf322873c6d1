//! Paid requests: one payment, one task, whatever is repeated.

use std::time::Duration;

use d402_core::ports::PaymentFault;
use serde_json::json;

use super::fakes::Mood;
use super::world::{World, payment, payment_with, task_id, wish};

#[tokio::test]
async fn a_paid_request_stores_the_task_with_its_payment_before_anything_is_submitted() {
    let world = World::new();
    let entry = world.entry(&wish()).await;
    let answer = world
        .post(&wish(), &[("payment-signature", &payment(&entry, 1))])
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(world.store.tasks(), 1);
    let task = world.engine.task(task_id(&answer)).await.unwrap().unwrap();
    assert_eq!(task.dossier().intent().gateway, world.engine.gateway());
    assert_eq!(
        json!(task.dossier().intent()),
        entry["extra"]["d402"]["intent"],
        "the signed intent is the offered one"
    );
    assert!(
        answer.json()["links"]["task"]
            .as_str()
            .unwrap()
            .starts_with("http://gateway.test/tasks/sha256:")
    );
}

#[tokio::test]
async fn the_same_payment_again_is_the_same_task() {
    let world = World::new();
    let entry = world.entry(&wish()).await;
    let header = payment(&entry, 1);
    let first = world.post(&wish(), &[("payment-signature", &header)]).await;
    // The chain now says that the nonce is used; the lookup comes before it is asked.
    world.purse.set(Mood::Faulty(PaymentFault::Expired));
    world.clock.advance(1_000_000);
    let again = world.post(&wish(), &[("payment-signature", &header)]).await;
    assert_eq!(
        (again.status.as_u16(), task_id(&again)),
        (202, task_id(&first)),
        "{again:?}"
    );
    assert_eq!(again.header("x-d402-idempotent-replay"), Some("true"));
    assert_eq!(again.header("x-dnc-idempotent-replay"), Some("true"));
    assert!(first.header("x-d402-idempotent-replay").is_none());
    assert_eq!(world.store.tasks(), 1);
}

#[tokio::test]
async fn the_same_payment_for_another_request_is_a_conflict() {
    let world = World::new();
    let entry = world.entry(&wish()).await;
    let header = payment(&entry, 1);
    world.post(&wish(), &[("payment-signature", &header)]).await;
    let mut other = wish();
    other["input"]["text"] = json!("something else");
    let answer = world.post(&other, &[("payment-signature", &header)]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (409, "payment-identifier-conflict")
    );
}

#[tokio::test]
async fn a_second_payer_of_the_same_terms_is_refused_before_its_money_moves() {
    let world = World::new();
    let entry = world.entry(&wish()).await;
    let first = world
        .post(&wish(), &[("payment-signature", &payment(&entry, 1))])
        .await;
    let second = world
        .post(&wish(), &[("payment-signature", &payment(&entry, 2))])
        .await;
    assert_eq!(
        (second.status.as_u16(), second.problem().as_str()),
        (409, "already-paid")
    );
    assert_eq!(second.json()["taskId"], first.json()["taskId"]);
    tokio::task::yield_now().await;
    let submitted = world.purse.submitted.lock().unwrap().clone();
    assert!(
        submitted
            .iter()
            .all(|body| !String::from_utf8_lossy(body).contains(&hex::encode([2u8; 32])))
    );
}

#[tokio::test]
async fn a_client_id_names_one_purchase() {
    let world = World::new();
    let extension = json!({"payment-identifier": {"paymentId": "purchase-0123456789"}});
    let entry = world.entry(&wish()).await;
    let first = world
        .post(
            &wish(),
            &[("payment-signature", &payment_with(&entry, 1, &extension))],
        )
        .await;
    assert_eq!(first.status, 202);
    // A client that lost its state asks again without a payment: no second 402 (threat #70).
    let lost = world
        .post(&wish(), &[("idempotency-key", "purchase-0123456789")])
        .await;
    assert_eq!(
        (lost.status.as_u16(), task_id(&lost)),
        (202, task_id(&first))
    );
    assert_eq!(lost.header("x-d402-idempotent-replay"), Some("true"));
    // Another payment under the same id never reaches the chain.
    let entry = world.entry(&wish()).await;
    let other = world
        .post(
            &wish(),
            &[("payment-signature", &payment_with(&entry, 2, &extension))],
        )
        .await;
    assert_eq!(
        (other.status.as_u16(), other.problem().as_str()),
        (409, "payment-identifier-conflict")
    );
    assert_eq!(world.store.tasks(), 1);
    let short = world.post(&wish(), &[("idempotency-key", "short")]).await;
    assert_eq!(
        (short.status.as_u16(), short.problem().as_str()),
        (400, "malformed")
    );
}

#[tokio::test]
async fn an_unknown_client_id_gives_an_offer() {
    let world = World::new();
    let answer = world
        .post(&wish(), &[("idempotency-key", "purchase-0123456789")])
        .await;
    assert_eq!(answer.status, 402);
}

#[tokio::test]
async fn a_silent_chain_is_pending_and_never_a_fresh_402() {
    let world = World::new();
    let entry = world.entry(&wish()).await;
    world.purse.set(Mood::Deaf);
    let answer = world
        .post(&wish(), &[("payment-signature", &payment(&entry, 1))])
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (503, "settlement-pending")
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.header("payment-required").is_none());
}

#[tokio::test]
async fn a_payment_the_rail_refuses_gives_a_402_that_says_why() {
    let world = World::new();
    let funds = PaymentFault::Funds {
        got: 1.into(),
        needed: 2.into(),
    };
    for (fault, error) in [
        (PaymentFault::Malformed, "invalid_payload"),
        (PaymentFault::Mismatch, "invalid_payment_requirements"),
        (PaymentFault::Signature, "invalid_signature"),
        (PaymentFault::Expired, "invalid_payment_window"),
        (funds, "insufficient_funds"),
    ] {
        let entry = world.entry(&wish()).await;
        world.purse.set(Mood::Faulty(fault));
        let answer = world
            .post(&wish(), &[("payment-signature", &payment(&entry, 1))])
            .await;
        assert_eq!(
            (
                answer.status.as_u16(),
                answer.json()["x402"]["error"].as_str()
            ),
            (402, Some(error))
        );
        assert_eq!(answer.coded("payment-required")["error"], error);
    }
    assert_eq!(world.store.tasks(), 0);
}

#[tokio::test]
async fn a_payment_that_can_never_take_effect_gives_a_fresh_402() {
    let mut world = World::new();
    world.drive();
    world.rebuild(|config| config.funding_wait = Duration::from_secs(10));
    world.purse.set(Mood::Impossible);
    let entry = world.entry(&wish()).await;
    let answer = world
        .post(&wish(), &[("payment-signature", &payment(&entry, 1))])
        .await;
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.json()["x402"]["error"].as_str()
        ),
        (402, Some("payment_never_settled"))
    );
    assert_eq!(answer.coded("payment-response")["success"], false);
    let payment = world
        .get(&format!("/payments/{}", hex::encode([1u8; 32])), &[])
        .await
        .json();
    assert_eq!(
        (&payment["state"], &payment["taskStatus"]),
        (&json!("impossible"), &json!("unfunded"))
    );
}

#[tokio::test]
async fn a_funded_task_answers_with_a_settlement_response() {
    let mut world = World::new();
    world.rebuild(|config| config.funding_wait = Duration::from_secs(10));
    world.drive();
    let answer = world.buy(&wish(), 1).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let response = answer.coded("payment-response");
    assert_eq!(
        (&response["success"], &response["payer"]),
        (&json!(true), &json!("payer"))
    );
    assert_eq!(
        response["transaction"],
        format!("transaction-of-{}", hex::encode([1u8; 32]))
    );
    assert_eq!(
        response["extensions"]["d402"]["taskId"],
        answer.json()["taskId"]
    );
    assert_eq!(response["amount"], "10000");
}

#[tokio::test]
async fn malformed_payments_are_400() {
    let world = World::new();
    let entry = world.entry(&wish()).await;
    for header in [
        "not base64!",
        "e30=",
        &super::world::payment(&json!({"network": "eip155:1"}), 1),
    ] {
        let answer = world.post(&wish(), &[("payment-signature", header)]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (400, "malformed"),
            "{header}"
        );
    }
    let mut version = String::from_utf8(base64_decode(&payment(&entry, 1))).unwrap();
    version = version.replace("\"x402Version\":2", "\"x402Version\":1");
    let header = base64_encode(version.as_bytes());
    assert_eq!(
        world
            .post(&wish(), &[("payment-signature", &header)])
            .await
            .status,
        400
    );
}

fn base64_decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

fn base64_encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[tokio::test]
async fn the_facilitator_verifies_our_entries_and_settles_only_tasks() {
    let mut world = World::new();
    world.drive();
    let entry = world.entry(&wish()).await;
    let ask = |requirements: &serde_json::Value| {
        let payload = json!({"x402Version": 2, "accepted": requirements, "payload": {"payment": {"nonce": hex::encode([1u8; 32])}}});
        json!({"x402Version": 2, "paymentPayload": payload, "paymentRequirements": requirements})
            .to_string()
            .into_bytes()
    };
    let good = world.post_bytes("/verify", ask(&entry), &[]).await.json();
    assert_eq!(good, json!({"isValid": true, "payer": "payer"}));
    let mut cheap = entry.clone();
    cheap["payTo"] = json!(hex::encode([3u8; 32]));
    let bad = world.post_bytes("/verify", ask(&cheap), &[]).await.json();
    assert_eq!(bad["isValid"], json!(false));
    assert_eq!(world.store.tasks(), 0, "verify is read-only");
    let without_task = world.post_bytes("/settle", ask(&entry), &[]).await.json();
    assert_eq!(
        (&without_task["success"], &without_task["errorReason"]),
        (&json!(false), &json!("task_required"))
    );
    world
        .post(&wish(), &[("payment-signature", &payment(&entry, 1))])
        .await;
    let settled = world.post_bytes("/settle", ask(&entry), &[]).await.json();
    assert_eq!(
        (&settled["success"], &settled["transaction"]),
        (
            &json!(true),
            &json!(format!("transaction-of-{}", hex::encode([1u8; 32])))
        )
    );
}
