//! One JSON-RPC provider, for whoever must not believe anybody else about money: one request, one typed answer.
//!
//! Responsible for: bounds on time and length, repeating reads, telling silence from refusal. Not responsible
//! for: what a refusal means on which chain, agreement of providers, finality.
//!
//! Every way of not getting an answer is [`CallError::Unknown`]; only what the node itself says about a call
//! is definite. Reads are repeated a few times, because they change nothing; writes never are.
#![warn(missing_docs)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json, value::RawValue};
use url::Url;

/// Times and sizes of one provider.
#[derive(Clone, Copy, Debug)]
pub struct RpcLimits {
    /// Longest wait for a TCP connection.
    pub connect: Duration,
    /// Longest wait for a whole answer.
    pub request: Duration,
    /// Most bytes of an answer.
    pub answer_bytes: usize,
    /// How often a read is tried.
    pub attempts: u32,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            request: Duration::from_secs(6),
            answer_bytes: 4 * 1024 * 1024,
            attempts: 3,
        }
    }
}

/// First pause before a read is tried again; it doubles.
const PAUSE: Duration = Duration::from_millis(80);

/// Why there is no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The provider's address is no URL, or no client can be built.
    #[error("provider address is not usable")]
    Address,
    /// Nothing is known; the node may have acted. Never read as "nothing there".
    #[error("the chain's answer is not known: {why}")]
    Unknown {
        /// What happened instead of an answer.
        why: Silence,
    },
    /// The node refuses the request, or says that what was asked for fails.
    #[error("provider refuses ({code}): {message}")]
    Refused {
        /// JSON-RPC error code.
        code: i64,
        /// Its text, cut to 200 characters; never shown over HTTP.
        message: String,
        /// What the node adds, e.g. how a trial run failed.
        data: Option<Box<Value>>,
    },
}

/// What happened instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Silence {
    /// Refused, reset, cut off or timed out.
    #[error("no answer")]
    NoAnswer,
    /// Longer than allowed.
    #[error("answer too long")]
    TooLong,
    /// Not JSON-RPC, or not of the type asked for.
    #[error("answer of another shape")]
    Malformed,
    /// HTTP status other than 200.
    #[error("HTTP status {0}")]
    Status(u16),
    /// Two providers say different things.
    #[error("providers disagree")]
    Disagreement,
    /// The provider serves another chain.
    #[error("provider serves another chain")]
    OtherChain,
    /// The chain changed while it was read.
    #[error("chain changed while it was read")]
    Reorganised,
    /// The question would need more answers than allowed.
    #[error("too many blocks to look through")]
    TooMuch,
    /// The provider has not the block asked for.
    #[error("block not there yet")]
    NoBlock,
}

impl CallError {
    /// An unknown answer.
    #[must_use]
    pub const fn unknown(why: Silence) -> Self {
        Self::Unknown { why }
    }
}

/// A client of one provider.
#[derive(Clone)]
pub struct Rpc {
    http: Client<HttpsConnector<HttpConnector>, Full<bytes::Bytes>>,
    url: Url,
    limits: RpcLimits,
    next: Arc<AtomicU64>,
}

// Provider URLs carry access keys in path or query.
impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc")
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

impl Rpc {
    /// A client of the provider at `url`; nothing is sent.
    ///
    /// # Errors
    /// [`CallError::Address`] unless `url` is `http` or `https`.
    pub fn new(url: &str, limits: RpcLimits) -> Result<Self, CallError> {
        let url = Url::parse(url).map_err(|_| CallError::Address)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(CallError::Address);
        }
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(limits.connect));
        tcp.set_nodelay(true);
        // The connector looks at the scheme itself: this one only lets `https` through to it.
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .map_err(|_| CallError::Address)?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self {
            http,
            url,
            limits,
            next: Arc::new(AtomicU64::new(1)),
        })
    }

    /// Asks something that changes nothing; tried again when there was no answer.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn read<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &impl Serialize,
    ) -> Result<T, CallError> {
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            match self.once(method, params).await {
                Err(CallError::Unknown {
                    why: Silence::NoAnswer | Silence::Status(429 | 500..=599),
                }) if attempt < self.limits.attempts => {}
                answer => return answer,
            }
            attempt = attempt.saturating_add(1);
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
    }

    /// Sends one request once; for what changes the chain.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn once<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &impl Serialize,
    ) -> Result<T, CallError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let unknown = CallError::unknown;
        let body = serde_json::to_vec(&request).map_err(|_| unknown(Silence::Malformed))?;
        let (status, body) = tokio::time::timeout(self.limits.request, self.post(body))
            .await
            .map_err(|_| unknown(Silence::NoAnswer))??;
        match answer::<T>(&body, id) {
            // Some providers send their JSON-RPC errors with a 4xx status.
            Some(answer) if status == 200 || answer.is_err() => answer,
            Some(_) | None if status != 200 => Err(unknown(Silence::Status(status))),
            Some(_) | None => Err(unknown(Silence::Malformed)),
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<(u16, bytes::Bytes), CallError> {
        let request = http::Request::post(self.url.as_str())
            .header("content-type", "application/json")
            .body(Full::from(body))
            .map_err(|_| CallError::Address)?;
        let lost = CallError::unknown(Silence::NoAnswer);
        let response = self.http.request(request).await.map_err(|_| lost.clone())?;
        let status = response.status().as_u16();
        let limited = Limited::new(response.into_body(), self.limits.answer_bytes);
        match limited.collect().await {
            Ok(collected) => Ok((status, collected.to_bytes())),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(CallError::unknown(Silence::TooLong))
            }
            Err(_) => Err(lost),
        }
    }
}

