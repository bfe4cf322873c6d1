//! Clients of x402 version 1, on direct rails alone: `X-PAYMENT` in, `X-PAYMENT-RESPONSE` out.
//!
//! Such a payment echoes nothing of the 402, so into an escrow it could not say which terms it is for. A direct
//! payment names its worker and its price by itself: the request is offered anew, and whoever authorized exactly
//! that offer's amount to its worker's account has bought it. Nothing is stored in between.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use d402_core::admission::Admission;
use d402_objects::{PaymentOption, Value, canonical, strict};
use d402_settlement::market::{BASE_NETWORK, BASE_SEPOLIA_NETWORK};
use serde::Deserialize;
use serde_json::json;

use super::HttpState;
use super::challenge::{Face, Frame, Redeemed};
use super::error::HttpError;
use super::payment::PAYMENT_RESPONSE;
use super::settle::{Standing, buy, existing};
use super::state::Rail;
use super::tasks::{Admitted, Asked, admitted, challenge};

/// Header of a paid request.
const X_PAYMENT: HeaderName = HeaderName::from_static("x-payment");
/// Header of a response to one.
const X_PAYMENT_RESPONSE: HeaderName = HeaderName::from_static("x-payment-response");
/// Opens the result later, when the request brought no `accessHash`: the token in the 402 was another offer's.
const X_ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-d402-access-token");
/// Most bytes of the decoded payment.
const MAX_PAYMENT_BYTES: usize = 16 * 1024;

/// A payment of version 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PaymentOne {
    x402_version: u32,
    scheme: String,
    network: String,
    payload: Value,
}

/// The name version 1 has for a network.
fn name_of(network: &str) -> Option<&'static str> {
    match network {
        BASE_NETWORK => Some("base"),
        BASE_SEPOLIA_NETWORK => Some("base-sepolia"),
        _ => None,
    }
}

/// The payment a request carries.
pub(super) fn of_headers(headers: &HeaderMap) -> Result<Option<PaymentOne>, HttpError> {
    let malformed = || HttpError::Malformed { what: "X-PAYMENT" };
    let Some(header) = headers.get(X_PAYMENT) else {
        return Ok(None);
    };
    let bytes = STANDARD
        .decode(header.as_bytes())
        .map_err(|_| malformed())?;
    let value = strict::parse_value(&bytes, MAX_PAYMENT_BYTES).map_err(|_| malformed())?;
    match serde_json::from_value::<PaymentOne>(value) {
        Ok(paid) if paid.x402_version == 1 && paid.scheme == "exact" => Ok(Some(paid)),
        Ok(_) | Err(_) => Err(malformed()),
    }
}

