//! The demo's processes: started, waited for, and ended.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use d402_objects::{Amount, Bps, Commission, Ed25519Id, Hex32, SigningKey};
use d402_rails::simulated::{BuyerAccount, SimClient};
use d402_wire::simchain::{NETWORK, Rpc};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::pages::Pages;
use crate::cli::{Failure, Output};
use crate::config::{NodeConfig, Role};
use crate::keys;

/// How long a node may take to come up.
const START: Duration = Duration::from_secs(40);
/// How long a node may take to leave.
const LEAVE: Duration = Duration::from_secs(5);
/// Units given to the buyer: ten dollars.
const PURSE: u64 = 10_000_000;
/// Creator's share of worker pay.
const COMMISSION_BPS: u16 = 1_000;
/// What every validator asks per task.
const VALIDATOR_FEE: &str = "300";

/// A worker or validator of the demo.
pub(super) struct Actor {
    /// What people call it.
    pub(super) label: &'static str,
    /// Where it is paid.
    pub(super) payee: Hex32,
    /// Whether it is told to lie.
    pub(super) lies: bool,
}

/// A running market.
pub(super) struct Market {
    children: Vec<(String, Child)>,
    /// Workers, cheapest first.
    pub(super) workers: Vec<Actor>,
    /// Validators.
    pub(super) validators: Vec<Actor>,
    /// Creator's payout account.
    pub(super) creator: Hex32,
    /// Gateway's fee account.
    pub(super) gateway_payee: Hex32,
    /// Gateway origin.
    pub(super) gateway: String,
    /// Who buys.
    pub(super) buyer: BuyerAccount,
    /// Where bundles are kept.
    pub(super) bundles: PathBuf,
}

struct WorkerPlan {
    label: &'static str,
    price: &'static str,
    behaviour: &'static str,
}

/// The liar undercuts everybody, so that it gets the first lease; the slow one is second.
const WORKERS: [WorkerPlan; 4] = [
    WorkerPlan {
        label: "worker-liar",
        price: "5000",
        behaviour: "lie",
    },
    WorkerPlan {
        label: "worker-slow",
        price: "6000",
        behaviour: "slow:1500",
    },
    WorkerPlan {
        label: "worker-ann",
        price: "7000",
        behaviour: "honest",
    },
    WorkerPlan {
        label: "worker-bob",
        price: "8000",
        behaviour: "honest",
    },
];

const VALIDATORS: [(&str, &str); 4] = [
    ("validator-one", "none"),
    ("validator-two", "none"),
    ("validator-three", "none"),
    ("validator-liar", "inverts-verdicts"),
];

/// A payout account that nobody needs a key for in the demo.
fn account(label: &str) -> Hex32 {
    use sha2::{Digest as _, Sha256};
    let seed: [u8; 32] = Sha256::digest(format!("d402 demo account of {label}")).into();
    BuyerAccount::from_seed(&seed).address()
}

impl Market {
    /// Starts everything and waits until the gateway can sell.
    pub(super) async fn start(
        state: &Path,
        pages: &Pages,
        url: Option<&str>,
        output: Output,
    ) -> Result<Self, Failure> {
        let mut hosts = vec![pages.host()];
        hosts.extend(url.and_then(host_of));
        let mut market = Self::plan(state)?;
        let rpc = market.start_simchain(state, output).await?;
        let import = market.sign_capabilities(state)?;
        let bootstrap = market.start_bootstrap(state, &import, output).await?;
        let base = |label: &str| {
            let mut config = NodeConfig::at(state.join(label));
            config.bootstrap = vec![bootstrap.clone()];
            config.simulated_rpc = Some(rpc.clone());
            config
        };
        let mut waiting = Vec::new();
        for (label, misbehaviour) in VALIDATORS {
            let mut config = base(label);
            config.roles = vec![Role::Validator];
            config.validator.payout = Some(account(label).to_string());
            config.validator.fee = Some(VALIDATOR_FEE.to_owned());
            config.validator.misbehaviour = Some(misbehaviour.to_owned());
            config.validator.allow_hosts.clone_from(&hosts);
            waiting.push((label, market.spawn(label, config)?));
        }
        for plan in WORKERS {
            let mut config = base(plan.label);
            config.roles = vec![Role::Worker];
            let sold = d402_capabilities::capabilities().iter();
            config.worker.prices = sold
                .map(|c| {
                    (
                        c.manifest().capability_id().to_owned(),
                        plan.price.to_owned(),
                    )
                })
                .collect();
            config.worker.payouts = [(NETWORK.to_owned(), account(plan.label).to_string())].into();
            config.worker.allow_hosts.clone_from(&hosts);
            config.worker.behaviour = Some(plan.behaviour.to_owned());
            waiting.push((plan.label, market.spawn(plan.label, config)?));
        }
        let mut config = base("gateway");
        config.roles = vec![Role::Gateway];
        config.gateway.http = Some(([127, 0, 0, 1], free_port()?).into());
        config.gateway.policy = market.policy()?;
        waiting.push(("gateway", market.spawn("gateway", config)?));
        for (label, ready_file) in waiting {
            let ready = market.wait_ready(label, &ready_file).await?;
            output.field(
                label,
                ready
                    .get("nodeId")
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            );
            if let Some(http) = ready.get("http").and_then(Value::as_str) {
                http.clone_into(&mut market.gateway);
            }
        }
        market.fill_purse(&rpc).await?;
        market.wait_until_it_sells().await?;
        Ok(market)
    }

