//! Vaults that are opened before the 402 (threat #19).

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use d402_objects::{Amount, Value};
use d402_settlement::market::testkit::wallet;
use serde_json::json;
use std::net::SocketAddr;

use super::fakes::Opening;
use super::world::{World, wish};

fn wish_for_a_vault() -> Value {
    let mut wish = wish();
    wish["openVault"] = json!(true);
    wish
}

#[tokio::test]
async fn threat_19_a_vault_is_opened_for_a_request_that_asks_and_the_entry_names_its_fee_payer() {
    let world = World::opening(Opening::Opens);
    let from = SocketAddr::from(([203, 0, 113, 7], 4_000));
    let mut request = Request::builder()
        .method(Method::POST)
        .uri("/tasks")
        .header("content-type", "application/json")
        .body(Body::from(wish_for_a_vault().to_string()))
        .unwrap();
    request.extensions_mut().insert(ConnectInfo(from));
    let offer = world.send(request).await;
    assert_eq!(offer.status, 402, "{offer:?}");
    let entry = &offer.coded("payment-required")["accepts"][0];
    let lender = wallet("lender", 0);
    assert_eq!(entry["extra"]["feePayer"], lender.as_str());
    let payment = &entry["extra"]["d402"]["intent"]["payment"][0];
    assert_eq!(payment["rentTo"], lender.as_str());
    let terms = entry["extra"]["d402"]["terms"].as_str().unwrap();
    let terms = URL_SAFE_NO_PAD.decode(terms).unwrap();
    let opened = world.purse.opened.lock().unwrap();
    let expected = (Amount::from(10_000), terms, Some(from.ip()));
    assert_eq!(*opened, [expected]);
    assert_eq!(world.store.calls(), 0, "the market knows nothing of it");
}

#[tokio::test]
async fn an_entry_with_a_fee_payer_is_redeemed_like_any_other() {
    let mut world = World::opening(Opening::Opens);
    world.drive();
    let bought = world.buy(&wish_for_a_vault(), 1).await;
    assert_eq!(bought.status, 202, "{bought:?}");
    assert_eq!(
        world.purse.opened.lock().unwrap().len(),
        1,
        "paying opens no other"
    );
}

#[tokio::test]
async fn threat_19_a_request_that_does_not_ask_has_no_effect() {
    let world = World::opening(Opening::Opens);
    let offer = world.post(&wish(), &[]).await;
    let entry = &offer.coded("payment-required")["accepts"][0];
    assert_eq!(entry["extra"]["feePayer"], Value::Null);
    assert_eq!(world.purse.opened.lock().unwrap().len(), 0);
    assert_eq!(world.traces(), [0; 4]);
}

#[tokio::test]
async fn threat_19_where_no_vault_is_opened_no_entry_needs_one() {
    for opening in [Opening::Refuses, Opening::Silent] {
        let world = World::opening(opening);
        let refused = world.post(&wish_for_a_vault(), &[]).await;
        assert_eq!(refused.status, 422, "{opening:?}: {refused:?}");
        let problem = refused.json().to_string();
        assert!(problem.contains("opens no vault"), "{problem}");
        assert_eq!(world.purse.opened.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_sold_opens_nothing() {
    let world = World::opening(Opening::Opens);
    let mut wish = wish_for_a_vault();
    wish["capabilityId"] = json!("test.unknown@1");
    assert_eq!(world.post(&wish, &[]).await.status, 422);
    let mut wish = wish_for_a_vault();
    wish["input"] = json!("not an object");
    assert_eq!(world.post(&wish, &[]).await.status, 422);
    assert_eq!(world.purse.opened.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn the_facilitator_names_who_signs() {
    let lender = wallet("lender", 0);
    let world = World::opening(Opening::Opens);
    let supported = world.get("/supported", &[]).await.json();
    assert_eq!(supported["kinds"][0]["extra"]["feePayer"], lender.as_str());
    assert_eq!(supported["signers"]["d402:simulated"], json!([lender]));
    let supported = World::new().get("/supported", &[]).await.json();
    assert_eq!(supported["signers"], json!({}));
}
