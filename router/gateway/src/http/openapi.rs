//! `GET /openapi.json`: OpenAPI 3.1, built by hand from the same numbers the handlers use, with payment
//! metadata (`x-payment-info`, `x-service-info`).

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use d402_objects::Value;
use serde_json::json;

use super::HttpState;
use super::state::{HttpConfig, Rail};

pub(super) async fn document(State(state): State<HttpState>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], state.0.openapi.clone()).into_response()
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
        "components": {"schemas": schemas(), "securitySchemes": {
            "accessToken": {"type": "http", "scheme": "bearer", "description": "Token whose SHA-256 is the intent's accessHash."},
        }},
    })
    .to_string()
}

fn paths(config: &HttpConfig, rails: &[Rail]) -> Value {
    json!({
        "/tasks": {"post": create_task(config, rails)},
        "/tasks/{taskId}": {"get": operation("getTask", "A task", &[path("taskId", "Cid")], &[("200", "Task")])},
        "/tasks/{taskId}/result": {"get": secured(operation(
            "getResult", "Its result", &[path("taskId", "Cid")], &[("200", "TaskResult"), ("202", "Pending")],
        ))},
        "/tasks/{taskId}/receipt": {"get": operation(
            "getReceipt", "Its receipts", &[path("taskId", "Cid")], &[("200", "Receipt"), ("202", "Pending")],
        )},
        "/tasks/{taskId}/bundle": {"get": secured(operation(
            "getBundle", "The file `d402 verify` reads", &[path("taskId", "Cid")], &[("200", "Bundle"), ("202", "Pending")],
        ))},
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
            json!({
                "intent": "charge",
                "method": rail.offer.rail,
                "network": rail.offer.network,
                "amount": budget,
                "currency": rail.offer.asset,
                "description": "Budget; what is not earned goes back to refundTo.",
            })
        })
        .collect();
    let header = |name: &str, description: &str| {
        json!({"name": name, "in": "header", "required": false, "description": description, "schema": {"type": "string"}})
    };
    let answer = |name: &str, description: &str, headers: Value| {
        json!({"description": description, "headers": headers, "content": {"application/json": {"schema": reference(name)}}})
    };
    let response_header = |name: &str| json!({name: {"schema": {"type": "string"}, "description": "base64 of x402 v2 JSON"}});
    json!({
        "operationId": "createTask",
        "summary": "Buy a task: 402 with the terms, then the same body with the payment",
        "x-payment-info": {"protocols": ["x402"], "offers": offers},
        "parameters": [
            header("PAYMENT-SIGNATURE", "base64 of an x402 v2 PaymentPayload that echoes an accepts entry whole"),
            header("Idempotency-Key", "16 to 128 characters [A-Za-z0-9-_]; names this purchase"),
        ],
        "requestBody": {"required": true, "content": {"application/json": {"schema": reference("TaskRequest")}}},
        "responses": {
            "200": answer("TaskAnswer", "Settled", response_header("PAYMENT-RESPONSE")),
            "202": answer("Pending", "Taken, not settled yet", response_header("PAYMENT-RESPONSE")),
            "402": answer("Challenge", "Pay this", response_header("PAYMENT-REQUIRED")),
            "400": problem("Malformed"),
            "409": problem("Another payment or another request has this name"),
            "422": problem("Not sold, and why"),
            "default": problem("Any other failure"),
        },
    })
}

fn evidence() -> Value {
    let mut parameters = vec![path("cid", "Cid")];
    parameters.push(json!({"name": "taskId", "in": "query", "required": true, "schema": reference("Cid")}));
    let headers = [super::KEY_HEADER, super::TIMESTAMP_HEADER, super::SIGNATURE_HEADER];
    for name in headers {
        parameters.push(json!({"name": name, "in": "header", "required": false, "schema": {"type": "string"}}));
    }
    secured(json!({
        "operationId": "getEvidence",
        "summary": "An object or content of a task",
        "parameters": parameters,
        "responses": {
            "200": {"description": "The content", "content": {
                "application/json": {"schema": {}},
                "application/octet-stream": {"schema": {"type": "string", "contentEncoding": "binary"}},
            }},
            "default": problem("Why not"),
        },
    }))
}

fn facilitator(id: &str, summary: &str, answer: &str) -> Value {
    let mut operation = operation(id, summary, &[], &[("200", answer)]);
    if let Some(members) = operation.as_object_mut() {
        members.insert(
            "requestBody".to_owned(),
            json!({"required": true, "content": {"application/json": {"schema": reference("FacilitatorRequest")}}}),
        );
    }
    operation
}

