//! Signatures and evidence of a task.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use d402_core::{Ending, Phase, Task};
use d402_objects::{Cid, Hex32, SignedReceipt, Value};
use serde::Deserialize;
use serde_json::json;

use super::error::HttpError;
use super::results::private;
use super::{HttpState, access, views};

pub(super) async fn signatures(
    State(state): State<HttpState>,
    Path(terms_hash): Path<String>,
) -> Result<Response, HttpError> {
    let terms_hash: Hex32 = terms_hash
        .parse()
        .map_err(|_| HttpError::Malformed { what: "termsHash" })?;
    let task_id = state
        .engine()
        .ports()
        .store
        .by_terms(terms_hash)
        .await?
        .ok_or(HttpError::UnknownTask)?;
    let task = state
        .engine()
        .task(task_id)
        .await?
        .ok_or(HttpError::UnknownTask)?;
    let receipts: Vec<Value> = receipt_so_far(&task)
        .map(|r| r.to_value())
        .into_iter()
        .collect();
    let body = json!({"termsHash": terms_hash, "taskId": task_id, "status": views::status(&task), "receipts": receipts});
    Ok((StatusCode::OK, Json(body)).into_response())
}

/// The receipt with the signatures collected until now: enough of them settle, whoever sends them (threat #12).
fn receipt_so_far(task: &Task) -> Option<SignedReceipt> {
    match task.phase() {
        Phase::Signing {
            decided,
            signatures,
            ..
        } => decided.signed(signatures.values().cloned().collect()).ok(),
        Phase::Settling { receipt }
        | Phase::Final(
            Ending::Paid { receipt, .. }
            | Ending::Rejected { receipt, .. }
            | Ending::NotCharged {
                receipt: Some(receipt),
            }
            | Ending::Uncollected { receipt, .. },
        ) => Some((**receipt).clone()),
        Phase::AwaitingDeposit
        | Phase::Bidding { .. }
        | Phase::Working
        | Phase::Collecting { .. }
        | Phase::Proposing { .. }
        | Phase::Refunding
        | Phase::Final(
            Ending::Refunded { .. }
            | Ending::SettledElsewhere { .. }
            | Ending::Unfunded
            | Ending::NotCharged { receipt: None },
        ) => None,
    }
}

/// Contents are had through the task they belong to: a CID alone says nothing about who may read it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfTask {
    task_id: Option<String>,
}

pub(super) async fn evidence(
    State(state): State<HttpState>,
    Path(cid): Path<String>,
    of: Result<Query<OfTask>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let cid: Cid = cid
        .parse()
        .map_err(|_| HttpError::Malformed { what: "cid" })?;
    // A query that does not parse gets our problem, not the framework's text.
    let Query(of) = of.map_err(|_| HttpError::Malformed { what: "query" })?;
    let task_id = of.task_id.ok_or(HttpError::Malformed { what: "taskId" })?;
    let task = views::find(&state, &task_id).await?;
    if !access::is_open(&headers, &task)
        && !access::is_validator(&headers, &task, &cid, state.now_ms())
    {
        return Err(HttpError::NoAccess);
    }
    if let Some(object) = task.evidence().get(&cid) {
        return Ok(private(
            (StatusCode::OK, Json(object.to_value())).into_response(),
        ));
    }
    let bytes = content(&state, &task, cid)
        .await?
        .ok_or(HttpError::NotFound)?;
    let mut response = private((StatusCode::OK, bytes).into_response());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    Ok(response)
}

/// Bytes the task's objects name; nothing else of the store is reachable here.
async fn content(state: &HttpState, task: &Task, cid: Cid) -> Result<Option<Vec<u8>>, HttpError> {
    if task.dossier().intent().input.cid == cid {
        return Ok(Some(task.dossier().input().to_vec()));
    }
    let named = task.evidence().claims().any(|claim| {
        claim.payload().output.cid == cid
            || claim.payload().evidence.iter().any(|item| item.cid == cid)
    });
    if !named {
        return Ok(None);
    }
    Ok(state.engine().ports().blobs.get(cid).await?)
}
