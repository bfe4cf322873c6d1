//! A paid `POST /tasks`: replay, redemption, verification, creation, waiting.
//!
//! Order matters: the payment id is looked up before anything is verified, or a retry after a lost answer would
//! be refused as "nonce used" and the buyer would pay twice (threats #38, #70).

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use d402_core::admission::may_still_be_redeemed;
use d402_core::ports::{CreateOutcome, PaymentFault, Rail, VerifiedPayment};
use d402_core::{Ending, PhaseName, Task};
use d402_objects::{Cid, Value, canonical};
use d402_settlement::market::{Dossier, DossierParts};

use super::challenge::{Redeemed, redeem};
use super::error::HttpError;
use super::payment::{PAYMENT_RESPONSE, PaymentPayload, failure_header, response_header};
use super::tasks::{Asked, challenge, check_input};
use super::verifying::{Asking, verified};
use super::{HttpState, results, views};

/// Marks the answer to a replay of the same task.
pub(super) const REPLAY: HeaderName = HeaderName::from_static("x-d402-idempotent-replay");
/// Its legacy twin.
pub(super) const LEGACY_REPLAY: HeaderName = HeaderName::from_static("x-dnc-idempotent-replay");
/// How a request relates to the task it is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The task existed before.
    pub(super) replay: bool,
    /// Shown a challenge of this task that only its buyer can have.
    pub(super) buyer: bool,
}

pub(super) async fn paid(
    state: &HttpState,
    asked: &Asked<'_>,
    payment: PaymentPayload,
    client_id: Option<String>,
) -> Result<Response, HttpError> {
    let bound = asked.bound(state);
    let redeemed = redeem(&state.0.secrets, &payment.accepted, &bound);
    let rail = rail_of(state, &payment, redeemed.as_ref().ok())?;
    let store = &state.engine().ports().store;
    if let Some(payment_id) = rail.payment_id(&payment.payload)
        && let Some(task_id) = store.by_payment(payment_id).await?
    {
        let buyer = redeemed
            .as_ref()
            .is_ok_and(|r| task_of(&r.intent) == Some(task_id));
        return existing(
            state,
            asked,
            task_id,
            Standing {
                replay: true,
                buyer,
            },
        )
        .await;
    }
    if let Some(client_id) = &client_id
        && let Some(task_id) = store.by_client_id(client_id).await?
    {
        return Err(HttpError::ClientIdTaken { task_id });
    }
    let redeemed = match redeemed {
        Ok(redeemed) if state.now_ms() < redeemed.expires_at_ms => redeemed,
        Ok(_) => return challenge(state, asked, Some("challenge_expired")).await,
        Err(forged) => {
            tracing::debug!(%forged, "challenge is not redeemed");
            return challenge(state, asked, Some("invalid_challenge")).await;
        }
    };
    buy(
        state,
        asked,
        &redeemed,
        (&rail, &payment.payload, client_id),
    )
    .await
}

/// The payment of an offer that still holds: verified, and then the task.
pub(super) async fn buy(
    state: &HttpState,
    asked: &Asked<'_>,
    redeemed: &Redeemed,
    (rail, payload, client_id): (&Arc<dyn Rail>, &Value, Option<String>),
) -> Result<Response, HttpError> {
    let Some(dossier) = dossier(state, asked, redeemed).await? else {
        return challenge(state, asked, Some("offer_withdrawn")).await;
    };
    let verified = match verified(rail.as_ref(), payload, &Asking::of(&dossier)).await? {
        Ok(verified) => verified,
        Err(fault) => return challenge(state, asked, Some(x402_error(&fault))).await,
    };
    create(state, asked, (dossier, verified, client_id)).await
}

/// No payment, but an id: the task it names, if it is for the same request (threat #70).
pub(super) async fn unpaid_again(
    state: &HttpState,
    asked: &Asked<'_>,
    client_id: String,
) -> Result<Response, HttpError> {
    match state
        .engine()
        .ports()
        .store
        .by_client_id(&client_id)
        .await?
    {
        Some(task_id) => {
            existing(
                state,
                asked,
                task_id,
                Standing {
                    replay: true,
                    buyer: false,
                },
            )
            .await
        }
        None => challenge(state, asked, None).await,
    }
}