#[derive(serde::Deserialize)]
struct Envelope<'a> {
    id: Option<u64>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Fault>,
}

#[derive(serde::Deserialize)]
struct Fault {
    code: i64,
    message: String,
    #[serde(default)]
    data: Option<Value>,
}

/// The answer to request `id`; `None` when these bytes are none.
fn answer<T: DeserializeOwned>(body: &[u8], id: u64) -> Option<Result<T, CallError>> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).ok()?;
    if let Some(fault) = envelope.error {
        // An error before the request was read has no id.
        return (envelope.id.is_none_or(|got| got == id)).then(|| Err(refusal(fault)));
    }
    if envelope.id != Some(id) {
        return None;
    }
    // `result: null` is an answer ("no such block") where `T` is an `Option`.
    let text = envelope.result.map_or("null", RawValue::get);
    serde_json::from_str(text).ok().map(Ok)
}

fn refusal(fault: Fault) -> CallError {
    // Overload, or a node that lags behind, is no statement about the call. Data about the call itself is one.
    let says_nothing = match &fault.data {
        Some(Value::String(_)) => false,
        Some(Value::Object(inner)) => !inner.contains_key("data"),
        _ => true,
    };
    let overload =
        fault.code == -32005 || fault.message.to_ascii_lowercase().contains("rate limit");
    if overload && says_nothing {
        return CallError::unknown(Silence::Status(429));
    }
    CallError::Refused {
        code: fault.code,
        message: fault.message.chars().take(200).collect(),
        data: fault.data.map(Box::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Answers the first `replies.len()` connections with fixed bytes each.
    async fn answering(replies: Vec<Vec<u8>>) -> Rpc {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for reply in replies {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = [0u8; 4096];
                let _ = socket.read(&mut request).await.unwrap();
                socket.write_all(&reply).await.unwrap();
            }
        });
        let limits = RpcLimits {
            request: Duration::from_millis(500),
            answer_bytes: 1_000,
            ..RpcLimits::default()
        };
        Rpc::new(&format!("http://{address}"), limits).unwrap()
    }

    fn http(status: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
            .into_bytes()
    }

    async fn number(replies: Vec<Vec<u8>>) -> Result<String, CallError> {
        answering(replies).await.read("eth_blockNumber", &()).await
    }

    #[tokio::test]
    async fn a_read_is_tried_again_after_a_server_error_and_then_answers() {
        let good = http("200 OK", r#"{"jsonrpc":"2.0","id":2,"result":"0x7"}"#);
        let bad = http("503 Service Unavailable", "");
        assert_eq!(number(vec![bad, good]).await, Ok("0x7".to_owned()));
    }

    #[tokio::test]
    async fn a_write_is_sent_once_only() {
        let good = http("200 OK", r#"{"jsonrpc":"2.0","id":2,"result":"0x7"}"#);
        let rpc = answering(vec![http("503 Service Unavailable", ""), good]).await;
        let sent: Result<String, _> = rpc.once("eth_sendRawTransaction", &["0x"]).await;
        assert_eq!(sent, Err(CallError::unknown(Silence::Status(503))));
    }

    #[tokio::test]
    async fn the_answer_to_another_request_is_no_answer() {
        let other = http("200 OK", r#"{"jsonrpc":"2.0","id":9,"result":"0x7"}"#);
        assert_eq!(
            number(vec![other]).await,
            Err(CallError::unknown(Silence::Malformed))
        );
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_at_its_bound() {
        let long = http("200 OK", &"x".repeat(1_001));
        assert_eq!(
            number(vec![long]).await,
            Err(CallError::unknown(Silence::TooLong))
        );
    }

    #[tokio::test]
    async fn a_null_where_a_value_must_be_is_malformed_and_not_zero() {
        let null = http("200 OK", r#"{"jsonrpc":"2.0","id":1,"result":null}"#);
        assert_eq!(
            number(vec![null]).await,
            Err(CallError::unknown(Silence::Malformed))
        );
    }

    #[tokio::test]
    async fn a_dead_provider_is_unknown() {
        let rpc = Rpc::new("http://127.0.0.1:1", RpcLimits::default()).unwrap();
        let answer: Result<String, _> = rpc.read("eth_blockNumber", &()).await;
        assert_eq!(answer, Err(CallError::unknown(Silence::NoAnswer)));
    }

    #[test]
    fn overload_is_unknown_and_what_is_said_about_the_call_is_kept() {
        let fault = |code, message: &str, data: Value| {
            refusal(Fault {
                code,
                message: message.to_owned(),
                data: Some(data).filter(|d| !d.is_null()),
            })
        };
        let busy = fault(-32005, "node is behind", json!({"numSlotsBehind": 90}));
        assert_eq!(busy, CallError::unknown(Silence::Status(429)));
        let busy = fault(-1, "Rate limit exceeded", Value::Null);
        assert_eq!(busy, CallError::unknown(Silence::Status(429)));
        let failed = fault(-32002, "simulation failed", json!({"err": "AccountInUse"}));
        assert!(matches!(
            failed,
            CallError::Refused {
                code: -32002,
                data: Some(_),
                ..
            }
        ));
        let reverted = fault(-32005, "reverted", json!("0xabcd"));
        assert!(matches!(reverted, CallError::Refused { data: Some(_), .. }));
    }

    #[test]
    fn debug_output_names_the_host_and_not_the_access_key() {
        let rpc = Rpc::new("https://base.example/v2/secret-key", RpcLimits::default()).unwrap();
        let text = format!("{rpc:?}");
        assert!(text.contains("base.example") && !text.contains("secret-key"));
        assert!(matches!(
            Rpc::new("ftp://base.example", RpcLimits::default()),
            Err(CallError::Address)
        ));
    }
}
