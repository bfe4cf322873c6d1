//! `GET /openapi.json`: OpenAPI 3.1, built by hand from the same numbers the handlers use, with payment
//! metadata (`x-payment-info`, `x-service-info`).

mod schemas;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_objects::Value;
use serde_json::json;

use super::HttpState;
use super::state::{HttpConfig, Rail};

pub(super) async fn document(State(state): State<HttpState>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        state.0.openapi.clone(),
    )
        .into_response()
}

/// The document's text; it does not change while the process runs.
pub(super) fn text(config: &HttpConfig, rails: &[Rail], cluster_id: &str) -> String {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "d402 gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Bounded work, paid by x402 into an address that commits to the release rule.",
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": config.public_url}],
        "x-service-info": {"taskApi": "d402-http-task-v1", "x402Version": 2, "clusterId": cluster_id},
        "paths": paths(config, rails),
        "components": {"schemas": schemas::schemas(config.policy.default_capability.is_some()), "securitySchemes": {
            "accessToken": {"type": "http", "scheme": "bearer", "description": "Token whose SHA-256 is the intent's accessHash."},
        }},
    })
    .to_string()
}

fn paths(config: &HttpConfig, rails: &[Rail]) -> Value {
    json!({
        "/tasks": {"post": create_task(config, rails)},
        "/tasks/{taskId}": {"get": linked(operation("getTask", "A task", &[path("taskId", "Cid")], &[("200", "Task")]))},
        "/tasks/{taskId}/result": {"get": refusing(secured(operation(
            "getResult", "Its result", &[path("taskId", "Cid")], &[("200", "TaskResult"), ("202", "Pending")],
        )), &["410"])},
        "/tasks/{taskId}/receipt": {"get": refusing(operation(
            "getReceipt", "Its receipts", &[path("taskId", "Cid")], &[("200", "Receipt"), ("202", "Pending")],
        ), &["410"])},
        "/tasks/{taskId}/bundle": {"get": refusing(secured(operation(
            "getBundle", "The file `d402 verify` reads", &[path("taskId", "Cid")], &[("200", "Bundle"), ("202", "Pending")],
        )), &["410"])},
        "/signatures/{termsHash}": {"get": operation(
            "getSignatures", "Settlement signatures so far", &[path("termsHash", "Hex32")], &[("200", "Signatures")],
        )},
        "/evidence/{cid}": {"get": evidence()},
        "/payments/{id}": {"get": operation("getPayment", "What is known of a payment", &[path("id", "PaymentName")], &[("200", "Payment")])},
        "/capabilities": {"get": operation(
            "listCapabilities", "Registered capabilities",
            &[query("tag", &json!({"type": "string"})), query("namespace", &reference("Namespace")), query("manifestCid", &reference("Cid"))],
            &[("200", "Capabilities")],
        )},
        "/.well-known/d402-gateway.json": {"get": operation("getDiscovery", "Discovery document", &[], &[("200", "Discovery")])},
        "/.well-known/dnc-gateway.json": {"get": operation("getLegacyDiscovery", "The same, legacy path", &[], &[("200", "Discovery")])},
        "/health": {"get": operation("getHealth", "Liveness and policy", &[], &[("200", "Health")])},
        "/healthz": {"get": plain("getReadiness", "Bare probe", "text/plain")},
        "/openapi.json": {"get": operation("getOpenapi", "This document", &[], &[("200", "Any")])},
        "/metrics": {"get": plain("getMetrics", "Counters", "application/openmetrics-text")},
        "/verify": {"post": facilitator("verifyPayment", "x402 facilitator: verify", "VerifyResponse")},
        "/settle": {"post": facilitator("settlePayment", "x402 facilitator: settle", "SettleResponse")},
        "/supported": {"get": operation("getSupported", "x402 facilitator: kinds", &[], &[("200", "Supported")])},
    })
}

