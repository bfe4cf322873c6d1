//! What a task looks like from outside. Open to everybody: nothing here opens a result (threat #54).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use d402_core::market::{LeaseSet, Slot, SlotState};
use d402_core::ports::Settled;
use d402_core::{Ending, Task};
use d402_objects::{Cid, Value, Verdict};
use d402_settlement::{Codec, Key32};
use serde_json::json;

use super::HttpState;
use super::error::HttpError;

pub(super) async fn task(
    State(state): State<HttpState>,
    Path(task_id): Path<String>,
) -> Result<Response, HttpError> {
    let task = find(&state, &task_id).await?;
    let mut response = (StatusCode::OK, Json(view(&task))).into_response();
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    Ok(response)
}

/// The task a path names.
pub(super) async fn find(
    state: &HttpState,
    task_id: &str,
) -> Result<std::sync::Arc<Task>, HttpError> {
    let task_id: Cid = task_id
        .parse()
        .map_err(|_| HttpError::Malformed { what: "taskId" })?;
    state
        .engine()
        .task(task_id)
        .await?
        .ok_or(HttpError::UnknownTask)
}

/// `pending`, or how it ended.
pub(super) fn status(task: &Task) -> &'static str {
    match task.ending() {
        None => "pending",
        Some(Ending::Paid { .. }) => "accepted",
        Some(Ending::Rejected { .. }) => "rejected",
        Some(Ending::Refunded { .. }) => "refunded",
        Some(Ending::Unfunded) => "unfunded",
        Some(Ending::SettledElsewhere { .. }) => "settledElsewhere",
        Some(Ending::NotCharged { .. }) => "notCharged",
        Some(Ending::Uncollected { .. }) => "uncollected",
    }
}

/// Where more about a task is.
pub(super) fn links(state: &HttpState, task_id: Cid) -> Value {
    let base = format!("{}/tasks/{task_id}", state.0.config.public_url);
    json!({
        "task": base,
        "result": format!("{base}/result"),
        "receipt": format!("{base}/receipt"),
        "bundle": format!("{base}/bundle"),
    })
}

fn view(task: &Task) -> Value {
    let dossier = task.dossier();
    let intent = dossier.intent();
    let (settled, refund, transaction, receipt_cid) = end(task);
    json!({
        "taskId": task.task_id(),
        "status": status(task),
        "phase": task.phase().name().as_str(),
        "capabilityId": dossier.manifest().capability_id,
        "manifestCid": intent.manifest_cid,
        "mode": intent.mode,
        "network": dossier.network(),
        "asset": dossier.asset(),
        "budgetUnits": dossier.payment().budget,
        "createdMs": task.created_ms(),
        "deadlineMs": intent.deadline_ms,
        "payer": task.payment().payer,
        "paymentId": task.payment().payment_id,
        "termsHash": dossier.terms_hash(),
        "payTo": dossier.quote().pay_to_address(),
        "terms": hex::encode(dossier.terms_bytes()),
        "bids": task.bids().map(|bid| json!({"worker": bid.payload().worker, "price": bid.payload().price})).collect::<Vec<_>>(),
        "leases": task.lease_sets().iter().flat_map(leases).collect::<Vec<_>>(),
        "claims": claims(task),
        "round": task.round(),
        "payouts": settled.map(|settled| payouts(dossier.codec(), settled)).unwrap_or_default(),
        "refundUnits": refund,
        "transaction": transaction,
        "direct": dossier.direct(),
        "receiptCid": receipt_cid,
    })
}

/// What the chain did, what went back, in which transaction, by which receipt.
fn end(task: &Task) -> (Option<&Settled>, Option<String>, Option<&str>, Option<Cid>) {
    match task.ending() {
        Some(
            Ending::Paid { settled, .. }
            | Ending::Rejected { settled, .. }
            | Ending::SettledElsewhere { settled },
        ) => (
            Some(settled),
            Some(settled.refunded.to_string()),
            Some(settled.transaction.as_str()),
            Some(settled.receipt_cid),
        ),
        Some(Ending::Refunded {
            transaction,
            refunded,
        }) => (
            None,
            Some(refunded.to_string()),
            Some(transaction.as_str()),
            None,
        ),
        Some(
            Ending::NotCharged {
                receipt: Some(receipt),
            }
            | Ending::Uncollected { receipt, .. },
        ) => (None, None, None, Some(receipt.receipt_cid())),
        Some(Ending::Unfunded | Ending::NotCharged { receipt: None }) | None => {
            (None, None, None, None)
        }
    }
}

fn payouts(codec: &Codec, settled: &Settled) -> Vec<Value> {
    settled
        .paid
        .iter()
        .map(|row| json!({"payee": codec.address_of(&Key32(row.payee.as_bytes())), "units": row.amount, "role": row.kind, "credited": row.credited}))
        .collect()
}

fn leases(set: &LeaseSet) -> Vec<Value> {
    set.slots
        .iter()
        .map(|slot| lease(set.attempt, slot))
        .collect()
}

fn lease(attempt: u8, slot: &Slot) -> Value {
    let state = match slot.state {
        SlotState::Offered => "offered",
        SlotState::Accepted => "accepted",
        SlotState::Declined => "declined",
    };
    json!({
        "attempt": attempt,
        "worker": slot.lease.worker,
        "payee": slot.lease.payout.address,
        "price": slot.lease.price,
        "state": state,
        "leaseCid": slot.cid,
    })
}

fn claims(task: &Task) -> Vec<Value> {
    let evidence = task.evidence();
    evidence
        .claims()
        .map(|claim| {
            json!({
                "claimCid": claim.cid(),
                "worker": claim.payload().worker,
                "accepts": evidence.verdict_count(&claim.cid(), Verdict::Accept),
                "rejects": evidence.verdict_count(&claim.cid(), Verdict::Reject),
            })
        })
        .collect()
}
