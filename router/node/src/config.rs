//! What an operator tells a node: a TOML file; flags of `d402 node` override it. docs/runbooks/node.md lists
//! every field.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A role of a node. One node may have any mix.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Introduces peers and keeps the directory; every node does, this one does nothing else.
    Bootstrap,
    /// Sells tasks over HTTP and runs the market.
    Gateway,
    /// Works.
    Worker,
    /// Front of a validator bridge, which it starts.
    Validator,
    /// The simulated chain.
    Simchain,
}

/// Configuration of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NodeConfig {
    /// Roles.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// Node key, role keys, databases and content live here.
    pub state_dir: PathBuf,
    /// libp2p listen addresses; `/ip4/127.0.0.1/tcp/0` when absent.
    #[serde(default = "default_listen")]
    pub listen: Vec<String>,
    /// Addresses told to others; the listen addresses when absent.
    #[serde(default)]
    pub advertise: Vec<String>,
    /// Peers to start from, `/ip4/…/tcp/…/p2p/<id>`.
    #[serde(default)]
    pub bootstrap: Vec<String>,
    /// `postgres://…` or a folder for SQLite; `<state-dir>/store` when absent.
    #[serde(default)]
    pub database: Option<String>,
    /// Files of signed objects (one JSON envelope or an array of them) to put into the directory and publish.
    #[serde(default)]
    pub import: Vec<PathBuf>,
    /// RPC of the simulated chain.
    #[serde(default)]
    pub simulated_rpc: Option<String>,
    /// File to write `{"nodeId", "addresses", "http"}` to once the node is up; for scripts.
    #[serde(default)]
    pub ready_file: Option<PathBuf>,
    /// Gateway.
    #[serde(default)]
    pub gateway: GatewaySection,
    /// Worker.
    #[serde(default)]
    pub worker: WorkerSection,
    /// Validator.
    #[serde(default)]
    pub validator: ValidatorSection,
    /// Simulated chain.
    #[serde(default)]
    pub simchain: SimchainSection,
}

/// Gateway settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GatewaySection {
    /// HTTP listen address; `127.0.0.1:7401` when absent.
    #[serde(default)]
    pub http: Option<SocketAddr>,
    /// Origin clients see, e.g. `https://gateway.example`; the listen address when absent.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Acceptance policy.
    #[serde(default)]
    pub policy: d402_gateway::http::Policy,
    /// Bounds of the HTTP boundary.
    #[serde(default)]
    pub limits: d402_gateway::http::Limits,
    /// Web pages that may call.
    #[serde(default)]
    pub cors: d402_gateway::http::Cors,
    /// Chains it sells on besides the simulated one, one `[[gateway.rail]]` section each.
    #[serde(default, rename = "rail")]
    pub rails: Vec<GatewayRail>,
    /// Solana clusters it sells on, one `[[gateway.solana]]` section each.
    #[serde(default)]
    pub solana: Vec<SolanaRail>,
}

/// A chain a gateway sells on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GatewayRail {
    /// `base-escrow`, or `base-direct`: paid straight to a worker the request names.
    pub name: String,
    /// CAIP-2 name of the chain, e.g. `eip155:84532`.
    pub network: String,
    /// RPC of the chain.
    pub rpc: String,
    /// A second provider of the same chain; nothing is believed that the two do not agree on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_rpc: Option<String>,
    /// Keystore (version 3) of the key that pays the gas. One gateway process per key.
    pub keystore: PathBuf,
    /// File with its password.
    pub password_file: PathBuf,
    /// Token, lower-case hex.
    pub asset: String,
    /// EIP-712 name of the token.
    pub asset_name: String,
    /// EIP-712 version of the token.
    pub asset_version: String,
    /// Smallest budget, base units; 100,000 ($0.10) when absent: ten times what the chain costs (threat #61).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_budget: Option<d402_objects::Amount>,
    /// Largest budget, base units; 10,000,000 ($10) when absent: above it a deposit takes minutes to be sure
    /// (threat #36), and deadlines must allow for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_budget: Option<d402_objects::Amount>,
    /// Most to pay per gas, gwei; 5 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fee_gwei: Option<u64>,
    /// Whether the chain is one of this machine, without final blocks.
    #[serde(default)]
    pub development: bool,
}

/// A Solana cluster a gateway sells on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SolanaRail {
    /// CAIP-2 name of the cluster, e.g. `solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1`.
    pub network: String,
    /// RPC of the cluster.
    pub rpc: String,
    /// A second provider of the same cluster; nothing is believed that the two do not agree on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_rpc: Option<String>,
    /// Key file of the Solana tools; the key pays fees, and rent until it comes back. One gateway process per key.
    pub key: PathBuf,
    /// Mint of the token.
    pub asset: String,
    /// Its name, for people.
    pub asset_name: String,
    /// Address lookup table with what every settlement names; larger receipts go in two steps without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup_table: Option<String>,
    /// Smallest budget, base units; 50,000 ($0.05) when absent: ten times what the cluster takes (threat #61).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_budget: Option<d402_objects::Amount>,
    /// Largest budget, base units; 10,000,000 ($10) when absent: above it a deposit must be finalized (threat
    /// #36), and deadlines must allow for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_budget: Option<d402_objects::Amount>,
    /// Most lamports the key signs away within a day, rent that comes back included; 1 SOL when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_lamports: Option<u64>,
    /// Whether vaults are opened for requests nobody paid for yet, under the caps of ADR 0027; stock x402 clients
    /// cannot pay into a vault otherwise.
    #[serde(default)]
    pub open_vaults: bool,
    /// Whether the cluster is one of this machine.
    #[serde(default)]
    pub development: bool,
}