/// Members of the 402's body for clients that read it and not its header; none where nothing is direct.
pub(super) fn offer(admission: &Admission, faces: &[Face<'_>], frame: &Frame<'_>) -> String {
    let entries: Vec<Value> = admission
        .intent
        .payment
        .iter()
        .zip(faces)
        .filter_map(|(payment, face)| entry(payment, face, frame.resource))
        .collect();
    if entries.is_empty() {
        return String::new();
    }
    let error = frame.error.unwrap_or("X-PAYMENT header is required");
    let members = json!({"accepts": entries, "error": error, "x402Version": 1});
    let text = String::from_utf8(canonical::to_bytes(&members)).unwrap_or_default();
    let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
    inner.map_or_else(String::new, |inner| format!("{inner},"))
}

fn entry(payment: &PaymentOption, face: &Face<'_>, resource: &str) -> Option<Value> {
    let direct = payment.direct.as_ref()?;
    let network = name_of(payment.network.as_str())?;
    Some(json!({
        "scheme": "exact",
        "network": network,
        "maxAmountRequired": payment.budget,
        "resource": resource,
        "description": "Bounded work, paid on delivery.",
        "mimeType": "application/json",
        "payTo": direct.pay_to,
        "maxTimeoutSeconds": face.max_timeout_s,
        "asset": payment.asset,
        "extra": {"name": face.asset_name, "version": face.asset_version},
    }))
}

/// The kind a rail is to clients of version 1.
pub(super) fn kind(rail: &Rail) -> Option<Value> {
    let network = name_of(rail.offer.network.as_str()).filter(|_| rail.offer.direct)?;
    Some(json!({
        "x402Version": 1,
        "scheme": "exact",
        "network": network,
        "extra": {"name": rail.asset.name, "version": rail.asset.version},
    }))
}

pub(super) async fn paid(
    state: &HttpState,
    asked: &Asked<'_>,
    payment: PaymentOne,
    client_id: Option<String>,
) -> Result<Response, HttpError> {
    let mut response = answer(state, asked, &payment, client_id).await?;
    let headers = response.headers_mut();
    if let Some(receipt) = headers.remove(PAYMENT_RESPONSE)
        && let Some(receipt) = in_version_one(&receipt, &payment.network)
    {
        headers.insert(X_PAYMENT_RESPONSE, receipt);
    }
    Ok(response)
}

async fn answer(
    state: &HttpState,
    asked: &Asked<'_>,
    payment: &PaymentOne,
    client_id: Option<String>,
) -> Result<Response, HttpError> {
    let store = &state.engine().ports().store;
    let named = |network: &str| name_of(network) == Some(payment.network.as_str());
    let rails = &state.engine().ports().rails;
    let rail = rails
        .iter()
        .find(|rail| rail.direct().is_some() && named(rail.network()))
        .ok_or(HttpError::Malformed {
            what: "X-PAYMENT network",
        })?;
    if let Some(payment_id) = rail.payment_id(&payment.payload)
        && let Some(task_id) = store.by_payment(payment_id).await?
    {
        // Once it is on the chain anybody can show this payment: it opens nothing.
        let standing = Standing {
            replay: true,
            buyer: false,
        };
        return existing(state, asked, task_id, standing).await;
    }
    if let Some(client_id) = &client_id
        && let Some(task_id) = store.by_client_id(client_id).await?
    {
        return Err(HttpError::ClientIdTaken { task_id });
    }
    let Admitted {
        admission,
        token,
        now_ms,
    } = admitted(state, asked, &state.0.rail_offers).await?;
    let Some(redeemed) = offered_on(&admission, (rail.name(), rail.network()), now_ms) else {
        return challenge(state, asked, Some("invalid_network")).await;
    };
    let paying = (rail, &payment.payload, client_id);
    let mut response = buy(state, asked, &redeemed, paying).await?;
    if let Some(token) = token.filter(|_| response.status().is_success())
        && let Ok(token) = HeaderValue::from_str(&token)
    {
        response.headers_mut().insert(X_ACCESS_TOKEN, token);
    }
    Ok(response)
}

/// The direct entry of a fresh offer, as if its challenge had been echoed this moment.
fn offered_on(
    admission: &Admission,
    (rail, network): (&str, &str),
    now_ms: u64,
) -> Option<Redeemed> {
    let index = admission.intent.payment.iter().position(|p| {
        p.direct.is_some() && p.rail.as_str() == rail && p.network.as_str() == network
    })?;
    let quote = &admission.rails.get(index)?.quote;
    Some(Redeemed {
        intent: admission.intent.clone(),
        payment_index: u8::try_from(index).ok()?,
        terms: quote.terms_bytes.to_vec(),
        pay_to: quote.pay_to_address()?.to_string(),
        expires_at_ms: now_ms,
    })
}

/// The same answer under the names of version 1.
fn in_version_one(receipt: &HeaderValue, network: &str) -> Option<HeaderValue> {
    let bytes = STANDARD.decode(receipt.as_bytes()).ok()?;
    let mut value: Value = serde_json::from_slice(&bytes).ok()?;
    let members = value.as_object_mut()?;
    members.insert("network".to_owned(), Value::from(network));
    HeaderValue::from_str(&STANDARD.encode(value.to_string())).ok()
}
