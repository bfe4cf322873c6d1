//! A whole market on loopback: simulated chain with faults, bootstrap, validators, workers, gateways.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use d402_node::buyer::GatewayClient;
use d402_node::config::{NodeConfig, Role};
use d402_node::{cli, keys};
use d402_objects::{Bps, Commission, Ed25519Id, Hex32, SigningKey};
use d402_rails::simulated::BuyerAccount;
use d402_wire::simchain::NETWORK;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::processes::Node;
use crate::{Chain, eventually, now_ms};

/// How long until a gateway knows everybody, on a busy machine.
const SELLS: Duration = Duration::from_secs(60);
/// What the buyer gets.
const PURSE: u64 = 1_000_000_000;
/// What every validator asks per task.
const FEE: &str = "300";
/// Labels of the validators.
const VALIDATORS: [&str; 4] = ["validator-0", "validator-1", "validator-2", "validator-3"];

/// A worker to start.
#[derive(Clone, Copy, Debug)]
pub struct WorkerPlan {
    /// Price of every capability, base units.
    pub price: &'static str,
    /// `honest`, `slow:<ms>`, `lie`, `vanish`.
    pub behaviour: &'static str,
}

/// Gateways to start.
#[derive(Clone, Debug, Default)]
pub struct GatewayPlan {
    /// How many; they share keys and database.
    pub instances: usize,
    /// Database URL; each has a SQLite folder of its own otherwise.
    pub database: Option<String>,
}

/// A market to start.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Workers, cheapest first.
    pub workers: Vec<WorkerPlan>,
    /// Gateways.
    pub gateways: GatewayPlan,
}

impl Default for Plan {
    fn default() -> Self {
        let worker = |price, behaviour| WorkerPlan { price, behaviour };
        Self {
            workers: vec![
                worker("5000", "honest"),
                worker("6000", "honest"),
                worker("7000", "honest"),
            ],
            gateways: GatewayPlan {
                instances: 1,
                database: None,
            },
        }
    }
}

/// A running market; everything is ended when it is dropped, clients before the chain.
pub struct Market {
    gateways: Vec<Node>,
    workers: Vec<Node>,
    validators: Vec<Node>,
    others: Vec<Node>,
    origins: Vec<String>,
    /// Chain truth.
    pub chain: Chain,
    /// Who buys.
    pub buyer: Arc<BuyerAccount>,
    home: Option<tempfile::TempDir>,
}

/// Payout account of a label: `worker-0`, `validator-3`, `creator`, `gateway`.
#[must_use]
pub fn account_of(label: &str) -> Hex32 {
    account_key(label).address()
}

fn account_key(label: &str) -> BuyerAccount {
    BuyerAccount::from_seed(&Sha256::digest(format!("d402 test account of {label}")).into())
}

impl Market {
    /// Starts everything and waits until the gateways can sell.
    pub async fn start(plan: Plan) -> Self {
        let home = tempfile::Builder::new()
            .prefix("d402-e2e-")
            .tempdir()
            .expect("a temporary folder");
        let state = home.path();
        let mut simchain = Node::start("simchain", simchain(state));
        let rpc = text(&simchain.ready().await["simulatedRpc"]);
        let mut config = NodeConfig::at(state.join("bootstrap"));
        config.roles = vec![Role::Bootstrap];
        let wallet = (NETWORK, account_of("creator").to_string());
        config.import = vec![sign_capabilities(state, wallet, 1_000)];
        let mut bootstrap = Node::start("bootstrap", config);
        let address = text(&bootstrap.ready().await["addresses"][0]);
        let base = Base {
            state,
            address,
            rpc: rpc.clone(),
        };
        let mut market = Self {
            validators: VALIDATORS
                .iter()
                .map(|label| base.validator(label))
                .collect(),
            workers: plan
                .workers
                .iter()
                .enumerate()
                .map(|(index, worker)| base.worker(index, *worker))
                .collect(),
            gateways: base.gateways(&plan.gateways),
            others: vec![bootstrap, simchain],
            origins: Vec::new(),
            chain: Chain::new(&rpc),
            buyer: Arc::new(account_key("buyer")),
            home: Some(home),
        };
        for node in market.validators.iter_mut().chain(&mut market.workers) {
            node.ready().await;
        }
        for node in &mut market.gateways {
            market.origins.push(text(&node.ready().await["http"]));
        }
        market.chain.mint(market.buyer.address(), PURSE).await;
        for index in 0..market.origins.len() {
            market.sells(index).await;
        }
        market
    }

    /// Origins of all gateways.
    #[must_use]
    pub fn origins(&self) -> &[String] {
        &self.origins
    }

    /// Another account with money.
    pub async fn another_buyer(&self, label: &str) -> BuyerAccount {
        let account = account_key(label);
        self.chain.mint(account.address(), PURSE).await;
        account
    }

    /// SIGKILL to a gateway.
    pub fn kill_gateway(&mut self, index: usize) {
        self.gateways[index].kill();
    }

    /// Starts a killed gateway on the same state and port, and waits until it is up.
    pub async fn restart_gateway(&mut self, index: usize) {
        self.gateways[index].spawn();
        self.gateways[index].ready().await;
    }

    /// SIGKILL to a validator: front and bridge.
    pub fn kill_validator(&mut self, index: usize) {
        self.validators[index].kill();
    }

