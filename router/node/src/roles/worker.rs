//! The worker role.

use std::collections::BTreeMap;
use std::sync::Arc;

use d402_capabilities::{Sandbox, SandboxConfig};
use d402_core::ports::Rail;
use d402_worker::service::Ports;
use d402_worker::{Behaviour, BidPolicy, Worker, WorkerConfig};

use super::start::{Context, NodeError, port};
use crate::config::{ConfigError, setting};
use crate::keys;

/// Executors at the same time, and leases when nothing else is said.
const DEFAULT_RUNNING: usize = 4;

/// Starts a worker.
pub(super) async fn start(context: &mut Context) -> Result<Worker, NodeError> {
    let section = context.config.worker.clone();
    let key = keys::load_or_create(&context.config.state_dir.join("keys/worker.key"))?;
    let max_running = section.max_running.unwrap_or(DEFAULT_RUNNING);
    let behaviour = match &section.behaviour {
        Some(text) => Behaviour::parse(text).map_err(|got| ConfigError::Setting {
            field: "worker.behaviour",
            got,
        })?,
        None => Behaviour::Honest,
    };
    if behaviour != Behaviour::Honest {
        tracing::error!(?behaviour, "THIS WORKER IS TOLD TO MISBEHAVE");
    }
    let mut sandbox = SandboxConfig::current_exe().map_err(|source| NodeError::Io {
        what: "own program is not known",
        source,
    })?;
    sandbox.max_children = max_running;
    sandbox.allow_hosts.clone_from(&section.allow_hosts);
    let policy = BidPolicy {
        prices: parse_map("worker.prices", &section.prices)?,
        payouts: parse_map("worker.payouts", &section.payouts)?,
        gateways: Vec::new(),
        max_running,
    };
    let mut rails: Vec<Arc<dyn Rail>> = Vec::new();
    if let Some(simulated) = &context.rail {
        rails.push(simulated.clone());
    }
    for chain in &section.rails {
        rails.push(super::base::open(context, chain).await?.0);
    }
    for cluster in &section.solana {
        rails.push(super::solana::open(context, cluster).await?.0);
    }
    let ports = Ports {
        network: port(&context.market),
        blobs: context.store.blobs(),
        rails,
        clock: Arc::clone(&context.clock),
    };
    Ok(Worker::new(
        WorkerConfig {
            key,
            policy,
            sandbox: Sandbox::new(sandbox),
            behaviour,
        },
        ports,
    ))
}

fn parse_map<K, V>(
    field: &'static str,
    map: &BTreeMap<String, String>,
) -> Result<BTreeMap<K, V>, ConfigError>
where
    K: std::str::FromStr + Ord,
    V: std::str::FromStr,
{
    map.iter()
        .map(|(k, v)| Ok((setting(field, k)?, setting(field, v)?)))
        .collect()
}
