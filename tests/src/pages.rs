//! The corpus of pages, served on loopback.

use std::net::SocketAddr;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use d402_capabilities::corpus;

/// Where the pages are served; the server ends with this value.
pub struct Pages {
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl Pages {
    /// Serves the corpus on a free port.
    pub async fn serve() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a loopback port is free");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let app = Router::new().fallback(|uri: axum::http::Uri| async move {
            let page = corpus::pages()
                .iter()
                .find(|(path, _, _)| *path == uri.path());
            page.map_or_else(
                || StatusCode::NOT_FOUND.into_response(),
                |(_, html, status)| {
                    let status = StatusCode::from_u16(*status).expect("the corpus has statuses");
                    (
                        status,
                        [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
                        *html,
                    )
                        .into_response()
                },
            )
        });
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("pages are served");
        });
        Self { address, server }
    }

    /// `host:port`, for allow lists.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// URL of a page.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.server.abort();
    }
}
