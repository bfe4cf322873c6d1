//! A node without the gateway role: it says so and names the gateways it knows.

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get};
use serde_json::json;

use super::error::HttpError;

/// Most gateways named.
const MAX_NAMED: usize = 32;

/// Routes of a node that does not sell tasks. `gateways` gives base URLs of gateways it knows, when asked.
pub fn no_gateway_router(
    roles: Vec<String>,
    gateways: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
) -> Router {
    let refusal = move || {
        let mut named = gateways();
        named.truncate(MAX_NAMED);
        async move { HttpError::NotAGateway { gateways: named } }
    };
    Router::new()
        .route("/tasks", any(refusal.clone()))
        .route("/tasks/{*rest}", any(refusal))
        .route("/health", get(move || async move { axum::Json(json!({"ok": true, "roles": roles, "policy": null})) }))
        .route("/healthz", get(|| async { "ok" }))
        .fallback(|| async { HttpError::NotFound })
        .method_not_allowed_fallback(|| async { HttpError::MethodNotAllowed })
}
