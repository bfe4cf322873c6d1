//! One node: network, directory, then its roles; everything owned, everything joined at the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use d402_core::ports::{Clock, MarketNetwork};
use d402_evm::primitives::Address;
use d402_p2p::{Libp2pNetwork, Network, NetworkConfig, NodeIdentity, PeerAddress};
use d402_rails::evm::Sequencer;
use d402_rails::simulated::server::{ClockMode, Location, Options, run_simchain};
use d402_rails::simulated::{SimClient, SimulatedRail};
use d402_store::Store;
use d402_wire::{NodeAddress, RawEnvelope};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{ValidatorFront, gateway, worker};
use crate::clock::SystemClock;
use crate::config::{ConfigError, NodeConfig, Role, setting};
use crate::net::{DirectoryService, P2pMarket, Roles, serve};

/// How often the directory is exchanged with the bootstrap peers.
const SYNC_EVERY: Duration = Duration::from_secs(20);

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Keys.
    #[error(transparent)]
    Keys(#[from] crate::keys::KeyError),
    /// Network.
    #[error("network: {what}")]
    Network {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Store.
    #[error("store")]
    Store(#[from] d402_store::OpenError),
    /// Engine.
    #[error("engine")]
    Engine(#[from] Box<d402_gateway::EngineError>),
    /// Simulated chain.
    #[error("simulated chain")]
    Simchain(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A chain of the gateway.
    #[error("{what}")]
    Base {
        /// What was being opened.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Sockets, files, child processes.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A role ended by itself.
    #[error("role ended unexpectedly: {role}")]
    RoleEnded {
        /// Which.
        role: &'static str,
    },
}

/// What a running node tells scripts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// libp2p peer id.
    pub node_id: String,
    /// Multiaddrs with `/p2p/`.
    pub addresses: Vec<String>,
    /// HTTP origin of the gateway.
    pub http: Option<String>,
    /// RPC of the simulated chain.
    pub simulated_rpc: Option<String>,
}

/// Everything a role is started with.
pub(super) struct Context {
    pub(super) config: NodeConfig,
    pub(super) store: Store,
    pub(super) market: Arc<P2pMarket>,
    pub(super) directory: DirectoryService,
    pub(super) rail: Option<Arc<SimulatedRail>>,
    pub(super) simulated_rpc: Option<String>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: JoinSet<Result<(), NodeError>>,
    /// One sender of transactions per EVM chain and key.
    pub(super) senders: BTreeMap<(u64, Address), Arc<Sequencer>>,
}

impl Context {
    pub(super) fn rail(&self, role: &'static str) -> Result<Arc<SimulatedRail>, ConfigError> {
        self.rail.clone().ok_or(ConfigError::Missing {
            role,
            field: "simulated-rpc",
        })
    }
}

/// Runs a node until the token is cancelled or a role fails. `ready` hears when it is up.
///
/// # Errors
/// [`NodeError`].
pub async fn run(
    config: NodeConfig,
    stop: CancellationToken,
    ready: impl FnOnce(&Ready),
) -> Result<(), NodeError> {
    std::fs::create_dir_all(&config.state_dir).map_err(|source| NodeError::Io {
        what: "state directory cannot be made",
        source,
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut tasks = JoinSet::new();
    let simulated_rpc = start_simchain(&config, &clock, &stop, &mut tasks).await?;
    let (network, inbox) = start_network(&config).await?;
    let market = Arc::new(P2pMarket::new(Arc::clone(&network)));
    let location = config
        .database
        .clone()
        .unwrap_or_else(|| config.state_dir.join("store").display().to_string());
    let store = Store::open(&location).await?;
    let directory = DirectoryService::new(store.directory(), market.clone(), Arc::clone(&clock));
    let rail = match simulated_rpc.as_deref() {
        Some(url) => Some(Arc::new(SimulatedRail::new(SimClient::new(url).map_err(
            |_| ConfigError::Setting {
                field: "simulated-rpc",
                got: url.to_owned(),
            },
        )?))),
        None => None,
    };
    let mut context = Context {
        config,
        store,
        market,
        directory,
        rail,
        simulated_rpc: simulated_rpc.clone(),
        clock,
        stop: stop.clone(),
        tasks,
        senders: BTreeMap::new(),
    };
    let (roles, http) = start_roles(&mut context).await?;
    context.market.serve_self(roles.clone());
    context
        .tasks
        .spawn(inbound(serve(inbox, roles.clone(), stop.clone())));
    import_files(&context).await?;
    spawn_sync(&mut context);
    let told = Ready {
        node_id: network.own_address().peer().to_string(),
        addresses: network
            .own_address()
            .to_multiaddrs()
            .iter()
            .map(ToString::to_string)
            .collect(),
        http,
        simulated_rpc,
    };
    write_ready(&context.config, &told)?;
    ready(&told);
    let outcome = wait(&mut context.tasks, &stop).await;
    stop.cancel();
    network.shutdown().await;
    while context.tasks.join_next().await.is_some() {}
    if let Some(front) = roles.validator {
        front.stop().await;
    }
    outcome
}

async fn inbound(serving: impl Future<Output = ()>) -> Result<(), NodeError> {
    serving.await;
    Ok(())
}

/// Until the stop, or the first role that fails.
async fn wait(
    tasks: &mut JoinSet<Result<(), NodeError>>,
    stop: &CancellationToken,
) -> Result<(), NodeError> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            ended = tasks.join_next() => match ended {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return Err(error),
                Some(Err(_panicked)) => return Err(NodeError::RoleEnded { role: "task" }),
                None => {
                    stop.cancelled().await;
                    return Ok(());
                }
            }
        }
    }
}

async fn start_roles(context: &mut Context) -> Result<(Roles, Option<String>), NodeError> {
    let mut http = None;
    let mut gateway = None;
    if context.config.has(Role::Gateway) {
        let (engine, url) = gateway::start(context).await?;
        (gateway, http) = (Some(engine), Some(url));
    }
    let worker = if context.config.has(Role::Worker) {
        Some(worker::start(context).await?)
    } else {
        None
    };
    let validator = if context.config.has(Role::Validator) {
        Some(ValidatorFront::start(context).await?)
    } else {
        None
    };
    Ok((
        Roles {
            directory: context.directory.clone(),
            gateway,
            worker,
            validator,
        },
        http,
    ))
}

async fn start_simchain(
    config: &NodeConfig,
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
    tasks: &mut JoinSet<Result<(), NodeError>>,
) -> Result<Option<String>, NodeError> {
    if !config.has(Role::Simchain) {
        return Ok(config.simulated_rpc.clone());
    }
    let listen = config
        .simchain
        .listen
        .unwrap_or_else(|| std::net::SocketAddr::from(([127, 0, 0, 1], 7402)));
    let options = Options {
        clock: if config.simchain.faults {
            ClockMode::Virtual
        } else {
            ClockMode::Real
        },
        allow_faucet: config.simchain.faucet,
        allow_faults: config.simchain.faults,
    };
    let location = Location::File(config.state_dir.join("simchain.sqlite"));
    let (clock, stop) = (Arc::clone(clock), stop.clone());
    tasks.spawn(async move {
        let until = async move { stop.cancelled().await };
        run_simchain(listen, location, options, clock, until)
            .await
            .map_err(|e| NodeError::Simchain(Box::new(e)))
    });
    Ok(Some(
        config
            .simulated_rpc
            .clone()
            .unwrap_or_else(|| format!("http://{listen}")),
    ))
}

async fn start_network(
    config: &NodeConfig,
) -> Result<(Arc<dyn Network>, d402_p2p::Inbox), NodeError> {
    let failed = |what, source: Box<dyn std::error::Error + Send + Sync>| NodeError::Network {
        what,
        source,
    };
    let identity = NodeIdentity::load_or_create(&config.state_dir)
        .map_err(|e| failed("node key", Box::new(e)))?;
    let mut network = NetworkConfig {
        peerstore: Some(config.state_dir.join("peers.json")),
        ..NetworkConfig::default()
    };
    for address in &config.listen {
        network.listen.push(setting("listen", address)?);
    }
    for address in &config.advertise {
        network.advertise.push(setting("advertise", address)?);
    }
    for address in &config.bootstrap {
        let peer = PeerAddress::parse_multiaddr(address)
            .map_err(|e| failed("bootstrap address", Box::new(e)))?;
        network.bootstrap.push(peer);
    }
    let (network, inbox) = Libp2pNetwork::start(identity, network)
        .await
        .map_err(|e| failed("start", Box::new(e)))?;
    Ok((Arc::new(network), inbox))
}

/// Signed objects from files go into the directory and out to the peers.
async fn import_files(context: &Context) -> Result<(), NodeError> {
    for path in &context.config.import {
        for object in read_objects(path)? {
            if let Err(error) = context.directory.publish(object).await {
                tracing::warn!(path = %path.display(), %error, "object is not imported");
            }
        }
    }
    Ok(())
}

fn read_objects(path: &Path) -> Result<Vec<RawEnvelope>, NodeError> {
    let bytes = std::fs::read(path).map_err(|source| NodeError::Io {
        what: "import file cannot be read",
        source,
    })?;
    let value = d402_objects::strict::parse_value(&bytes, 16 * 1024 * 1024).map_err(|_| {
        ConfigError::Setting {
            field: "import",
            got: path.display().to_string(),
        }
    })?;
    if let serde_json::Value::Array(items) = value {
        return Ok(items.iter().map(RawEnvelope::from).collect());
    }
    Ok(vec![RawEnvelope::from(&value)])
}

/// Keeps the directory in step with the bootstrap peers; gossip covers the time between.
fn spawn_sync(context: &mut Context) {
    let peers: Vec<NodeAddress> = context
        .config
        .bootstrap
        .iter()
        .filter_map(|text| PeerAddress::parse_multiaddr(text).ok())
        .map(|peer| NodeAddress {
            node_id: peer.peer().to_string(),
            addresses: peer.addresses().iter().map(ToString::to_string).collect(),
        })
        .collect();
    let (directory, stop) = (context.directory.clone(), context.stop.clone());
    context.tasks.spawn(async move {
        let mut interval = tokio::time::interval(SYNC_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = interval.tick() => for peer in &peers {
                    directory.sync_with(peer).await;
                }
            }
        }
    });
}

fn write_ready(config: &NodeConfig, ready: &Ready) -> Result<(), NodeError> {
    let Some(path) = &config.ready_file else {
        return Ok(());
    };
    let io = |source| NodeError::Io {
        what: "ready file cannot be written",
        source,
    };
    let text = serde_json::to_vec(ready).unwrap_or_default();
    // Written aside and renamed: whoever sees the file sees all of it.
    let aside = path.with_extension("part");
    std::fs::write(&aside, text).map_err(io)?;
    std::fs::rename(&aside, path).map_err(io)
}

/// The market network as its port.
pub(super) fn port(market: &Arc<P2pMarket>) -> Arc<dyn MarketNetwork> {
    market.clone()
}
