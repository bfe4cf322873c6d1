//! The x402 facilitator API for this gateway's own rails, so that stock harnesses can drive it.
//!
//! It moves money only as part of a task: `/settle` says what became of a payment that `POST /tasks` took, it
//! never submits one whose task nobody knows.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use d402_core::Ending;
use d402_core::admission::RailOffer;
use d402_core::ports::Rail;
use d402_objects::{Address, PaymentOption, TaskIntent, Value, cid_of, strict};
use d402_settlement::market::{Quote, TaskParts};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

use super::error::HttpError;
use super::limits::{Body, MAX_BODY_BYTES};
use super::opening::rail_of;
use super::payment::settlement_response;
use super::settle::x402_error;
use super::verifying::{Asking, verified};
use super::{HttpState, payment::PaymentPayload};

/// How long `/settle` waits for a deposit.
const SETTLE_WAIT: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ask {
    x402_version: u32,
    payment_payload: PaymentPayload,
    payment_requirements: Value,
}

fn parse(body: &[u8]) -> Result<Ask, HttpError> {
    let malformed = HttpError::Malformed {
        what: "facilitator request",
    };
    let Ok(value) = strict::parse_value(body, MAX_BODY_BYTES) else {
        return Err(malformed);
    };
    // The decoder would also take lists where objects belong.
    let objects = [
        "",
        "/paymentPayload",
        "/paymentPayload/accepted",
        "/paymentPayload/payload",
        "/paymentRequirements",
    ];
    if !objects
        .iter()
        .all(|place| value.pointer(place).is_some_and(Value::is_object))
    {
        return Err(malformed);
    }
    match serde_json::from_value::<Ask>(value) {
        Ok(ask) if ask.x402_version == 2 && ask.payment_payload.x402_version == 2 => Ok(ask),
        Ok(_) | Err(_) => Err(malformed),
    }
}

fn invalid(reason: &'static str) -> Response {
    Json(json!({"isValid": false, "invalidReason": reason})).into_response()
}

/// Read-only: whether the payment would be taken for these requirements.
pub(super) async fn verify(
    State(state): State<HttpState>,
    Body(body): Body,
) -> Result<Response, HttpError> {
    let ask = parse(&body)?;
    if ask.payment_payload.accepted != ask.payment_requirements {
        return Ok(invalid("invalid_payment_requirements"));
    }
    let Some((quote, payment, deadline_ms)) = quote_of(&state, &ask.payment_requirements).await?
    else {
        return Ok(invalid("invalid_payment_requirements"));
    };
    let rails = &state.engine().ports().rails;
    let named = |rail: &&Arc<dyn Rail>| {
        rail.network() == payment.network.as_str() && rail.name() == payment.rail.as_str()
    };
    let Some(rail) = rails.iter().find(named) else {
        return Ok(invalid("invalid_network"));
    };
    let asking = Asking {
        set: &quote.set,
        terms: &quote.terms_bytes,
        payment: &payment,
        deadline_ms,
    };
    Ok(
        match verified(rail.as_ref(), &ask.payment_payload.payload, &asking).await? {
            Ok(verified) => Json(json!({"isValid": true, "payer": verified.payer})).into_response(),
            Err(fault) => invalid(x402_error(&fault)),
        },
    )
}

/// The terms of an entry, recomputed from its intent; `None` when it is not one of ours or does not add up.
async fn quote_of(
    state: &HttpState,
    requirements: &Value,
) -> Result<Option<(Quote, PaymentOption, u64)>, HttpError> {
    let d402 = requirements.get("extra").and_then(|e| e.get("d402"));
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let intent = d402
        .and_then(|d| d.get("intent"))
        .cloned()
        .and_then(|i| serde_json::from_value::<TaskIntent>(i).ok());
    let index = d402
        .and_then(|d| d.get("paymentIndex"))
        .and_then(Value::as_u64)
        .and_then(|i| u8::try_from(i).ok());
    let terms =
        text(d402.and_then(|d| d.get("terms"))).and_then(|t| URL_SAFE_NO_PAD.decode(t).ok());
    let (Some(intent), Some(index), Some(terms)) = (intent, index, terms) else {
        return Ok(None);
    };
    let directory = &state.0.directory;
    directory.view(state.now_ms()).await?;
    let listing = directory.recent_listing(&intent.manifest_cid, &intent.registration_cid);
    let offers = directory.recent_offers(&intent.validation.offer_cids);
    let (Some(listing), Some(offers), Ok(task_id)) = (listing, offers, cid_of(&intent)) else {
        return Ok(None);
    };
    let parts = TaskParts {
        intent: &intent,
        task_id,
        manifest: &listing.manifest,
        registration: &listing.registration,
        offers: &offers,
    };
    let Ok(quote) = Quote::of(&parts, index) else {
        return Ok(None);
    };
    let pay_to = quote.pay_to_address().map(|a| a.to_string());
    let adds_up = *quote.terms_bytes == *terms
        && pay_to == text(requirements.get("payTo"))
        && intent.gateway == state.engine().gateway();
    let payment = intent.payment.get(usize::from(index)).cloned();
    let network = text(requirements.get("network"));
    let deadline_ms = intent.deadline_ms.get();
    Ok(payment
        .filter(|p| adds_up && Some(p.network.as_str()) == network.as_deref())
        .map(|payment| (quote, payment, deadline_ms)))
}

