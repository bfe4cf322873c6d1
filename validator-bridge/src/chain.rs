//! The validator's own look at the chain: clock, deposit, settlement. It believes no gateway about money.

mod solana;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use d402_evm::primitives::Address;
use d402_evm::{Chain, ChainOptions, EscrowQuery, EscrowView, Finality, Level};
use d402_objects::{Amount, Caip2, Hex32};
use d402_settlement::Codec;
use d402_settlement::market::{Dossier, SIMULATED_NETWORK, chain_of};
use d402_wire::simchain::{MAX_BODY_BYTES, Rpc, RpcAnswer};

use crate::config::RailConfig;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a validator needs to know from a chain.
#[async_trait]
pub trait ChainView: Send + Sync + 'static {
    /// Chain time, ms.
    async fn now_ms(&self) -> Result<u64, ChainError>;
    /// What was paid into the vault or escrow of a task in its asset, oldest first. An implementation may leave
    /// the smallest deposits out when there are very many, so that dust cannot hide a payment or its time.
    async fn deposits(&self, dossier: &Dossier) -> Result<Vec<Deposit>, ChainError>;
}

/// Money that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// Chain time, ms.
    pub at_ms: u64,
    /// Base units.
    pub units: u128,
}

/// A look at the chain of a rail.
///
/// # Errors
/// [`ChainError::NoClient`] for a network this build has no client of: what cannot be looked at is not
/// judged for.
pub fn open(rail: &RailConfig) -> Result<Arc<dyn ChainView>, ChainError> {
    match rail.network.as_str() {
        SIMULATED_NETWORK => Ok(Arc::new(SimulatedChain::new(&rail.rpc)?)),
        name if name.starts_with("solana:") => Ok(Arc::new(solana::SolanaChain::new(rail)?)),
        _ => Ok(Arc::new(BaseChain::new(rail)?)),
    }
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
    /// An EVM chain gave no answer, or none that both providers agree on.
    #[error("chain is not known")]
    Base(#[from] d402_evm::RpcError),
    /// A Solana cluster gave no answer, or none that both providers agree on.
    #[error("cluster is not known")]
    Solana(#[from] d402_svm::RpcError),
    /// The newest block shows money that is not sure enough yet.
    #[error("deposit is not sure yet")]
    NotSure,
    /// No client for the network.
    #[error("this build cannot look at {network}")]
    NoClient {
        /// Its CAIP-2 name.
        network: String,
    },
}

/// An EVM chain through the validator's own providers.
#[derive(Debug)]
struct BaseChain {
    chain: Chain,
    ledger: Address,
}

impl BaseChain {
    fn new(rail: &RailConfig) -> Result<Self, ChainError> {
        let no_client = || ChainError::NoClient {
            network: rail.network.clone(),
        };
        let network: Caip2 = rail.network.parse().map_err(|_| no_client())?;
        let Some(Codec::Evm(domain)) = chain_of(&network).map(|chain| chain.codec) else {
            return Err(no_client());
        };
        let mut options = ChainOptions::base(domain.chain_id);
        if rail.development {
            options.finality = Finality::DEVELOPMENT;
        }
        let urls: Vec<String> = [Some(&rail.rpc), rail.second_rpc.as_ref()]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        Ok(Self {
            chain: Chain::new(&urls, options)?,
            ledger: Address::from(domain.ledger.0),
        })
    }
}

#[async_trait]
impl ChainView for BaseChain {
    async fn now_ms(&self) -> Result<u64, ChainError> {
        Ok(self.chain.now().await?.timestamp.saturating_mul(1_000))
    }

    /// One entry: the sum, when it covered the budget (threat #36) or else when it was looked at.
    async fn deposits(&self, dossier: &Dossier) -> Result<Vec<Deposit>, ChainError> {
        let query = EscrowQuery::of_terms(dossier.terms_bytes(), self.ledger)
            .ok_or(ChainError::Malformed)?;
        let level = self.chain.options().finality.level(query.budget);
        let view = EscrowView::read(&self.chain, &query, level).await?;
        if view.covered_at.is_none() && level != Level::Latest {
            let newest = EscrowView::read(&self.chain, &query, Level::Latest).await?;
            if newest.covered_at.is_some() {
                // Neither short nor there: said to be late now, it could never be on time again.
                return Err(ChainError::NotSure);
            }
        }
        let at = view.covered_at.unwrap_or(view.head.timestamp);
        Ok(vec![Deposit {
            at_ms: at.saturating_mul(1_000),
            units: view.received,
        }])
    }
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

    async fn deposits(&self, dossier: &Dossier) -> Result<Vec<Deposit>, ChainError> {
        let asset = dossier.codec().account(dossier.asset());
        let rpc = Rpc::Vault {
            terms_hash: dossier.terms_hash(),
            pay_to: Hex32::from_bytes(dossier.pay_to().0),
            asset: Hex32::from_bytes(asset.ok_or(ChainError::Malformed)?.0),
        };
        match self.call(&rpc).await? {
            RpcAnswer::Vault(view) => Ok(view.deposits.into_iter().map(seen).collect()),
            RpcAnswer::Balance { .. }
            | RpcAnswer::Done { .. }
            | RpcAnswer::Payment(_)
            | RpcAnswer::Clock { .. }
            | RpcAnswer::Events { .. }
            | RpcAnswer::Refused { .. } => Err(ChainError::Malformed),
        }
    }
}

fn seen((at_s, amount): (i64, Amount)) -> Deposit {
    Deposit {
        at_ms: u64::try_from(at_s)
            .unwrap_or(u64::MAX)
            .saturating_mul(1_000),
        units: amount.get(),
    }
}
