//! `GET /payments/{id}`: the truth about a payment, and nothing more than is known (threat #71).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use d402_core::ports::{Deposit, DirectState};
use d402_core::{Ending, PhaseName, Task};
use d402_objects::{Cid, Hex32, Value};
use serde_json::json;

use super::error::HttpError;
use super::payment::is_client_id;
use super::{HttpState, views};

pub(super) async fn payment(
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Response, HttpError> {
    let task_id = find(&state, &id).await?.ok_or(HttpError::UnknownPayment)?;
    let task = state
        .engine()
        .task(task_id)
        .await?
        .ok_or(HttpError::UnknownTask)?;
    let mut body = json!({
        "paymentId": task.payment().payment_id,
        "taskId": task_id,
        "taskStatus": views::status(&task),
        "payer": task.payment().payer,
        "network": task.dossier().network(),
        "termsHash": task.dossier().terms_hash(),
        "links": views::links(&state, task_id),
    });
    if let (Some(members), Value::Object(known)) =
        (body.as_object_mut(), known(&state, &task).await)
    {
        members.extend(known);
    }
    let mut response = (StatusCode::OK, Json(body)).into_response();
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    Ok(response)
}

async fn find(state: &HttpState, id: &str) -> Result<Option<Cid>, HttpError> {
    let store = &state.engine().ports().store;
    if let Ok(payment_id) = id.parse::<Hex32>()
        && let Some(task_id) = store.by_payment(payment_id).await?
    {
        return Ok(Some(task_id));
    }
    if !is_client_id(id) {
        return Err(HttpError::Malformed { what: "payment id" });
    }
    Ok(store.by_client_id(id).await?)
}

/// `settled` with proof, `impossible` when the chain says so, else `pending` and until when.
async fn known(state: &HttpState, task: &Task) -> Value {
    if matches!(task.ending(), Some(Ending::Unfunded)) {
        return json!({"state": "impossible"});
    }
    if task.is_direct() {
        return straight(state, task).await;
    }
    let dossier = task.dossier();
    let pending = json!({"state": "pending", "untilMs": dossier.times().fund_by_ms});
    let Some(rail) = state.engine().rail(dossier) else {
        return pending;
    };
    match rail
        .deposit(dossier.terms_bytes(), task.payment().payment_id)
        .await
    {
        Ok(Deposit::Funded { amount, at_ms }) => {
            json!({"state": "settled", "units": amount, "atMs": at_ms})
        }
        Ok(Deposit::Short { amount }) => {
            json!({"state": "short", "units": amount, "untilMs": dossier.times().fund_by_ms})
        }
        Ok(Deposit::Impossible) => json!({"state": "impossible"}),
        // A vault that paid out is empty again: the task itself is the proof that it was funded.
        Ok(Deposit::Pending) | Err(_) if task.phase().name() != PhaseName::AwaitingDeposit => {
            json!({"state": "settled"})
        }
        Ok(Deposit::Pending) | Err(_) => pending,
    }
}

/// The same of a payment straight to the worker. One that was never submitted stays possible until it lapses:
/// whoever has the payer's signature may submit it.
async fn straight(state: &HttpState, task: &Task) -> Value {
    if matches!(task.ending(), Some(Ending::Uncollected { .. })) {
        return json!({"state": "impossible"});
    }
    let unknown = if task.has_payment() {
        json!({"state": "settled"})
    } else {
        json!({"state": "pending"})
    };
    let rail = state.engine().rail(task.dossier());
    let Some(direct) = rail.as_ref().and_then(|rail| rail.direct()) else {
        return unknown;
    };
    match direct.payment(task.payment().body.as_bytes()).await {
        Ok(DirectState::Paid { at_ms, .. }) => {
            json!({"state": "settled", "units": task.dossier().payment().budget, "atMs": at_ms})
        }
        Ok(DirectState::Impossible { .. }) => json!({"state": "impossible"}),
        Ok(DirectState::Open { until_ms }) => json!({"state": "pending", "untilMs": until_ms}),
        Err(_) => unknown,
    }
}
