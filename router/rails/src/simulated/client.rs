//! One request to the simulated chain, one typed answer.
//!
//! Every way of not getting an answer is a [`ClientError`] that says whether the chain can have acted.
//! Nothing here retries: whoever holds the durable row does (design §5).

use std::time::Duration;

use d402_objects::{Amount, Hex32};
use d402_wire::simchain::{Event, MAX_BODY_BYTES, PaymentState, Rpc, RpcAnswer, VaultView};
use reqwest::{StatusCode, Url};

/// Longest wait for a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for a whole answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Address of the chain is no `http://` URL, or the client cannot be built.
    #[error("simulated chain address is not usable")]
    Address,
    /// No whole answer: refused, reset, timed out, cut off. The chain may have acted.
    #[error("no answer from the simulated chain")]
    NoAnswer(#[source] reqwest::Error),
    /// An answer longer than the protocol allows. The chain may have acted.
    #[error("answer is longer than {MAX_BODY_BYTES} bytes")]
    TooLong,
    /// An answer that is none of the protocol, or an answer to another question. The chain may have acted.
    #[error("answer is not one of the simulated chain")]
    Malformed,
    /// The chain is overloaded or its disk failed. It may have acted.
    #[error("simulated chain answered HTTP {0}")]
    Status(u16),
    /// The chain could not read the request and certainly did not act.
    #[error("simulated chain could not read the request (HTTP {0})")]
    Unreadable(u16),
    /// The chain's rules refused.
    #[error("refused: {rule}")]
    Refused {
        /// Rule.
        rule: String,
        /// Whether the same bytes may succeed later.
        retryable: bool,
    },
}

/// A transaction the chain says took effect. It may lie: only a vault or payment status counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Transaction id.
    pub id: Hex32,
    /// Height.
    pub height: u64,
    /// Chain time, unix seconds.
    pub at: i64,
}

/// RPC client of one simulated chain.
#[derive(Clone, Debug)]
pub struct SimClient {
    http: reqwest::Client,
    rpc: Url,
}

impl SimClient {
    /// A client of the chain at `base`, e.g. `http://127.0.0.1:8402`; nothing is sent.
    ///
    /// # Errors
    /// [`ClientError::Address`] unless `base` is a plain `http` URL.
    pub fn new(base: &str) -> Result<Self, ClientError> {
        Self::with_timeout(base, REQUEST_TIMEOUT)
    }

    /// As [`Self::new`] with another limit on a whole request.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_timeout(base: &str, timeout: Duration) -> Result<Self, ClientError> {
        let base = Url::parse(base).map_err(|_| ClientError::Address)?;
        if base.scheme() != "http" || base.host().is_none() {
            return Err(ClientError::Address);
        }
        let rpc = base.join("/rpc").map_err(|_| ClientError::Address)?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|_| ClientError::Address)?;
        Ok(Self { http, rpc })
    }

    /// Encodes and sends one request.
    ///
    /// # Errors
    /// [`ClientError`]; a refusal is an error too.
    pub async fn call(&self, rpc: &Rpc) -> Result<RpcAnswer, ClientError> {
        let bytes = d402_wire::encode(rpc).map_err(|_| ClientError::Malformed)?;
        self.post(bytes).await
    }

    /// Sends exactly these bytes.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn post(&self, bytes: Vec<u8>) -> Result<RpcAnswer, ClientError> {
        let request = self
            .http
            .post(self.rpc.clone())
            .header("content-type", "application/json")
            .body(bytes);
        let response = request.send().await.map_err(ClientError::NoAnswer)?;
        let status = response.status();
        if status == StatusCode::BAD_REQUEST || status == StatusCode::PAYLOAD_TOO_LARGE {
            return Err(ClientError::Unreadable(status.as_u16()));
        }
        if status != StatusCode::OK {
            return Err(ClientError::Status(status.as_u16()));
        }
        let body = bounded(response).await?;
        match d402_wire::decode(&body, MAX_BODY_BYTES).map_err(|_| ClientError::Malformed)? {
            RpcAnswer::Refused { rule, retryable } => Err(ClientError::Refused { rule, retryable }),
            answer @ (RpcAnswer::Clock { .. }
            | RpcAnswer::Balance { .. }
            | RpcAnswer::Done { .. }
            | RpcAnswer::Payment(_)
            | RpcAnswer::Vault(_)
            | RpcAnswer::Events { .. }) => Ok(answer),
        }
    }

    /// Sends a request that changes the chain.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn execute(&self, rpc: &Rpc) -> Result<Transaction, ClientError> {
        transaction(self.call(rpc).await?)
    }

    /// Sends exactly these bytes, which ask for a change of the chain.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn execute_bytes(&self, bytes: Vec<u8>) -> Result<Transaction, ClientError> {
        transaction(self.post(bytes).await?)
    }

    /// Chain time in unix seconds, and height.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn clock(&self) -> Result<(i64, u64), ClientError> {
        if let RpcAnswer::Clock { now, height } = self.call(&Rpc::Clock).await? {
            return Ok((now, height));
        }
        Err(ClientError::Malformed)
    }

    /// Balance of an account, base units.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn balance(&self, account: Hex32, asset: Hex32) -> Result<Amount, ClientError> {
        if let RpcAnswer::Balance { amount } = self.call(&Rpc::Balance { account, asset }).await? {
            return Ok(amount);
        }
        Err(ClientError::Malformed)
    }

    /// What became of a payment. With `valid_before` of its message the chain can also say that it is
    /// impossible.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn payment(
        &self,
        payment_id: Hex32,
        valid_before: Option<i64>,
    ) -> Result<PaymentState, ClientError> {
        let question = Rpc::PaymentStatus {
            payment_id,
            valid_before,
        };
        if let RpcAnswer::Payment(state) = self.call(&question).await? {
            return Ok(state);
        }
        Err(ClientError::Malformed)
    }

    /// A vault as the chain sees it.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn vault(
        &self,
        terms_hash: Hex32,
        pay_to: Hex32,
        asset: Hex32,
    ) -> Result<VaultView, ClientError> {
        if let RpcAnswer::Vault(view) = self
            .call(&Rpc::Vault {
                terms_hash,
                pay_to,
                asset,
            })
            .await?
        {
            return Ok(view);
        }
        Err(ClientError::Malformed)
    }

    /// Events from `from` on, oldest first, at most 256.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn events(&self, from: u64) -> Result<Vec<Event>, ClientError> {
        if let RpcAnswer::Events { events } = self.call(&Rpc::Events { from }).await? {
            return Ok(events);
        }
        Err(ClientError::Malformed)
    }
}

