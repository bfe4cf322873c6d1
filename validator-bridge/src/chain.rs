//! The validator's own look at the chain: clock, deposit, settlement. It believes no gateway about money.

use std::time::Duration;

use async_trait::async_trait;
use d402_objects::Hex32;
use d402_wire::simchain::{MAX_BODY_BYTES, Rpc, RpcAnswer, VaultView};

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a validator needs to know from a chain.
#[async_trait]
pub trait ChainView: Send + Sync + 'static {
    /// Chain time, ms.
    async fn now_ms(&self) -> Result<u64, ChainError>;
    /// The vault of some terms.
    async fn vault(
        &self,
        terms_hash: Hex32,
        pay_to: Hex32,
        asset: Hex32,
    ) -> Result<VaultView, ChainError>;
}

/// Why the chain is not known. Never read as "nothing there".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// No answer in time, or connection refused.
    #[error("chain is not reachable")]
    Unreachable(#[source] reqwest::Error),
    /// An answer that is none.
    #[error("chain answered something else")]
    Malformed,
}

/// RPC client of the simulated chain.
#[derive(Clone, Debug)]
pub struct SimulatedChain {
    url: String,
    http: reqwest::Client,
}

impl SimulatedChain {
    /// A client of the RPC at `url` (its `/rpc`).
    ///
    /// # Errors
    /// [`ChainError::Unreachable`] when no HTTP client can be built.
    pub fn new(url: &str) -> Result<Self, ChainError> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(ChainError::Unreachable)?;
        Ok(Self {
            url: format!("{}/rpc", url.trim_end_matches('/')),
            http,
        })
    }

    async fn call(&self, rpc: &Rpc) -> Result<RpcAnswer, ChainError> {
        let mut response = self
            .http
            .post(&self.url)
            .json(rpc)
            .send()
            .await
            .map_err(ChainError::Unreachable)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(ChainError::Unreachable)? {
            if body.len().saturating_add(chunk.len()) > MAX_BODY_BYTES {
                return Err(ChainError::Malformed);
            }
            body.extend_from_slice(&chunk);
        }
        d402_wire::decode(&body, MAX_BODY_BYTES).map_err(|_| ChainError::Malformed)
    }
}

#[async_trait]
impl ChainView for SimulatedChain {
    async fn now_ms(&self) -> Result<u64, ChainError> {
        match self.call(&Rpc::Clock).await? {
            RpcAnswer::Clock { now, .. } => u64::try_from(now)
                .map(|s| s.saturating_mul(1_000))
                .map_err(|_| ChainError::Malformed),
            RpcAnswer::Balance { .. }
            | RpcAnswer::Done { .. }
            | RpcAnswer::Payment(_)
            | RpcAnswer::Vault(_)
            | RpcAnswer::Events { .. }
            | RpcAnswer::Refused { .. } => Err(ChainError::Malformed),
        }
    }

    async fn vault(
        &self,
        terms_hash: Hex32,
        pay_to: Hex32,
        asset: Hex32,
    ) -> Result<VaultView, ChainError> {
        match self
            .call(&Rpc::Vault {
                terms_hash,
                pay_to,
                asset,
            })
            .await?
        {
            RpcAnswer::Vault(view) => Ok(view),
            RpcAnswer::Balance { .. }
            | RpcAnswer::Done { .. }
            | RpcAnswer::Payment(_)
            | RpcAnswer::Clock { .. }
            | RpcAnswer::Events { .. }
            | RpcAnswer::Refused { .. } => Err(ChainError::Malformed),
        }
    }
}
