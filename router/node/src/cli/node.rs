//! `d402 node`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::gateway_flags::GatewayFlags;
use super::{Failure, Output};
use crate::config::{NodeConfig, Role};
use crate::roles;

/// Flags override the file; the file overrides defaults. See docs/runbooks/node.md.
#[derive(Args)]
pub(super) struct NodeArgs {
    /// TOML configuration.
    #[arg(long, env = "D402_CONFIG")]
    config: Option<PathBuf>,
    /// Roles, comma separated.
    #[arg(long, value_delimiter = ',', env = "D402_ROLES")]
    role: Vec<Role>,
    /// Node key, role keys, databases and content.
    #[arg(long, env = "D402_STATE")]
    state: Option<PathBuf>,
    /// libp2p listen address; may be repeated.
    #[arg(long)]
    listen: Vec<String>,
    /// Peer to start from, `/ip4/…/tcp/…/p2p/<id>`; may be repeated.
    #[arg(long)]
    bootstrap: Vec<String>,
    /// `postgres://…` or a folder for SQLite.
    #[arg(long, env = "D402_DATABASE")]
    database: Option<String>,
    /// RPC of the simulated chain.
    #[arg(long, env = "D402_SIMULATED_RPC")]
    simulated_rpc: Option<String>,
    /// HTTP listen address of the gateway.
    #[arg(long)]
    http: Option<SocketAddr>,
    /// File of signed objects to publish; may be repeated.
    #[arg(long)]
    import: Vec<PathBuf>,
    /// File to write once the node is up.
    #[arg(long)]
    ready_file: Option<PathBuf>,
    #[command(flatten)]
    gateway: GatewayFlags,
}

impl NodeArgs {
    fn into_config(self) -> Result<NodeConfig, Failure> {
        let mut config = match &self.config {
            Some(path) => NodeConfig::read(path)?,
            None => NodeConfig::at(PathBuf::from(".d402")),
        };
        if !self.role.is_empty() {
            config.roles = self.role;
        }
        if let Some(state) = self.state {
            config.state_dir = state;
        }
        if !self.listen.is_empty() {
            config.listen = self.listen;
        }
        config.bootstrap.extend(self.bootstrap);
        config.import.extend(self.import);
        config.database = self.database.or(config.database);
        config.simulated_rpc = self.simulated_rpc.or(config.simulated_rpc);
        config.ready_file = self.ready_file.or(config.ready_file);
        config.gateway.http = self.http.or(config.gateway.http);
        self.gateway.override_section(&mut config.gateway);
        if config.roles.is_empty() {
            return Err("no role given; for example: d402 node --role bootstrap".into());
        }
        Ok(config)
    }
}

pub(super) async fn run(args: NodeArgs, output: Output) -> Result<(), Failure> {
    let config = args.into_config()?;
    let roles = config.roles.clone();
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    roles::run(config, stop, |ready| {
        tracing::info!(
            ?roles,
            node = %ready.node_id,
            addresses = ?ready.addresses,
            http = ready.http.as_deref(),
            simulated_rpc = ready.simulated_rpc.as_deref(),
            "node is up"
        );
        output.heading(format!("d402 node is up: {roles:?}"));
        output.field("node", &ready.node_id);
        for address in &ready.addresses {
            output.field("address", address);
        }
        if let Some(http) = &ready.http {
            output.field("http", http);
        }
        if let Some(rpc) = &ready.simulated_rpc {
            output.field("simulated rpc", rpc);
        }
        output.document(ready);
    })
    .await?;
    Ok(())
}

/// SIGINT or SIGTERM: stop taking work, finish what is stored, leave.
async fn stop_on_signal(stop: CancellationToken) {
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match terminate {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _signal = tokio::signal::ctrl_c().await;
        }
    }
    stop.cancel();
}
