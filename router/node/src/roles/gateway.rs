//! The gateway role: engine and HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use d402_core::ports::Rail;
use d402_gateway::http::{Asset, HttpConfig, HttpState, router};
use d402_gateway::{Engine, EngineConfig, Ports};
use d402_objects::{Amount, Caip2};

use super::start::{Context, NodeError, port};
use crate::config::{ConfigError, setting};
use crate::keys;

/// Starts the engine and its HTTP server; the engine and the origin it is reached at.
pub(super) async fn start(context: &mut Context) -> Result<(Engine, String), NodeError> {
    let key = keys::load_or_create(&context.config.state_dir.join("keys/gateway.key"))?;
    let secret = keys::load_or_create(&context.config.state_dir.join("keys/challenge.key"))?;
    let sold = rails(context).await?;
    let config = EngineConfig {
        key,
        instance: context.market.network().local_peer().to_string(),
        distinct_subnets: context.config.gateway.policy.distinct_subnets,
    };
    let ports = Ports {
        store: context.store.tasks(),
        blobs: context.store.blobs(),
        directory: Arc::clone(context.directory.store()),
        rails: sold.rails,
        network: port(&context.market),
        clock: Arc::clone(&context.clock),
    };
    let (engine, driver) = Engine::new(config, ports, context.stop.clone());
    context
        .tasks
        .spawn(async move { Ok(driver.run().await.map_err(Box::new)?) });
    let section = context.config.gateway.clone();
    section.limits.check().map_err(ConfigError::from)?;
    section.cors.check().map_err(ConfigError::from)?;
    let listen = section
        .http
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7401)));
    let io = |source| NodeError::Io {
        what: "HTTP address cannot be bound",
        source,
    };
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(io)?;
    let bound = listener.local_addr().map_err(io)?;
    let url = section
        .public_url
        .unwrap_or_else(|| format!("http://{bound}"));
    let mut http =
        HttpConfig::new(section.policy, secret.to_bytes(), url.clone()).bounded(section.limits);
    http.cors = section.cors;
    http.assets = sold.assets;
    http.budgets = sold.budgets;
    let app = router(HttpState::new(engine.clone(), http));
    let stop = context.stop.clone();
    context.tasks.spawn(async move {
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service)
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .await
            .map_err(|source| NodeError::Io {
                what: "HTTP server failed",
                source,
            })
    });
    Ok((engine, url))
}

/// What a gateway sells on.
#[derive(Default)]
struct Sold {
    rails: Vec<Arc<dyn Rail>>,
    assets: BTreeMap<Caip2, Asset>,
    budgets: BTreeMap<(Caip2, String), RangeInclusive<Amount>>,
}

impl Sold {
    /// One more rail; one network is sold in one token, and each kind of rail once. `fields` and `given` are what
    /// a refusal names: network, asset and kind as configured.
    fn sell(
        &mut self,
        fields: (&'static str, &'static str, &'static str),
        given: (&str, &str),
        asset: Asset,
        rail: Arc<dyn Rail>,
    ) -> Result<(), NodeError> {
        let refuse = |field, got: &str| ConfigError::Setting {
            field,
            got: got.to_owned(),
        };
        let network: Caip2 = setting(fields.0, given.0)?;
        let kind = (network.clone(), rail.name().to_owned());
        let first = self.assets.entry(network).or_insert(asset.clone());
        if (&first.address, &first.name, &first.version)
            != (&asset.address, &asset.name, &asset.version)
        {
            return Err(refuse(fields.1, given.1).into());
        }
        if self.budgets.insert(kind, asset.budgets).is_some() {
            return Err(refuse(fields.2, rail.name()).into());
        }
        self.rails.push(rail);
        Ok(())
    }
}

/// The simulated rail where it is configured, and every rail of the configuration.
async fn rails(context: &mut Context) -> Result<Sold, NodeError> {
    let mut sold = Sold::default();
    let sections = context.config.gateway.rails.clone();
    let clusters = context.config.gateway.solana.clone();
    if context.rail.is_some() || sections.is_empty() && clusters.is_empty() {
        sold.rails.push(context.rail("gateway")?);
    }
    for section in &sections {
        let (rail, asset) = super::base::open(context, section).await?;
        let fields = (
            "gateway.rail.network",
            "gateway.rail.asset",
            "gateway.rail.name",
        );
        sold.sell(fields, (&section.network, &section.asset), asset, rail)?;
    }
    for section in &clusters {
        let (rail, asset) = super::solana::open(context, section).await?;
        let fields = (
            "gateway.solana.network",
            "gateway.solana.asset",
            "gateway.solana.network",
        );
        sold.sell(fields, (&section.network, &section.asset), asset, rail)?;
    }
    Ok(sold)
}
