//! Who may read what of a task that ended.

use d402_objects::{Ed25519Id, SettlementProof, Signed, SignedReceipt, SigningKey, Verdict};
use d402_settlement::market::Bundle;
use d402_settlement::market::testkit::key;
use ed25519_dalek::Signer as _;
use serde_json::json;

use super::story::{OUTPUT, Played, play};
use super::world::{START_MS, World, bearer, payment, task_id, wish};
use crate::http::{KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, evidence_access_message};

async fn accepted() -> (World, Played) {
    let mut world = World::new();
    world.drive();
    let id = task_id(&world.buy(&wish(), 1).await);
    let played = play(&world, id, Verdict::Accept).await;
    (world, played)
}

#[tokio::test]
async fn an_accepted_result_opens_to_the_token_alone() {
    let (world, played) = accepted().await;
    let path = format!("/tasks/{}/result", played.task.task_id());
    let result = world.get(&path, &[bearer()]).await;
    assert_eq!(result.status, 200, "{result:?}");
    assert_eq!(result.json()["result"], json!({"text": "hello"}));
    assert_eq!(
        result.json()["resultCid"],
        d402_objects::Cid::of(OUTPUT).to_string()
    );
    assert_eq!(result.header("cache-control"), Some("private, no-store"));
    for headers in [
        vec![],
        vec![("authorization", "Bearer another token")],
        vec![("authorization", "Basic YQ==")],
    ] {
        let closed = world.get(&path, &headers).await;
        assert_eq!(
            (closed.status.as_u16(), closed.problem().as_str()),
            (403, "no-access")
        );
    }
}

#[tokio::test]
async fn a_published_result_opens_to_everybody_once_the_task_ended() {
    let mut world = World::new();
    world.drive();
    let mut body = wish();
    body["publish"] = json!(true);
    let id = task_id(&world.buy(&body, 1).await);
    let path = format!("/tasks/{id}/result");
    assert_eq!(
        world.get(&path, &[]).await.status,
        403,
        "not before the end"
    );
    play(&world, id, Verdict::Accept).await;
    assert_eq!(world.get(&path, &[]).await.status, 200);
}

