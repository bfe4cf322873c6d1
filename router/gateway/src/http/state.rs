//! What every handler has at hand.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use d402_core::admission::{Policy, RailOffer};
use d402_core::ports;
use d402_objects::{Address, Amount, Caip2};
use d402_settlement::market::{SIMULATED_NETWORK, simulated_asset};

use super::cors::Cors;
use super::directory::DirectoryView;
use super::limits::{Gate, Limits};
use super::metrics::Metrics;
use super::secrets::Secrets;
use crate::engine::Engine;

/// A token tasks may be paid in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its address.
    pub address: Address,
    /// Its name, for people and for EIP-712.
    pub name: String,
    /// EIP-712 version, where payments are signed that way.
    pub version: Option<String>,
    /// Digits after the point.
    pub decimals: u8,
    /// Budgets sold in it, base units.
    pub budgets: RangeInclusive<Amount>,
}

/// What the HTTP side is told.
#[derive(Clone)]
pub struct HttpConfig {
    /// What is sold, to whom, for how much.
    pub policy: Policy,
    /// Challenges and tokens are derived from it; all instances of one gateway share it.
    pub root_secret: [u8; 32],
    /// Key ids: the first makes challenges, the second is still honoured.
    pub kids: Vec<String>,
    /// Name of this gateway; a challenge of one is worth nothing at another. Its key when absent.
    pub cluster_id: Option<String>,
    /// Origin clients see, without a slash at the end.
    pub public_url: String,
    /// Roles of the node, for the discovery document.
    pub roles: Vec<String>,
    /// Token per network; the simulated dollar is known without.
    pub assets: BTreeMap<Caip2, Asset>,
    /// Budgets of a rail, by network and name, where they are not those of its token.
    pub budgets: BTreeMap<(Caip2, String), RangeInclusive<Amount>>,
    /// Bounds; [`HttpConfig::bounded`] sets them and the waits together.
    pub limits: Limits,
    /// Web pages that may call.
    pub cors: Cors,
    /// How long a synchronous request waits before it becomes 202.
    pub sync_wait: Duration,
    /// How long a request that does not wait for the result waits for its deposit.
    pub funding_wait: Duration,
}

impl HttpConfig {
    /// A configuration with defaults for everything but what has none.
    #[must_use]
    pub fn new(policy: Policy, root_secret: [u8; 32], public_url: String) -> Self {
        Self {
            policy,
            root_secret,
            kids: vec!["1".to_owned()],
            cluster_id: None,
            public_url: public_url.trim_end_matches('/').to_owned(),
            roles: vec!["gateway".to_owned(), "ingress".to_owned()],
            assets: BTreeMap::new(),
            budgets: BTreeMap::new(),
            limits: Limits::default(),
            cors: Cors::default(),
            sync_wait: Duration::from_secs(Limits::default().sync_wait_s),
            funding_wait: Duration::from_secs(Limits::default().deposit_wait_s),
        }
    }

    /// With these bounds and waits.
    #[must_use]
    pub fn bounded(mut self, limits: Limits) -> Self {
        self.sync_wait = Duration::from_secs(limits.sync_wait_s);
        self.funding_wait = Duration::from_secs(limits.deposit_wait_s);
        self.limits = limits;
        self
    }
}

impl std::fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpConfig")
            .field("policy", &self.policy)
            .field("cluster_id", &self.cluster_id)
            .field("public_url", &self.public_url)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A rail with everything a 402 says about it.
#[derive(Clone, Debug)]
pub(crate) struct Rail {
    pub(crate) offer: RailOffer,
    pub(crate) asset: Asset,
}

/// Shared by all handlers. Cheap to clone.
#[derive(Clone)]
pub struct HttpState(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) config: HttpConfig,
    pub(crate) cluster_id: String,
    pub(crate) secrets: Secrets,
    pub(crate) directory: Arc<DirectoryView>,
    pub(crate) rails: Vec<Rail>,
    pub(crate) rail_offers: Vec<RailOffer>,
    pub(crate) gate: Gate,
    pub(crate) metrics: Metrics,
    pub(crate) openapi: String,
    pub(crate) resource: String,
}

impl HttpState {
    /// The HTTP side of an engine.
    #[must_use]
    pub fn new(engine: Engine, config: HttpConfig) -> Self {
        let rails: Vec<Rail> = engine
            .ports()
            .rails
            .iter()
            .filter_map(|rail| rail_of(rail.as_ref(), &config))
            .collect();
        let cluster_id = config
            .cluster_id
            .clone()
            .unwrap_or_else(|| engine.gateway().to_string());
        Self(Arc::new(Inner {
            secrets: Secrets::new(&config.root_secret, &config.kids),
            directory: Arc::new(DirectoryView::new(Arc::clone(&engine.ports().directory))),
            rail_offers: rails.iter().map(|rail| rail.offer.clone()).collect(),
            gate: Gate::new(&config.limits),
            metrics: Metrics::new(),
            openapi: super::openapi::text(&config, &rails, &cluster_id),
            cluster_id,
            resource: format!("{}/tasks", config.public_url),
            rails,
            engine,
            config,
        }))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.0.engine.now_ms()
    }
}

/// A rail whose token is known; others cannot be sold on.
fn rail_of(rail: &dyn ports::Rail, config: &HttpConfig) -> Option<Rail> {
    let network: Caip2 = rail.network().parse().ok()?;
    let asset = match config.assets.get(&network) {
        Some(asset) => asset.clone(),
        None if network.as_str() == SIMULATED_NETWORK => Asset {
            address: Address::new(simulated_asset().to_string()).ok()?,
            name: "Simulated USD".to_owned(),
            version: None,
            decimals: 6,
            budgets: Amount::ZERO..=Amount::MAX,
        },
        None => {
            tracing::warn!(%network, "no asset configured, rail is not offered");
            return None;
        }
    };
    let own = config
        .budgets
        .get(&(network.clone(), rail.name().to_owned()));
    let offer = RailOffer {
        rent_to: None,
        rail: rail.name().parse().ok()?,
        direct: rail.direct().is_some(),
        network,
        asset: asset.address.clone(),
        budgets: own.unwrap_or(&asset.budgets).clone(),
    };
    Some(Rail { offer, asset })
}
