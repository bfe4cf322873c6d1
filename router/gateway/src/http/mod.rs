//! The HTTP boundary: `d402-http-task-v1` (design §6), x402 v2 headers, RFC 9457 problems.
//!
//! Responsible for: reading requests, admission, challenges, handing paid tasks to the engine, showing what
//! the engine knows. Not responsible for: TLS (a proxy ends it), the market, money.
//!
//! Invariants: an unpaid request writes nothing and signs nothing (threat #55); a payment id is looked up before
//! it is verified; no fresh challenge while a payment is pending (threat #70); results need the token (threat
//! #54); every refusal goes through `error::HttpError`, and no text of a cause leaves.

mod absent;
mod access;
mod bundle;
mod challenge;
mod cors;
mod directory;
mod discovery;
mod error;
mod evidence;
mod facilitator;
mod limits;
mod metrics;
mod openapi;
mod opening;
mod payment;
mod payments;
mod results;
mod secrets;
mod settle;
mod state;
mod tasks;
mod verifying;
mod version_one;
mod views;

#[cfg(test)]
mod tests;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

pub use absent::no_gateway_router;
pub use access::{KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, evidence_access_message};
pub use cors::{BadOrigin, Cors};
pub use d402_core::admission::Policy;
pub use limits::{BadLimit, Limits, MAX_BODY_BYTES};
pub use state::{Asset, HttpConfig, HttpState};

use error::HttpError;

/// All routes of a gateway. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, or rate limits
/// per address do not apply; stop it with `with_graceful_shutdown`.
pub fn router(state: HttpState) -> Router {
    let limits = from_fn_with_state(state.clone(), limits::guard);
    let cors = state.0.config.cors.layer();
    let router = Router::new()
        .route("/tasks", post(tasks::create))
        .route("/tasks/{task_id}", get(views::task))
        .route("/tasks/{task_id}/result", get(results::result))
        .route("/tasks/{task_id}/receipt", get(results::receipt))
        .route("/tasks/{task_id}/bundle", get(bundle::bundle))
        .route("/signatures/{terms_hash}", get(evidence::signatures))
        .route("/evidence/{cid}", get(evidence::evidence))
        .route("/payments/{id}", get(payments::payment))
        .route("/capabilities", get(discovery::capabilities))
        .route("/.well-known/d402-gateway.json", get(discovery::document))
        .route("/.well-known/dnc-gateway.json", get(discovery::document))
        .route("/health", get(discovery::health))
        .route("/openapi.json", get(openapi::document))
        .route("/metrics", get(metrics::text))
        .route("/verify", post(facilitator::verify))
        .route("/settle", post(facilitator::settle))
        .route("/supported", get(facilitator::supported))
        .fallback(|| async { HttpError::NotFound })
        .method_not_allowed_fallback(|| async { HttpError::MethodNotAllowed })
        .layer(limits)
        // Probes are answered when everything else is refused.
        .route("/healthz", get(discovery::healthz))
        .with_state(state);
    match cors {
        // Outermost: a refusal that a page cannot read helps nobody.
        Ok(Some(cors)) => router.layer(cors),
        Ok(None) => router,
        Err(error) => {
            tracing::error!(%error, "no page in a browser may call");
            router
        }
    }
}
