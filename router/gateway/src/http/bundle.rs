//! The bundle: one file from which anybody can check the task, offline.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use d402_core::{Ending, Task};
use d402_objects::{Outcome, SignedReceipt};
use d402_settlement::market::{Bundle, BundleContent, Decided, DepositFact, Facts, decide};

use super::error::HttpError;
use super::results::private;
use super::{HttpState, access, views};

pub(super) async fn bundle(
    State(state): State<HttpState>,
    Path(task_id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let task = views::find(&state, &task_id).await?;
    let receipt = match task.ending() {
        None => {
            let body = serde_json::json!({"taskId": task.task_id(), "status": "pending", "links": views::links(&state, task.task_id())});
            return Ok((StatusCode::ACCEPTED, axum::Json(body)).into_response());
        }
        Some(
            Ending::Paid { receipt, .. }
            | Ending::Rejected { receipt, .. }
            | Ending::NotCharged {
                receipt: Some(receipt),
            }
            | Ending::Uncollected { receipt, .. },
        ) => receipt.clone(),
        Some(
            Ending::Refunded { .. }
            | Ending::SettledElsewhere { .. }
            | Ending::Unfunded
            | Ending::NotCharged { receipt: None },
        ) => {
            return Err(HttpError::NoReceipt {
                task_id: task.task_id(),
                status: views::status(&task),
            });
        }
    };
    // A bundle of a paid task holds its output.
    if receipt.receipt().outcome == Outcome::Paid && !access::is_open(&headers, &task) {
        return Err(HttpError::NoAccess);
    }
    let contents = match task.output() {
        Some(cid) => state
            .engine()
            .ports()
            .blobs
            .get(cid)
            .await?
            .into_iter()
            .collect(),
        None => Vec::new(),
    };
    let bytes = build(&task, &receipt, &contents)?;
    let mut response = private((StatusCode::OK, bytes).into_response());
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    Ok(response)
}

fn build(task: &Task, receipt: &SignedReceipt, contents: &[Vec<u8>]) -> Result<Vec<u8>, HttpError> {
    let decided = decision_of(task, receipt).ok_or(HttpError::Internal { what: "decision" })?;
    let bids: Vec<_> = task.bids().cloned().collect();
    let built = Bundle::build(&BundleContent {
        evidence: task.evidence(),
        decided: &decided,
        signed_receipt: receipt,
        bids: &bids,
        contents,
    });
    built.map(Bundle::into_bytes).map_err(|error| {
        tracing::error!(task = %task.task_id(), %error, "bundle is not built");
        HttpError::Internal { what: "bundle" }
    })
}

/// The decision behind a receipt, derived again: it depends on when it was made only through three moments.
fn decision_of(task: &Task, receipt: &SignedReceipt) -> Option<Decided> {
    let times = task.dossier().times();
    let moments = [times.issued_at_ms, times.deadline_ms, times.decide_at_ms];
    let on_time = moments.into_iter().map(|now_ms| Facts {
        now_ms,
        deposit: DepositFact::OnTime,
        paid_elsewhere: false,
    });
    let late = Facts {
        now_ms: times.decide_at_ms,
        deposit: DepositFact::Late,
        paid_elsewhere: false,
    };
    on_time
        .chain([late])
        .filter_map(|facts| decide(task.evidence(), &facts).decided())
        .find(|decided| decided.receipt_cid == receipt.receipt_cid())
}
