//! `POST /rpc` and `GET /healthz` over HTTP/1.1, on loopback or a private network.
//!
//! 200 carries an answer, refusals included; 400 and 413 mean that the request was not read and nothing
//! happened; 503 means that nobody knows. An answer that a fault lost becomes a response cut off in the
//! middle, which no client can mistake for one.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use d402_core::ports::Clock;
use d402_wire::simchain::{MAX_BODY_BYTES, Rpc};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower_http::timeout::TimeoutLayer;

use super::chain::{Location, Options, SimChain, SimChainHandle};
use super::error::{ChainError, OpenError};
use super::writer::Delivery;

/// Longest a request may take, reading its body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for connections to finish once the shutdown began.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);

/// Why a chain that ran has stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It could not start.
    #[error("simulated chain did not start")]
    Open(#[from] OpenError),
    /// The listener failed.
    #[error("simulated chain stopped serving")]
    Serve(#[source] std::io::Error),
    /// The database could not be closed in order.
    #[error("simulated chain did not close in order")]
    Close(#[source] ChainError),
}

/// The chain's routes.
pub fn router(chain: SimChainHandle) -> Router {
    Router::new()
        .route("/rpc", post(rpc))
        .route("/healthz", get(|| async { StatusCode::NO_CONTENT }))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            REQUEST_TIMEOUT,
        ))
        .with_state(chain)
}

/// Serves a chain on a bound listener until `shutdown` resolves: no new connection, every request begun is
/// answered (for at most 5 s), then the file is closed.
///
/// # Errors
/// [`RunError::Serve`] and [`RunError::Close`].
pub async fn serve(
    listener: TcpListener,
    chain: SimChain,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let app = router(chain.handle());
    let (began, stopping) = oneshot::channel::<()>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async move {
        shutdown.await;
        drop(began);
    });
    let patience = async {
        let _ = stopping.await;
        tokio::time::sleep(SHUTDOWN_PATIENCE).await;
    };
    tokio::select! {
        served = async { serving.await } => served.map_err(RunError::Serve)?,
        () = patience => tracing::warn!("connections still open after the shutdown's patience"),
    }
    chain.close().await.map_err(RunError::Close)
}

/// What `d402 node --role simchain` runs.
///
/// # Errors
/// [`RunError`].
pub async fn run_simchain(
    listen: SocketAddr,
    location: Location,
    options: Options,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let chain = SimChain::open(&location, options, clock).await?;
    let listener = TcpListener::bind(listen).await.map_err(OpenError::Listen)?;
    tracing::info!(%listen, ?location, ?options, "simulated chain is up");
    serve(listener, chain, shutdown).await
}

async fn rpc(State(chain): State<SimChainHandle>, body: Bytes) -> Response {
    let Ok(request) = d402_wire::decode::<Rpc>(&body, MAX_BODY_BYTES) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match chain.call(body.to_vec(), request).await {
        Ok(Delivery::Answer(answer)) => match d402_wire::encode(&answer) {
            Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
            Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        },
        Ok(Delivery::Lost) => lost(),
        Err(cause) => {
            tracing::warn!(
                error = &cause as &dyn std::error::Error,
                "request without an answer"
            );
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// A response whose body breaks off.
fn lost() -> Response {
    let cut = futures::stream::once(async {
        Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    Body::from_stream(cut).into_response()
}