fn operation(id: &str, summary: &str, parameters: &[Value], answers: &[(&str, &str)]) -> Value {
    let mut responses = serde_json::Map::new();
    for (status, name) in answers {
        let schema = reference(name);
        let body = json!({"description": name, "content": {"application/json": {"schema": schema}}});
        responses.insert((*status).to_owned(), body);
    }
    responses.insert("default".to_owned(), problem("Why not"));
    json!({"operationId": id, "summary": summary, "parameters": parameters, "responses": responses})
}

fn plain(id: &str, summary: &str, media_type: &str) -> Value {
    json!({
        "operationId": id,
        "summary": summary,
        "responses": {
            "200": {"description": summary, "content": {media_type: {"schema": {"type": "string"}}}},
            "default": problem("Why not"),
        },
    })
}

fn secured(mut operation: Value) -> Value {
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

fn object(required: &[&str], properties: &Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

fn schemas() -> Value {
    let mut all = serde_json::Map::new();
    for part in [words(), request(), answers(), x402()] {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}

fn words() -> Value {
    json!({
        "Any": {"type": "object"},
        "Cid": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
        "Hex32": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "Amount": {"type": "string", "pattern": "^(0|[1-9][0-9]{0,28})$"},
        "Namespace": {"type": "string", "pattern": "^[a-z0-9_-]+(\\.[a-z0-9_-]+)*$", "maxLength": 64},
        "PaymentName": {"type": "string", "pattern": "^[A-Za-z0-9_-]{16,128}$"},
        "Mode": {"enum": ["single", "race", "quorum"]},
        "Status": {"enum": ["pending", "accepted", "rejected", "refunded", "unfunded", "settledElsewhere"]},
        "Envelope": object(&["payload", "payloadType", "signer", "signature"], &json!({
            "payload": {"type": "object"}, "payloadType": {"type": "string"},
            "signer": {"type": "string"}, "signature": {"type": "string"},
        })),
        "SignedReceipt": object(&["receipt", "signatures"], &json!({
            "receipt": {"type": "object"}, "signatures": {"type": "array"},
        })),
        "Problem": object(&["type", "title", "status", "detail"], &json!({
            "type": {"type": "string", "format": "uri"}, "title": {"type": "string"},
            "status": {"type": "integer"}, "detail": {"type": "string"},
        })),
    })
}

fn request() -> Value {
    json!({
        "TaskRequest": {
            "type": "object",
            "required": ["input"],
            "additionalProperties": false,
            "properties": {
                "capabilityId": {"type": "string", "pattern": "^[a-z0-9_-]+(\\.[a-z0-9_-]+)*@[A-Za-z0-9._-]{1,32}$", "maxLength": 160},
                "manifestCid": reference("Cid"),
                "input": {"description": "Fits the capability's inputSchema"},
                "mode": reference("Mode"),
                "fanout": {"type": "integer", "minimum": 1, "maximum": 8},
                "quorum": {"type": "integer", "minimum": 1, "maximum": 8},
                "validation": {
                    "type": "object",
                    "required": ["offerCids", "threshold"],
                    "additionalProperties": false,
                    "properties": {
                        "offerCids": {"type": "array", "items": reference("Cid"), "minItems": 1, "maxItems": 16},
                        "threshold": {"type": "integer", "minimum": 1, "maximum": 16},
                        "model": {"enum": ["exact", "scored", "canonicalQuorum", "schemaEvidence"]},
                    },
                },
                "budget": reference("Amount"),
                "deadlineMs": {"type": "integer", "minimum": 10_000, "maximum": 86_400_000, "description": "From now"},
                "refundTo": {
                    "type": "object",
                    "description": "CAIP-2 network to address of the buyer; without it no rail is offered",
                    "propertyNames": {"pattern": "^[a-z0-9-]{3,8}:[A-Za-z0-9_-]{1,32}$"},
                    "additionalProperties": {"type": "string", "pattern": "^[!-~]{1,128}$"},
                },
                "onSilence": {"enum": ["refund", "majority"]},
                "accessHash": reference("Hex32"),
                "publish": {"type": "boolean"},
                "sync": {"type": "boolean"},
            },
        },
        "FacilitatorRequest": object(&["x402Version", "paymentPayload", "paymentRequirements"], &json!({
            "x402Version": {"const": 2},
            "paymentPayload": object(&["x402Version", "accepted", "payload"], &json!({
                "x402Version": {"const": 2}, "accepted": {"type": "object"}, "payload": {"type": "object"},
            })),
            "paymentRequirements": {"type": "object"},
        })),
    })
}

fn answers() -> Value {
    let status = reference("Status");
    json!({
        "TaskAnswer": object(&["taskId", "status", "links"], &json!({
            "taskId": reference("Cid"), "status": status, "result": {}, "resultCid": reference("Cid"),
            "receipt": reference("SignedReceipt"), "links": {"type": "object"},
        })),
        "Pending": object(&["taskId", "status", "links"], &json!({
            "taskId": reference("Cid"), "status": status, "links": {"type": "object"},
        })),
        "Task": object(&["taskId", "status", "phase", "termsHash", "payTo", "budgetUnits"], &json!({
            "taskId": reference("Cid"), "status": status, "phase": {"type": "string"}, "capabilityId": {"type": "string"},
            "mode": reference("Mode"), "network": {"type": "string"}, "asset": {"type": "string"},
            "budgetUnits": reference("Amount"), "createdMs": {"type": "integer"}, "deadlineMs": {"type": "integer"},
            "payer": {"type": "string"}, "termsHash": reference("Hex32"), "payTo": {"type": "string"},
            "terms": {"type": "string"}, "bids": {"type": "array"}, "leases": {"type": "array"},
            "claims": {"type": "array"}, "round": {"type": "integer"}, "payouts": {"type": "array"},
            "refundUnits": {"type": ["string", "null"]}, "transaction": {"type": ["string", "null"]},
            "receiptCid": {"type": ["string", "null"]},
        })),
        "TaskResult": object(&["taskId", "status", "resultCid", "result"], &json!({
            "taskId": reference("Cid"), "status": status, "resultCid": reference("Cid"), "result": {},
        })),
        "Receipt": object(&["receipt", "validationReceipts", "settlementProof"], &json!({
            "receipt": reference("SignedReceipt"),
            "validationReceipts": {"type": "array", "items": reference("Envelope")},
            "settlementProof": reference("Envelope"),
        })),
        "Bundle": object(&["bundleVersion"], &json!({"bundleVersion": {"const": 1}})),
        "Signatures": object(&["termsHash", "taskId", "status", "receipts"], &json!({
            "termsHash": reference("Hex32"), "taskId": reference("Cid"), "status": status,
            "receipts": {"type": "array", "items": reference("SignedReceipt")},
        })),
        "Payment": object(&["paymentId", "taskId", "state"], &json!({
            "paymentId": reference("Hex32"), "taskId": reference("Cid"),
            "state": {"enum": ["settled", "impossible", "pending", "short"]}, "untilMs": {"type": "integer"},
        })),
        "Capabilities": object(&["capabilities", "validatorOffers"], &json!({
            "capabilities": {"type": "array", "items": {"type": "object"}},
            "validatorOffers": {"type": "array", "items": {"type": "object"}},
        })),
        "Discovery": object(&["d402GatewayVersion", "nodeId", "roles", "protocol", "endpoints", "capabilities", "payment"], &json!({
            "d402GatewayVersion": {"const": 1}, "nodeId": {"type": "string"}, "roles": {"type": "array"},
        })),
        "Health": object(&["ok", "nodeId", "policy"], &json!({"ok": {"type": "boolean"}, "policy": {"type": "object"}})),
    })
}

fn x402() -> Value {
    json!({
        "Challenge": object(&["x402", "intent", "manifest", "registration", "offers"], &json!({
            "x402": reference("PaymentRequired"), "intent": {"type": "object"}, "manifest": reference("Envelope"),
            "registration": reference("Envelope"), "offers": {"type": "array", "items": reference("Envelope")},
            "accessToken": {"type": "string"},
        })),
        "PaymentRequired": object(&["x402Version", "resource", "accepts"], &json!({
            "x402Version": {"const": 2}, "error": {"type": "string"}, "resource": {"type": "object"},
            "accepts": {"type": "array", "minItems": 1, "items": {"type": "object"}}, "extensions": {"type": "object"},
        })),
        "VerifyResponse": object(&["isValid"], &json!({
            "isValid": {"type": "boolean"}, "invalidReason": {"type": "string"}, "payer": {"type": "string"},
        })),
        "SettleResponse": object(&["success", "transaction", "network"], &json!({
            "success": {"type": "boolean"}, "errorReason": {"type": "string"},
            "transaction": {"type": "string"}, "network": {"type": "string"},
        })),
        "Supported": object(&["kinds", "extensions", "signers"], &json!({
            "kinds": {"type": "array"}, "extensions": {"type": "array"}, "signers": {"type": "object"},
        })),
    })
}
