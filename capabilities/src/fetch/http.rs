//! One page over HTTP/1.1: redirects by hand, bounded in hops, bytes and time.
//!
//! Responsible for: asking the guard before every hop, connecting only to the addresses it returned,
//! and reading no more than was asked for (counted after decompression).
//! Not: cookies, scripts, credentials, proxies or caches. Environment variables change nothing.
//! Invariants: no request leaves before its hop was admitted; the same request gets the same headers
//! from worker and validator.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::guard::{Guard, Target};
use super::resolver::Resolver;
use crate::capability::{Fetcher, Refusal, RefusalCode};

/// Redirects that are followed.
pub const MAX_REDIRECTS: usize = 5;
/// No input gets a longer fetch than this, in milliseconds.
pub const MAX_TIMEOUT_MS: u64 = 20_000;

const USER_AGENT: &str = concat!(
    "d402-snapshot/",
    env!("CARGO_PKG_VERSION"),
    " (+https://d402.xyz)"
);
const ACCEPT: &str = "text/html,application/xhtml+xml";
const ACCEPT_LANGUAGE: &str = "en;q=1.0,*;q=0.5";
const HTML_TYPES: [&str; 2] = ["text/html", "application/xhtml+xml"];
/// The response headers that go into a snapshot's metadata: those that every server of a site answers alike.
const KEPT_HEADERS: [&str; 2] = ["content-language", "content-type"];
const MAX_HEADER_CHARS: usize = 256;

/// One fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// Where.
    pub url: Url,
    /// For all hops and the body together; capped at [`MAX_TIMEOUT_MS`].
    pub timeout: Duration,
    /// Bytes of the decompressed body.
    pub max_bytes: usize,
}

/// A page as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The address of the last hop, without fragment.
    pub final_url: Url,
    /// 200 or 203.
    pub status: u16,
    /// `text/html` or `application/xhtml+xml`.
    pub media_type: String,
    /// The charset parameter, lower case, if there is one.
    pub charset: Option<String>,
    /// A fixed subset of the response headers, cut to size.
    pub headers: BTreeMap<String, String>,
    /// The body after content decoding.
    pub body: Vec<u8>,
}

/// Why a fetcher could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FetcherError {
    /// No event loop.
    #[error("the event loop does not start")]
    Runtime(#[source] io::Error),
    /// No TLS.
    #[error("TLS does not start")]
    Tls(#[source] rustls::Error),
}

/// Fetches over the network. Blocks its caller; the child process has nothing else to do.
pub struct HttpFetcher {
    guard: Guard,
    resolver: Box<dyn Resolver>,
    tls: rustls::ClientConfig,
    runtime: tokio::runtime::Runtime,
}

impl fmt::Debug for HttpFetcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HttpFetcher")
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

impl HttpFetcher {
    /// A fetcher with its own single-threaded event loop. Must not be used from inside another one.
    ///
    /// # Errors
    /// [`FetcherError`] when the event loop or TLS does not start.
    pub fn new(guard: Guard, resolver: Box<dyn Resolver>) -> Result<Self, FetcherError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(FetcherError::Runtime)?;
        let roots = rustls::RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(FetcherError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            guard,
            resolver,
            tls,
            runtime,
        })
    }

    async fn follow(&self, request: &FetchRequest) -> Result<Fetched, Refusal> {
        let mut url = request.url.clone();
        for _hop in 0..=MAX_REDIRECTS {
            url.set_fragment(None);
            let target = self.guard.admit(&url, self.resolver.as_ref())?;
            let response = self.get(&url, &target).await?;
            match redirect(&url, &response)? {
                Some(next) => url = next,
                None => return read(url, response, request.max_bytes).await,
            }
        }
        Err(Refusal::new(
            RefusalCode::TooManyRedirects,
            format!("more than {MAX_REDIRECTS} redirects"),
        ))
    }

    async fn get(&self, url: &Url, target: &Target) -> Result<Response, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static(ACCEPT));
        headers.insert("accept-language", HeaderValue::from_static(ACCEPT_LANGUAGE));
        // The pinned addresses replace DNS for this host. A literal address needs no pin: the guard
        // admitted that very address.
        let client = Client::builder()
            .resolve_to_addrs(&target.host, &target.addresses)
            .resolve_to_addrs(url.host_str().unwrap_or_default(), &target.addresses)
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .http1_only()
            .pool_max_idle_per_host(0)
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .tls_backend_preconfigured(self.tls.clone())
            .build()
            .map_err(network)?;
        client.get(url.clone()).send().await.map_err(network)
    }
}