/// The rail the payment is for: the redeemed entry's, else the first of the network it names.
fn rail_of(
    state: &HttpState,
    payment: &PaymentPayload,
    redeemed: Option<&Redeemed>,
) -> Result<Arc<dyn Rail>, HttpError> {
    let network = payment
        .accepted
        .get("network")
        .and_then(serde_json::Value::as_str);
    let entry = redeemed.and_then(|r| r.intent.payment.get(usize::from(r.payment_index)));
    let fits = |rail: &&Arc<dyn Rail>| match entry {
        Some(entry) => {
            rail.network() == entry.network.as_str() && rail.name() == entry.rail.as_str()
        }
        None => Some(rail.network()) == network,
    };
    let rails = &state.engine().ports().rails;
    rails
        .iter()
        .find(fits)
        .cloned()
        .ok_or(HttpError::Malformed {
            what: "accepted.network",
        })
}

fn task_of(intent: &d402_objects::TaskIntent) -> Option<Cid> {
    d402_objects::cid_of(intent).ok()
}

/// The task as it will be stored, with the intent signed by this gateway; `None` when what was offered is not
/// offered any more.
async fn dossier(
    state: &HttpState,
    asked: &Asked<'_>,
    redeemed: &Redeemed,
) -> Result<Option<Dossier>, HttpError> {
    let inner = &state.0;
    let view = inner.directory.view(state.now_ms()).await?;
    let intent = &redeemed.intent;
    let listing = inner
        .directory
        .recent_listing(&intent.manifest_cid, &intent.registration_cid);
    let offers = inner.directory.recent_offers(&intent.validation.offer_cids);
    let (Some(listing), Some(offers)) = (listing, offers) else {
        return Ok(None);
    };
    may_still_be_redeemed(
        &asked.request,
        intent,
        &listing,
        &offers,
        &inner.config.policy,
    )?;
    check_input(&view, &intent.manifest_cid, &asked.request.input)?;
    let signed = inner
        .engine
        .sign(intent.clone())
        .map_err(|_| HttpError::Internal { what: "intent" })?;
    let checked = Dossier::check(DossierParts {
        intent: signed,
        manifest: listing.manifest,
        registration: listing.registration,
        offers,
        input: canonical::to_bytes(&asked.request.input),
        payment_index: redeemed.payment_index,
    });
    let Ok(dossier) = checked else {
        return Ok(None);
    };
    let pay_to = dossier.quote().pay_to_address().map(|a| a.to_string());
    // The MAC covers both; a difference would be a bug of this gateway, and nobody may pay for it.
    if dossier.terms_bytes() != redeemed.terms.as_slice()
        || pay_to.as_deref() != Some(redeemed.pay_to.as_str())
    {
        return Err(HttpError::Internal { what: "terms" });
    }
    Ok(Some(dossier))
}

async fn create(
    state: &HttpState,
    asked: &Asked<'_>,
    (dossier, payment, client_id): (Dossier, VerifiedPayment, Option<String>),
) -> Result<Response, HttpError> {
    let task_id = dossier.task_id();
    let fresh = Standing {
        replay: false,
        buyer: true,
    };
    match state.engine().create(dossier, payment, client_id).await? {
        CreateOutcome::Created => {
            state.0.metrics.created();
            answer(state, asked, task_id, fresh).await
        }
        CreateOutcome::SamePayment(task_id) => {
            existing(
                state,
                asked,
                task_id,
                Standing {
                    replay: true,
                    buyer: true,
                },
            )
            .await
        }
        CreateOutcome::TermsTaken(task_id) => {
            let status = match state.engine().task(task_id).await? {
                Some(task) => views::status(&task),
                None => "pending",
            };
            Err(HttpError::AlreadyPaid { task_id, status })
        }
        CreateOutcome::ClientIdTaken(task_id) => Err(HttpError::ClientIdTaken { task_id }),
    }
}

