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

/// Largest request body an operator may allow: a task's dossier carries it in one message.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// Longest time a request may be allowed to take, s.
const MAX_TIMEOUT_S: u64 = 600;
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
    /// How long a synchronous request waits for its result before it becomes 202, s; below `timeout_s`.
    pub sync_wait_s: u64,
    /// How long any paid request waits for its deposit, s; below `timeout_s`.
    pub deposit_wait_s: u64,
    /// Largest request body, bytes; at most 256 KiB.
    pub body_bytes: usize,
}

/// A bound that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {got}, allowed are {min} to {max}")]
pub struct BadLimit {
    /// Which one, as in the configuration file.
    pub field: &'static str,
    /// What it holds.
    pub got: u64,
    /// Least.
    pub min: u64,
    /// Most.
    pub max: u64,
}

impl Limits {
    /// Whether these bounds let any request through.
    ///
    /// # Errors
    /// [`BadLimit`] names the first that does not.
    pub fn check(&self) -> Result<(), BadLimit> {
        let within = |field, got: u64, min: u64, max: u64| {
            if (min..=max).contains(&got) {
                Ok(())
            } else {
                Err(BadLimit {
                    field,
                    got,
                    min,
                    max,
                })
            }
        };
        let body = u64::try_from(self.body_bytes).unwrap_or(u64::MAX);
        let below = self.timeout_s.saturating_sub(1);
        within("in-progress", self.in_progress.into(), 1, u32::MAX.into())?;
        within("timeout-s", self.timeout_s, 2, MAX_TIMEOUT_S)?;
        // A wait that outlasts the request would answer a paid request with 504 instead of 202.
        within("sync-wait-s", self.sync_wait_s, 1, below)?;
        within("deposit-wait-s", self.deposit_wait_s, 1, below)?;
        within(
            "body-bytes",
            body,
            1_024,
            u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX),
        )
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_address_per_second: 500,
            per_second: 50_000,
            in_progress: 8_192,
            timeout_s: 40,
            sync_wait_s: 25,
            deposit_wait_s: 5,
            body_bytes: 64 * 1024,
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

impl axum::extract::FromRequest<HttpState> for Body {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, HttpError> {
        if !is_json(request.headers()) {
            return Err(HttpError::MediaType);
        }
        let max = state.0.config.limits.body_bytes.min(MAX_BODY_BYTES);
        match axum::body::to_bytes(request.into_body(), max).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(error) if is_too_large(&error) => Err(HttpError::TooLarge { max }),
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
