//! `PAYMENT-SIGNATURE` in, `PAYMENT-RESPONSE` out (x402 v2).

use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use d402_core::Task;
use d402_objects::{Value, strict};
use serde::Deserialize;
use serde_json::json;

use super::error::HttpError;

/// Header of a paid request.
pub(crate) const PAYMENT_SIGNATURE: &str = "payment-signature";
/// Header of a response to one.
pub(crate) const PAYMENT_RESPONSE: &str = "payment-response";
/// Client-chosen key, beside the `payment-identifier` extension.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Most bytes of the decoded payment.
const MAX_PAYMENT_BYTES: usize = 16 * 1024;

/// x402 v2 `PaymentPayload`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentPayload {
    pub(crate) x402_version: u32,
    /// The chosen entry of the 402, echoed whole.
    pub(crate) accepted: Value,
    /// What the rail understands.
    pub(crate) payload: Value,
    #[serde(default)]
    pub(crate) extensions: Option<Value>,
}

/// The payment a request carries.
pub(crate) fn of_headers(headers: &HeaderMap) -> Result<Option<PaymentPayload>, HttpError> {
    let malformed = HttpError::Malformed {
        what: "PAYMENT-SIGNATURE",
    };
    let Some(header) = headers.get(PAYMENT_SIGNATURE) else {
        return Ok(None);
    };
    let Ok(bytes) = STANDARD.decode(header.as_bytes()) else {
        return Err(malformed);
    };
    let Ok(value) = strict::parse_value(&bytes, MAX_PAYMENT_BYTES) else {
        return Err(malformed);
    };
    match serde_json::from_value::<PaymentPayload>(value) {
        Ok(payload) if payload.x402_version == 2 => Ok(Some(payload)),
        Ok(_) | Err(_) => Err(malformed),
    }
}

/// The client's own id of this purchase: the `payment-identifier` extension, else `Idempotency-Key`.
pub(crate) fn client_id(
    headers: &HeaderMap,
    payment: Option<&PaymentPayload>,
) -> Result<Option<String>, HttpError> {
    if let Some(extension) = payment
        .and_then(|p| p.extensions.as_ref())
        .and_then(|e| e.get("payment-identifier"))
    {
        let malformed = HttpError::Malformed {
            what: "payment-identifier",
        };
        // The client fills the id into what the server declared, or sends it alone.
        let id = extension.get("paymentId").or_else(|| {
            extension
                .get("info")
                .and_then(|i| i.get("id").or_else(|| i.get("paymentId")))
        });
        return match id.and_then(Value::as_str) {
            Some(id) if is_client_id(id) => Ok(Some(id.to_owned())),
            Some(_) => Err(malformed),
            // Echoed as declared: not required, not used.
            None => key_header(headers),
        };
    }
    key_header(headers)
}

fn key_header(headers: &HeaderMap) -> Result<Option<String>, HttpError> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    match key.to_str() {
        Ok(key) if is_client_id(key) => Ok(Some(key.to_owned())),
        Ok(_) | Err(_) => Err(HttpError::Malformed {
            what: "Idempotency-Key",
        }),
    }
}

/// 16 to 128 characters `[A-Za-z0-9-_]`: long enough that two strangers do not choose the same.
pub(crate) fn is_client_id(text: &str) -> bool {
    (16..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// x402 v2 `SettlementResponse` of a funded task. `transaction` is the payment's id on its chain.
pub(crate) fn response_header(task: &Task) -> Option<HeaderValue> {
    let body = settlement_response(task);
    HeaderValue::from_str(&STANDARD.encode(body.to_string())).ok()
}

/// x402 v2 `SettlementResponse` of a payment that will never take effect.
pub(crate) fn failure_header(task: &Task, reason: &'static str) -> Option<HeaderValue> {
    let body = json!({
        "success": false,
        "errorReason": reason,
        "transaction": "",
        "network": task.dossier().network(),
        "payer": task.payment().payer,
    });
    HeaderValue::from_str(&STANDARD.encode(body.to_string())).ok()
}

pub(crate) fn settlement_response(task: &Task) -> Value {
    let dossier = task.dossier();
    json!({
        "success": true,
        "transaction": task.payment().payment_id,
        "network": dossier.network(),
        "payer": task.payment().payer,
        "amount": dossier.payment().budget,
        "extensions": {"d402": {
            "taskId": task.task_id(),
            "terms": URL_SAFE_NO_PAD.encode(dossier.terms_bytes()),
            "termsHash": dossier.terms_hash(),
        }},
    })
}