/// Worker settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WorkerSection {
    /// Price per task in base units (decimal), by capability id.
    #[serde(default)]
    pub prices: BTreeMap<String, String>,
    /// Payout wallet per CAIP-2 network.
    #[serde(default)]
    pub payouts: BTreeMap<String, String>,
    /// Chains on which it can settle by itself, with a key that pays the gas, one `[[worker.rail]]` section
    /// each; budgets do not matter here.
    #[serde(default, rename = "rail")]
    pub rails: Vec<GatewayRail>,
    /// The same on Solana, one `[[worker.solana]]` section each.
    #[serde(default)]
    pub solana: Vec<SolanaRail>,
    /// Where it lets itself be paid straight, one `[[worker.direct]]` section each.
    #[serde(default)]
    pub direct: Vec<WorkerDirect>,
    /// Leases at the same time; 4 when absent.
    #[serde(default)]
    pub max_running: Option<usize>,
    /// Private hosts its executors may reach: `host`, `host:port` or a CIDR.
    #[serde(default)]
    pub allow_hosts: Vec<String>,
    /// `honest`, or for demo and tests `lie`, `vanish`, `slow:<ms>`.
    #[serde(default)]
    pub behaviour: Option<String>,
}

/// A token in which a worker lets itself be paid straight: no escrow holds the money while it works, and the risk
/// that the buyer spends it meanwhile is the worker's.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WorkerDirect {
    /// CAIP-2 name; there must be a payout for it.
    pub network: String,
    /// Token, as the network spells it.
    pub asset: String,
    /// Price per task, base units: what buyers see and pay.
    pub price: d402_objects::Amount,
}

/// Validator settings; the bridge reads its own file, which the front writes from these.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ValidatorSection {
    /// Payout account on the simulated network.
    #[serde(default)]
    pub payout: Option<String>,
    /// Fee per judged task there, base units.
    #[serde(default)]
    pub fee: Option<String>,
    /// Further networks it judges for, one `[[validator.rail]]` section each.
    #[serde(default, rename = "rail")]
    pub rails: Vec<ValidatorRail>,
    /// Private hosts its executors may reach.
    #[serde(default)]
    pub allow_hosts: Vec<String>,
    /// `none`, or for demo and tests `inverts-verdicts`, `silent`.
    #[serde(default)]
    pub misbehaviour: Option<String>,
    /// The bridge program; `d402-validator` beside this program when absent.
    #[serde(default)]
    pub program: Option<PathBuf>,
}

/// A network on which the validator is paid; handed to its bridge as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ValidatorRail {
    /// CAIP-2 name.
    pub network: String,
    /// The validator's own RPC of that chain.
    pub rpc: String,
    /// A second provider that must agree with the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_rpc: Option<String>,
    /// Whether the chain is one of this machine.
    #[serde(default)]
    pub development: bool,
    /// Payout account, as the network spells it.
    pub payout: String,
    /// Fee per judged task, base units.
    pub fee: String,
    /// Asset the fee is in; absent only for the simulated dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
}

/// Simulated chain settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SimchainSection {
    /// RPC listen address; `127.0.0.1:7402` when absent.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// Whether units can be made out of nothing; for demo and tests.
    #[serde(default)]
    pub faucet: bool,
    /// Whether the clock can be moved and faults be armed; for tests.
    #[serde(default)]
    pub faults: bool,
}

fn default_listen() -> Vec<String> {
    vec!["/ip4/127.0.0.1/tcp/0".to_owned()]
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML of this shape.
    #[error("configuration file {}", path.display())]
    Toml {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A setting does not hold what it should.
    #[error("setting {field} is not valid: {got}")]
    Setting {
        /// Which one.
        field: &'static str,
        /// What it holds.
        got: String,
    },
    /// A bound that cannot work.
    #[error("section [gateway.limits]")]
    Limits(#[from] d402_gateway::http::BadLimit),
    /// An origin no browser sends.
    #[error("section [gateway.cors]")]
    Cors(#[from] d402_gateway::http::BadOrigin),
    /// A role misses a setting.
    #[error("role {role} needs {field}")]
    Missing {
        /// The role.
        role: &'static str,
        /// What it needs.
        field: &'static str,
    },
}

impl NodeConfig {
    /// A configuration with defaults and a state directory.
    #[must_use]
    pub fn at(state_dir: PathBuf) -> Self {
        Self {
            roles: Vec::new(),
            state_dir,
            listen: default_listen(),
            advertise: Vec::new(),
            bootstrap: Vec::new(),
            database: None,
            import: Vec::new(),
            simulated_rpc: None,
            ready_file: None,
            gateway: GatewaySection::default(),
            worker: WorkerSection::default(),
            validator: ValidatorSection::default(),
            simchain: SimchainSection::default(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| ConfigError::Toml {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Whether the node has a role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// Parses a setting.
///
/// # Errors
/// [`ConfigError::Setting`] names it.
pub fn setting<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, ConfigError> {
    text.parse().map_err(|_| ConfigError::Setting {
        field,
        got: text.to_owned(),
    })
}
