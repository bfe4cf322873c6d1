//! HTTP client of a gateway.

use std::time::Duration;

use d402_objects::Cid;
use serde_json::Value;

use super::{ChallengeError, Refusal};

/// Longest wait for one answer; a synchronous task takes up to 25 s at the gateway.
const TIMEOUT: Duration = Duration::from_secs(40);
/// Largest body taken.
const MAX_BODY_BYTES: usize = 24 * 1024 * 1024;

/// Why a purchase did not go through. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuyError {
    /// The gateway is not there.
    #[error("gateway {url} does not answer; is it running, and is the address right?")]
    Unreachable {
        /// Its origin.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The buyer's own provider of the chain did not answer; nothing was paid.
    #[error("the chain is not known, nothing was paid")]
    Chain(#[from] d402_svm::RpcError),
    /// An answer larger than allowed.
    #[error("the gateway's answer is larger than {MAX_BODY_BYTES} bytes")]
    TooLarge,
    /// The gateway refused, with its problem document.
    #[error("the gateway refused ({status}): {title}{}", detail.as_ref().map(|d| format!(": {d}")).unwrap_or_default())]
    Problem {
        /// HTTP status.
        status: u16,
        /// Problem title.
        title: String,
        /// Problem detail.
        detail: Option<String>,
    },
    /// An answer that is not what the protocol says.
    #[error("the gateway's answer has no usable {0}")]
    Malformed(&'static str),
    /// The 402 does not hold together; nothing was paid.
    #[error("the offer is not what it says, nothing was paid")]
    Challenge(#[from] ChallengeError),
    /// The offer is not what was asked for; nothing was paid.
    #[error("the offer is not what was asked for, nothing was paid")]
    Refused(#[from] Refusal),
    /// The payment could not be kept on disk, so it was not sent.
    #[error("the signed payment could not be saved, so it was not sent")]
    NotSaved(#[source] std::io::Error),
    /// The task ended without a settled receipt in time; the payment is saved.
    #[error("task {task_id} is still pending; ask again with: d402 task {task_id}")]
    Pending {
        /// The task.
        task_id: Cid,
    },
    /// The bundle does not verify: keep it, and do not trust the gateway.
    #[error("the gateway's bundle does not verify")]
    Bundle(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A gateway by its origin.
#[derive(Clone, Debug)]
pub struct GatewayClient {
    origin: String,
    http: reqwest::Client,
}

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) payment_required: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Result<Value, BuyError> {
        serde_json::from_slice(&self.body).map_err(|_| BuyError::Malformed("JSON body"))
    }

    /// The answer as an error: its problem document, or its status.
    pub(super) fn problem(&self) -> BuyError {
        let value: Value = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        BuyError::Problem {
            status: self.status,
            title: text("title").unwrap_or_else(|| "no problem document".to_owned()),
            detail: text("detail"),
        }
    }
}

impl GatewayClient {
    /// A client of the gateway at `origin`.
    ///
    /// # Errors
    /// [`BuyError::Unreachable`] when no HTTP client can be built.
    pub fn new(origin: &str) -> Result<Self, BuyError> {
        let origin = origin.trim_end_matches('/').to_owned();
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|source| BuyError::Unreachable {
                url: origin.clone(),
                source,
            })?;
        Ok(Self { origin, http })
    }

    /// Its origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) async fn post_task(
        &self,
        body: &Value,
        payment: Option<&str>,
        client_id: &str,
    ) -> Result<Answer, BuyError> {
        let mut request = self
            .http
            .post(format!("{}/tasks", self.origin))
            .json(body)
            .header("Idempotency-Key", client_id);
        if let Some(payment) = payment {
            request = request.header("PAYMENT-SIGNATURE", payment);
        }
        self.send(request).await
    }

    /// A GET of a path, with the access token when there is one.
    ///
    /// # Errors
    /// [`BuyError`].
    pub(super) async fn get(&self, path: &str, token: Option<&str>) -> Result<Answer, BuyError> {
        let mut request = self.http.get(format!("{}{path}", self.origin));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        self.send(request).await
    }

    /// A GET whose 2xx body is JSON.
    ///
    /// # Errors
    /// [`BuyError::Problem`] for any other status.
    pub async fn get_json(&self, path: &str, token: Option<&str>) -> Result<Value, BuyError> {
        let answer = self.get(path, token).await?;
        if (200..300).contains(&answer.status) {
            answer.json()
        } else {
            Err(answer.problem())
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, BuyError> {
        let unreachable = |source| BuyError::Unreachable {
            url: self.origin.clone(),
            source,
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let payment_required = response
            .headers()
            .get("PAYMENT-REQUIRED")
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len().saturating_add(chunk.len()) > MAX_BODY_BYTES {
                return Err(BuyError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            payment_required,
            body,
        })
    }
}