pub(super) async fn settle(
    State(state): State<HttpState>,
    Body(body): Body,
) -> Result<Response, HttpError> {
    let ask = parse(&body)?;
    let network = ask
        .payment_requirements
        .get("network")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let failure = |reason: &'static str| {
        Json(
            json!({"success": false, "errorReason": reason, "transaction": "", "network": network}),
        )
        .into_response()
    };
    let rails = &state.engine().ports().rails;
    let Some(rail) = rails.iter().find(|rail| rail.network() == network) else {
        return Ok(failure("invalid_network"));
    };
    let Some(payment_id) = rail.payment_id(&ask.payment_payload.payload) else {
        return Ok(failure("invalid_payload"));
    };
    let Some(task_id) = state.engine().ports().store.by_payment(payment_id).await? else {
        // Without its task the money would sit in a vault nobody works for.
        return Ok(failure("task_required"));
    };
    let known = |task: &d402_core::Task| task.has_payment() || task.ending().is_some();
    let task = state.engine().wait_for(task_id, SETTLE_WAIT, known).await?;
    match task.ending() {
        Some(Ending::Unfunded | Ending::Uncollected { .. }) => {
            return Ok(failure("payment_never_settled"));
        }
        // The work was not accepted, so the payer's authorization is not used.
        Some(Ending::NotCharged { .. }) => return Ok(failure("not_charged")),
        Some(
            Ending::Paid { .. }
            | Ending::Rejected { .. }
            | Ending::SettledElsewhere { .. }
            | Ending::Refunded { .. },
        )
        | None => {}
    }
    let mut response = settlement_response(&state, &task).await;
    if !task.has_payment()
        && let Some(members) = response.as_object_mut()
    {
        members.insert("success".to_owned(), Value::Bool(false));
        members.insert("errorReason".to_owned(), Value::from("settlement_pending"));
    }
    Ok(Json(response).into_response())
}

pub(super) async fn supported(State(state): State<HttpState>) -> Response {
    let kinds: Vec<Value> = state
        .0
        .rails
        .iter()
        .map(|rail| {
            let mut extra = json!({"name": rail.asset.name, "version": rail.asset.version});
            if let (Some(members), false) = (extra.as_object_mut(), rail.offer.direct) {
                members.insert("paymentFlow".to_owned(), Value::from("upfront"));
            }
            let lender = lender(&state, &rail.offer).map(|lender| Value::from(lender.as_str()));
            if let (Some(members), Some(lender)) = (extra.as_object_mut(), lender) {
                members.insert("feePayer".to_owned(), lender);
            }
            json!({"x402Version": 2, "scheme": "exact", "network": rail.offer.network, "extra": extra})
        })
        .chain(state.0.rails.iter().filter_map(super::version_one::kind))
        .collect();
    let lenders = state.0.rails.iter().filter_map(|rail| {
        let lender = lender(&state, &rail.offer)?;
        Some((rail.offer.network.to_string(), json!([lender])))
    });
    let signers: serde_json::Map<String, Value> = lenders.collect();
    Json(json!({"kinds": kinds, "extensions": ["payment-identifier"], "signers": signers}))
        .into_response()
}

/// Who signs payments of a rail as fee payer.
fn lender(state: &HttpState, offer: &RailOffer) -> Option<Address> {
    let rail = rail_of(state, &offer.rail, &offer.network)?;
    rail.opener()?.lender()
}
