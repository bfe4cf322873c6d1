//! Bounds of the boundary: body size, rates, requests in progress, time.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::HttpState;
use super::error::HttpError;

/// Largest request body.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Addresses whose rate is remembered; beyond it those that are idle are forgotten.
const MAX_ADDRESSES: usize = 100_000;

/// Bounds an operator may move. A rate of 0 is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// Requests per second of one address; the same number may come at once.
    pub per_address_per_second: u32,
    /// Requests per second of everybody together.
    pub per_second: u32,
    /// Requests in progress, waiting ones included.
    pub in_progress: u32,
    /// Longest time a request may take, s.
    pub timeout_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_address_per_second: 500,
            per_second: 50_000,
            in_progress: 8_192,
            timeout_s: 40,
        }
    }
}

/// The bounds at work.
pub(crate) struct Gate {
    per_address: Option<DefaultKeyedRateLimiter<IpAddr>>,
    everybody: Option<DefaultDirectRateLimiter>,
    in_progress: Arc<Semaphore>,
    timeout: Duration,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        let quota = |per_second| NonZeroU32::new(per_second).map(Quota::per_second);
        Self {
            per_address: quota(limits.per_address_per_second).map(RateLimiter::keyed),
            everybody: quota(limits.per_second).map(RateLimiter::direct),
            in_progress: Arc::new(Semaphore::new(
                usize::try_from(limits.in_progress).unwrap_or(usize::MAX >> 4),
            )),
            timeout: Duration::from_secs(limits.timeout_s),
        }
    }

    fn admits(&self, from: Option<IpAddr>) -> bool {
        if let (Some(limiter), Some(address)) = (&self.per_address, from) {
            if limiter.len() > MAX_ADDRESSES {
                limiter.retain_recent();
            }
            if limiter.check_key(&address).is_err() {
                return false;
            }
        }
        self.everybody
            .as_ref()
            .is_none_or(|limiter| limiter.check().is_ok())
    }
}

/// Refuses what is over a bound, cuts what takes too long, counts everything.
pub(crate) async fn guard(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    let gate = &state.0.gate;
    let from = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip());
    let path = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let response = if gate.admits(from) {
        match Arc::clone(&gate.in_progress).try_acquire_owned() {
            Ok(_place) => {
                // The engine keeps what it took; only this answer is given up.
                tokio::time::timeout(gate.timeout, next.run(request))
                    .await
                    .unwrap_or_else(|_| HttpError::TimedOut.into_response())
            }
            Err(_) => HttpError::Overloaded.into_response(),
        }
    } else {
        HttpError::RateLimited { retry_after_s: 1 }.into_response()
    };
    let path = path.as_ref().map_or("unmatched", MatchedPath::as_str);
    state.0.metrics.responded(&method, path, response.status());
    response
}

/// A request body within the bound.
pub(crate) struct Body(pub(crate) bytes::Bytes);

impl<S: Send + Sync> axum::extract::FromRequest<S> for Body {
    type Rejection = HttpError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, HttpError> {
        if !is_json(request.headers()) {
            return Err(HttpError::MediaType);
        }
        match axum::body::to_bytes(request.into_body(), MAX_BODY_BYTES).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(error) if is_too_large(&error) => Err(HttpError::TooLarge),
            Err(_) => Err(HttpError::Malformed { what: "body" }),
        }
    }
}

/// `application/json`, with or without parameters; absent is taken as JSON.
fn is_json(headers: &axum::http::HeaderMap) -> bool {
    let Some(value) = headers.get(axum::http::header::CONTENT_TYPE) else {
        return true;
    };
    let Ok(text) = value.to_str() else {
        return false;
    };
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        // http-body-util's limit has no other sign than its type's name in its text.
        if current.to_string().contains("length limit exceeded") {
            return true;
        }
        cause = current.source();
    }
    false
}

/// Whether a status is the client's to repair, for metrics.
pub(crate) fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "2xx",
        402 => "402",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
