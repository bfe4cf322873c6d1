//! Discovery, health, capabilities, OpenAPI, metrics, problems.

use d402_objects::{Cid, Value};
use serde_json::json;

use super::world::{World, wish};
use crate::http::discovery::price;

#[tokio::test]
async fn the_discovery_document_names_endpoints_and_prices_on_both_paths() {
    let world = World::new();
    let document = world
        .get("/.well-known/d402-gateway.json", &[])
        .await
        .json();
    assert_eq!(
        document,
        world.get("/.well-known/dnc-gateway.json", &[]).await.json()
    );
    assert_eq!(
        (
            &document["d402GatewayVersion"],
            &document["dncGatewayVersion"]
        ),
        (&json!(1), &json!(1))
    );
    assert_eq!(document["protocol"]["taskApi"], "d402-http-task-v1");
    assert_eq!(
        document["endpoints"]["task"],
        "http://gateway.test/tasks/{taskId}"
    );
    let sold = &document["capabilities"][0];
    assert_eq!(
        (&sold["capabilityId"], &sold["price"]),
        (&json!("test.echo@1"), &json!("$0.01"))
    );
    assert_eq!(
        document["payment"]["creatorCommission"]["maxRateBps"],
        2_000
    );
}

#[tokio::test]
async fn health_shows_the_policy() {
    let world = World::with(|config| {
        config
            .policy
            .accepted_manifests
            .insert(d402_objects::Cid::of(b"one"));
        config
            .policy
            .trusted_namespaces
            .insert("shop".parse().unwrap());
        config.policy.namespace_proof_required = true;
        config.policy.max_commission_bps = 500;
    });
    let health = world.get("/health", &[]).await.json();
    let policy = &health["policy"];
    assert_eq!(health["ok"], true);
    assert_eq!(
        policy["acceptedManifests"],
        json!([d402_objects::Cid::of(b"one")])
    );
    assert_eq!(policy["trustedNamespaces"], json!(["shop"]));
    assert_eq!(
        (
            &policy["namespaceProofRequired"],
            &policy["deprecatedRefused"]
        ),
        (&json!(true), &json!(true))
    );
    assert_eq!(policy["creatorCommission"]["maxRateBps"], 500);
    assert_eq!(
        (&policy["price"], &policy["deadlineMs"]),
        (&json!("$0.01"), &json!(30_000))
    );
    assert_eq!((world.get("/healthz", &[]).await.bytes.as_slice()), b"ok");
}

#[tokio::test]
async fn a_query_that_does_not_parse_gets_a_problem_document() {
    let world = World::new();
    let cid = Cid::of(b"anything");
    for path in [
        "/capabilities?manifestCid=a&manifestCid=b".to_owned(),
        format!("/evidence/{cid}?taskId=a&taskId=b"),
    ] {
        let answer = world.get(&path, &[]).await;
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.json()["what"], "query", "{path}");
    }
}

#[tokio::test]
async fn capabilities_are_filtered_by_tag_namespace_and_manifest() {
    let world = World::new();
    let count = async |query: &str| {
        let body = world
            .get(&format!("/capabilities{query}"), &[])
            .await
            .json();
        body["capabilities"].as_array().unwrap().len()
    };
    let all = world.get("/capabilities", &[]).await.json();
    let listed = &all["capabilities"][0];
    assert_eq!(
        (&listed["capabilityId"], &listed["accepted"]),
        (&json!("test.echo@1"), &json!(true))
    );
    assert_eq!(all["validatorOffers"].as_array().unwrap().len(), 4);
    let cid = listed["manifestCid"].as_str().unwrap();
    for (query, found) in [
        ("?tag=test", 1),
        ("?tag=other", 0),
        ("?namespace=test", 1),
        ("?namespace=other", 0),
        (format!("?manifestCid={cid}").as_str(), 1),
        (
            format!("?manifestCid=sha256:{}", "0".repeat(64)).as_str(),
            0,
        ),
    ] {
        assert_eq!(count(query).await, found, "{query}");
    }
    assert_eq!(
        world
            .get("/capabilities?manifestCid=nonsense", &[])
            .await
            .problem(),
        "malformed"
    );
}

