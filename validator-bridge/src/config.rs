//! What a validator is told: a TOML file, and flags on top.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Configuration of one bridge.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BridgeConfig {
    /// Keys, journal and evidence live here.
    pub state_dir: PathBuf,
    /// Unix socket for the front; made by the bridge, mode 0600.
    pub socket: PathBuf,
    /// What this validator judges for: one `[[rail]]` section per network and asset, the chain of each network
    /// looked at through the first.
    #[serde(rename = "rail")]
    pub rails: Vec<RailConfig>,
    /// Capabilities judged; all that this build has when empty.
    #[serde(default)]
    pub families: Vec<String>,
    /// Hosts the executors may reach although they are private: `host`, `host:port` or a CIDR.
    #[serde(default)]
    pub allow_hosts: Vec<String>,
    /// Judgements at the same time.
    #[serde(default = "default_judges")]
    pub max_judges: usize,
    /// Program that runs executors, with `exec`; this program when absent.
    #[serde(default)]
    pub executor: Option<PathBuf>,
    /// For demo and tests.
    #[serde(default)]
    pub misbehaviour: Misbehaviour,
}

/// A network on which this validator is paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RailConfig {
    /// CAIP-2 name, e.g. `d402:simulated` or `eip155:84532`.
    pub network: String,
    /// The validator's own RPC of that chain, e.g. `http://127.0.0.1:7402`.
    pub rpc: String,
    /// A second provider of the same chain; nothing is believed that the two do not agree on.
    #[serde(default)]
    pub second_rpc: Option<String>,
    /// Whether the chain is one of this machine, without final blocks.
    #[serde(default)]
    pub development: bool,
    /// Payout account, as the network spells it.
    pub payout: String,
    /// Fee per judged task, base units, decimal.
    pub fee: String,
    /// Asset the fee is in; absent only for the simulated dollar.
    #[serde(default)]
    pub asset: Option<String>,
}

/// Misbehaviour a demo or a test asks a validator for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misbehaviour {
    /// As the protocol says.
    #[default]
    None,
    /// Says reject for accept and accept for reject.
    InvertsVerdicts,
    /// Acks and judges, and never helps to settle.
    Silent,
}

fn default_judges() -> usize {
    2
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file cannot be read")]
    File(#[source] std::io::Error),
    /// Not TOML of this shape.
    #[error("configuration file is not valid")]
    Toml(#[source] toml::de::Error),
    /// A field does not hold what it should.
    #[error("configuration field {field} is not valid")]
    Field {
        /// Which one.
        field: &'static str,
    },
}

impl BridgeConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(ConfigError::File)?;
        toml::from_str(&text).map_err(ConfigError::Toml)
    }
}
