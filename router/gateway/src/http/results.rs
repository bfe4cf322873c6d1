//! Result and receipt of a task.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use d402_core::ports::Settled;
use d402_core::{Ending, Task};
use d402_objects::{
    Address, Cid, Finality, ObjectError, PaidKind, PaidRow, SettlementProof, Signed, SignedReceipt,
    UnixMs, Value, strict,
};
use d402_wire::simchain;
use serde_json::json;

use super::error::HttpError;
use super::{HttpState, access, views};

/// Largest output that is shown as JSON.
const MAX_OUTPUT_BYTES: usize = 16 * 1024 * 1024;

pub(super) async fn result(
    State(state): State<HttpState>,
    Path(task_id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let task = views::find(&state, &task_id).await?;
    if !access::is_open(&headers, &task) {
        return Err(HttpError::NoAccess);
    }
    let task_id = task.task_id();
    let Some(ending) = task.ending() else {
        return Ok(pending(&state, &task));
    };
    match (ending, task.output()) {
        (Ending::Paid { .. }, Some(cid)) => {
            let body = json!({
                "taskId": task_id,
                "status": views::status(&task),
                "resultCid": cid,
                "result": output(&state, cid).await?,
            });
            Ok(private((StatusCode::OK, Json(body)).into_response()))
        }
        (
            Ending::Paid { .. }
            | Ending::Rejected { .. }
            | Ending::Refunded { .. }
            | Ending::SettledElsewhere { .. }
            | Ending::NotCharged { .. }
            | Ending::Uncollected { .. }
            | Ending::Unfunded,
            _,
        ) => Err(HttpError::NoResult {
            task_id,
            status: views::status(&task),
        }),
    }
}

pub(super) async fn receipt(
    State(state): State<HttpState>,
    Path(task_id): Path<String>,
) -> Result<Response, HttpError> {
    let task = views::find(&state, &task_id).await?;
    let Some(ending) = task.ending() else {
        return Ok(pending(&state, &task));
    };
    let (receipt, settled) = match ending {
        Ending::Paid {
            receipt, settled, ..
        }
        | Ending::Rejected { receipt, settled } => (receipt, Some(settled)),
        Ending::NotCharged {
            receipt: Some(receipt),
        }
        | Ending::Uncollected { receipt, .. } => (receipt, None),
        Ending::Refunded { .. }
        | Ending::SettledElsewhere { .. }
        | Ending::NotCharged { receipt: None }
        | Ending::Unfunded => {
            return Err(HttpError::NoReceipt {
                task_id: task.task_id(),
                status: views::status(&task),
            });
        }
    };
    let named = &receipt.receipt().validation_receipt_cids;
    let validation: Vec<Value> = task
        .evidence()
        .receipts()
        .filter(|r| named.contains(&r.cid()))
        .map(Signed::to_value)
        .collect();
    // Without a transaction there is nothing to have seen.
    let proof = settled
        .map(|settled| proof(&state, &task, receipt, settled))
        .transpose()
        .map_err(|_| HttpError::Internal { what: "proof" })?;
    let mut body = json!({"receipt": receipt.to_value(), "validationReceipts": validation});
    if let (Some(members), Some(proof)) = (body.as_object_mut(), proof) {
        members.insert("settlementProof".to_owned(), proof.to_value());
    }
    Ok((StatusCode::OK, Json(body)).into_response())
}

fn pending(state: &HttpState, task: &Task) -> Response {
    let task_id = task.task_id();
    let body =
        json!({"taskId": task_id, "status": "pending", "links": views::links(state, task_id)});
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

/// Nobody between gateway and buyer keeps a result.
pub(super) fn private(mut response: Response) -> Response {
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-store"),
    );
    response
}

/// An output as JSON; what is no JSON is shown as base64.
pub(super) async fn output(state: &HttpState, cid: Cid) -> Result<Value, HttpError> {
    use base64::Engine as _;
    let bytes = state
        .engine()
        .ports()
        .blobs
        .get(cid)
        .await?
        .ok_or(HttpError::Internal { what: "output" })?;
    Ok(
        strict::parse_value(&bytes, MAX_OUTPUT_BYTES).unwrap_or_else(
            |_| json!({"base64": base64::engine::general_purpose::STANDARD.encode(&bytes)}),
        ),
    )
}

/// What this gateway saw on the chain, under its name; apart from the receipt, which nobody signed it into.
fn proof(
    state: &HttpState,
    task: &Task,
    receipt: &SignedReceipt,
    settled: &Settled,
) -> Result<Signed<SettlementProof>, ObjectError> {
    let address = |text: String| {
        Address::new(text).map_err(|source| ObjectError::Carrier {
            field: "address",
            source,
        })
    };
    let codec = task.dossier().codec();
    let payee = |row: &simchain::PaidRow| {
        codec
            .address_of(&d402_settlement::Key32(row.payee.as_bytes()))
            .ok_or(ObjectError::Field { field: "payee" })
    };
    let paid = settled
        .paid
        .iter()
        .map(|row| {
            Ok(PaidRow {
                payee: payee(row)?,
                amount: row.amount,
                kind: if row.credited {
                    PaidKind::Credit
                } else {
                    kind(row.kind)
                },
            })
        })
        .collect::<Result<Vec<_>, ObjectError>>()?;
    state.engine().sign(SettlementProof {
        object_version: 1,
        observer: state.engine().gateway(),
        receipt_cid: receipt.receipt_cid(),
        network: task.dossier().network().clone(),
        transaction: address(settled.transaction.clone())?,
        block_or_slot: settled.height,
        log_index: None,
        finality: Finality::Finalized,
        paid,
        residual: settled.refunded,
        at_ms: UnixMs::default().saturating_add_ms(state.now_ms()),
    })
}

fn kind(kind: simchain::PaidKind) -> PaidKind {
    match kind {
        simchain::PaidKind::Worker => PaidKind::Worker,
        simchain::PaidKind::Validator => PaidKind::Validator,
        simchain::PaidKind::Creator => PaidKind::Creator,
        simchain::PaidKind::Gateway => PaidKind::Gateway,
    }
}