impl Fetcher for HttpFetcher {
    fn fetch(&self, request: &FetchRequest) -> Result<Fetched, Refusal> {
        let timeout = request.timeout.min(Duration::from_millis(MAX_TIMEOUT_MS));
        self.runtime.block_on(async {
            tokio::time::timeout(timeout, self.follow(request))
                .await
                .unwrap_or_else(|_| {
                    Err(Refusal::new(
                        RefusalCode::Timeout,
                        format!("no page within {} ms", timeout.as_millis()),
                    ))
                })
        })
    }
}

/// The next hop, if the response is one.
fn redirect(url: &Url, response: &Response) -> Result<Option<Url>, Refusal> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response
        .headers()
        .get("location")
        .and_then(|location| location.to_str().ok());
    let location = location.ok_or_else(|| {
        Refusal::new(
            RefusalCode::HttpStatus,
            "a redirect without a readable location",
        )
    })?;
    url.join(location).map(Some).map_err(|_| {
        Refusal::new(
            RefusalCode::HttpStatus,
            "a redirect to something that is no URL",
        )
    })
}

/// What the status line alone says about the page. Bodies of refusals are not read.
fn status_refusal(status: StatusCode, challenged: bool) -> Option<Refusal> {
    let code = match status.as_u16() {
        _ if challenged => RefusalCode::Captcha,
        200 | 203 => return None,
        401 | 402 | 407 => RefusalCode::Paywall,
        403 | 451 => RefusalCode::Blocked,
        429 | 500..=599 => RefusalCode::Unavailable,
        _ => RefusalCode::HttpStatus,
    };
    Some(Refusal::new(code, format!("status {}", status.as_u16())))
}

async fn read(url: Url, mut response: Response, max_bytes: usize) -> Result<Fetched, Refusal> {
    let challenged = response
        .headers()
        .get("cf-mitigated")
        .is_some_and(|value| value == "challenge");
    if let Some(refusal) = status_refusal(response.status(), challenged) {
        return Err(refusal);
    }
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let (media_type, charset) = content_type(header("content-type").unwrap_or_default());
    if !HTML_TYPES.contains(&media_type.as_str()) {
        return Err(Refusal::new(RefusalCode::ContentType, media_type));
    }
    let headers = KEPT_HEADERS
        .iter()
        .filter_map(|name| {
            Some((
                (*name).to_owned(),
                header(name)?.chars().take(MAX_HEADER_CHARS).collect(),
            ))
        })
        .collect();
    let status = response.status().as_u16();
    let mut body: Vec<u8> = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(network)? {
        if body.len().saturating_add(chunk.len()) > max_bytes {
            return Err(Refusal::new(
                RefusalCode::TooLarge,
                format!("the page has more than {max_bytes} bytes"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched {
        final_url: url,
        status,
        media_type,
        charset,
        headers,
        body,
    })
}

/// The essence and the charset parameter of a `Content-Type`, both lower case.
fn content_type(header: &str) -> (String, Option<String>) {
    let mut parts = header.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"').to_ascii_lowercase();
        (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty() && value.len() <= 40)
            .then_some(value)
    });
    (essence, charset)
}

fn network(error: reqwest::Error) -> Refusal {
    // The URL is the buyer's own; the causes (refused, reset, TLS) are what a person needs.
    let mut detail = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        detail.push_str(": ");
        detail.push_str(&cause.to_string());
        source = cause.source();
    }
    Refusal::new(RefusalCode::Network, detail)
}

#[cfg(test)]
mod tests;