/// All `$ref`s of a document.
fn references(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get("$ref") {
                out.push(target.clone());
            }
            fields.values().for_each(|v| references(v, out));
        }
        Value::Array(items) => items.iter().for_each(|v| references(v, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn openapi_describes_every_route_and_its_references_resolve() {
    let world = World::new();
    let document = world.get("/openapi.json", &[]).await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut targets = Vec::new();
    references(&document, &mut targets);
    for target in targets {
        assert!(
            document
                .pointer(target.strip_prefix('#').unwrap())
                .is_some(),
            "{target}"
        );
    }
    let id = format!("sha256:{}", "0".repeat(64));
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let path = path
                .replace("{taskId}", &id)
                .replace("{cid}", &id)
                .replace("{id}", &"0".repeat(64));
            let path = path.replace("{termsHash}", &"0".repeat(64));
            let answer = match method.as_str() {
                "get" => world.get(&path, &[]).await,
                _ => world.post_bytes(&path, b"{}".to_vec(), &[]).await,
            };
            assert_ne!(answer.status, 405, "{path}");
            let unrouted = answer.status == 404 && answer.problem() == "not-found";
            assert!(!unrouted, "{path} is described and not served");
        }
    }
    let offer = &document["paths"]["/tasks"]["post"]["x-payment-info"]["offers"][0];
    assert_eq!(
        (&offer["method"], &offer["amount"]),
        (&json!("simulated"), &json!("10000"))
    );
    assert!(document["paths"]["/tasks"]["post"]["responses"]["402"].is_object());
}

#[tokio::test]
async fn metrics_count_by_route_and_not_by_path() {
    let world = World::new();
    world.post(&wish(), &[]).await;
    let id = format!("sha256:{}", "0".repeat(64));
    world.get(&format!("/tasks/{id}"), &[]).await;
    let text = String::from_utf8(world.get("/metrics", &[]).await.bytes).unwrap();
    assert!(text.contains("d402_challenges_total 1"), "{text}");
    assert!(
        text.contains(r#"route="/tasks/{task_id}",status="4xx""#),
        "{text}"
    );
    assert!(!text.contains(&id));
}

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let world = World::new();
    let send = async |body: &str| {
        world
            .post_bytes("/tasks", body.as_bytes().to_vec(), &[])
            .await
    };
    for (body, status, kind) in [
        ("not json", 400, "malformed-body"),
        ("[]", 400, "malformed-body"),
        (r#"{"input":{},"surprise":1}"#, 400, "malformed-body"),
        (r#"{"input":{"a":1,"a":2}}"#, 400, "malformed-body"),
        (r#"{"input":{},"budget":1}"#, 400, "malformed-body"),
    ] {
        let answer = send(body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (status, kind),
            "{body}"
        );
    }
    let large = format!(
        r#"{{"input":"{}"}}"#,
        "x".repeat(crate::http::Limits::default().body_bytes)
    );
    assert_eq!(
        (
            send(&large).await.status.as_u16(),
            send(&large).await.problem().as_str()
        ),
        (413, "body-too-large")
    );
    for (path, status, kind) in [
        ("/no/such/path", 404, "not-found"),
        ("/tasks", 405, "method-not-allowed"),
        ("/tasks/nonsense", 400, "malformed"),
        ("/signatures/nonsense", 400, "malformed"),
        ("/payments/nonsense", 400, "malformed"),
    ] {
        let answer = world.get(path, &[]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (status, kind),
            "{path}"
        );
    }
    let typed = world
        .post_bytes("/tasks", b"{}".to_vec(), &[("content-type", "text/plain")])
        .await;
    assert!(matches!(typed.status.as_u16(), 400 | 415), "{typed:?}");
    let unknown = world
        .get(&format!("/tasks/sha256:{}", "0".repeat(64)), &[])
        .await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.problem().as_str()),
        (404, "unknown-task")
    );
}

#[tokio::test]
async fn a_node_without_the_role_names_gateways() {
    use axum::body::Body;
    use axum::http::Request;
    use std::sync::Arc;
    use tower::ServiceExt as _;
    let app = crate::http::no_gateway_router(
        vec!["worker".to_owned()],
        Arc::new(|| vec!["https://gateway.example".to_owned()]),
    );
    for (method, path) in [("POST", "/tasks"), ("GET", "/tasks/x/result")] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 501);
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(body["type"], "https://d402.xyz/problems/not-a-gateway");
        assert_eq!(body["gateways"], json!(["https://gateway.example"]));
    }
}

#[test]
fn prices_are_dollars() {
    for (units, text) in [
        (10_000, "$0.01"),
        (0, "$0.00"),
        (1, "$0.000001"),
        (1_500_000, "$1.50"),
        (123_456_789, "$123.456789"),
    ] {
        assert_eq!(price(units, 6), text);
    }
    assert_eq!(price(7, 0), "$7.00");
}