    /// SIGKILL to a worker.
    pub fn kill_worker(&mut self, index: usize) {
        self.workers[index].kill();
    }

    /// The gateway knows all capabilities and all validators that run.
    async fn sells(&self, index: usize) {
        let client = GatewayClient::new(&self.origins[index]).expect("an origin");
        let all = d402_capabilities::capabilities().len();
        let judges = self.validators.iter().filter(|node| node.runs()).count();
        let known = |answer: &Value, name: &str| answer[name].as_array().map_or(0, Vec::len);
        eventually("the gateway can sell", SELLS, || async {
            let answer = client.get_json("/capabilities", None).await.ok()?;
            let enough = known(&answer, "capabilities") >= all
                && known(&answer, "validatorOffers") >= judges;
            enough.then_some(())
        })
        .await;
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        for nodes in [
            &mut self.gateways,
            &mut self.workers,
            &mut self.validators,
            &mut self.others,
        ] {
            nodes.clear();
        }
        if std::thread::panicking()
            && let Some(home) = self.home.take()
        {
            eprintln!("logs of all nodes: {}", home.keep().display());
        }
    }
}

/// What all nodes but the first two have in common.
struct Base<'a> {
    state: &'a Path,
    address: String,
    rpc: String,
}

impl Base<'_> {
    fn config(&self, label: &str, role: Role) -> NodeConfig {
        let mut config = NodeConfig::at(self.state.join(label));
        config.bootstrap = vec![self.address.clone()];
        config.simulated_rpc = Some(self.rpc.clone());
        config.roles = vec![role];
        config
    }

    fn validator(&self, label: &str) -> Node {
        let mut config = self.config(label, Role::Validator);
        config.validator.payout = Some(account_of(label).to_string());
        config.validator.fee = Some(FEE.to_owned());
        Node::start(label, config)
    }

    fn worker(&self, index: usize, plan: WorkerPlan) -> Node {
        let label = format!("worker-{index}");
        let mut config = self.config(&label, Role::Worker);
        let sold = d402_capabilities::capabilities().iter();
        config.worker.prices = sold
            .map(|c| {
                (
                    c.manifest().capability_id().to_owned(),
                    plan.price.to_owned(),
                )
            })
            .collect();
        config.worker.payouts = [(NETWORK.to_owned(), account_of(&label).to_string())].into();
        config.worker.behaviour = Some(plan.behaviour.to_owned());
        config.worker.max_running = Some(64);
        Node::start(&label, config)
    }

    fn gateways(&self, plan: &GatewayPlan) -> Vec<Node> {
        let shared = self.state.join("gateway-keys");
        keys::create(&shared.join("gateway.key")).expect("a key can be made");
        keys::create(&shared.join("challenge.key")).expect("a key can be made");
        let start = |index: usize| {
            let label = format!("gateway-{index}");
            let mut config = self.config(&label, Role::Gateway);
            let own = config.state_dir.join("keys");
            std::fs::create_dir_all(&own).expect("a folder can be made");
            for name in ["gateway.key", "challenge.key"] {
                std::fs::copy(shared.join(name), own.join(name)).expect("a key can be copied");
            }
            config.database.clone_from(&plan.database);
            // Fixed ports: a restarted gateway is found where it was.
            config.listen = vec![format!("/ip4/127.0.0.1/tcp/{}", free_port())];
            config.gateway.http = Some(([127, 0, 0, 1], free_port()).into());
            config.gateway.policy = serde_json::from_value(json!({
                "gateway-fee-bps": 200,
                "gateway-fee-payees": { NETWORK: account_of("gateway").to_string() },
                "validator-set-size": 4,
                "validator-threshold": 3,
                // All of them are on loopback.
                "distinct-subnets": false,
            }))
            .expect("a policy");
            Node::start(&label, config)
        };
        (0..plan.instances).map(start).collect()
    }
}

fn simchain(state: &Path) -> NodeConfig {
    let mut config = NodeConfig::at(state.join("simchain"));
    config.roles = vec![Role::Simchain];
    config.simchain.listen = Some(([127, 0, 0, 1], free_port()).into());
    config.simchain.faucet = true;
    config.simchain.faults = true;
    config
}

/// The creator signs every built-in manifest and registers it with a commission of 10 %.
pub(crate) fn sign_capabilities(
    state: &Path,
    (network, wallet): (&str, String),
    bps: u16,
) -> PathBuf {
    let key: SigningKey = keys::create(&state.join("creator.key")).expect("a key can be made");
    let mut objects = Vec::new();
    for listed in d402_capabilities::capabilities() {
        let manifest =
            cli::manifest_of(listed.manifest_template().as_bytes(), Ed25519Id::from(&key))
                .expect("a built-in manifest");
        let wallet = wallet.parse().expect("an address");
        let commission = Commission {
            bps: Bps::new(bps).expect("within bounds"),
            wallets: [(network.parse().expect("a network"), wallet)].into(),
        };
        let namespace = "d402.test".parse().expect("a namespace");
        let (manifest, registration) =
            cli::register(&key, manifest, namespace, commission, now_ms()).expect("a registration");
        objects.extend([manifest.to_value(), registration.to_value()]);
    }
    let path = state.join("capabilities.json");
    cli::write_json(&path, &Value::Array(objects)).expect("a file can be written");
    path
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// A port nobody listens on right now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a loopback port is free")
        .port()
}
