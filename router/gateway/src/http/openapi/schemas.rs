//! Schemas of the OpenAPI document.

use d402_objects::Value;
use serde_json::json;

use super::reference;

fn object(required: &[&str], properties: &Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

/// Other members may be there, as strict JSON.
fn open(mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert("additionalProperties".to_owned(), reference("Json"));
    }
    object
}

/// `default_capability`: whether a request that names no capability gets the gateway's own.
pub(super) fn schemas(default_capability: bool) -> Value {
    let mut all = serde_json::Map::new();
    for part in [words(), request(default_capability), answers(), x402()] {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}

fn words() -> Value {
    json!({
        "Any": {"type": "object"},
        // What the strict decoder takes: no number outside what a double holds exactly.
        "Json": {"anyOf": [
            {"type": ["null", "boolean", "string"]},
            {"type": "number", "minimum": -9_007_199_254_740_991_i64, "maximum": 9_007_199_254_740_991_i64},
            {"type": "array", "items": reference("Json")},
            {"type": "object", "additionalProperties": reference("Json")},
        ]},
        "JsonObject": {"type": "object", "additionalProperties": reference("Json")},
        "Cid": {"type": "string", "format": "d402-cid", "pattern": "^sha256:[0-9a-f]{64}$"},
        "Hex32": {"type": "string", "format": "d402-hex32", "pattern": "^[0-9a-f]{64}$"},
        "Amount": {"type": "string", "pattern": "^(0|[1-9][0-9]{0,28})$"},
        "Namespace": {"type": "string", "pattern": "^[a-z0-9_-]+(\\.[a-z0-9_-]+)*$", "maxLength": 64},
        "PaymentName": {"type": "string", "format": "d402-payment-name", "pattern": "^[A-Za-z0-9_-]{16,128}$"},
        "Mode": {"enum": ["single", "race", "quorum"]},
        "Status": {"enum": ["pending", "accepted", "rejected", "refunded", "unfunded", "settledElsewhere", "notCharged", "uncollected"]},
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

fn request(default_capability: bool) -> Value {
    let mut schemas = requests();
    if !default_capability
        && let Some(request) = schemas
            .get_mut("TaskRequest")
            .and_then(Value::as_object_mut)
    {
        let named = json!([{"required": ["capabilityId"]}, {"required": ["manifestCid"]}]);
        request.insert("anyOf".to_owned(), named);
    }
    schemas
}

fn requests() -> Value {
    json!({
        "TaskRequest": {
            "type": "object",
            "required": ["input"],
            "additionalProperties": false,
            "properties": {
                "capabilityId": {"type": "string", "pattern": "^[a-z0-9_-]+(\\.[a-z0-9_-]+)*@[A-Za-z0-9._-]{1,32}$", "maxLength": 160},
                "manifestCid": reference("Cid"),
                "input": {"description": "Fits the capability's inputSchema", "$ref": "#/components/schemas/Json"},
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
                "worker": {
                    "type": "string", "pattern": "^ed25519:[0-9a-f]{64}$",
                    "description": "The one worker to pay straight, at its own price; then direct rails alone are offered",
                },
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
                "openVault": {"type": "boolean"},
                "sync": {"type": "boolean"},
            },
        },
        "FacilitatorRequest": open(object(&["x402Version", "paymentPayload", "paymentRequirements"], &json!({
            "x402Version": {"const": 2},
            "paymentPayload": open(object(&["x402Version", "accepted", "payload"], &json!({
                "x402Version": {"const": 2}, "accepted": reference("JsonObject"), "payload": reference("JsonObject"),
            }))),
            "paymentRequirements": reference("JsonObject"),
        }))),
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
        "Receipt": object(&["receipt", "validationReceipts"], &json!({
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
        "Capabilities": object(&["capabilities", "validatorOffers", "nodeOffers"], &json!({
            "capabilities": {"type": "array", "items": {"type": "object"}},
            "validatorOffers": {"type": "array", "items": {"type": "object"}},
            "nodeOffers": {"type": "array", "items": reference("Envelope")},
        })),
        "Discovery": object(&["d402GatewayVersion", "nodeId", "roles", "protocol", "endpoints", "capabilities", "payment"], &json!({
            "d402GatewayVersion": {"const": 1}, "nodeId": {"type": "string"}, "roles": {"type": "array"},
            "endpoints": {"type": "object", "additionalProperties": {"type": "string", "format": "uri-template"}},
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