fn transaction(answer: RpcAnswer) -> Result<Transaction, ClientError> {
    if let RpcAnswer::Done {
        transaction,
        height,
        at,
    } = answer
    {
        return Ok(Transaction {
            id: transaction,
            height,
            at,
        });
    }
    Err(ClientError::Malformed)
}

async fn bounded(mut response: reqwest::Response) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(ClientError::NoAnswer)? {
        if body.len().saturating_add(chunk.len()) > MAX_BODY_BYTES {
            return Err(ClientError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Answers the first connection with fixed bytes, then closes it.
    async fn answering(reply: Vec<u8>) -> SimClient {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0u8; 4096];
            let _ = socket.read(&mut request).await.unwrap();
            socket.write_all(&reply).await.unwrap();
        });
        SimClient::with_timeout(&format!("http://{address}"), Duration::from_millis(500)).unwrap()
    }

    fn http(status: &str, length: usize, body: &str) -> Vec<u8> {
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn only_plain_http_addresses_are_taken() {
        assert!(matches!(
            SimClient::new("https://127.0.0.1:1"),
            Err(ClientError::Address)
        ));
        assert!(matches!(
            SimClient::new("127.0.0.1:1"),
            Err(ClientError::Address)
        ));
        assert!(SimClient::new("http://127.0.0.1:1").is_ok());
    }

    #[tokio::test]
    async fn a_closed_port_is_no_answer() {
        let client = SimClient::new("http://127.0.0.1:1").unwrap();
        assert!(matches!(
            client.clock().await,
            Err(ClientError::NoAnswer(_))
        ));
    }

    #[tokio::test]
    async fn a_body_cut_off_in_the_middle_is_no_answer_and_not_an_empty_one() {
        let client = answering(http("200 OK", 400, "{\"result\":\"clock\"")).await;
        assert!(matches!(
            client.clock().await,
            Err(ClientError::NoAnswer(_))
        ));
    }

    #[tokio::test]
    async fn a_server_error_is_unknown_and_a_bad_request_is_definite() {
        let client = answering(http("503 Service Unavailable", 0, "")).await;
        assert!(matches!(
            client.clock().await,
            Err(ClientError::Status(503))
        ));
        let client = answering(http("400 Bad Request", 0, "")).await;
        assert!(matches!(
            client.clock().await,
            Err(ClientError::Unreadable(400))
        ));
    }

    #[tokio::test]
    async fn an_answer_to_another_question_is_malformed() {
        let text = r#"{"result":"balance","value":{"amount":"5"}}"#;
        let client = answering(http("200 OK", text.len(), text)).await;
        assert!(matches!(client.clock().await, Err(ClientError::Malformed)));
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_at_the_limit() {
        let long = "x".repeat(MAX_BODY_BYTES + 1);
        let client = answering(http("200 OK", long.len(), &long)).await;
        assert!(matches!(
            client.clock().await,
            Err(ClientError::TooLong | ClientError::NoAnswer(_))
        ));
    }

    #[tokio::test]
    async fn a_chain_that_never_answers_times_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client =
            SimClient::with_timeout(&format!("http://{address}"), Duration::from_millis(100))
                .unwrap();
        assert!(matches!(
            client.clock().await,
            Err(ClientError::NoAnswer(_))
        ));
    }
}