#[tokio::test]
async fn the_task_page_shows_money_and_market_but_no_result() {
    let (world, played) = accepted().await;
    let page = world
        .get(&format!("/tasks/{}", played.task.task_id()), &[])
        .await
        .json();
    assert_eq!(
        (&page["status"], &page["phase"], &page["mode"]),
        (&json!("accepted"), &json!("final"), &json!("single"))
    );
    assert_eq!(page["leases"][0]["state"], "accepted");
    assert_eq!(page["bids"][0]["price"], "1000");
    assert_eq!(
        (&page["claims"][0]["accepts"], &page["claims"][0]["rejects"]),
        (&json!(4), &json!(0))
    );
    let units = |value: &serde_json::Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let paid: u64 = page["payouts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| units(&row["units"]))
        .sum();
    assert_eq!(
        paid + units(&page["refundUnits"]),
        units(&page["budgetUnits"])
    );
    assert!(!page.to_string().contains("hello"));
}

#[tokio::test]
async fn receipts_come_with_a_proof_signed_by_the_gateway() {
    let (world, played) = accepted().await;
    let body = world
        .get(&format!("/tasks/{}/receipt", played.task.task_id()), &[])
        .await
        .json();
    let receipt = SignedReceipt::from_value(body["receipt"].clone()).unwrap();
    let proof = Signed::<SettlementProof>::from_value(body["settlementProof"].clone()).unwrap();
    assert_eq!(proof.payload().receipt_cid, receipt.receipt_cid());
    assert_eq!(proof.payload().observer, world.engine.gateway());
    assert_eq!(
        body["validationReceipts"].as_array().unwrap().len(),
        receipt.receipt().validation_receipt_cids.len()
    );
    assert!(!body["validationReceipts"].as_array().unwrap().is_empty());
    let hash = played.scene.dossier.terms_hash();
    let signatures = world.get(&format!("/signatures/{hash}"), &[]).await.json();
    assert_eq!(signatures["receipts"], json!([body["receipt"]]));
}

#[tokio::test]
async fn the_bundle_of_a_paid_task_verifies_and_needs_the_token() {
    let (world, played) = accepted().await;
    let path = format!("/tasks/{}/bundle", played.task.task_id());
    assert_eq!(world.get(&path, &[]).await.problem(), "no-access");
    let bundle = world.get(&path, &[bearer()]).await;
    assert_eq!(bundle.status, 200, "{bundle:?}");
    let proof = Bundle::verify(&bundle.bytes).unwrap();
    assert_eq!(proof.task_id, played.task.task_id());
    assert_eq!(proof.outcome, d402_objects::Outcome::Paid);
}

#[tokio::test]
async fn a_rejected_task_has_a_bundle_and_no_result() {
    let mut world = World::new();
    world.drive();
    let id = task_id(&world.buy(&wish(), 1).await);
    let pending = world.get(&format!("/tasks/{id}/result"), &[bearer()]).await;
    assert_eq!(
        (pending.status.as_u16(), pending.json()["status"].as_str()),
        (202, Some("pending"))
    );
    assert_eq!(
        world.get(&format!("/tasks/{id}/receipt"), &[]).await.status,
        202
    );
    play(&world, id, Verdict::Reject).await;
    let result = world.get(&format!("/tasks/{id}/result"), &[bearer()]).await;
    assert_eq!(
        (result.status.as_u16(), result.problem().as_str()),
        (410, "task-rejected")
    );
    let bundle = world.get(&format!("/tasks/{id}/bundle"), &[]).await;
    assert_eq!(
        Bundle::verify(&bundle.bytes).unwrap().outcome,
        d402_objects::Outcome::Rejected
    );
}

#[tokio::test]
async fn a_synchronous_request_waits_for_the_result() {
    let mut world = World::new();
    world.drive();
    let mut body = wish();
    body["sync"] = json!(true);
    let entry = world.entry(&body).await;
    let header = payment(&entry, 1);
    let asked = [("payment-signature", header.as_str())];
    let (answer, ()) = tokio::join!(world.post(&body, &asked), async {
        let id = loop {
            let nonce = d402_objects::Hex32::from_bytes([1; 32]);
            if let Some(id) = d402_core::ports::TaskStore::by_payment(world.store.as_ref(), nonce)
                .await
                .unwrap()
            {
                break id;
            }
            tokio::task::yield_now().await;
        };
        play(&world, id, Verdict::Accept).await;
    });
    assert_eq!(answer.status, 200, "{answer:?}");
    let body_of = answer.json();
    assert_eq!(
        (&body_of["status"], &body_of["result"]),
        (&json!("accepted"), &json!({"text": "hello"}))
    );
    assert!(SignedReceipt::from_value(body_of["receipt"].clone()).is_ok());
    assert_eq!(answer.coded("payment-response")["success"], true);
    // The buyer's own replay opens the result; one by somebody who only saw the payment on the chain does not.
    let replay = world.post(&body, &asked).await;
    assert_eq!(replay.json()["result"], json!({"text": "hello"}));
    let mut stranger = entry.clone();
    stranger["extra"]["d402"]["challenge"]["mac"] = json!(hex::encode([0u8; 32]));
    let stolen = world
        .post(&body, &[("payment-signature", &payment(&stranger, 1))])
        .await;
    assert_eq!(
        (stolen.status.as_u16(), &stolen.json()["result"]),
        (200, &json!(null))
    );
    let by_id = world
        .post(
            &body,
            &[("payment-signature", &payment(&stranger, 1)), bearer()],
        )
        .await;
    assert_eq!(by_id.json()["result"], json!({"text": "hello"}));
}

/// Headers of a request for a content, signed by a key.
fn signed(
    world: &World,
    played: &Played,
    cid: d402_objects::Cid,
    by: &SigningKey,
    at_ms: u64,
) -> Vec<(&'static str, String)> {
    let message =
        evidence_access_message(&world.engine.gateway(), &played.task.task_id(), &cid, at_ms);
    vec![
        (KEY_HEADER, Ed25519Id::from(by).to_string()),
        (TIMESTAMP_HEADER, at_ms.to_string()),
        (SIGNATURE_HEADER, hex::encode(by.sign(&message).to_bytes())),
    ]
}

#[tokio::test]
async fn evidence_opens_to_the_token_and_to_validators_of_the_task() {
    let (world, played) = accepted().await;
    let cid = played.claim.payload().output.cid;
    let path = format!("/evidence/{cid}?taskId={}", played.task.task_id());
    let now = d402_core::ports::Clock::now_ms(world.clock.as_ref());
    let ask = async |headers: Vec<(&'static str, String)>| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        world.get(&path, &headers).await
    };
    let validator = &world.actors.validators[1].key;
    assert_eq!(ask(vec![]).await.status, 403);
    assert_eq!(
        ask(signed(&world, &played, cid, &key("stranger", 0), now))
            .await
            .status,
        403
    );
    assert_eq!(
        ask(signed(&world, &played, cid, validator, now - 60_001))
            .await
            .status,
        403,
        "too old"
    );
    assert_eq!(
        ask(signed(
            &world,
            &played,
            d402_objects::Cid::of(b"x"),
            validator,
            now
        ))
        .await
        .status,
        403,
        "other content"
    );
    let read = ask(signed(&world, &played, cid, validator, now)).await;
    assert_eq!((read.status.as_u16(), read.bytes.as_slice()), (200, OUTPUT));
    assert_eq!(read.header("x-content-type-options"), Some("nosniff"));
    let claim = world
        .get(
            &format!(
                "/evidence/{}?taskId={}",
                played.claim.cid(),
                played.task.task_id()
            ),
            &[bearer()],
        )
        .await;
    assert_eq!(claim.json(), played.claim.to_value());
}

#[tokio::test]
async fn only_what_the_task_names_is_served_as_its_evidence() {
    let (world, played) = accepted().await;
    let foreign = d402_core::ports::BlobStore::put(world.blobs.as_ref(), b"of another task")
        .await
        .unwrap();
    let answer = world
        .get(
            &format!("/evidence/{foreign}?taskId={}", played.task.task_id()),
            &[bearer()],
        )
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (404, "not-found")
    );
    let without = world
        .get(&format!("/evidence/{foreign}"), &[bearer()])
        .await;
    assert_eq!(without.status, 400);
}

#[tokio::test]
async fn a_payment_is_found_by_its_id_and_by_the_clients() {
    let (world, played) = accepted().await;
    let page = world
        .get(&format!("/payments/{}", hex::encode([1u8; 32])), &[])
        .await
        .json();
    assert_eq!(
        (&page["state"], &page["taskId"]),
        (&json!("settled"), &json!(played.task.task_id()))
    );
    let unknown = world
        .get(&format!("/payments/{}", hex::encode([9u8; 32])), &[])
        .await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.problem().as_str()),
        (404, "unknown-payment")
    );
    assert!(played.task.created_ms() >= START_MS);
}
