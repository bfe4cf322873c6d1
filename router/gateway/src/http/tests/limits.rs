//! Bounds of the boundary.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;

use super::world::{World, wish};
use crate::http::Limits;

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

const PAGE: &str = "https://shop.example";

fn of_page(origin: &str, method: &str, path: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "payment-signature,content-type",
        )
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_pay_and_read_the_headers_of_x402() {
    let world = World::with(|config| config.cors.allowed_origins = vec![PAGE.to_owned()]);
    let asked = world.send(of_page(PAGE, "OPTIONS", "/tasks")).await;
    assert_eq!(asked.status, 200);
    assert_eq!(asked.header("access-control-allow-origin"), Some(PAGE));
    let sent = asked.header("access-control-allow-headers").unwrap();
    for name in [
        "payment-signature",
        "idempotency-key",
        "authorization",
        "content-type",
    ] {
        assert!(sent.contains(name), "{name}: {sent}");
    }
    let answer = world.send(of_page(PAGE, "GET", "/health")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
    let read = answer.header("access-control-expose-headers").unwrap();
    for name in [
        "payment-required",
        "payment-response",
        "x-d402-idempotent-replay",
        "retry-after",
    ] {
        assert!(read.contains(name), "{name}: {read}");
    }
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let stranger = world
        .send(of_page("https://other.example", "GET", "/health"))
        .await;
    assert_eq!(stranger.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn refusals_of_the_boundary_can_be_read_by_an_allowed_page() {
    let world = World::with(|config| {
        config.cors.allowed_origins = vec!["*".to_owned()];
        config.limits.in_progress = 0;
    });
    let refused = world.send(of_page(PAGE, "POST", "/tasks")).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn without_configured_origins_no_page_is_told_anything() {
    let world = World::new();
    let answer = world.send(of_page(PAGE, "GET", "/health")).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(
        world.send(of_page(PAGE, "OPTIONS", "/tasks")).await.status,
        405
    );
}

#[tokio::test]
async fn the_size_of_a_body_is_bounded_by_the_configuration() {
    let world = World::with(|config| config.limits.body_bytes = 1_024);
    let mut body = wish();
    body["input"] = serde_json::json!({ "text": "x".repeat(1_024) });
    let refused = world.post(&body, &[]).await;
    assert_eq!(
        (refused.status.as_u16(), refused.problem().as_str()),
        (413, "body-too-large")
    );
    assert_eq!(refused.json()["maxBytes"], 1_024);
}

#[test]
fn limits_that_let_nothing_through_or_answer_paid_requests_with_a_timeout_are_refused() {
    let check = |change: &dyn Fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        limits.check().err().map(|bad| bad.field)
    };
    assert_eq!(check(&|_| {}), None);
    assert_eq!(check(&|l| l.in_progress = 0), Some("in-progress"));
    assert_eq!(check(&|l| l.timeout_s = 1), Some("timeout-s"));
    assert_eq!(check(&|l| l.sync_wait_s = 40), Some("sync-wait-s"));
    assert_eq!(check(&|l| l.deposit_wait_s = 0), Some("deposit-wait-s"));
    assert_eq!(check(&|l| l.body_bytes = 1 << 20), Some("body-bytes"));
}
