//! `POST /tasks`: 402 without a payment, 200 or 202 with one.

use axum::Extension;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use d402_core::admission::{Admission, Draw, RailOffer, TaskRequest, admit};
use d402_objects::{Cid, Hex32, Nonce16, Value, canonical, strict};
use d402_settlement::market::chain_of;
use d402_settlement::timing::ChainClass;
use serde::Deserialize as _;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};

use super::challenge::{Bound, Face, Frame, sorted_query, write};
use super::directory::View;
use super::error::HttpError;
use super::limits::{Body, MAX_BODY_BYTES};
use super::opening::admitted_with_vaults;
use super::secrets::access_hash;
use super::{HttpState, payment, settle, version_one};

/// A request that was read: everything both sides of the payment need.
pub(super) struct Asked<'a> {
    pub(super) request: TaskRequest,
    pub(super) headers: &'a HeaderMap,
    pub(super) from: Option<IpAddr>,
    pub(super) query: String,
    pub(super) body_sha256: Hex32,
}

impl Asked<'_> {
    /// What a challenge for this request is bound to.
    pub(super) fn bound<'a>(&'a self, state: &'a HttpState) -> Bound<'a> {
        Bound {
            cluster_id: &state.0.cluster_id,
            method: "POST",
            path: "/tasks",
            query: &self.query,
            body_sha256: self.body_sha256,
        }
    }
}

pub(super) async fn create(
    State(state): State<HttpState>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    uri: Uri,
    Body(body): Body,
) -> Result<Response, HttpError> {
    let asked = Asked {
        request: parse(&body)?,
        headers: &headers,
        from: from.map(|Extension(from)| from.0.ip()),
        query: sorted_query(uri.query()),
        body_sha256: Hex32::from_bytes(Sha256::digest(&body).into()),
    };
    let paid = payment::of_headers(&headers)?;
    let client_id = payment::client_id(&headers, paid.as_ref())?;
    match paid {
        Some(paid) => settle::paid(&state, &asked, paid, client_id).await,
        None => match (version_one::of_headers(&headers)?, client_id) {
            (Some(paid), client_id) => version_one::paid(&state, &asked, paid, client_id).await,
            (None, Some(client_id)) => settle::unpaid_again(&state, &asked, client_id).await,
            (None, None) => challenge(&state, &asked, None).await,
        },
    }
}

fn parse(body: &[u8]) -> Result<TaskRequest, HttpError> {
    let value = strict::parse_value(body, MAX_BODY_BYTES).map_err(|error| match error {
        strict::StrictError::Syntax { line, column } => HttpError::Body { line, column },
        strict::StrictError::TooLarge { .. } => HttpError::TooLarge {
            max: MAX_BODY_BYTES,
        },
        strict::StrictError::TooDeep { .. }
        | strict::StrictError::DuplicateKey
        | strict::StrictError::UnsafeInteger
        | strict::StrictError::NegativeZero
        | strict::StrictError::Float => HttpError::Body { line: 0, column: 0 },
    })?;
    // The decoder would also take lists where objects belong.
    let object = |place: &str| {
        value
            .pointer(place)
            .is_none_or(|at| at.is_object() || at.is_null())
    };
    if !value.is_object() || !object("/validation") {
        return Err(HttpError::Body { line: 0, column: 0 });
    }
    TaskRequest::deserialize(&value)
        // `7.0` and `7e0` are integers too; the canonical form writes them as such.
        .or_else(|_| serde_json::from_slice(&canonical::to_bytes(&value)))
        .map_err(|e| HttpError::Body {
            line: e.line(),
            column: e.column(),
        })
}

/// Answers with a fresh 402. Writes nothing, signs nothing, but for a vault where the request asks for one.
pub(super) async fn challenge(
    state: &HttpState,
    asked: &Asked<'_>,
    error: Option<&'static str>,
) -> Result<Response, HttpError> {
    let inner = &state.0;
    let Admitted {
        admission,
        token,
        now_ms,
    } = admitted_with_vaults(state, asked).await?;
    let faces: Vec<Face<'_>> = admission
        .intent
        .payment
        .iter()
        .map(|payment| face(state, payment))
        .collect();
    let frame = Frame {
        resource: &inner.resource,
        error,
        access_token: token.as_deref(),
        now_ms,
    };
    inner.metrics.challenged();
    write(
        &inner.secrets,
        &admission,
        &asked.bound(state),
        &faces,
        &frame,
    )
}

/// What a request can be offered.
pub(super) struct Admitted {
    pub(super) admission: Admission,
    /// Opens the result, if the request brought no `accessHash`.
    pub(super) token: Option<String>,
    /// When that was.
    pub(super) now_ms: u64,
}

/// What this request can be offered now on these rails. Nothing is written.
pub(super) async fn admitted(
    state: &HttpState,
    asked: &Asked<'_>,
    rails: &[RailOffer],
) -> Result<Admitted, HttpError> {
    let inner = &state.0;
    let now_ms = state.now_ms();
    let view = inner.directory.view(now_ms).await?;
    let mut random = [0u8; 48];
    getrandom::fill(&mut random).map_err(|_| HttpError::Internal { what: "randomness" })?;
    let (nonce, salt) = split(random);
    let token = asked
        .request
        .access_hash
        .is_none()
        .then(|| inner.secrets.token(&nonce));
    let draw = Draw {
        gateway: inner.engine.gateway(),
        now_ms,
        nonce,
        salt,
        access_hash: token
            .as_deref()
            .map_or(Hex32::from_bytes([0; 32]), access_hash),
    };
    let admission = admit(
        &asked.request,
        &inner.config.policy,
        &view.catalogue,
        rails,
        &draw,
    )?;
    check_input(
        &view,
        &admission.listing.manifest.cid(),
        &asked.request.input,
    )?;
    Ok(Admitted {
        admission,
        token,
        now_ms,
    })
}

fn split(random: [u8; 48]) -> (Nonce16, [u8; 32]) {
    let (mut nonce, mut salt) = ([0u8; 16], [0u8; 32]);
    for (slot, byte) in nonce.iter_mut().chain(salt.iter_mut()).zip(random) {
        *slot = byte;
    }
    (Nonce16::from_bytes(nonce), salt)
}

fn face<'a>(state: &'a HttpState, payment: &'a d402_objects::PaymentOption) -> Face<'a> {
    let rail = state
        .0
        .rails
        .iter()
        .find(|r| r.offer.network == payment.network && r.offer.rail == payment.rail);
    let base = chain_of(&payment.network).is_some_and(|chain| chain.class == ChainClass::Base);
    Face {
        asset_name: rail.map_or("", |r| r.asset.name.as_str()),
        asset_version: rail.and_then(|r| r.asset.version.as_deref()),
        max_timeout_s: if base { 120 } else { 60 },
        fee_payer: payment.rent_to.as_ref().map(d402_objects::Address::as_str),
    }
}

/// What no worker could do is not sold.
pub(super) fn check_input(view: &View, manifest: &Cid, input: &Value) -> Result<(), HttpError> {
    let Some(schema) = view.input_schema(manifest) else {
        return Ok(());
    };
    schema
        .validate(input)
        .map_err(|error| HttpError::InputSchema {
            instance_path: error.instance_path().to_string(),
            schema_path: error.schema_path().to_string(),
        })
}