/// Answers with a task that is there already, if the request is the one it was bought with.
pub(super) async fn existing(
    state: &HttpState,
    asked: &Asked<'_>,
    task_id: Cid,
    standing: Standing,
) -> Result<Response, HttpError> {
    let task = state
        .engine()
        .task(task_id)
        .await?
        .ok_or(HttpError::UnknownTask)?;
    let intent = task.dossier().intent();
    let same_input = intent.input.cid == Cid::of(&canonical::to_bytes(&asked.request.input));
    let capability = &task.dossier().manifest().capability_id;
    let same_capability = asked
        .request
        .capability_id
        .as_ref()
        .is_none_or(|c| c == capability)
        && asked
            .request
            .manifest_cid
            .is_none_or(|m| m == intent.manifest_cid)
        && asked.request.mode.is_none_or(|m| m == intent.mode);
    if !same_input || !same_capability {
        return Err(HttpError::ClientIdTaken { task_id });
    }
    answer(state, asked, task_id, standing).await
}

/// Waits as long as the request wants and says how far the task is.
async fn answer(
    state: &HttpState,
    asked: &Asked<'_>,
    task_id: Cid,
    standing: Standing,
) -> Result<Response, HttpError> {
    let engine = state.engine();
    let task = if asked.request.waits() {
        engine
            .wait_for(task_id, state.0.config.sync_wait, |task| {
                task.ending().is_some()
            })
            .await?
    } else {
        engine
            .wait_for(task_id, state.0.config.funding_wait, |task| {
                task.phase().name() != PhaseName::AwaitingDeposit
            })
            .await?
    };
    if matches!(
        task.ending(),
        Some(Ending::Unfunded | Ending::Uncollected { .. })
    ) {
        // The chain says for certain that this payment never takes effect (threat #71): a new one is safe.
        let mut fresh = challenge(state, asked, Some("payment_never_settled")).await?;
        if let Some(value) = failure_header(&task, "payment_never_settled") {
            fresh.headers_mut().insert(PAYMENT_RESPONSE, value);
        }
        return Ok(fresh);
    }
    let reads = standing.buyer || super::access::is_open(asked.headers, &task);
    let mut response = body(state, &task, reads).await?;
    let headers = response.headers_mut();
    if task.has_payment()
        && let Some(value) = response_header(state, &task).await
    {
        headers.insert(PAYMENT_RESPONSE, value);
    }
    if standing.replay {
        headers.insert(REPLAY, HeaderValue::from_static("true"));
        headers.insert(LEGACY_REPLAY, HeaderValue::from_static("true"));
    }
    Ok(response)
}

async fn body(state: &HttpState, task: &Task, reads: bool) -> Result<Response, HttpError> {
    let task_id = task.task_id();
    let status = views::status(task);
    let links = views::links(state, task_id);
    let Some(ending) = task.ending() else {
        let pending = serde_json::json!({"taskId": task_id, "status": status, "links": links});
        return Ok((StatusCode::ACCEPTED, Json(pending)).into_response());
    };
    let mut view =
        serde_json::json!({"taskId": task_id, "status": status, "result": null, "links": links});
    let Some(members) = view.as_object_mut() else {
        return Err(HttpError::Internal { what: "body" });
    };
    if let Ending::Paid { receipt, .. }
    | Ending::Rejected { receipt, .. }
    | Ending::NotCharged {
        receipt: Some(receipt),
    } = ending
    {
        members.insert("receipt".to_owned(), receipt.to_value());
    }
    if let (Some(cid), true) = (task.output(), reads) {
        members.insert("resultCid".to_owned(), cid.to_string().into());
        members.insert("result".to_owned(), results::output(state, cid).await?);
    }
    Ok((StatusCode::OK, Json(view)).into_response())
}

/// x402's names of what is wrong with a payment.
pub(super) fn x402_error(fault: &PaymentFault) -> &'static str {
    match fault {
        PaymentFault::Malformed => "invalid_payload",
        PaymentFault::Mismatch => "invalid_payment_requirements",
        PaymentFault::Signature => "invalid_signature",
        PaymentFault::Expired => "invalid_payment_window",
        PaymentFault::Funds { .. } => "insufficient_funds",
        PaymentFault::Spent => "payment_already_used",
        PaymentFault::Simulation => "transaction_simulation_failed",
        PaymentFault::Scheme { reason } => reason,
        // A rail that knows more ways to fail than this list still failed.
        _ => "invalid_payment",
    }
}