fn create_task(config: &HttpConfig, rails: &[Rail]) -> Value {
    let budget = config.policy.default_budget;
    let offers: Vec<Value> = rails
        .iter()
        .map(|rail| {
            let description = if rail.offer.direct {
                "Most to authorize; the named worker's own price is paid once its work is accepted."
            } else {
                "Budget; what is not earned goes back to refundTo."
            };
            json!({
                "intent": "charge",
                "method": rail.offer.rail,
                "network": rail.offer.network,
                "amount": budget,
                "currency": rail.offer.asset,
                "description": description,
            })
        })
        .collect();
    let header = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema});
    let payment = json!({
        "type": "string", "format": "x402-payment-signature", "contentEncoding": "base64", "contentMediaType": "application/json",
        "pattern": "^[A-Za-z0-9+/]{4,}={0,2}$", "examples": [frame(rails)],
    });
    let answer = |name: &str, description: &str, headers: Value| json!({"description": description, "headers": headers, "content": {"application/json": {"schema": reference(name)}}});
    let response_header = |name: &str| json!({name: {"schema": {"type": "string"}, "description": "base64 of x402 v2 JSON"}});
    let operation = json!({
        "operationId": "createTask",
        "summary": "Buy a task: 402 with the terms, then the same body with the payment",
        "x-payment-info": {"protocols": ["x402"], "offers": offers},
        "parameters": [
            header("PAYMENT-SIGNATURE", "base64 of an x402 v2 PaymentPayload that echoes an accepts entry whole", payment),
            header("Idempotency-Key", "16 to 128 characters [A-Za-z0-9-_]; names this purchase", reference("PaymentName")),
        ],
        "requestBody": {"required": true, "content": {"application/json": {
            "schema": reference("TaskRequest"),
            "example": example(rails),
        }}},
        "responses": {
            "200": answer("TaskAnswer", "Settled", response_header("PAYMENT-RESPONSE")),
            "202": answer("Pending", "Taken, not settled yet", response_header("PAYMENT-RESPONSE")),
            "402": answer("Challenge", "Pay this", response_header("PAYMENT-REQUIRED")),
            "409": problem("Another payment or another request has this name"),
            "422": problem("Not sold, and why"),
        },
    });
    refusing(refusing(operation, BODY_PROBLEMS), COMMON_PROBLEMS)
}

/// A request that every gateway selling `json.transform@1` answers with 402.
fn example(rails: &[Rail]) -> Value {
    let refund_to: serde_json::Map<String, Value> = rails
        .iter()
        .filter_map(|rail| Some((rail.offer.network.to_string(), some_account(rail)?.into())))
        .collect();
    json!({
        "capabilityId": "json.transform@1",
        "input": {"program": "{doubled: (.n * 2)}", "data": {"n": 21}},
        "mode": "single",
        "refundTo": refund_to,
    })
}

/// A well-formed payment header; what it carries is no payment.
fn frame(rails: &[Rail]) -> String {
    let network = rails.first().map(|rail| rail.offer.network.clone());
    let payload = json!({"x402Version": 2, "accepted": {"network": network}, "payload": {}});
    STANDARD.encode(payload.to_string())
}

/// An account in the notation of the rail's network, which is that of its token.
fn some_account(rail: &Rail) -> Option<String> {
    let token = rail.offer.asset.as_str();
    match token.strip_prefix("0x") {
        Some(digits) => Some(format!("0x{}", "1".repeat(digits.len()))),
        None if token.bytes().all(|byte| byte.is_ascii_hexdigit()) => Some("1".repeat(token.len())),
        None => None,
    }
}

fn evidence() -> Value {
    let mut parameters = vec![path("cid", "Cid")];
    parameters.push(
        json!({"name": "taskId", "in": "query", "required": true, "schema": reference("Cid")}),
    );
    let headers = [
        super::KEY_HEADER,
        super::TIMESTAMP_HEADER,
        super::SIGNATURE_HEADER,
    ];
    for name in headers {
        parameters.push(
            json!({"name": name, "in": "header", "required": false, "schema": {"type": "string"}}),
        );
    }
    let operation = json!({
        "operationId": "getEvidence",
        "summary": "An object or content of a task",
        "parameters": parameters,
        "responses": {
            "200": {"description": "The content", "content": {
                "application/json": {"schema": {}},
                "application/octet-stream": {"schema": {"type": "string", "contentEncoding": "binary"}},
            }},
        },
    });
    refusing(
        refusing(secured(operation), &["400", "404"]),
        COMMON_PROBLEMS,
    )
}