    fn plan(state: &Path) -> Result<Self, Failure> {
        let actor = |label: &'static str, lies| Actor {
            label,
            payee: account(label),
            lies,
        };
        Ok(Self {
            children: Vec::new(),
            workers: WORKERS
                .iter()
                .map(|w| actor(w.label, w.behaviour == "lie"))
                .collect(),
            validators: VALIDATORS
                .iter()
                .map(|(label, m)| actor(label, *m != "none"))
                .collect(),
            creator: account("creator"),
            gateway_payee: account("gateway"),
            gateway: String::new(),
            buyer: BuyerAccount::new(keys::load_or_create(&state.join("buyer.key"))?),
            bundles: state.join("bundles"),
        })
    }

    async fn start_simchain(&mut self, state: &Path, output: Output) -> Result<String, Failure> {
        let mut config = NodeConfig::at(state.join("simchain"));
        config.roles = vec![Role::Simchain];
        config.simchain.listen = Some(([127, 0, 0, 1], free_port()?).into());
        config.simchain.faucet = true;
        let ready_file = self.spawn("simchain", config)?;
        let ready = self.wait_ready("simchain", &ready_file).await?;
        let rpc = ready
            .get("simulatedRpc")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        output.field("simchain", &rpc);
        Ok(rpc)
    }

    async fn start_bootstrap(
        &mut self,
        state: &Path,
        import: &Path,
        output: Output,
    ) -> Result<String, Failure> {
        let mut config = NodeConfig::at(state.join("bootstrap"));
        config.roles = vec![Role::Bootstrap];
        config.import = vec![import.to_owned()];
        let ready_file = self.spawn("bootstrap", config)?;
        let ready = self.wait_ready("bootstrap", &ready_file).await?;
        let address = ready
            .pointer("/addresses/0")
            .and_then(Value::as_str)
            .ok_or("bootstrap node has no address")?;
        output.field("bootstrap", address);
        Ok(address.to_owned())
    }

    /// The creator signs every built-in manifest and registers it with a commission.
    fn sign_capabilities(&self, state: &Path) -> Result<PathBuf, Failure> {
        let key: SigningKey = keys::load_or_create(&state.join("creator.key"))?;
        let now_ms = d402_core::ports::Clock::now_ms(&crate::clock::SystemClock);
        let mut objects = Vec::new();
        for listed in d402_capabilities::capabilities() {
            let manifest = crate::cli::manifest_of(
                listed.manifest_template().as_bytes(),
                Ed25519Id::from(&key),
            )?;
            let commission = Commission {
                bps: Bps::new(COMMISSION_BPS)?,
                wallets: [(NETWORK.parse()?, self.creator.to_string().parse()?)].into(),
            };
            let (manifest, registration) =
                crate::cli::register(&key, manifest, "d402.demo".parse()?, commission, now_ms)?;
            objects.push(manifest.to_value());
            objects.push(registration.to_value());
        }
        let path = state.join("capabilities.json");
        crate::cli::write_json(&path, &Value::Array(objects))?;
        Ok(path)
    }

    fn policy(&self) -> Result<d402_gateway::http::Policy, Failure> {
        Ok(serde_json::from_value(json!({
            "gateway-fee-bps": 200,
            "gateway-fee-payees": { NETWORK: self.gateway_payee.to_string() },
            "validator-set-size": 4,
            "validator-threshold": 3,
            // The whole demo is on loopback.
            "distinct-subnets": false,
        }))?)
    }

    /// Starts a node as a process of its own; its log is a file beside its state.
    fn spawn(&mut self, label: &str, mut config: NodeConfig) -> Result<PathBuf, Failure> {
        std::fs::create_dir_all(&config.state_dir)?;
        let ready_file = config.state_dir.join("ready.json");
        config.ready_file = Some(ready_file.clone());
        let path = config.state_dir.join("node.toml");
        std::fs::write(&path, toml::to_string(&config)?)?;
        let log = std::fs::File::create(config.state_dir.join("node.log"))?;
        let child = Command::new(std::env::current_exe()?)
            .args(["--json", "node", "--config"])
            .arg(&path)
            .env(
                "RUST_LOG",
                std::env::var("D402_DEMO_LOG").unwrap_or_else(|_| "info,libp2p=warn".to_owned()),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .kill_on_drop(true)
            .spawn()?;
        self.children.push((label.to_owned(), child));
        Ok(ready_file)
    }

    async fn wait_ready(&mut self, label: &str, file: &Path) -> Result<Value, Failure> {
        let waiting = async {
            loop {
                if let Ok(bytes) = std::fs::read(file) {
                    return serde_json::from_slice::<Value>(&bytes).map_err(Failure::from);
                }
                if let Some((_, child)) = self.children.iter_mut().find(|(l, _)| l == label)
                    && let Some(status) = child.try_wait()?
                {
                    let log = file.with_file_name("node.log");
                    return Err(format!(
                        "{label} ended at its start ({status}); see {}",
                        log.display()
                    )
                    .into());
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        };
        tokio::time::timeout(START, waiting)
            .await
            .map_err(|_| format!("{label} did not come up in time"))?
    }

    async fn fill_purse(&self, rpc: &str) -> Result<(), Failure> {
        let mint = Rpc::Mint {
            to: self.buyer.address(),
            asset: d402_settlement::market::simulated_asset(),
            amount: Amount::from(PURSE),
        };
        SimClient::new(rpc)?.execute(&mint).await?;
        Ok(())
    }

    /// The gateway knows all capabilities and enough validators.
    async fn wait_until_it_sells(&self) -> Result<(), Failure> {
        let client = crate::buyer::GatewayClient::new(&self.gateway)?;
        let all = d402_capabilities::capabilities().len();
        let waiting = async {
            loop {
                let known = client
                    .get_json("/capabilities", None)
                    .await
                    .unwrap_or(Value::Null);
                let sold = known
                    .get("capabilities")
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len);
                let judges = known
                    .get("validatorOffers")
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len);
                if sold >= all && judges >= VALIDATORS.len() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let known = tokio::time::timeout(START, waiting).await;
        known.map_err(|_| "the gateway did not learn of capabilities and validators in time".into())
    }

    /// Asks every process to leave, and ends those that do not.
    pub(super) async fn stop(&mut self) {
        for (_, child) in &self.children {
            if let Some(id) = child.id() {
                // `kill` of the system: SIGTERM needs no unsafe code this way.
                let _asked = Command::new("kill")
                    .arg("-TERM")
                    .arg(id.to_string())
                    .status()
                    .await;
            }
        }
        for (label, child) in &mut self.children {
            if tokio::time::timeout(LEAVE, child.wait()).await.is_err() {
                tracing::warn!(label, "did not leave, ending it");
                let _ended = child.kill().await;
            }
        }
    }

    /// Who owns a payout account.
    pub(super) fn name_of(&self, payee: &str) -> String {
        let known = self
            .workers
            .iter()
            .chain(&self.validators)
            .find(|a| a.payee.to_string() == payee);
        match known {
            Some(actor) => actor.label.to_owned(),
            None if payee == self.creator.to_string() => "creator".to_owned(),
            None if payee == self.gateway_payee.to_string() => "gateway".to_owned(),
            None => payee.chars().take(12).collect(),
        }
    }
}

/// `host:port` of a URL, for the allow list of this run.
fn host_of(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(authority.to_owned()).filter(|a| !a.is_empty())
}

/// A port nobody listens on right now.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
