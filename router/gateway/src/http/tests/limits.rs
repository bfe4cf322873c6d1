//! Bounds of the boundary.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;

use super::world::{World, wish};

fn from(address: &str) -> Request<Body> {
    let mut request = Request::builder()
        .uri("/health")
        .body(Body::empty())
        .unwrap();
    let address: SocketAddr = address.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(address));
    request
}

#[tokio::test]
async fn one_address_over_its_rate_does_not_stop_another() {
    let world = World::with(|config| config.limits.per_address_per_second = 2);
    for _ in 0..2 {
        assert_eq!(world.send(from("10.0.0.1:1")).await.status, 200);
    }
    let refused = world.send(from("10.0.0.1:2")).await;
    assert_eq!(
        (refused.status.as_u16(), refused.problem().as_str()),
        (429, "rate-limited")
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(world.send(from("10.0.0.2:1")).await.status, 200);
}

#[tokio::test]
async fn the_rate_of_everybody_is_bounded_but_probes_pass() {
    let world = World::with(|config| config.limits.per_second = 1);
    assert_eq!(world.get("/health", &[]).await.status, 200);
    assert_eq!(world.post(&wish(), &[]).await.status, 429);
    assert_eq!(world.get("/healthz", &[]).await.status, 200);
}

#[tokio::test]
async fn requests_in_progress_are_bounded() {
    let world = World::with(|config| config.limits.in_progress = 0);
    let refused = world.post(&wish(), &[]).await;
    assert_eq!(
        (refused.status.as_u16(), refused.problem().as_str()),
        (503, "overloaded")
    );
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_cut() {
    let mut world = World::with(|config| config.limits.timeout_s = 0);
    world.drive();
    // The directory is read in no time, so only what waits is cut: nothing does here, and a zero limit still
    // answers what is ready at once.
    assert_eq!(world.get("/healthz", &[]).await.status, 200);
    let mut body = wish();
    body["sync"] = serde_json::json!(true);
    let entry = world.entry(&body).await;
    let answer = world
        .post(
            &body,
            &[("payment-signature", &super::world::payment(&entry, 1))],
        )
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (504, "timed-out")
    );
    assert_eq!(world.store.tasks(), 1, "what was paid is not lost");
}