fn facilitator(id: &str, summary: &str, answer: &str) -> Value {
    let mut operation = operation(id, summary, &[], &[("200", answer)]);
    if let Some(members) = operation.as_object_mut() {
        members.insert(
            "requestBody".to_owned(),
            json!({"required": true, "content": {"application/json": {"schema": reference("FacilitatorRequest")}}}),
        );
    }
    refusing(operation, BODY_PROBLEMS)
}

fn operation(id: &str, summary: &str, parameters: &[Value], answers: &[(&str, &str)]) -> Value {
    let mut responses = serde_json::Map::new();
    for (status, name) in answers {
        let schema = reference(name);
        let body =
            json!({"description": name, "content": {"application/json": {"schema": schema}}});
        responses.insert((*status).to_owned(), body);
    }
    let operation = json!({"operationId": id, "summary": summary, "parameters": parameters, "responses": responses});
    let named = parameters
        .iter()
        .any(|parameter| parameter.get("in").and_then(Value::as_str) == Some("path"));
    let own: &[&str] = match (parameters.is_empty(), named) {
        (true, _) => &[],
        (false, false) => &["400"],
        (false, true) => &["400", "404"],
    };
    refusing(refusing(operation, own), COMMON_PROBLEMS)
}

/// Problems any request can meet: too many, our fault, something behind us, too slow.
const COMMON_PROBLEMS: &[&str] = &["429", "500", "503", "504"];
/// Problems of requests with a body: not what it should be, too large, another type.
const BODY_PROBLEMS: &[&str] = &["400", "413", "415"];

/// Adds problems by status. Every status is named, none left to a default: an answer that is not listed is
/// a finding of the API tester.
fn refusing(mut operation: Value, statuses: &[&str]) -> Value {
    if let Some(responses) = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
    {
        for status in statuses {
            responses.insert((*status).to_owned(), problem("Why not"));
        }
    }
    operation
}

/// What a task's answer leads on to.
fn linked(mut operation: Value) -> Value {
    let task = |operation: &str| json!({"operationId": operation, "parameters": {"taskId": "$response.body#/taskId"}});
    let links = json!({
        "result": task("getResult"),
        "receipt": task("getReceipt"),
        "bundle": task("getBundle"),
        "signatures": {"operationId": "getSignatures", "parameters": {"termsHash": "$response.body#/termsHash"}},
        "evidence": {"operationId": "getEvidence", "parameters": {
            "taskId": "$response.body#/taskId", "cid": "$response.body#/receiptCid",
        }},
    });
    if let Some(answer) = operation
        .pointer_mut("/responses/200")
        .and_then(Value::as_object_mut)
    {
        answer.insert("links".to_owned(), links);
    }
    operation
}

fn plain(id: &str, summary: &str, media_type: &str) -> Value {
    let operation = json!({
        "operationId": id,
        "summary": summary,
        "responses": {
            "200": {"description": summary, "content": {media_type: {"schema": {"type": "string"}}}},
        },
    });
    refusing(operation, COMMON_PROBLEMS)
}

fn secured(operation: Value) -> Value {
    let mut operation = refusing(operation, &["403"]);
    if let Some(members) = operation.as_object_mut() {
        members.insert("security".to_owned(), json!([{"accessToken": []}, {}]));
    }
    operation
}

fn path(name: &str, schema: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": reference(schema)})
}

fn query(name: &str, schema: &Value) -> Value {
    json!({"name": name, "in": "query", "required": false, "schema": schema})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn problem(description: &str) -> Value {
    json!({"description": description, "content": {"application/problem+json": {"schema": reference("Problem")}}})
}
