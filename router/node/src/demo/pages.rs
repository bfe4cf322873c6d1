//! The test corpus, served on loopback.

use std::net::SocketAddr;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use d402_capabilities::corpus;

use crate::cli::Failure;

/// Where the pages are served; they end with this value.
pub(super) struct Pages {
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl Pages {
    /// `host:port`.
    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }

    /// URL of a page of the corpus.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves the corpus on a free port.
pub(super) async fn serve() -> Result<Pages, Failure> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let app = Router::new().fallback(|uri: axum::http::Uri| async move { page(uri.path()) });
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "page server ended");
        }
    });
    Ok(Pages { address, server })
}

fn page(path: &str) -> Response {
    match corpus::pages().iter().find(|(known, _, _)| *known == path) {
        Some((_, html, status)) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (
                status,
                [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
                *html,
            )
                .into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
